//! One's own data as a file: what a member's or a doctor's own lists show.
//!
//! Each part is what an endpoint answers to the same user, page by page. So the file shows nothing that they may not see, and
//! holds one page in memory at a time.

pub(crate) mod file;
mod pieces;
mod writing;
