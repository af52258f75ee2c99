//! Which messages were sent already (invariant I4), on SQLite.
//!
//! Messages that are claimed ([`crate::unclaimed`]) are looked for in `sent`, the others among the entries themselves,
//! whose hashes are kept with what is known of the conversation.

use std::hash::BuildHasher;

use database::{Error as DatabaseError, Part, checksum};
use proto::{ConversationId, Seq, UserId, wire};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params, types::ValueRef};

use super::{
    Accepted, NewMessage,
    cache::{Cache, Known},
    decide::difference,
    filter::Filter,
};
use crate::{
    Error, damage,
    entry::{self, SUMMED_COLUMNS, Seals, mentions},
    unclaimed::{BROKEN_CHAIN, with_unclaimed},
};

const FIND: &str =
    "SELECT seq FROM sent WHERE conversation_id = ?1 AND sender_id = ?2 AND client_msg_id = ?3";

const ALL: &str = "SELECT sender_id, client_msg_id FROM sent WHERE conversation_id = ?1";

const INDEX: &str = "INSERT INTO entry_index (conversation_id, seq, entry_id) VALUES (?1, ?2, ?3)
    ON CONFLICT DO NOTHING";

const SEND: &str = "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
    SELECT conversation_id, sender_id, client_msg_id, seq FROM entry WHERE id = ?1 AND kind = ?2
    ON CONFLICT DO NOTHING";

const KIND: &str = "SELECT kind FROM entry WHERE id = ?1";

const UNCLAIMED: &str = concat!(
    with_unclaimed!(),
    "SELECT e.sender_id, e.client_msg_id, u.seq, u.id FROM unclaimed u CROSS JOIN entry e ON e.id = u.id"
);

/// What is remembered is a hint: somebody may have set the file back behind the cache, and ids are given again.
const FIRST: &str = concat!(
    "SELECT ",
    entry::columns!(),
    " FROM entry WHERE id = ?1 AND conversation_id = ?2 AND seq = ?3"
);

const PLACE: &str = "SELECT entry_id FROM entry_index WHERE conversation_id = ?1 AND seq = ?2";

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[FIND, ALL, INDEX, SEND, KIND, UNCLAIMED, FIRST, PLACE];

/// An entry that is not claimed yet. The hash says that it may be the message looked for; the entry decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unclaimed {
    hash: u64,
    seq: Seq,
    /// `entry.id`.
    pub(super) id: i64,
}

/// Looks for messages that were sent already, with its statements prepared for one batch.
pub(super) struct Sent<'c> {
    connection: &'c Connection,
    cache: &'c Cache,
    find: CachedStatement<'c>,
    index: CachedStatement<'c>,
    send: CachedStatement<'c>,
    /// Rows that filters were made of in this batch.
    filtered: usize,
}

/// After so many no more filters are made in a batch: after a restart, when nothing is known, everybody waits for them.
const FILTERED_ROWS: usize = 4096;

impl<'c> Sent<'c> {
    pub(super) fn prepare(connection: &'c Connection, cache: &'c Cache) -> Result<Self, DatabaseError> {
        Ok(Self {
            connection,
            cache,
            find: connection.prepare_cached(FIND)?,
            index: connection.prepare_cached(INDEX)?,
            send: connection.prepare_cached(SEND)?,
            filtered: 0,
        })
    }

    /// Reads what is not claimed yet, for a conversation that comes into the cache.
    pub(super) fn load(
        &self,
        conversation: ConversationId,
        claimed: Seq,
        last: Seq,
    ) -> Result<Vec<Unclaimed>, DatabaseError> {
        let hasher = &self.cache.hasher;
        let mut statement = self.connection.prepare_cached(UNCLAIMED)?;
        let rows = statement.query_map([conversation.get()], |row| {
            let sender = UserId::from_database(row.get(0)?);
            Ok(Unclaimed {
                hash: hasher.hash_one((sender, row.get_ref(1)?.as_str()?)),
                seq: Seq::from_database(row.get(2)?),
                id: row.get(3)?,
            })
        })?;
        let mut unclaimed = rows.collect::<Result<Vec<_>, _>>()?;
        unclaimed.reverse();
        // Each of the chain has the seq before that of the next, so their number says all.
        if i64::try_from(unclaimed.len()) == Ok(last.get() - claimed.get()) {
            Ok(unclaimed)
        } else {
            Err(DatabaseError::Damaged(BROKEN_CHAIN))
        }
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
            if let Some(answer) = self.compare(message, unclaimed.seq, unclaimed.id)? {
                return answer.map(Some);
            }
        }
        let is_new = match &known.claimed {
            Some(claimed) => !claimed.may_hold(hash),
            None => known.claimed_seq == Seq::ZERO,
        };
        if is_new {
            return Ok(None);
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
        if let Some(id) = self.place(message.conversation, seq)?
            && let Some(answer) = self.compare(message, Seq::from_database(seq), id)?
        {
            return answer.map(Some);
        }
        Err(Error::Database(DatabaseError::Damaged(
            "sent points to another entry",
        )))
    }

