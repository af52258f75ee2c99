//! Tests of the whole crate: media of all kinds, and uploads into real stores.

mod faults;
mod folder;
mod inspection;
mod proving;
mod s3;
mod samples;
mod server;
mod shrinking;
mod uploads;
