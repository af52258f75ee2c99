//! The coordinator's directory of conversations, where these lie on several machines: a statement then asks only the
//! machines that have something (docs/decisions/0019-distributed.md).

/// Statements of the directory. Each conversation that they find is then read by itself: Citus plans a statement that names
/// one conversation in a sixteenth of the time.
#[derive(Clone, Copy)]
pub(crate) struct Directory {
    /// Conversations of user $1 with $3 <= id < $2, the newest $4 of them.
    pub(crate) of_user: &'static str,
    /// Conversations of both users $1 and $2 with id < $3, the newest $4 of them.
    pub(crate) of_both: &'static str,
    /// Adds conversation $2 of user $1.
    pub(crate) add_user: &'static str,
    /// Adds conversation $2 of medium $1.
    pub(crate) add_medium: &'static str,
}

impl Directory {
    /// Ids in one read.
    pub(crate) const PAGE: i64 = 40;
    /// Conversations that are read beside each other: a small part of the pool.
    pub(crate) const BESIDE: usize = 4;

    pub(crate) const fn statements(&self) -> [&'static str; 4] {
        [self.of_user, self.of_both, self.add_user, self.add_medium]
    }
}
