//! Payloads between the processes of a fleet: entries, as the frame that apps get, and notices to the nodes that a user is
//! logged in to.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use proto::{ConversationId, Seq, UserId, frame, wire};

use crate::entry::{Entry, enumeration};

/// Tag, conversation, seq, kind.
const HEADER_BYTES: usize = 1 + 8 + 8 + 1;

/// The kind of a payload on a conversation's channel, its first byte.
mod tag {
    /// An entry: header, then its frame.
    pub(super) const ENTRY: u8 = 1;
    /// A frame that is not stored (marks, typing): conversation, user, then the frame.
    pub(super) const PASSING: u8 = 2;
}

/// A committed entry, encoded once for all receivers.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its position.
    pub seq: Seq,
    /// Its kind: nodes decode those that change participation.
    pub kind: wire::EntryKind,
    payload: Bytes,
}

impl Published {
    /// Encodes the public form of an entry.
    pub fn new(entry: Entry) -> Self {
        let (conversation, seq, kind) = (entry.conversation, entry.seq, entry.kind);
        let message = wire::ServerFrame {
            request_id: 0,
            body: Some(wire::server_frame::Body::Entry(entry.into_wire())),
        };
        let length = message.encoded_len();
        let mut payload = BytesMut::with_capacity(HEADER_BYTES + frame::HEADER_BYTES + length);
        payload.put_u8(tag::ENTRY);
        payload.put_i64(conversation.get());
        payload.put_i64(seq.get());
        payload.put_u8(u8::try_from(kind as i32).unwrap_or(0));
        frame::encode_into(&message, length, &mut payload);
        Self {
            conversation,
            seq,
            kind,
            payload: payload.freeze(),
        }
    }

    /// The frame for apps, with its length; shares the bytes.
    pub fn frame(&self) -> Bytes {
        self.payload.slice(HEADER_BYTES..)
    }

    /// The payload for the conversation's channel; shares the bytes.
    pub fn payload(&self) -> Bytes {
        self.payload.clone()
    }

    /// Decodes the entry.
    pub fn decode(&self) -> Option<wire::Entry> {
        let message = self.payload.slice(HEADER_BYTES + frame::HEADER_BYTES..);
        match wire::ServerFrame::decode(message).ok()?.body? {
            wire::server_frame::Body::Entry(entry) => Some(entry),
            _ => None,
        }
    }
}

/// A payload of a conversation's channel.
#[derive(Clone, Debug)]
pub enum ConversationNotice {
    /// An entry.
    Entry(Published),
    /// A frame that is not stored: marks (which also go to the user's other devices), typing.
    Passing {
        /// The conversation.
        conversation: ConversationId,
        /// The user whom it is about.
        about: UserId,
        /// The frame, with its length.
        frame: Bytes,
    },
}

impl ConversationNotice {
    /// Encodes a frame that is not stored.
    pub fn passing(conversation: ConversationId, about: UserId, frame: &Bytes) -> Bytes {
        let mut payload = BytesMut::with_capacity(1 + 8 + 8 + frame.len());
        payload.put_u8(tag::PASSING);
        payload.put_i64(conversation.get());
        payload.put_i64(about.get());
        payload.put_slice(frame);
        payload.freeze()
    }

    /// Decodes a payload; `None` for a kind that this release does not know.
    pub fn decode(payload: Bytes) -> Option<Self> {
        let mut header = &payload[..];
        if header.len() < 17 {
            return None;
        }
        let tag = header.get_u8();
        let conversation = ConversationId::from_database(header.get_i64());
        match tag {
            tag::ENTRY if header.len() >= 9 + frame::HEADER_BYTES => {
                let seq = Seq::from_database(header.get_i64());
                let kind = enumeration(i64::from(header.get_u8()));
                Some(Self::Entry(Published {
                    conversation,
                    seq,
                    kind,
                    payload,
                }))
            }
            tag::PASSING => {
                let about = UserId::from_database(header.get_i64());
                Some(Self::Passing {
                    conversation,
                    about,
                    frame: payload.slice(17..),
                })
            }
            _ => None,
        }
    }
}

