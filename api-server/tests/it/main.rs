//! The REST service as its callers see it: the real `serve` on a free port, a real SQLite file, SMS codes through a
//! webhook.

mod accounts;
mod people;
mod service;
