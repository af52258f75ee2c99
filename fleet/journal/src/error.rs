//! The errors of this crate and their sentences.

use proto::Sentence;

/// Why a request on a conversation is refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The conversation does not exist, or the user is not in it; the two look alike to outsiders.
    #[error("{NO_ACCESS}")]
    NoAccess,
    /// The conversation is read-only.
    #[error("{CLOSED}")]
    Closed,
    /// The user's role may not do this.
    #[error("{message}")]
    Forbidden {
        /// The field at fault.
        field: &'static str,
        /// The fault and its remedy.
        message: Sentence,
    },
    /// A field of the request is invalid.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The fault and its remedy.
        message: Sentence,
    },
    /// The client_msg_id was used for another message.
    #[error("{}", conflict(field))]
    Conflict {
        /// The field that differs.
        field: &'static str,
    },
    /// The user is in the conversation already.
    #[error("{ALREADY_IN}")]
    AlreadyIn,
    /// The database failed or is away.
    #[error(transparent)]
    Database(#[from] database::Error),
}

const NO_ACCESS: Sentence = Sentence::new(
    "no such conversation, or you are not in it",
    "会话不存在，或您不在其中",
);
const CLOSED: Sentence = Sentence::new(
    "the conversation accepts no more messages",
    "会话已结束，不能再发送消息",
);
const ALREADY_IN: Sentence = Sentence::new("the user is in the conversation already", "该用户已在会话中");

fn conflict(field: &str) -> Sentence {
    Sentence::formatted(
        format!(
            "this client_msg_id was used for another message: {field} differs; give each message its own"
        ),
        format!("此 client_msg_id 已用于另一条消息（{field} 不同），每条消息须使用各自的 client_msg_id"),
    )
}

impl Error {
    /// The sentence for the user who asked; `None` when the error is for the operator alone.
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

/// `field` names a seq beyond the newest entry.
pub(crate) fn beyond(field: &'static str, seq: proto::Seq, last: proto::Seq) -> Error {
    let message = Sentence::formatted(
        format!("{field} is {seq}, but the newest entry is {last}"),
        format!("{field} 为 {seq}，而最新一条是 {last}"),
    );
    Error::Invalid { field, message }
}

/// `field` names an entry outside the user's spans.
pub(crate) fn unseen(field: &'static str, seq: proto::Seq) -> Error {
    let message = Sentence::formatted(
        format!("{field} is {seq}, an entry that you may not see"),
        format!("{field} 为 {seq}，您无权查看这一条"),
    );
    Error::Invalid { field, message }
}
