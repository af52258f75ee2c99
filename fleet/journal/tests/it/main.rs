//! The journal on real SQLite files and a real PostgreSQL: what is accepted and refused, in which order, who sees it, and what survives.
//!
//! Invariants are those of the design: I1 ack means durable, I2 one order, I3 exactly once in order, I4 idempotent send,
//! I5 participants only, I8 nothing is erased.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod accepting;
mod announcements;
mod broken;
mod damage;
mod deadlines;
mod dice;
mod directory;
mod distribution;
mod durability;
mod glimpses;
mod hiding;
mod indexing;
mod keeping_order;
mod machines;
mod marking;
mod media;
mod model;
mod moved;
mod races;
mod random;
mod recalling;
mod recording;
mod resending;
mod server_faults;
mod server_hangs;
mod showing;
mod staleness;
mod standby;
mod statements;
mod world;
mod written;
