//! Indexing the entries of a conversation, some at a time ([`crate::sql::sqlite::chain`]).

use std::hash::BuildHasher;

use database::Error as DatabaseError;
use proto::{ConversationId, Seq, UserId, wire};
use rusqlite::{CachedStatement, Connection};
use telemetry::events::journal::Event;

use super::{Cache, Tracked, filter::Filter};
use crate::sql::sqlite::chain::{BROKEN_CHAIN, with_unindexed};

const CHAIN: &str = concat!(
    with_unindexed!(),
    "SELECT e.sender_id, e.client_msg_id, u.seq, u.id FROM unindexed u CROSS JOIN entry e ON e.id = u.id"
);

const INDEX: &str = "INSERT INTO entry_index (conversation_id, seq, entry_id) VALUES (?1, ?2, ?3)
    ON CONFLICT DO NOTHING";

const SEND: &str = "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
    SELECT conversation_id, sender_id, client_msg_id, seq FROM entry
    WHERE id = ?1 AND kind = ?2 AND client_msg_id <> ''
    ON CONFLICT DO NOTHING";

const IS_NAMED: &str = "SELECT client_msg_id <> '' FROM entry WHERE id = ?1";

const SENT: &str = "SELECT sender_id, client_msg_id FROM sent WHERE conversation_id = ?1";

/// Every statement here.
pub(super) const STATEMENTS: &[&str] = &[CHAIN, INDEX, SEND, IS_NAMED, SENT];

/// Rows that one batch reads to build filters. After a restart no conversation has a filter, and every sender of the batch
/// waits while they are built.
const FILTERED_ROWS: usize = 4096;

/// An entry of the chain. Its hash says that it may be the message looked for; the entry itself decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unindexed {
    pub(super) hash: u64,
    pub(super) seq: Seq,
    /// `entry.id`.
    pub(super) id: i64,
}

/// The indexing of one batch, with its statements.
pub(super) struct Indexer<'c> {
    connection: &'c Connection,
    cache: &'c Cache,
    index: CachedStatement<'c>,
    send: CachedStatement<'c>,
    /// Rows that were read to build filters.
    filtered: usize,
}

impl<'c> Indexer<'c> {
    pub(super) fn prepare(connection: &'c Connection, cache: &'c Cache) -> Result<Self, DatabaseError> {
        Ok(Self {
            connection,
            cache,
            index: connection.prepare_cached(INDEX)?,
            send: connection.prepare_cached(SEND)?,
            filtered: 0,
        })
    }

    /// Reads the chain of a conversation that enters the cache.
    pub(super) fn load(
        &self,
        conversation: ConversationId,
        indexed: Seq,
        last: Seq,
    ) -> Result<Vec<Unindexed>, DatabaseError> {
        let hasher = &self.cache.hasher;
        let mut statement = self.connection.prepare_cached(CHAIN)?;
        let rows = statement.query_map([conversation.get()], |row| {
            let sender = UserId::from_database(row.get(0)?);
            Ok(Unindexed {
                hash: hasher.hash_one((sender, row.get_ref(1)?.as_str()?)),
                seq: Seq::from_database(row.get(2)?),
                id: row.get(3)?,
            })
        })?;
        let mut unindexed = rows.collect::<Result<Vec<_>, _>>()?;
        unindexed.reverse();
        // The statement follows consecutive seqs only, so a whole chain is one of the right length.
        if i64::try_from(unindexed.len()) == Ok(last.get() - indexed.get()) {
            Ok(unindexed)
        } else {
            Err(DatabaseError::Damaged(BROKEN_CHAIN))
        }
    }

    /// Indexes the chain of a conversation whose row says so already.
    pub(super) fn index(
        &mut self,
        conversation: ConversationId,
        tracked: &mut Tracked,
    ) -> Result<(), DatabaseError> {
        let unindexed = std::mem::take(&mut tracked.unindexed);
        for Unindexed { seq, id, .. } in &unindexed {
            let indexed = self.index.execute([conversation.get(), seq.get(), *id])?;
            let sent = self.send.execute([*id, wire::EntryKind::Message as i64])?;
            if indexed == 0 || sent == 0 && self.is_named(*id)? {
                // No program of ours writes such a file. It cannot be repaired here, and must not keep others from sending.
                let (conversation_id, seq) = (conversation.get(), seq.get());
                Event::DoubleEntry { conversation_id, seq }.emit();
            }
        }
        tracked.indexed_seq = tracked.known.standing.last_seq;
        match &mut tracked.filter {
            Some(filter) if filter.has_capacity(unindexed.len()) => {
                unindexed.iter().for_each(|unindexed| filter.add(unindexed.hash));
            }
            _ => {
                // Free the old filter's memory before the new one takes its share.
                tracked.filter = None;
                tracked.filter = self.filter(conversation, tracked.indexed_seq)?;
            }
        }
        Ok(())
    }

    /// A filter of all indexed messages; `None` when it would cost too much.
    fn filter(&mut self, conversation: ConversationId, last: Seq) -> Result<Option<Filter>, DatabaseError> {
        if self.filtered >= FILTERED_ROWS {
            return Ok(None);
        }
        let entries = usize::try_from(last.get()).unwrap_or(usize::MAX);
        let Some(mut filter) = Filter::new(&self.cache.budget, entries) else {
            return Ok(None);
        };
        let mut statement = self.connection.prepare_cached(SENT)?;
        let mut rows = statement.query([conversation.get()])?;
        while let Some(row) = rows.next()? {
            let sender = UserId::from_database(row.get(0)?);
            let client_msg_id = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            filter.add(self.cache.hasher.hash_one((sender, client_msg_id)));
            self.filtered += 1;
        }
        Ok(Some(filter))
    }

    /// Events and the server's messages have no client_msg_id, so `sent` does not get them.
    fn is_named(&self, id: i64) -> Result<bool, DatabaseError> {
        let mut statement = self.connection.prepare_cached(IS_NAMED)?;
        Ok(statement.query_row([id], |row| row.get(0))?)
    }
}
