//! The media that the messages of a batch name. A batch without any costs no statement.
//!
//! They are read with the state of the conversations, and locked before the versions advance: an upload that is deleted
//! in between ends the attempt, and the next one refuses the message. Locks go in the order of ids, and before those of
//! conversations, as in the transactions of records.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::future::try_join_all;
use proto::UserId;
use tokio_postgres::{Statement, types::ToSql};

use super::{
    super::decide::{Medium, may_name},
    attempt::{Attempt, Verdict},
    link::{Live, Statements},
    queue::Job,
};
use crate::{Error, media::MAX_NAMED};

pub(super) const FIND: &str =
    "SELECT id, owner_id, purpose, state, mime_type FROM media WHERE id = ANY($1::BIGINT[])";

/// Media that senders see by an entry of the conversation that they write to.
macro_rules! seen {
    () => {
        "SELECT DISTINCT wanted.conversation_id, wanted.user_id, wanted.media_id
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS wanted (conversation_id, user_id, media_id)
    JOIN media_entry m ON m.media_id = wanted.media_id AND m.conversation_id = wanted.conversation_id
    JOIN participant p ON p.conversation_id = wanted.conversation_id AND p.user_id = wanted.user_id
      AND COALESCE(p.sees_from_seq, p.from_seq) <= m.seq AND (p.to_seq IS NULL OR m.seq <= p.to_seq)
    JOIN entry e ON e.conversation_id = m.conversation_id AND e.seq = m.seq AND NOT e.recalled"
    };
}

pub(super) const SEEN: &str = seen!();
pub(super) const SEEN_ON_MACHINES: &str = concat!(
    seen!(),
    " WHERE m.conversation_id = ANY($1) AND p.conversation_id = ANY($1) AND e.conversation_id = ANY($1)"
);

pub(super) const LOCK: &str = "SELECT id FROM media WHERE id = ANY($1::BIGINT[]) AND state = 'finished'
    ORDER BY id FOR NO KEY UPDATE";

pub(super) const USE: &str = "UPDATE media SET used_ms = $2 WHERE id = ANY($1::BIGINT[]) AND used_ms IS NULL";

pub(super) const WRITE: &str = "INSERT INTO media_entry (media_id, conversation_id, seq)
    SELECT new.media_id, new.conversation_id, new.seq
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS new (media_id, conversation_id, seq)
    ON CONFLICT DO NOTHING";

/// The media of one attempt, as they are read.
#[derive(Default)]
pub(super) struct Media {
    found: HashMap<i64, Medium>,
    /// Conversation, user, medium.
    seen: HashSet<(i64, i64, i64)>,
}

impl Media {
    pub(super) async fn read(live: &Live, jobs: &[Job]) -> Result<Self, tokio_postgres::Error> {
        let (mut conversations, mut users, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for job in jobs {
            for named in job.named.iter().take(MAX_NAMED) {
                conversations.push(job.message.conversation.get());
                users.push(job.message.sender.get());
                ids.push(named.id);
            }
        }
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let found: [&(dyn ToSql + Sync); 1] = [&ids];
        let seen: [&(dyn ToSql + Sync); 3] = [&conversations, &users, &ids];
        let (found, seen) = tokio::try_join!(
            biased;
            live.client.query(&live.media_find, &found),
            live.client.query(&live.media_seen, &seen),
        )?;
        let medium = |row: &tokio_postgres::Row| Medium {
            owner: UserId::from_database(row.get(1)),
            purpose: row.get(2),
            state: row.get(3),
            mime_type: row.get(4),
            seen: false,
        };
        Ok(Self {
            found: found.iter().map(|row| (row.get(0), medium(row))).collect(),
            seen: seen
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2)))
                .collect(),
        })
    }

    /// Whether a message names only media that its sender may send.
    pub(super) fn check(&self, job: &Job) -> Result<(), Error> {
        let (conversation, sender) = (job.message.conversation, job.message.sender);
        let rows: Vec<Option<Medium>> = job
            .named
            .iter()
            .map(|named| {
                let medium = self.found.get(&named.id)?;
                let key = (conversation.get(), sender.get(), named.id);
                Some(Medium {
                    seen: self.seen.contains(&key),
                    ..medium.clone()
                })
            })
            .collect();
        let rows = rows.iter().map(Option::as_ref);
        may_name(sender, job.named.iter().copied().zip(rows))
    }
}

/// The rows of `media_entry` of a batch, column by column.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) media: Vec<i64>,
    pub(super) conversations: Vec<i64>,
    pub(super) seqs: Vec<i64>,
}

impl Uses {
    pub(super) fn of(attempt: &Attempt, verdicts: &[Verdict]) -> Self {
        let mut uses = Self::default();
        for (job, verdict) in attempt.jobs.iter().zip(verdicts) {
            let Verdict::Added(accepted) = verdict else {
                continue;
            };
            for named in &job.named {
                uses.media.push(named.id);
                uses.conversations.push(job.message.conversation.get());
                uses.seqs.push(accepted.seq.get());
            }
        }
        uses
    }

    pub(super) fn is_empty(&self) -> bool {
        self.media.is_empty()
    }

    /// Locks the media until the end of the transaction. Whether all of them are still there.
    pub(super) async fn lock(&self, live: &Live) -> Result<bool, tokio_postgres::Error> {
        if self.is_empty() {
            return Ok(true);
        }
        let ids: BTreeSet<i64> = self.media.iter().copied().collect();
        let locked = live.client.query(&live.media_lock, &[&self.media]).await?;
        Ok(locked.len() == ids.len())
    }

    /// Marks the media as used, by the entries that name them.
    pub(super) async fn write(
        &self,
        live: &Live,
        statements: &Statements,
        now_ms: i64,
    ) -> Result<(), tokio_postgres::Error> {
        if self.is_empty() {
            return Ok(());
        }
        let rows: [&(dyn ToSql + Sync); 3] = [&self.media, &self.conversations, &self.seqs];
        tokio::try_join!(
            biased;
            self.mark_used(live, now_ms),
            live.client.execute(&statements.media_write, &rows),
        )?;
        Ok(())
    }

    /// Enters the media of a conversation into the coordinator's directory, in the order of ids.
    pub(super) async fn enter(
        &self,
        live: &Live,
        add: &Statement,
        conversation: i64,
    ) -> Result<(), tokio_postgres::Error> {
        let ids: BTreeSet<i64> = self.media.iter().copied().collect();
        let entering = ids.iter().map(async |id| {
            let row: [&(dyn ToSql + Sync); 2] = [id, &conversation];
            live.client.execute(add, &row).await
        });
        try_join_all(entering).await?;
        Ok(())
    }

    /// Marks the media as used.
    pub(super) async fn mark_used(&self, live: &Live, now_ms: i64) -> Result<(), tokio_postgres::Error> {
        let used: [&(dyn ToSql + Sync); 2] = [&self.media, &now_ms];
        live.client.execute(&live.media_use, &used).await?;
        Ok(())
    }
}
