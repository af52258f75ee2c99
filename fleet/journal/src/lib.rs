//! Conversations and their journals: who is in, what was said, in one order, durable before it is acknowledged.
//!
//! A conversation is one append-only journal of entries with seq 1, 2, 3 … Everything that happens in it is an entry:
//! messages ([`append`]), and what the records around it tell (joins, leaves, states; [`record`]), written in the same
//! transaction as the record. `conversation.last_seq` is the version of all that decides who may write.
//!
//! Reading is in [`history`] (entries, within one's spans of participation), [`overview`] (which conversations there
//! are) and [`marks`] (how far people got). [`announcement`] is what travels between the processes of a fleet.

pub mod announcement;
pub mod append;
pub mod audit;
pub mod clocks;
pub mod conversation;
mod damage;
mod entry;
mod error;
pub mod history;
pub mod marks;
pub mod moved;
pub mod order;
pub mod overview;
pub mod recall;
pub mod record;
mod unclaimed;

use std::sync::Arc;

use backplane::{Backplane, Channel};
use bytes::Bytes;
use database::{Database, Engine};

use crate::append::cache::Cache;
pub use crate::{
    announcement::{Published, UserNotice},
    entry::Entry,
    error::Error,
};

/// The text of every statement that this crate runs on the engine in use, for tests that prepare and explain them.
#[doc(hidden)]
pub fn statements(engine: &Engine) -> Vec<String> {
    let of_engine = match engine {
        Engine::Sqlite(_) => [
            append::sent::STATEMENTS,
            append::sqlite::STATEMENTS,
            history::STATEMENTS_OF_FILE,
            order::STATEMENTS_OF_FILE,
            overview::STATEMENTS_OF_FILE,
            recall::STATEMENTS_OF_FILE,
            record::STATEMENTS_OF_FILE,
            unclaimed::STATEMENTS,
        ]
        .concat(),
        Engine::Postgres(_) => [
            append::postgres::STATEMENTS,
            history::STATEMENTS_OF_SERVER,
            order::STATEMENTS_OF_SERVER,
            overview::STATEMENTS_OF_SERVER,
            recall::STATEMENTS_OF_SERVER,
            record::STATEMENTS_OF_SERVER,
        ]
        .concat(),
    };
    let constants = [
        &of_engine,
        clocks::STATEMENTS,
        conversation::STATEMENTS,
        history::STATEMENTS,
        marks::STATEMENTS,
        order::STATEMENTS,
        recall::STATEMENTS,
        record::STATEMENTS,
    ];
    let constants = constants.concat();
    let mut statements: Vec<String> = constants.into_iter().map(str::to_owned).collect();
    statements.push(conversation::last_seqs_sql());
    statements
}

/// The handle on the journals; cloning it is cheap.
#[derive(Clone)]
pub struct Journal {
    database: Database,
    backplane: Backplane,
    /// What appends of this process know of conversations.
    cache: Arc<Cache>,
}

impl Journal {
    /// A handle on the journals of this database, announcing on this backplane. One per process: appends rely on what
    /// they saw last, and records written through another handle on the same SQLite file would go unnoticed until the
    /// compare-and-set refuses.
    pub fn new(database: Database, backplane: Backplane) -> Self {
        Self {
            database,
            backplane,
            cache: Arc::default(),
        }
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The backplane.
    pub fn backplane(&self) -> &Backplane {
        &self.backplane
    }

    /// Announces what a transaction wrote, after it has been committed.
    pub fn publish(&self, unpublished: record::Unpublished) {
        for published in unpublished.entries {
            self.backplane.publish(
                Channel::Conversation(published.conversation),
                published.payload(),
                None,
            );
        }
        for (user, notice) in unpublished.notices {
            self.notify(user, &notice);
        }
    }

    /// Takes note of an entry that another process of the fleet has written, so that the next append here need not find out
    /// by being refused. A hint: what decides is the compare-and-set.
    pub fn heard(&self, entry: &Published) {
        // One process alone writes to a file.
        if let Engine::Postgres(_) = self.database.engine() {
            let is_message = entry.kind == proto::wire::EntryKind::Message;
            self.cache.heard(entry.conversation, entry.seq, is_message);
        }
    }

    /// Tells every node that a person is logged in to.
    pub fn notify(&self, user: proto::UserId, notice: &UserNotice) {
        self.backplane
            .publish(Channel::User(user), Bytes::from(notice.encode()), None);
    }
}
