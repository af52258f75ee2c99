//! What travels between the processes of a fleet: entries (as the very frame that the apps get), and notices to the
//! nodes that a person is logged in to.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use proto::{ConversationId, Seq, UserId, frame, wire};

use crate::entry::{Entry, enumeration};

/// Tag, conversation, seq, kind.
const HEADER_BYTES: usize = 1 + 8 + 8 + 1;

/// What a payload on a conversation's channel is; the first byte.
mod tag {
    /// An entry: header, then its frame.
    pub(super) const ENTRY: u8 = 1;
    /// A frame that is not stored (marks, typing): conversation, about whom, then the frame.
    pub(super) const PASSING: u8 = 2;
}

/// An entry that has been committed, encoded once for everybody.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its place.
    pub seq: Seq,
    /// What it is: nodes look into those that change who is in.
    pub kind: wire::EntryKind,
    payload: Bytes,
}

impl Published {
    /// Encodes an entry, as everybody may see it.
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

    /// The frame for the apps, its length in front; shares its bytes.
    pub fn frame(&self) -> Bytes {
        self.payload.slice(HEADER_BYTES..)
    }

    /// What goes to the conversation's channel; shares its bytes.
    pub fn payload(&self) -> Bytes {
        self.payload.clone()
    }

    /// The entry, decoded again.
    pub fn decode(&self) -> Option<wire::Entry> {
        let message = self.payload.slice(HEADER_BYTES + frame::HEADER_BYTES..);
        match wire::ServerFrame::decode(message).ok()?.body? {
            wire::server_frame::Body::Entry(entry) => Some(entry),
            _ => None,
        }
    }
}

/// What came on a conversation's channel.
#[derive(Clone, Debug)]
pub enum ConversationNotice {
    /// An entry.
    Entry(Published),
    /// A frame that is not stored, about a person: marks (theirs too on their other devices), typing.
    Passing {
        /// The conversation.
        conversation: ConversationId,
        /// Whom it is about.
        about: UserId,
        /// The frame, its length in front.
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

    /// Reads a payload; none when it is of a kind that this version does not know.
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

/// What the nodes that a person is logged in to must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserNotice {
    /// They were added to a conversation, by the entry with this seq.
    Added {
        /// The conversation.
        conversation: ConversationId,
        /// The entry that tells of it.
        seq: Seq,
    },
    /// A newer login of a device: sessions of an older generation end.
    Replaced {
        /// The device.
        device_id: String,
        /// The newer login's generation.
        generation: u64,
    },
    /// A device was logged out: its sessions of an older generation end. A later login stands, however late or often this
    /// comes.
    LoggedOut {
        /// The device.
        device_id: String,
        /// The logout's generation.
        generation: u64,
    },
    /// The account was disabled: all sessions of an older generation end.
    Disabled {
        /// Above those of all logins until then.
        generation: u64,
    },
}

/// The notice on its way. Numbers are for ever, as on the wire.
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
    // 6 was a disabling without a generation.
    #[prost(uint64, tag = "7")]
    logged_out_generation: u64,
    #[prost(uint64, tag = "8")]
    disabled_generation: u64,
}

impl UserNotice {
    /// As it goes to the person's channel.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = NoticeMessage::default();
        match self {
            Self::Added { conversation, seq } => {
                message.added_conversation = conversation.get();
                message.added_seq = seq.get();
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

    /// Reads a payload; none when it is of a kind that this version does not know.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let message = NoticeMessage::decode(payload).ok()?;
        if message.added_conversation > 0 {
            return Some(Self::Added {
                conversation: ConversationId::from_database(message.added_conversation),
                seq: Seq::from_database(message.added_seq),
            });
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