/// A notice to the nodes that a user is logged in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserNotice {
    /// The user joined a conversation.
    Added {
        /// The conversation.
        conversation: ConversationId,
        /// The entry of their joining.
        seq: Seq,
    },
    /// The user has taken conversations off their lists, or put them back; the database says which.
    Hidden(Vec<ConversationId>),
    /// A device logged in again: its sessions of older generations end.
    Replaced {
        /// The device.
        device_id: String,
        /// The newer login's generation.
        generation: u64,
    },
    /// A device was logged out: its sessions of older generations end. However late or often this arrives, a later login
    /// stays.
    LoggedOut {
        /// The device.
        device_id: String,
        /// The logout's generation.
        generation: u64,
    },
    /// The account was disabled: all sessions of older generations end.
    Disabled {
        /// Above those of all earlier logins.
        generation: u64,
    },
}

/// The encoding of [`UserNotice`]. Tags are permanent, as on the wire.
#[derive(Clone, PartialEq, prost::Message)]
struct NoticeMessage {
    #[prost(int64, tag = "1")]
    added_conversation: i64,
    #[prost(int64, tag = "2")]
    added_seq: i64,
    #[prost(string, tag = "3")]
    replaced_device: String,
    #[prost(uint64, tag = "4")]
    replaced_generation: u64,
    #[prost(string, tag = "5")]
    logged_out_device: String,
    // Tag 6 is retired: a disabling without a generation.
    #[prost(uint64, tag = "7")]
    logged_out_generation: u64,
    #[prost(uint64, tag = "8")]
    disabled_generation: u64,
    #[prost(int64, repeated, tag = "9")]
    hidden_conversations: Vec<i64>,
}

impl UserNotice {
    /// The payload for the user's channel.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = NoticeMessage::default();
        match self {
            Self::Added { conversation, seq } => {
                message.added_conversation = conversation.get();
                message.added_seq = seq.get();
            }
            Self::Hidden(conversations) => {
                message.hidden_conversations = conversations.iter().map(|id| id.get()).collect();
            }
            Self::Replaced {
                device_id,
                generation,
            } => {
                message.replaced_device.clone_from(device_id);
                message.replaced_generation = *generation;
            }
            Self::LoggedOut {
                device_id,
                generation,
            } => {
                message.logged_out_device.clone_from(device_id);
                message.logged_out_generation = *generation;
            }
            Self::Disabled { generation } => message.disabled_generation = *generation,
        }
        message.encode_to_vec()
    }

    /// Decodes a payload; `None` for a kind that this release does not know.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let message = NoticeMessage::decode(payload).ok()?;
        if message.added_conversation > 0 {
            return Some(Self::Added {
                conversation: ConversationId::from_database(message.added_conversation),
                seq: Seq::from_database(message.added_seq),
            });
        }
        if !message.hidden_conversations.is_empty() {
            let conversations = message.hidden_conversations.into_iter();
            return Some(Self::Hidden(
                conversations.map(ConversationId::from_database).collect(),
            ));
        }
        if message.replaced_generation > 0 {
            return Some(Self::Replaced {
                device_id: message.replaced_device,
                generation: message.replaced_generation,
            });
        }
        if !message.logged_out_device.is_empty() {
            return Some(Self::LoggedOut {
                device_id: message.logged_out_device,
                generation: message.logged_out_generation,
            });
        }
        (message.disabled_generation > 0).then_some(Self::Disabled {
            generation: message.disabled_generation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_come_back_as_they_went() {
        let conversation = ConversationId::from_database(5);
        for notice in [
            UserNotice::Added {
                conversation,
                seq: Seq::from_database(9),
            },
            UserNotice::Hidden(vec![conversation, ConversationId::from_database(7)]),
            UserNotice::Replaced {
                device_id: "phone".into(),
                generation: 3,
            },
            UserNotice::LoggedOut {
                device_id: "phone".into(),
                generation: 4,
            },
            UserNotice::Disabled { generation: 5 },
        ] {
            assert_eq!(UserNotice::decode(&notice.encode()), Some(notice));
        }
        assert_eq!(UserNotice::decode(&[]), None);
        assert_eq!(UserNotice::decode(b"\xff\xff"), None);
    }

    #[test]
    fn a_payload_of_an_unknown_kind_is_ignored() {
        assert!(ConversationNotice::decode(Bytes::from_static(&[9; 40])).is_none());
        assert!(ConversationNotice::decode(Bytes::from_static(&[1; 12])).is_none());
    }
}
