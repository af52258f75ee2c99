//! The machine under this process: memory, open files, free space and the wall clock.

pub mod free_space;
pub mod memory;
pub(crate) mod notify;
pub mod open_files;
pub(crate) mod usage;
pub mod wall_clock;
