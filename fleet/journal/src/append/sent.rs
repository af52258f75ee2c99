//! Which messages were sent already (invariant I4), on SQLite.
//!
//! A look-up by client_msg_id needs an index, and an index that each message goes into is the costliest part of an
//! append: each message of a batch makes another page of it dirty, and the log takes whole pages. So messages go into
//! `sent` some at a time, conversation by conversation: those of one conversation are neighbours there and share a page.
//! `conversation.claimed_seq` tells how far; what came after it is looked for among the entries themselves, whose hashes
//! are kept with what is known of the conversation. All of that moves with `last_seq` in one transaction, so it is never
//! wrong: neither after a crash nor when another handle has written.

use std::hash::{BuildHasher, RandomState};

use database::Error as DatabaseError;
use proto::{ConversationId, Seq, UserId, wire};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params, types::ToSqlOutput};

use super::{Accepted, NewMessage, cache::Known, decide::difference};
use crate::{Error, entry::mentions};

/// Messages of one conversation that go into `sent` together. More would fill whole pages, but are read again when a
/// conversation is not in the cache.
const CLAIM_AT: usize = 16;

const FIND: &str =
    "SELECT seq FROM sent WHERE conversation_id = ?1 AND sender_id = ?2 AND client_msg_id = ?3";

const CLAIM: &str =
    "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT DO NOTHING";

/// `seq <= ?3` so that a claim takes what its batch has decided on.
const UNCLAIMED: &str = "SELECT sender_id, client_msg_id, seq FROM entry
    WHERE conversation_id = ?1 AND seq > ?2 AND seq <= ?3 AND kind = ?4 ORDER BY seq";

const READ_FIRST: &str =
    "SELECT mime_type, body, reply_to_seq, created_ms, extra, sender_id, client_msg_id FROM entry
     WHERE conversation_id = ?1 AND seq = ?2";

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[FIND, CLAIM, UNCLAIMED, READ_FIRST];

/// A message that is not in `sent` yet. The hash says that it may be the one looked for; the entry decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unclaimed {
    hash: u64,
    seq: Seq,
}

/// Looks for messages that were sent already, with its statements prepared for one batch.
pub(super) struct Sent<'c> {
    hasher: &'c RandomState,
    find: CachedStatement<'c>,
    claim: CachedStatement<'c>,
    unclaimed: CachedStatement<'c>,
    read_first: CachedStatement<'c>,
}

impl<'c> Sent<'c> {
    pub(super) fn prepare(
        connection: &'c Connection,
        hasher: &'c RandomState,
    ) -> Result<Self, DatabaseError> {
        Ok(Self {
            hasher,
            find: connection.prepare_cached(FIND)?,
            claim: connection.prepare_cached(CLAIM)?,
            unclaimed: connection.prepare_cached(UNCLAIMED)?,
            read_first: connection.prepare_cached(READ_FIRST)?,
        })
    }

    /// Reads what is not in `sent` yet, for a conversation that comes into the cache.
    pub(super) fn load(
        &mut self,
        conversation: ConversationId,
        claimed: Seq,
        last: Seq,
    ) -> Result<Vec<Unclaimed>, DatabaseError> {
        if claimed == last {
            return Ok(Vec::new());
        }
        let hasher = self.hasher;
        let rows = self
            .unclaimed
            .query_map(range(conversation, claimed, last), |row| {
                let sender = UserId::from_database(row.get(0)?);
                Ok(Unclaimed {
                    hash: hasher.hash_one((sender, row.get_ref(1)?.as_str()?)),
                    seq: Seq::from_database(row.get(2)?),
                })
            })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The answer to a message whose client_msg_id stands for an entry; none when it is new.
    pub(super) fn answer(
        &mut self,
        known: Option<&Known>,
        message: &NewMessage,
    ) -> Result<Option<Accepted>, Error> {
        let Some(known) = known else {
            return Ok(None);
        };
        let hash = self.hash(message);
        for unclaimed in known.unclaimed.iter().filter(|unclaimed| unclaimed.hash == hash) {
            if let Some(answer) = self.compare(message, unclaimed.seq)? {
                return answer.map(Some);
            }
        }
        let claimed: Option<i64> = self
            .find
            .query_row(
                params![
                    message.conversation.get(),
                    message.sender.get(),
                    message.client_msg_id
                ],
                |row| row.get(0),
            )
            .optional()
            .map_err(DatabaseError::from)?;
        let Some(seq) = claimed else {
            return Ok(None);
        };
        match self.compare(message, Seq::from_database(seq))? {
            Some(answer) => answer.map(Some),
            None => Err(Error::Database(DatabaseError::Engine(
                "sent points to another entry".into(),
            ))),
        }
    }

    /// Remembers a message that has just been added.
    pub(super) fn remember(&self, known: &mut Known, message: &NewMessage, seq: Seq) {
        let hash = self.hash(message);
        known.unclaimed.push(Unclaimed { hash, seq });
    }

    fn hash(&self, message: &NewMessage) -> u64 {
        self.hasher
            .hash_one((message.sender, message.client_msg_id.as_str()))
    }

    /// What a resend gets when the entry at `seq` is the message's first; none when it is another one.
    fn compare(
        &mut self,
        message: &NewMessage,
        seq: Seq,
    ) -> Result<Option<Result<Accepted, Error>>, DatabaseError> {
        let first = self
            .read_first
            .query_row([message.conversation.get(), seq.get()], |row| {
                if row.get_ref(5)?.as_i64()? != message.sender.get()
                    || row.get_ref(6)?.as_str()? != message.client_msg_id
                {
                    return Ok(None);
                }
                let (mime_type, body) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_blob()?);
                let mentions = mentions(row.get_ref(4)?.as_blob_or_null()?);
                let difference = difference(message, mime_type, body, row.get(2)?, &mentions);
                Ok(Some((difference, row.get(3)?)))
            })
            .optional()?
            .flatten();
        Ok(first.map(|(difference, created_ms)| match difference {
            Some(field) => Err(Error::Conflict { field }),
            None => Ok(Accepted {
                seq,
                created_ms,
                duplicate: true,
            }),
        }))
    }

    /// Whether the conversation's new messages should go into `sent` now.
    pub(super) fn is_due(known: &Known) -> bool {
        known.unclaimed.len() >= CLAIM_AT
    }

    /// Puts messages into `sent`, up to `last`.
    pub(super) fn claim(
        &mut self,
        conversation: ConversationId,
        known: &mut Known,
        last: Seq,
    ) -> Result<(), DatabaseError> {
        let mut rows = self
            .unclaimed
            .query(range(conversation, known.claimed_seq, last))?;
        while let Some(row) = rows.next()? {
            let added = self.claim.execute(params![
                conversation.get(),
                ToSqlOutput::Borrowed(row.get_ref(0)?),
                ToSqlOutput::Borrowed(row.get_ref(1)?),
                ToSqlOutput::Borrowed(row.get_ref(2)?),
            ])?;
            if added == 0 {
                // It cannot be undone here, and must not keep everybody from sending.
                metrics::counter!("huizhen_journal_double_entries_total").increment(1);
                tracing::error!(
                    conversation_id = conversation.get(),
                    "a message stands twice in its conversation"
                );
            }
        }
        known.claimed_seq = last;
        known.unclaimed = Vec::new();
        Ok(())
    }
}

fn range(conversation: ConversationId, above: Seq, to: Seq) -> [i64; 4] {
    [
        conversation.get(),
        above.get(),
        to.get(),
        i64::from(wire::EntryKind::Message as i32),
    ]
}
