//! The server: its starts, its neighbours and its failures.

mod beside;
mod full_disk;
mod on_server;
mod starts;
mod unnamed;
mod vital;
