//! The rules of the house (CONTRIBUTING.md) that a program can decide. Nothing is built or run: these tests read the
//! workspace as text.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod allowed;
mod architecture;
mod circles;
mod citations;
mod copies;
mod decisions;
mod dependencies;
mod figures;
mod links;
mod places;
mod prose;
mod sizes;
mod source;
mod tree;
mod use_tree;
mod words;
