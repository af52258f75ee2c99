//! Whether a message may be appended: a pure decision from the state of the conversation.

use proto::{
    Sentence, Seq, UserId,
    mime::{self, Refused},
};

use super::{NewMessage, known::Known};
use crate::{
    Error,
    error::{beyond, unseen},
};

/// The state of a conversation, as of one `last_seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it accepts messages.
    pub(super) open: bool,
    /// The newest entry, including those of this batch.
    pub(super) last_seq: Seq,
}

// protocol: "A resend of an accepted message is answered with its SendOk"
// protocol: "Send | INVALID | reply_to_seq"
// protocol: "Send, Recall | CLOSED | conversation_id"
/// Decides about a message that is not written yet; `Ok` is its seq. `known` is `None` when the conversation does not exist;
/// it holds the sender and the mentioned users as far as they are participants.
pub(super) fn decide(message: &NewMessage, known: Option<&Known>) -> Result<Seq, Error> {
    let known = known.ok_or(Error::NoAccess)?;
    let sender = known.participant(message.sender).ok_or(Error::NoAccess)?;
    let last = known.standing.last_seq;
    if !known.standing.open {
        return Err(Error::Closed);
    }
    mime::check_sender(&message.mime_type, sender.role).map_err(|refused| match refused {
        Refused::Forbidden { message } => Error::Forbidden {
            field: "mime_type",
            message,
        },
        Refused::Invalid { field, message } => Error::Invalid { field, message },
    })?;
    if message.reply_to_seq > last {
        return Err(beyond("reply_to_seq", message.reply_to_seq, last));
    }
    if message.reply_to_seq > Seq::ZERO && !sender.sees(message.reply_to_seq) {
        return Err(unseen("reply_to_seq", message.reply_to_seq));
    }
    match mentioned(message).find(|user| known.participant(*user).is_none()) {
        Some(user) => Err(not_in(user)),
        None => Ok(last.next()),
    }
}

// protocol: "Send | INVALID | mentions"
/// The users whom a message mentions.
pub(super) fn mentioned(message: &NewMessage) -> impl Iterator<Item = UserId> {
    message.mentions.iter().map(|user| UserId::from_database(*user))
}

fn not_in(user: UserId) -> Error {
    Error::Invalid {
        field: "mentions",
        message: Sentence::formatted(
            format!("mentions names user {user}, who is not in the conversation"),
            format!("mentions 中的用户 {user} 不在此会话中"),
        ),
    }
}

// protocol: "Send | CONFLICT | client_msg_id"
// protocol: "A message that is resent becomes one entry"
/// The field in which a resend differs from the entry of its client_msg_id.
pub(super) fn difference(
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
    use proto::{ConversationId, wire::Role};

    use super::{super::known::Participation, *};

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

    /// User 2 joined by entry 3, left by 4 and joined again by 6; user 9 is in, too. The newest entry is 7.
    fn known(open: bool, role: Role) -> Known {
        let seq = Seq::from_database;
        let mut known = Known::new(Standing {
            open,
            last_seq: seq(7),
        });
        let spans = [(role, seq(3), Some(seq(4))), (role, seq(6), None)];
        known.remember(UserId::from_database(2), Participation::of(spans).unwrap());
        let other = Participation::of([(Role::Doctor, seq(1), None)]).unwrap();
        known.remember(UserId::from_database(9), other);
        known
    }

    fn field(outcome: Result<Seq, Error>) -> Option<&'static str> {
        match outcome {
            Err(Error::Invalid { field, .. } | Error::Forbidden { field, .. }) => Some(field),
            Err(other) => panic!("{other:?}"),
            Ok(_) => None,
        }
    }

    #[test]
    fn a_participant_of_an_open_conversation_gets_the_next_seq() {
        let seq = decide(&message("text/plain", 7), Some(&known(true, Role::Patient))).unwrap();
        assert_eq!(seq.get(), 8);
    }

    #[test]
    fn a_missing_conversation_and_a_stranger_get_the_same_answer() {
        assert!(matches!(
            decide(&message("text/plain", 0), None),
            Err(Error::NoAccess)
        ));
        let stranger = NewMessage {
            sender: UserId::from_database(3),
            ..message("text/plain", 0)
        };
        assert!(matches!(
            decide(&stranger, Some(&known(true, Role::Patient))),
            Err(Error::NoAccess)
        ));
    }

    #[test]
    fn a_closed_conversation_and_a_forged_card_are_refused() {
        assert!(matches!(
            decide(&message("text/plain", 0), Some(&known(false, Role::Patient))),
            Err(Error::Closed)
        ));
        let card = message("application/vnd.huizhen.advice", 0);
        let outcome = decide(&card, Some(&known(true, Role::Patient)));
        assert!(matches!(
            outcome,
            Err(Error::Forbidden {
                field: "mime_type",
                ..
            })
        ));
    }

    #[test]
    fn a_reply_is_to_an_entry_that_its_sender_sees() {
        let known = known(true, Role::Patient);
        let answered: Vec<i64> = (0..=9)
            .filter(|seq| field(decide(&message("text/plain", *seq), Some(&known))).is_none())
            .collect();
        assert_eq!(answered, [0, 3, 4, 6, 7], "no entry, and those of a span");
        for refused in [1, 5, 8] {
            let outcome = decide(&message("text/plain", refused), Some(&known));
            assert_eq!(field(outcome), Some("reply_to_seq"), "{refused}");
        }
    }

    #[test]
    fn only_participants_are_mentioned() {
        let known = known(true, Role::Patient);
        for (mentions, refused) in [
            (vec![9], None),
            (vec![2, 9, 9], None),
            (vec![9, 3], Some("mentions")),
        ] {
            let message = NewMessage {
                mentions,
                ..message("text/plain", 0)
            };
            assert_eq!(field(decide(&message, Some(&known))), refused);
        }
    }

    #[test]
    fn a_resend_must_have_the_same_content() {
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
