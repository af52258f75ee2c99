//! Recognizing resends (invariant I4): indexed messages are looked up in `sent`, unindexed ones among the hashes of the
//! chain.

use std::hash::BuildHasher;

use database::{Error as DatabaseError, Part, checksum};
use proto::{ConversationId, Seq};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params, types::ValueRef};

use super::{
    super::{Accepted, NewMessage, decide::difference},
    Cache, Tracked,
    index::Unindexed,
};
use crate::{
    Error,
    entry::{self, Checksums, SUMMED_COLUMNS, damage, mentions},
};

const FIND: &str =
    "SELECT seq FROM sent WHERE conversation_id = ?1 AND sender_id = ?2 AND client_msg_id = ?3";

/// The cached id is a hint: the file may have been restored behind the cache, and ids are allocated again.
pub(super) const FIRST: &str = concat!(
    "SELECT ",
    entry::columns!(),
    " FROM entry WHERE id = ?1 AND conversation_id = ?2 AND seq = ?3"
);

const PLACE: &str = "SELECT entry_id FROM entry_index WHERE conversation_id = ?1 AND seq = ?2";

/// Every statement here.
pub(super) const STATEMENTS: &[&str] = &[FIND, FIRST, PLACE];

/// The look-ups of one batch.
pub(super) struct Resends<'c> {
    pub(super) connection: &'c Connection,
    cache: &'c Cache,
    find: CachedStatement<'c>,
}

impl<'c> Resends<'c> {
    pub(super) fn prepare(connection: &'c Connection, cache: &'c Cache) -> Result<Self, DatabaseError> {
        Ok(Self {
            connection,
            cache,
            find: connection.prepare_cached(FIND)?,
        })
    }

    /// The answer to a resend; `None` for a new message.
    pub(super) fn answer(
        &mut self,
        tracked: &Tracked,
        message: &NewMessage,
    ) -> Result<Option<Accepted>, Error> {
        let hash = self.hash(message);
        for unindexed in tracked
            .unindexed
            .iter()
            .filter(|unindexed| unindexed.hash == hash)
        {
            if let Some(answer) = self.compare(message, unindexed.seq, unindexed.id)? {
                return answer.map(Some);
            }
        }
        let is_new = match &tracked.filter {
            Some(filter) => !filter.may_hold(hash),
            None => tracked.indexed_seq == Seq::ZERO,
        };
        if is_new {
            return Ok(None);
        }
        let Some(seq) = self.find(message)? else {
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

    /// The chain's element for a message that was just written.
    pub(super) fn unindexed(&self, message: &NewMessage, seq: Seq, id: i64) -> Unindexed {
        let hash = self.hash(message);
        Unindexed { hash, seq, id }
    }

    fn hash(&self, message: &NewMessage) -> u64 {
        self.cache
            .hasher
            .hash_one((message.sender, message.client_msg_id.as_str()))
    }

    fn find(&mut self, message: &NewMessage) -> Result<Option<i64>, DatabaseError> {
        let key = params![
            message.conversation.get(),
            message.sender.get(),
            message.client_msg_id
        ];
        let seq = self.find.query_row(key, |row| row.get(0));
        Ok(seq.optional()?)
    }

    /// The id of an indexed entry.
    pub(super) fn place(&self, conversation: ConversationId, seq: i64) -> Result<Option<i64>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(PLACE)?;
        let id = statement.query_row([conversation.get(), seq], |row| row.get(0));
        Ok(id.optional()?)
    }

    /// The answer to a resend of the entry at `seq`; `None` when that is another message.
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
        // A damaged entry proves neither that it is this message nor that it is another one.
        verify(row).map_err(|reason| damage::report(message.conversation, seq, reason))?;
        Ok(answer_from(message, seq, row)?)
    }
}

/// # Errors
/// Why a row of [`FIRST`] is damaged.
pub(super) fn verify(row: &Row<'_>) -> Result<(), &'static str> {
    let mut values = [ValueRef::Null; SUMMED_COLUMNS];
    for (at, value) in values.iter_mut().enumerate() {
        *value = row.get_ref(at).map_err(|_| damage::NO_VALUE)?;
    }
    let recalled = row.get(11).map_err(|_| damage::NO_VALUE)?;
    let stored = row.get(12).map_err(|_| damage::NO_VALUE)?;
    Checksums::OfAllEntries.verify(checksum(values.map(Part::from)), recalled, stored)
}

/// The answer from a row of [`FIRST`]; `None` when it is another message.
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
    let seqs = (row.get(8)?, row.get(9)?);
    let mentions = mentions(row.get_ref(10)?.as_blob_or_null()?);
    Ok(Some(
        match difference(message, mime_type, body, seqs, &mentions) {
            Some(field) => Err(Error::Conflict { field }),
            None => Ok(Accepted {
                seq,
                created_ms: row.get(4)?,
                duplicate: true,
            }),
        },
    ))
}
