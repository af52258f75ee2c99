//! The REST service as its callers see it: the real `serve` on a free port, a real SQLite file, SMS codes through a
//! webhook.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod accounts;
mod chats;
mod clinics;
mod consults;
mod devices;
mod doctors;
mod document;
mod examples;
mod families;
mod http;
mod idempotency;
mod im;
mod joining;
mod lists;
mod members;
mod messages;
mod people;
mod searching;
mod secrets;
mod service;
mod team_consults;
mod teams;
