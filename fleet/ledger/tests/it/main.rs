//! The ledger, on both engines.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod books;
mod durability;
mod limits;
mod model;
mod place;
mod posting;
mod races;
mod reconciling;
mod scripts;
mod statements;
