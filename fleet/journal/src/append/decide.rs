//! Whether a message may be appended: a pure decision from the state of the conversation.

use proto::{
    Sentence, Seq, UserId,
    mime::{self, Refused},
    wire::EntryKind,
};

use super::{NewMessage, known::Known};
use crate::{
    Error,
    error::{beyond, unseen},
    media::{MAX_NAMED, Named},
};

/// The purpose of uploads that messages name.
const MESSAGE: &str = "message";
/// The state of an upload whose bytes are proved.
const FINISHED: &str = "finished";

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
    // protocol: "A former participant may not send, recall or mark anything"
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
    for (field, seq) in [
        ("reply_to_seq", message.reply_to_seq),
        ("corrects_seq", message.corrects_seq),
    ] {
        if seq > last {
            return Err(beyond(field, seq, last));
        }
        if seq > Seq::ZERO && !sender.sees(seq) {
            return Err(unseen(field, seq));
        }
    }
    match mentioned(message).find(|user| known.participant(*user).is_none()) {
        Some(user) => Err(not_in(user)),
        None => Ok(last.next()),
    }
}

/// The entry that a message corrects, as the transaction of the append reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) sender: UserId,
    pub(super) kind: EntryKind,
    pub(super) recalled: bool,
}

// protocol: "Send | INVALID | corrects_seq"
// protocol: "A sender corrects a message by another one"
/// Decides about the entry that a message corrects, if it corrects one.
pub(super) fn may_correct(message: &NewMessage, original: Option<Original>) -> Result<(), Error> {
    let seq = message.corrects_seq;
    if seq == Seq::ZERO {
        return Ok(());
    }
    let original = original.ok_or_else(|| unseen("corrects_seq", seq))?;
    if original.kind != EntryKind::Message || original.sender != message.sender {
        return Err(not_correctable(Sentence::formatted(
            format!("corrects_seq is {seq}, which is no message of yours"),
            format!("corrects_seq 为 {seq}，该条不是您发送的消息"),
        )));
    }
    // protocol: "A recalled message is not corrected"
    if original.recalled {
        return Err(not_correctable(Sentence::formatted(
            format!("corrects_seq is {seq}, a message that was recalled; send a new one"),
            format!("corrects_seq 为 {seq}，该消息已撤回，请重新发送"),
        )));
    }
    Ok(())
}

fn not_correctable(message: Sentence) -> Error {
    Error::Invalid {
        field: "corrects_seq",
        message,
    }
}

/// A medium that a message names, as the transaction of the append reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Medium {
    pub(super) owner: UserId,
    pub(super) purpose: String,
    pub(super) state: String,
    pub(super) mime_type: String,
    /// Whether the sender sees an entry of this conversation that names it.
    pub(super) seen: bool,
}

impl Medium {
    /// Whether the sender has uploaded it, for messages.
    pub(super) fn is_own(&self, sender: UserId) -> bool {
        self.owner == sender && self.purpose == MESSAGE
    }
}

// protocol: "or one that the sender sees by an entry of the same conversation"
// protocol: "Send | INVALID | body"
/// Decides about the media that a message names; each comes with its row, if there is one.
pub(super) fn may_name<'m>(
    sender: UserId,
    named: impl ExactSizeIterator<Item = (Named, Option<&'m Medium>)>,
) -> Result<(), Error> {
    if named.len() > MAX_NAMED {
        return Err(body(Sentence::formatted(
            format!("the body names more than {MAX_NAMED} media"),
            format!("body 中的媒体超过 {MAX_NAMED} 个"),
        )));
    }
    for (Named { kind, .. }, medium) in named {
        let usable =
            medium.filter(|medium| medium.state == FINISHED && (medium.is_own(sender) || medium.seen));
        // protocol: "the same for media of others and for none"
        let Some(medium) = usable else {
            return Err(body(Sentence::new(
                "the body names media that you may not send: upload it with purpose message, and finish the upload",
                "body 中的媒体不能发送，请先以 purpose=message 上传并完成上传",
            )));
        };
        if !kind.holds(&medium.mime_type) {
            return Err(body(Sentence::formatted(
                format!("the body names media of another kind: it is {}", medium.mime_type),
                format!("body 中的媒体类型不符，实际为 {}", medium.mime_type),
            )));
        }
    }
    Ok(())
}

