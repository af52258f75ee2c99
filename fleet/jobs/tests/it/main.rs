//! Background work on both engines.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod leases;
mod turns;
mod world;
