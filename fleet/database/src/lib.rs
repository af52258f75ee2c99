//! One handle on the database of a fleet: reads, transactions, migrations, and our own names for broken constraints.
//!
//! A statement is written once, for both engines: `$1` parameters, `ON CONFLICT`, `RETURNING`, BIGINT, TEXT, BOOLEAN
//! and BYTEA columns. An engine is one folder, with the same names as the other ([`sqlite`], [`postgres`]). Above this crate
//! only the journal's batch append names an engine; it reaches it by [`Database::engine`].
//!
//! Reads go to any connection and see committed rows. A caller that must see its own writes, or must be atomic, uses
//! [`Database::transaction`].

mod checksum;
pub mod copy;
mod error;
mod handle;
mod health;
mod migrations;
pub mod postgres;
pub mod sqlite;
mod value;

pub use self::{
    checksum::{Part, checksum},
    error::{Error, Kind, Outage, Violation},
    handle::{Database, Engine, FORGET_FLEET, FleetIdentity, Snapshot, Transaction, TransactionFuture},
    migrations::{LATEST_VERSION, MIGRATIONS},
    value::{FromValue, Row, Sql, Value},
};

/// Parameters of a statement: `params![id, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::Value::from($value)),*]
    };
}
