//! Conversations and their journals: participants, messages and events in one order, durable before they are acknowledged.
//!
//! A conversation is one append-only journal of entries with seq 1, 2, 3 … Messages are appended in batches ([`append`]).
//! Changes of the records around it (joins, leaves, states) are entries too, written in the record's transaction
//! ([`record`]). `conversation.last_seq` is the version of all state that decides whether an append is allowed.
//!
//! Reading is in [`history`] (entries within a user's spans of participation), [`overview`] (a user's conversations) and
//! [`marks`] (entries received and read). [`announcement`] holds the payloads between the processes of a fleet.

pub mod announcement;
pub mod append;
pub mod audit;
pub mod conversation;
mod entry;
mod error;
pub mod history;
pub mod record;
mod sql;

use backplane::{Backplane, Channel};
use bytes::Bytes;
use database::Database;

pub use self::{
    announcement::{Published, UserNotice},
    conversation::{clocks, glimpse, hidden, marks, order, overview},
    entry::{Entry, media},
    error::Error,
    record::recall,
    sql::{citus, moved},
};
use self::{append::Engine, conversation::machines::Machines, sql::Dialect};

/// The handle on the journals; cloning it is cheap.
#[derive(Clone)]
pub struct Journal {
    database: Database,
    backplane: Backplane,
    dialect: &'static Dialect,
    engine: Engine,
    /// Where conversations lie on several machines.
    machines: Option<Machines>,
    checks_media: bool,
}

impl Journal {
    /// A handle on the journals of this database, which publishes on this backplane. Use one per process: appends rely on
    /// cached versions. Records written through another handle on the same SQLite file stay unnoticed until a
    /// compare-and-set refuses.
    pub fn new(database: Database, backplane: Backplane) -> Self {
        Self {
            dialect: Dialect::of(database.engine()),
            engine: Engine::of(&database),
            machines: Machines::of(database.engine()),
            checks_media: false,
            database,
            backplane,
        }
    }

    /// The same, for a service that stores media: messages name only media that their senders may show, and entries are
    /// written with the media that they name.
    #[must_use]
    pub fn checking_media(&self) -> Self {
        Self {
            checks_media: true,
            ..self.clone()
        }
    }

    /// Refuses a database on several machines that lacks a function of this release, at a start.
    ///
    /// # Errors
    /// [`database::Error::Open`] with the command that makes them; as the database says.
    pub async fn must_have_functions(&self) -> Result<(), database::Error> {
        match self.database.engine() {
            database::Engine::Sqlite(_) => Ok(()),
            database::Engine::Postgres(server) => server.must_have(citus::FUNCTIONS).await,
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

    /// Publishes the entries and notices of a committed transaction.
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

    /// Advances the cached version of a conversation by an entry of another process, so that the next append is not refused
    /// as stale. A hint: the compare-and-set decides.
    pub fn heard(&self, entry: &Published) {
        self.engine.heard(entry);
    }

    /// Notifies every node that the user is logged in to.
    pub fn notify(&self, user: proto::UserId, notice: &UserNotice) {
        self.backplane
            .publish(Channel::User(user), Bytes::from(notice.encode()), None);
    }
}

/// The text of every statement that this crate runs on the engine in use, for tests that prepare and explain them.
#[doc(hidden)]
pub fn statements(engine: &database::Engine) -> Vec<String> {
    let of_engine = match engine {
        database::Engine::Sqlite(_) => {
            [sql::sqlite::STATEMENTS, &append::sqlite::STATEMENTS.concat()].concat()
        }
        database::Engine::Postgres(server) => {
            let of_lanes = match server.is_distributed() {
                true => append::postgres::STATEMENTS_OF_MACHINES,
                false => append::postgres::STATEMENTS,
            };
            [sql::postgres::STATEMENTS, of_lanes].concat()
        }
    };
    let constants = [
        of_engine,
        Dialect::of(engine).statements(),
        conversation::STATEMENTS.concat(),
        entry::media::STATEMENTS.to_vec(),
        history::STATEMENTS.concat(),
        record::hide::STATEMENTS.to_vec(),
        record::recall::STATEMENTS.to_vec(),
        record::STATEMENTS.to_vec(),
    ];
    let mut statements: Vec<String> = constants.concat().into_iter().map(str::to_owned).collect();
    statements.extend([conversation::last_seqs_sql(), conversation::hidden::among_sql()]);
    statements.extend(conversation::glimpse::statements(Dialect::of(engine).glimpse));
    statements
}
