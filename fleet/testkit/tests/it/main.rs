//! Private instances of what a fleet stands on.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod postgres;
mod redis;
