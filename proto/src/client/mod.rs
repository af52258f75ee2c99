//! The connection that a good client keeps.
