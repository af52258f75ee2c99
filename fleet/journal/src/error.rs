//! What can go wrong with a conversation.

use proto::Sentence;

/// Why something with a conversation is refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such conversation, or the person is not in it; nobody outside can tell which.
    #[error("{NO_ACCESS}")]
    NoAccess,
    /// The conversation is read-only.
    #[error("{CLOSED}")]
    Closed,
    /// The person may see it, but their role may not do this.
    #[error("{message}")]
    Forbidden {
        /// The field that asks for it.
        field: &'static str,
        /// What is wrong and what to do.
        message: Sentence,
    },
    /// A field of the request does not hold what it must.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong and what to do.
        message: Sentence,
    },
    /// The client_msg_id stands for another message already.
    #[error("{}", conflict(field))]
    Conflict {
        /// The field that differs.
        field: &'static str,
    },
    /// The person is in the conversation already.
    #[error("{ALREADY_IN}")]
    AlreadyIn,
    /// The database failed or is away; nothing was written.
    #[error(transparent)]
    Database(#[from] database::Error),
}

const NO_ACCESS: Sentence = Sentence::new(
    "no such conversation, or you are not in it",
    "会话不存在，或您不在其中",
);
const CLOSED: Sentence = Sentence::new(
    "the conversation takes no more messages",
    "会话已结束，不能再发送消息",
);
const ALREADY_IN: Sentence = Sentence::new("the person is in the conversation already", "该用户已在会话中");

fn conflict(field: &str) -> Sentence {
    Sentence::formatted(
        format!(
            "this client_msg_id was used for another message: {field} differs; give each message its own"
        ),
        format!("此 client_msg_id 已用于另一条消息（{field} 不同），每条消息须使用各自的 client_msg_id"),
    )
}

impl Error {
    /// What is wrong, for the person who asked; none when that is for the operator alone.
    pub fn sentence(&self) -> Option<Sentence> {
        match self {
            Self::NoAccess => Some(NO_ACCESS),
            Self::Closed => Some(CLOSED),
            Self::Forbidden { message, .. } | Self::Invalid { message, .. } => Some(message.clone()),
            Self::Conflict { field } => Some(conflict(field)),
            Self::AlreadyIn => Some(ALREADY_IN),
            Self::Database(_) => None,
        }
    }
}

/// A seq in `field` that no entry has yet.
pub(crate) fn beyond(field: &'static str, seq: proto::Seq, last: proto::Seq) -> Error {
    let message = Sentence::formatted(
        format!("{field} is {seq}, the newest entry is {last}"),
        format!("{field} 为 {seq}，而最新一条是 {last}"),
    );
    Error::Invalid { field, message }
}

/// A seq in `field` of an entry outside the person's spans.
pub(crate) fn unseen(field: &'static str, seq: proto::Seq) -> Error {
    let message = Sentence::formatted(
        format!("{field} is {seq}, which is no entry that you may see"),
        format!("{field} 为 {seq}，不是您可以看到的内容"),
    );
    Error::Invalid { field, message }
}
