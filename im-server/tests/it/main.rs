//! The node as apps meet it: real sockets, a real database file, the client connection that apps get.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

mod bad_input;
mod catching_up;
mod fleet;
mod logins;
mod marks;
mod messages;
mod stopping;
mod transports;
