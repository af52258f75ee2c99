//! The engine in use, with its cache.

use std::sync::Arc;

use database::{Database, Transaction, postgres::Postgres, sqlite::Sqlite};
use proto::{ConversationId, Seq};

use super::{
    known::{Cache, Known},
    sqlite,
};
use crate::{Entry, Error, Published, sql};

/// The engine that appends run on, and the conversations that it remembers.
#[derive(Clone)]
pub(crate) enum Engine {
    Sqlite(Sqlite, Arc<sqlite::Cache>),
    Postgres(Postgres, Arc<Cache<Known>>),
}

impl Engine {
    pub(crate) fn of(database: &Database) -> Self {
        match database.engine() {
            database::Engine::Sqlite(sqlite) => Self::Sqlite(sqlite.clone(), Arc::default()),
            database::Engine::Postgres(postgres) => Self::Postgres(postgres.clone(), Arc::default()),
        }
    }

    /// Invalidates one conversation: a transaction outside of appends writes to it.
    pub(crate) fn forget(&self, conversation: ConversationId) {
        match self {
            Self::Sqlite(_, cache) => cache.conversations.forget(conversation),
            Self::Postgres(_, cache) => cache.forget(conversation),
        }
    }

    /// See [`Cache::heard`]. No other process writes to a file of SQLite.
    pub(crate) fn heard(&self, entry: &Published) {
        if let Self::Postgres(_, cache) = self {
            let is_message = entry.kind == proto::wire::EntryKind::Message;
            cache.heard(entry.conversation, entry.seq, is_message);
        }
    }

    /// Inserts the entry of a record and advances `last_seq`.
    pub(crate) async fn insert(&self, tx: &mut Transaction<'_>, entry: &Entry) -> Result<(), Error> {
        match self {
            Self::Sqlite(..) => sql::sqlite::insert(tx, entry).await,
            Self::Postgres(..) => sql::postgres::insert(tx, entry).await,
        }
    }

    /// Prefetches [`Self::take_seq`].
    pub(crate) fn prefetch_seq(&self, tx: &mut Transaction<'_>, conversation: ConversationId, now_ms: i64) {
        if let Self::Postgres(..) = self {
            sql::postgres::prefetch_seq(tx, conversation, now_ms);
        }
    }

    /// Takes the next seq for the entry of a record that nothing can refuse any more, for [`Self::insert_taken`]. On SQLite
    /// it is read: nothing else writes meanwhile.
    pub(crate) async fn take_seq(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        now_ms: i64,
    ) -> Result<Option<Seq>, Error> {
        match self {
            Self::Sqlite(..) => sql::sqlite::next_seq(tx, conversation).await,
            Self::Postgres(..) => sql::postgres::take_seq(tx, conversation, now_ms).await,
        }
    }

    /// Inserts the entry of a record whose seq was taken.
    pub(crate) async fn insert_taken(&self, tx: &mut Transaction<'_>, entry: &Entry) -> Result<(), Error> {
        match self {
            Self::Sqlite(..) => sql::sqlite::insert(tx, entry).await,
            Self::Postgres(..) => sql::postgres::insert_taken(tx, entry).await,
        }
    }
}
