//! One's own data as a file: all that the service keeps of a member or a doctor, as their own lists show it.
//!
//! Each part is what an endpoint answers to the same user, page by page. So the file shows nothing that they may not see, and
//! holds one page in memory at a time.

pub(crate) mod file;
mod pieces;
mod writing;
