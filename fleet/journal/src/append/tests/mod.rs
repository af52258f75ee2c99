//! Tests of appending that need more than one file of it.

mod harness;
mod scripts;
