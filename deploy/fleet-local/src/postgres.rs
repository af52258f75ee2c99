//! A private PostgreSQL instance.
