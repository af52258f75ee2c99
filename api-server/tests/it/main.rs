//! The REST service as its callers see it: the real `serve` on a free port, a real SQLite file, SMS codes through a
//! webhook.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod accounts;
mod chats;
mod consults;
mod devices;
mod document;
mod handover;
mod http;
mod idempotency;
mod im;
mod lists;
mod messages;
mod operators;
mod people;
mod pushes;
mod rights;
mod scene;
mod secrets;
mod service;
mod teams;
mod vas;
