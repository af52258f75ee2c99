//! The contract with people who write a client in another language: what `docs/` says of the wire is generated here from
//! the code, so that it cannot drift from it.
//!
//! `UPDATE=1 cargo test -p proto` rewrites `docs/vectors.json` and the generated parts of `docs/protocol.md`. A change
//! of bytes that are out in the world then shows in the diff, and is a mistake.

mod document;
mod errors;
mod examples;
mod reflect;
mod released;
mod vectors;
