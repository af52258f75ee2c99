//! Whether a message may be appended: a pure decision from what is known of the conversation.

use proto::{
    Seq,
    mime::{self, Refused},
    wire::Role,
};

use super::NewMessage;
use crate::Error;

/// What is known of a conversation, as of one `last_seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether it takes messages.
    pub(crate) open: bool,
    /// The newest entry, those of this batch included.
    pub(crate) last_seq: Seq,
}

/// Decides about a message that is not there yet. `standing` is none when there is no such conversation, `role` when
/// the sender is not in it.
pub(crate) fn decide(
    message: &NewMessage,
    standing: Option<Standing>,
    role: Option<Role>,
) -> Result<Seq, Error> {
    let (Some(standing), Some(role)) = (standing, role) else {
        return Err(Error::NoAccess);
    };
    if !standing.open {
        return Err(Error::Closed);
    }
    mime::check_sender(&message.mime_type, role).map_err(|refused| match refused {
        Refused::Forbidden { message } => Error::Forbidden(message),
        Refused::Invalid { field, message } => Error::Invalid { field, message },
    })?;
    if message.reply_to_seq > standing.last_seq {
        return Err(Error::Invalid {
            field: "reply_to_seq",
            message: format!(
                "reply_to_seq is {}, the newest entry is {}",
                message.reply_to_seq, standing.last_seq
            ),
        });
    }
    Ok(standing.last_seq.next())
}

/// Which field of a resend differs from what was accepted under its client_msg_id.
pub(crate) fn difference(
    message: &NewMessage,
    mime_type: &str,
    body: &[u8],
    reply_to_seq: i64,
    mentions: &[i64],
) -> Option<&'static str> {
    if message.mime_type != mime_type {
        return Some("mime_type");
    }
    if message.body != body {
        return Some("body");
    }
    if message.reply_to_seq.get() != reply_to_seq {
        return Some("reply_to_seq");
    }
    (message.mentions != mentions).then_some("mentions")
}

#[cfg(test)]
mod tests {
    use proto::{ConversationId, UserId};

    use super::*;

    fn message(mime_type: &str, reply_to_seq: i64) -> NewMessage {
        NewMessage {
            conversation: ConversationId::from_database(1),
            sender: UserId::from_database(2),
            client_msg_id: "a".into(),
            mime_type: mime_type.into(),
            body: "hello".into(),
            mentions: Vec::new(),
            reply_to_seq: Seq::from_database(reply_to_seq),
            stream: None,
        }
    }

    const OPEN: Option<Standing> = Some(Standing {
        open: true,
        last_seq: Seq::from_database(7),
    });

    #[test]
    fn a_participant_of_an_open_conversation_gets_the_next_seq() {
        let seq = decide(&message("text/plain", 7), OPEN, Some(Role::Patient)).unwrap();
        assert_eq!(seq.get(), 8);
    }

    #[test]
    fn no_conversation_and_no_participant_look_the_same() {
        assert!(matches!(
            decide(&message("text/plain", 0), None, None),
            Err(Error::NoAccess)
        ));
        assert!(matches!(
            decide(&message("text/plain", 0), OPEN, None),
            Err(Error::NoAccess)
        ));
    }

    #[test]
    fn what_is_closed_forged_or_answers_the_future_is_refused() {
        let closed = Some(Standing {
            open: false,
            last_seq: Seq::from_database(7),
        });
        assert!(matches!(
            decide(&message("text/plain", 0), closed, Some(Role::Patient)),
            Err(Error::Closed)
        ));
        let card = message("application/vnd.huizhen.advice", 0);
        assert!(matches!(
            decide(&card, OPEN, Some(Role::Patient)),
            Err(Error::Forbidden(_))
        ));
        let future = decide(&message("text/plain", 8), OPEN, Some(Role::Patient));
        assert!(matches!(
            future,
            Err(Error::Invalid {
                field: "reply_to_seq",
                ..
            })
        ));
    }

    #[test]
    fn a_resend_must_say_the_same() {
        let first = message("text/plain", 3);
        assert_eq!(difference(&first, "text/plain", b"hello", 3, &[]), None);
        assert_eq!(difference(&first, "text/plain", b"other", 3, &[]), Some("body"));
        assert_eq!(
            difference(&first, "image/png", b"hello", 3, &[]),
            Some("mime_type")
        );
        assert_eq!(
            difference(&first, "text/plain", b"hello", 0, &[]),
            Some("reply_to_seq")
        );
        assert_eq!(
            difference(&first, "text/plain", b"hello", 3, &[7]),
            Some("mentions")
        );
    }
}
