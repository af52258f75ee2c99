//! What can go wrong with a conversation.

/// Why something with a conversation is refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such conversation, or the person is not in it; nobody outside can tell which.
    #[error("no such conversation, or you are not in it")]
    NoAccess,
    /// The conversation is read-only.
    #[error("the conversation takes no more messages")]
    Closed,
    /// The person may see it, but their role may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// A field of the request does not hold what it must.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// The client_msg_id stands for another message already.
    #[error("this client_msg_id was used for another message: {field} differs; give each message its own")]
    Conflict {
        /// The field that differs.
        field: &'static str,
    },
    /// The person is in the conversation already.
    #[error("the person is in the conversation already")]
    AlreadyIn,
    /// The database failed or is away; nothing was written.
    #[error(transparent)]
    Database(#[from] database::Error),
}