    /// The id of a claimed entry.
    fn place(&self, conversation: ConversationId, seq: i64) -> Result<Option<i64>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(PLACE)?;
        let id = statement.query_row([conversation.get(), seq], |row| row.get(0));
        Ok(id.optional()?)
    }

    /// Remembers a message that has just been added.
    pub(super) fn remember(&self, known: &mut Known, message: &NewMessage, seq: Seq, id: i64) {
        let hash = self.hash(message);
        known.unclaimed.push(Unclaimed { hash, seq, id });
    }

    fn hash(&self, message: &NewMessage) -> u64 {
        self.cache
            .hasher
            .hash_one((message.sender, message.client_msg_id.as_str()))
    }

    /// What a resend gets when the entry at `seq` is the message's first; none when it is another one.
    fn compare(
        &self,
        message: &NewMessage,
        seq: Seq,
        id: i64,
    ) -> Result<Option<Result<Accepted, Error>>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(FIRST)?;
        let mut rows = statement.query([id, message.conversation.get(), seq.get()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        // A damaged one answers nothing: neither that it is this message nor that it is another.
        verify(row).map_err(|told| damage::tell(message.conversation, seq, told))?;
        Ok(answer_from(message, seq, row)?)
    }

    /// Claims all entries of a conversation; `last_seq` and `claimed_seq` have been moved.
    pub(super) fn claim(
        &mut self,
        conversation: ConversationId,
        known: &mut Known,
    ) -> Result<(), DatabaseError> {
        for unclaimed in &known.unclaimed {
            let indexed = self
                .index
                .execute([conversation.get(), unclaimed.seq.get(), unclaimed.id])?;
            let sent = self
                .send
                .execute([unclaimed.id, wire::EntryKind::Message as i64])?;
            if indexed == 0 || sent == 0 && self.is_message(unclaimed.id)? {
                // Nothing of ours makes such a file. It cannot be undone here, and must not keep everybody from sending.
                metrics::counter!("huizhen_journal_double_entries_total").increment(1);
                tracing::error!(
                    conversation_id = conversation.get(),
                    seq = unclaimed.seq.get(),
                    "an entry stands twice in its conversation"
                );
            }
        }
        known.claimed_seq = known.standing.last_seq;
        match &mut known.claimed {
            Some(claimed) if claimed.takes(known.unclaimed.len()) => {
                known
                    .unclaimed
                    .iter()
                    .for_each(|unclaimed| claimed.add(unclaimed.hash));
            }
            _ => {
                // What the old one takes is free before the new one is made.
                known.claimed = None;
                known.claimed = self.filter(conversation, known.claimed_seq)?;
            }
        }
        known.unclaimed = Vec::new();
        Ok(())
    }

    /// A filter of all messages that are claimed, if there may be one.
    fn filter(&mut self, conversation: ConversationId, last: Seq) -> Result<Option<Filter>, DatabaseError> {
        if self.filtered >= FILTERED_ROWS {
            return Ok(None);
        }
        let entries = usize::try_from(last.get()).unwrap_or(usize::MAX);
        let Some(mut filter) = Filter::new(&self.cache.budget, entries) else {
            return Ok(None);
        };
        let mut statement = self.connection.prepare_cached(ALL)?;
        let mut rows = statement.query([conversation.get()])?;
        while let Some(row) = rows.next()? {
            let sender = UserId::from_database(row.get(0)?);
            let client_msg_id = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            filter.add(self.cache.hasher.hash_one((sender, client_msg_id)));
            self.filtered += 1;
        }
        Ok(Some(filter))
    }

    /// Whether the entry is a message: others have no client_msg_id.
    fn is_message(&self, id: i64) -> Result<bool, DatabaseError> {
        let mut statement = self.connection.prepare_cached(KIND)?;
        let kind: i64 = statement.query_row([id], |row| row.get(0))?;
        Ok(kind == wire::EntryKind::Message as i64)
    }
}

/// # Errors
/// What is wrong with a row of [`FIRST`].
fn verify(row: &Row<'_>) -> Result<(), &'static str> {
    let mut values = [ValueRef::Null; SUMMED_COLUMNS];
    for (at, value) in values.iter_mut().enumerate() {
        *value = row.get_ref(at).map_err(|_| damage::NO_VALUE)?;
    }
    let recalled = row.get(11).map_err(|_| damage::NO_VALUE)?;
    let stored = row.get(12).map_err(|_| damage::NO_VALUE)?;
    Seals::All.verify(checksum(values.map(Part::from)), recalled, stored)
}

/// What a resend gets from a row of [`FIRST`]; none when it is of another message.
fn answer_from(
    message: &NewMessage,
    seq: Seq,
    row: &Row<'_>,
) -> Result<Option<Result<Accepted, Error>>, rusqlite::Error> {
    if row.get_ref(2)?.as_i64()? != message.sender.get() || row.get_ref(5)?.as_str()? != message.client_msg_id
    {
        return Ok(None);
    }
    let (mime_type, body) = (row.get_ref(6)?.as_str()?, row.get_ref(7)?.as_blob()?);
    let mentions = mentions(row.get_ref(10)?.as_blob_or_null()?);
    Ok(Some(
        match difference(message, mime_type, body, row.get(8)?, &mentions) {
            Some(field) => Err(Error::Conflict { field }),
            None => Ok(Accepted {
                seq,
                created_ms: row.get(4)?,
                duplicate: true,
            }),
        },
    ))
}
