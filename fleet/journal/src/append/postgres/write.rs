//! The writes of an attempt: the compare-and-set, and the rows of the conversations that won.

use std::collections::{BTreeMap, HashSet};

use database::{Error as DatabaseError, postgres::Sealed};
use proto::{ConversationId, wire};
use telemetry::events::journal::Event;
use tokio_postgres::types::ToSql;

use super::{
    super::checksum_of_message,
    attempt::{Attempt, Touched, Verdict},
    correction::Corrections,
    fate::{Fate, Trouble},
    link::{Live, Statements, Writes},
    media::Uses,
};
use crate::entry::extra;

const BEGIN: &str = "BEGIN";
const BEGIN_PROBE: &str = "BEGIN; SET LOCAL lock_timeout = '20ms'";

/// The most sends that one statement writes. Larger batches take three statements: joining their rows with the winners
/// costs more than the round trips.
const AT_ONCE_SENDS: usize = 32;

/// The versions that a batch advances, in the order of ids.
#[derive(Default)]
pub(super) struct Moves {
    pub(super) ids: Vec<i64>,
    pub(super) seen: Vec<i64>,
    pub(super) next: Vec<i64>,
    /// Conversations without new entries that answered a resend: see `TOUCH`.
    pub(super) still: Vec<i64>,
}

impl Moves {
    fn of(touched: &BTreeMap<ConversationId, Touched>) -> Self {
        let mut moves = Self::default();
        for (conversation, touched) in touched.iter().filter(|(_, touched)| !touched.again) {
            match touched.next() {
                Some(next) => {
                    moves.ids.push(conversation.get());
                    moves.seen.push(touched.seen.get());
                    moves.next.push(next.get());
                }
                None if touched.answered => moves.still.push(conversation.get()),
                None => {}
            }
        }
        moves
    }
}

/// The rows of a batch, column by column.
pub(super) struct Rows<'j> {
    pub(super) conversations: Vec<i64>,
    pub(super) seqs: Vec<i64>,
    pub(super) senders: Vec<i64>,
    pub(super) ids: Sealed<Vec<&'j str>>,
    pub(super) mime_types: Sealed<Vec<&'j str>>,
    pub(super) bodies: Sealed<Vec<&'j [u8]>>,
    pub(super) replies: Vec<i64>,
    pub(super) corrected: Vec<i64>,
    pub(super) extras: Sealed<Vec<Option<Vec<u8>>>>,
    pub(super) checksums: Vec<i64>,
    pub(super) kind: i64,
}

impl<'j> Rows<'j> {
    pub(super) fn of(attempt: &'j Attempt, verdicts: &[Verdict]) -> Self {
        let mut rows = Self {
            conversations: Vec::new(),
            seqs: Vec::new(),
            senders: Vec::new(),
            ids: Sealed(Vec::new()),
            mime_types: Sealed(Vec::new()),
            bodies: Sealed(Vec::new()),
            replies: Vec::new(),
            corrected: Vec::new(),
            extras: Sealed(Vec::new()),
            checksums: Vec::new(),
            kind: i64::from(wire::EntryKind::Message as i32),
        };
        for (job, verdict) in attempt.jobs.iter().zip(verdicts) {
            let Verdict::Added(accepted) = verdict else {
                continue;
            };
            let message = &job.message;
            rows.conversations.push(message.conversation.get());
            rows.seqs.push(accepted.seq.get());
            rows.senders.push(message.sender.get());
            rows.ids.0.push(&message.client_msg_id);
            rows.mime_types.0.push(&message.mime_type);
            rows.bodies.0.push(&message.body);
            rows.replies.push(message.reply_to_seq.get());
            rows.corrected.push(message.corrects_seq.get());
            let extra = extra(&message.mentions, None);
            let sum = checksum_of_message(message, accepted.seq, attempt.now_ms, extra.as_deref());
            rows.checksums.push(sum);
            rows.extras.0.push(extra.map(Into::into));
        }
        rows
    }
}

impl Attempt {
    /// Writes the decided entries of the conversations whose versions still hold; the others are marked for a retry.
    ///
    /// A commit whose wait for the standby was cancelled reports success and is on one machine only. It counts as one whose
    /// answer was lost: the retry finds its entries, and touches their conversations by a commit that waits.
    pub(super) async fn commit(
        &self,
        live: &Live,
        touched: &mut BTreeMap<ConversationId, Touched>,
        verdicts: &mut [Verdict],
    ) -> Result<(), Fate> {
        let before = live.unconfirmed.count();
        self.write_and_commit(live, touched, verdicts).await?;
        if live.unconfirmed.count() == before {
            return Ok(());
        }
        let reason = "a commit was not confirmed by the standby";
        Err(live.fate_of(Fate::unknown(reason.to_owned())))
    }