fn body(message: Sentence) -> Error {
    Error::Invalid {
        field: "body",
        message,
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
    (reply_to_seq, corrects_seq): (i64, i64),
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
    if message.corrects_seq.get() != corrects_seq {
        return Some("corrects_seq");
    }
    (message.mentions != mentions).then_some("mentions")
}

#[cfg(test)]
mod tests {
    use proto::{ConversationId, wire::Role};

    use super::{super::known::Participation, *};
    use crate::media::Kind;

    fn message(mime_type: &str, reply_to_seq: i64) -> NewMessage {
        NewMessage {
            conversation: ConversationId::from_database(1),
            sender: UserId::from_database(2),
            client_msg_id: "a".into(),
            mime_type: mime_type.into(),
            body: "hello".into(),
            mentions: Vec::new(),
            reply_to_seq: Seq::from_database(reply_to_seq),
            corrects_seq: Seq::ZERO,
            stream: None,
        }
    }

    fn correction(corrects_seq: i64) -> NewMessage {
        NewMessage {
            corrects_seq: Seq::from_database(corrects_seq),
            ..message("text/plain", 0)
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
    fn a_correction_is_of_an_entry_that_its_sender_sees() {
        let known = known(true, Role::Doctor);
        let corrected: Vec<i64> = (0..=9)
            .filter(|seq| field(decide(&correction(*seq), Some(&known))).is_none())
            .collect();
        assert_eq!(corrected, [0, 3, 4, 6, 7], "no entry, and those of a span");
        for refused in [1, 5, 8] {
            let outcome = decide(&correction(refused), Some(&known));
            assert_eq!(field(outcome), Some("corrects_seq"), "{refused}");
        }
    }

    // protocol: "Send | INVALID | corrects_seq"
    // protocol: "A sender corrects a message by another one"
    // protocol: "A recalled message is not corrected"
    #[test]
    fn only_an_own_message_that_was_not_recalled_is_corrected() {
        let own = Original {
            sender: UserId::from_database(2),
            kind: EntryKind::Message,
            recalled: false,
        };
        let of_another = Original {
            sender: UserId::from_database(9),
            ..own
        };
        let event = Original {
            kind: EntryKind::StatusChanged,
            ..own
        };
        let recalled = Original {
            recalled: true,
            ..own
        };
        let decided = |original| may_correct(&correction(6), original).map(|()| Seq::ZERO);
        assert_eq!(field(decided(Some(own))), None);
        for original in [None, Some(of_another), Some(event), Some(recalled)] {
            assert_eq!(field(decided(original)), Some("corrects_seq"), "{original:?}");
        }
        assert!(may_correct(&message("text/plain", 0), None).is_ok());
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

    // protocol: "A message names at most 32 media"
    // protocol: "or one that the sender sees by an entry of the same conversation"
    #[test]
    fn a_message_names_finished_media_of_its_sender_or_of_an_entry_that_they_see() {
        let own = Medium {
            owner: UserId::from_database(2),
            purpose: "message".into(),
            state: "finished".into(),
            mime_type: "image/png".into(),
            seen: false,
        };
        let foreign = Medium {
            owner: UserId::from_database(9),
            purpose: "symptom".into(),
            ..own.clone()
        };
        let with = |medium: &Medium, change: fn(&mut Medium)| {
            let mut medium = medium.clone();
            change(&mut medium);
            Some(medium)
        };
        for (medium, kind, good) in [
            (Some(own.clone()), Kind::Image, true),
            (Some(own.clone()), Kind::File, true),
            (Some(own.clone()), Kind::Video, false),
            (None, Kind::Image, false),
            (
                with(&own, |medium| medium.state = "asked".into()),
                Kind::Image,
                false,
            ),
            (
                with(&own, |medium| medium.state = "gone".into()),
                Kind::Image,
                false,
            ),
            (
                with(&own, |medium| medium.purpose = "profile".into()),
                Kind::Image,
                false,
            ),
            (Some(foreign.clone()), Kind::Image, false),
            (with(&foreign, |medium| medium.seen = true), Kind::Image, true),
            (with(&foreign, |medium| medium.seen = true), Kind::Audio, false),
        ] {
            let named = [(Named { id: 5, kind }, medium.as_ref())];
            let outcome = may_name(UserId::from_database(2), named.into_iter());
            let field = match &outcome {
                Err(Error::Invalid { field, .. }) => Some(*field),
                _ => None,
            };
            assert_eq!(
                (outcome.is_ok(), field.is_none()),
                (good, good),
                "{medium:?} {kind:?}"
            );
        }
        let crowd = vec![
            (
                Named {
                    id: 5,
                    kind: Kind::File
                },
                Some(&own)
            );
            MAX_NAMED + 1
        ];
        assert!(may_name(UserId::from_database(2), crowd.into_iter()).is_err());
    }

    #[test]
    fn a_resend_must_have_the_same_content() {
        let first = message("text/plain", 3);
        assert_eq!(difference(&first, "text/plain", b"hello", (3, 0), &[]), None);
        assert_eq!(
            difference(&first, "text/plain", b"other", (3, 0), &[]),
            Some("body")
        );
        assert_eq!(
            difference(&first, "image/png", b"hello", (3, 0), &[]),
            Some("mime_type")
        );
        assert_eq!(
            difference(&first, "text/plain", b"hello", (0, 0), &[]),
            Some("reply_to_seq")
        );
        assert_eq!(
            difference(&first, "text/plain", b"hello", (3, 2), &[]),
            Some("corrects_seq")
        );
        assert_eq!(
            difference(&first, "text/plain", b"hello", (3, 0), &[7]),
            Some("mentions")
        );
    }
}
