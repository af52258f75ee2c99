//! The messages that a batch corrects. A batch without corrections costs no statement.

use std::collections::{BTreeSet, HashMap};

use database::Error as DatabaseError;
use proto::{ConversationId, Seq, UserId};
use tokio_postgres::{Row, types::ToSql};

use super::{
    super::{NewMessage, decide::Original},
    attempt::{Attempt, Verdict, verify},
    link::{Live, Statements},
    queue::Job,
};
use crate::entry::{damage, enumeration};

/// The columns in the order of those of a resend, for the same verification.
macro_rules! find {
    () => {
        "SELECT e.conversation_id, e.sender_id, e.client_msg_id, e.seq, e.mime_type, e.body,
      e.reply_to_seq, e.created_ms, e.extra, e.kind, e.corrects_seq, e.recalled, e.checksum
    FROM UNNEST($1::BIGINT[], $2::BIGINT[]) AS wanted (conversation_id, seq)
    JOIN entry e ON e.conversation_id = wanted.conversation_id AND e.seq = wanted.seq"
    };
}

pub(super) const FIND: &str = find!();
pub(super) const FIND_ON_MACHINES: &str = concat!(find!(), " WHERE e.conversation_id = ANY($1)");

/// Marks the corrected messages, for lists of messages.
pub(super) const CORRECT: &str = "INSERT INTO correction (conversation_id, seq, by_seq)
    SELECT new.conversation_id, new.seq, new.by_seq
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS new (conversation_id, seq, by_seq)
    ON CONFLICT DO NOTHING";

/// The corrected messages of one attempt, as they are read: conversation and seq.
#[derive(Default)]
pub(super) struct Originals(HashMap<(i64, i64), Result<Original, &'static str>>);

impl Originals {
    pub(super) async fn read(live: &Live, jobs: &[Job]) -> Result<Self, tokio_postgres::Error> {
        let wanted: BTreeSet<(i64, i64)> = jobs
            .iter()
            .filter(|job| job.message.corrects_seq > Seq::ZERO)
            .map(|job| key(&job.message))
            .collect();
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let (conversations, seqs): (Vec<i64>, Vec<i64>) = wanted.into_iter().unzip();
        let params: [&(dyn ToSql + Sync); 2] = [&conversations, &seqs];
        let rows = live.client.query(&live.originals, &params).await?;
        Ok(Self(
            rows.iter()
                .map(|row| ((row.get(0), row.get(3)), original(row)))
                .collect(),
        ))
    }

    /// The entry that a message corrects; `None` when it corrects none, or there is no such entry.
    ///
    /// # Errors
    /// A damaged entry proves neither that it is the sender's own nor that it was not recalled.
    pub(super) fn of(&self, message: &NewMessage) -> Result<Option<Original>, DatabaseError> {
        match self.0.get(&key(message)) {
            Some(Err(reason)) => Err(damage::report(message.conversation, message.corrects_seq, reason)),
            Some(Ok(original)) => Ok(Some(*original)),
            None => Ok(None),
        }
    }

    /// A message that this batch adds.
    pub(super) fn add(&mut self, conversation: ConversationId, seq: Seq, original: Original) {
        self.0.insert((conversation.get(), seq.get()), Ok(original));
    }
}

fn key(message: &NewMessage) -> (i64, i64) {
    (message.conversation.get(), message.corrects_seq.get())
}

fn original(row: &Row) -> Result<Original, &'static str> {
    verify(row)?;
    Ok(Original {
        sender: UserId::from_database(row.get(1)),
        kind: enumeration(row.get(9)),
        recalled: row.get(11),
    })
}

/// The rows of `correction` of a batch, column by column.
#[derive(Default)]
pub(super) struct Corrections {
    conversations: Vec<i64>,
    seqs: Vec<i64>,
    by_seqs: Vec<i64>,
}

impl Corrections {
    pub(super) fn of(attempt: &Attempt, verdicts: &[Verdict]) -> Self {
        let mut corrections = Self::default();
        for (job, verdict) in attempt.jobs.iter().zip(verdicts) {
            let (conversation, seq) = key(&job.message);
            if let Verdict::Added(accepted) = verdict
                && seq > 0
            {
                corrections.conversations.push(conversation);
                corrections.seqs.push(seq);
                corrections.by_seqs.push(accepted.seq.get());
            }
        }
        corrections
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    pub(super) async fn write(
        &self,
        live: &Live,
        statements: &Statements,
    ) -> Result<(), tokio_postgres::Error> {
        if self.is_empty() {
            return Ok(());
        }
        let rows: [&(dyn ToSql + Sync); 3] = [&self.conversations, &self.seqs, &self.by_seqs];
        live.client.execute(&statements.correct, &rows).await?;
        Ok(())
    }
}