    async fn write_and_commit(
        &self,
        live: &Live,
        touched: &mut BTreeMap<ConversationId, Touched>,
        verdicts: &mut [Verdict],
    ) -> Result<(), Fate> {
        self.mark_again(touched, verdicts);
        let moves = Moves::of(touched);
        let uses = Uses::of(self, verdicts);
        let statements = match &live.writes {
            Writes::Call(call) => {
                return self
                    .append_by_call((live, call), &moves, &uses, touched, verdicts)
                    .await;
            }
            Writes::Statements(statements) => statements,
        };
        let is_plain = uses.is_empty() && Corrections::of(self, verdicts).is_empty();
        let is_small = self.jobs.len() <= AT_ONCE_SENDS && moves.still.is_empty() && is_plain && !self.probe;
        if let Some(at_once) = statements
            .at_once
            .as_ref()
            .filter(|_| is_small && !moves.ids.is_empty())
        {
            if live.client.is_closed() {
                let ended = DatabaseError::Unavailable("the connection has ended".into());
                return Err(Fate::NotWritten(Trouble::Away(ended)));
            }
            let rows = Rows::of(self, verdicts);
            let params: [&(dyn ToSql + Sync); 14] = [
                &moves.ids,
                &moves.seen,
                &moves.next,
                &self.now_ms,
                &rows.conversations,
                &rows.seqs,
                &rows.senders,
                &rows.ids,
                &rows.mime_types,
                &rows.bodies,
                &rows.replies,
                &rows.extras,
                &rows.kind,
                &rows.checksums,
            ];
            let winners = live.client.query(at_once, &params).await;
            let winners = winners.map_err(|error| Fate::of_statement(&error))?;
            self.mark_losers(
                &moves,
                winners.iter().map(|row| row.get(0)).collect(),
                touched,
                verdicts,
            );
            return Ok(());
        }
        if self
            .compare_and_set((live, statements), &moves, &uses, touched, verdicts)
            .await
            .map_err(Fate::NotWritten)?
        {
            self.insert_and_commit(live, statements, verdicts).await?;
        }
        Ok(())
    }

    /// Advances the versions of the conversations that get entries. Whether its transaction is still open: it is committed at
    /// once when there is nothing to insert.
    async fn compare_and_set(
        &self,
        (live, statements): (&Live, &Statements),
        moves: &Moves,
        uses: &Uses,
        touched: &mut BTreeMap<ConversationId, Touched>,
        verdicts: &mut [Verdict],
    ) -> Result<bool, Trouble> {
        let Moves {
            ids,
            seen,
            next,
            still,
        } = moves;
        if ids.is_empty() && still.is_empty() {
            return Ok(false);
        }
        let begin = if self.probe { BEGIN_PROBE } else { BEGIN };
        let (_, are_there, winners, ()) = tokio::try_join!(
            biased;
            live.client.batch_execute(begin),
            uses.lock(live),
            async {
                let params: [&(dyn ToSql + Sync); 4] = [ids, seen, next, &self.now_ms];
                live.query_unless(ids.is_empty(), &statements.compare_and_set, &params).await
            },
            async {
                if !still.is_empty() {
                    live.client.execute(&live.touch, &[still]).await?;
                }
                if ids.is_empty() {
                    live.client.batch_execute("COMMIT").await?;
                }
                Ok(())
            },
        )
        .map_err(|error| Trouble::from(&error))?;
        if !are_there {
            // The versions have advanced: all of it is rolled back, and decided again.
            return Err(Trouble::Contended);
        }
        let winners: HashSet<i64> = winners.iter().map(|row| row.get(0)).collect();
        let is_open = !winners.is_empty();
        if !is_open && !ids.is_empty() {
            let committed = live.client.batch_execute("COMMIT").await;
            committed.map_err(|error| Trouble::from(&error))?;
        }
        self.mark_losers(moves, winners, touched, verdicts);
        Ok(is_open)
    }

    /// Marks the conversations whose versions were stale.
    pub(super) fn mark_losers(
        &self,
        moves: &Moves,
        winners: HashSet<i64>,
        touched: &mut BTreeMap<ConversationId, Touched>,
        verdicts: &mut [Verdict],
    ) {
        for id in &moves.ids {
            if !winners.contains(id)
                && let Some(touched) = touched.get_mut(&ConversationId::from_database(*id))
            {
                Event::StaleConversation.emit();
                touched.again = true;
            }
        }
        self.mark_again(touched, verdicts);
    }

    /// No verdict counts for a conversation that is retried.
    fn mark_again(&self, touched: &BTreeMap<ConversationId, Touched>, verdicts: &mut [Verdict]) {
        for (job, verdict) in self.jobs.iter().zip(verdicts) {
            if touched[&job.message.conversation].again {
                *verdict = Verdict::Again;
            }
        }
    }

    async fn insert_and_commit(
        &self,
        live: &Live,
        statements: &Statements,
        verdicts: &[Verdict],
    ) -> Result<(), Fate> {
        let rows = Rows::of(self, verdicts);
        let uses = Uses::of(self, verdicts);
        let corrections = Corrections::of(self, verdicts);
        let (entries, sent, used, corrected, commit) = tokio::join!(
            biased;
            async {
                let params: [&(dyn ToSql + Sync); 12] = [
                    &rows.conversations,
                    &rows.seqs,
                    &rows.senders,
                    &rows.ids,
                    &rows.mime_types,
                    &rows.bodies,
                    &rows.replies,
                    &rows.extras,
                    &rows.kind,
                    &self.now_ms,
                    &rows.checksums,
                    &rows.corrected,
                ];
                live.client.execute(&statements.entries, &params).await
            },
            async {
                let params: [&(dyn ToSql + Sync); 4] =
                    [&rows.conversations, &rows.senders, &rows.ids, &rows.seqs];
                live.client.execute(&statements.sent, &params).await
            },
            uses.write(live, statements, self.now_ms),
            corrections.write(live, statements),
            live.client.batch_execute("COMMIT"),
        );
        for named in [&used, &corrected] {
            named.as_ref().map_err(Fate::of_statement)?;
        }
        for inserted in [&entries, &sent] {
            inserted.as_ref().map_err(Fate::of_statement)?;
        }
        commit.map_err(|error| Fate::of_commit(&error))
    }
}
