//! Background work of a fleet: each turn of a job is done by the one process that holds its lease.
//!
//! A job is a row: when it is due, who holds its lease, how far it has come. A process takes the lease of a due job by a
//! conditional UPDATE, does a turn, and gives the lease back with the next due time. Each transaction of a turn begins
//! with its lease: a holder whose lease was taken over, or that was paused, writes nothing any more.
//!
//! All times are the database server's, or the process's own on SQLite; none is compared with another machine's.

mod job;
mod runner;
mod state;
mod table;
mod turn;

pub use self::{
    job::{Failure, Job, Next},
    runner::{Runner, Timing},
    state::{State, is_known, list, pause, resume},
    turn::{Refused, Turn},
};
