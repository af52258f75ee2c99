//! Payloads of the backplane: entries and frames for rooms, notices for users.

use std::sync::Arc;

use backplane::Channel;
use bytes::Bytes;
use journal::{UserNotice, announcement::ConversationNotice};
use proto::{UserId, wire::ByeReason};

use crate::{
    delivery::{Receiver, fanout},
    sentences,
    session::Session,
    shared::Shared,
};

/// Dispatches a payload. Runs on the thread of the publisher, so it must not block.
pub(super) fn payload(shared: &Arc<Shared>, channel: Channel, payload: Bytes) {
    match channel {
        Channel::Conversation(id) => {
            let Some(room) = shared.rooms.get(id) else { return };
            match ConversationNotice::decode(payload) {
                Some(ConversationNotice::Entry(entry)) => {
                    shared.journal.heard(&entry);
                    fanout::offer(&room, &shared.journal, [entry]);
                }
                Some(ConversationNotice::Passing { about, frame, .. }) => {
                    room.pass(&frame, (about.get() != 0).then_some(about));
                }
                None => {}
            }
        }
        Channel::User(user) => {
            if let Some(notice) = UserNotice::decode(&payload) {
                apply(shared, user, notice);
            }
        }
    }
}

fn apply(shared: &Shared, user: UserId, notice: UserNotice) {
    for session in shared.users.of(user) {
        match &notice {
            UserNotice::Added { conversation, .. } => session.feed(*conversation),
            // protocol: "Hidden says so to all of their devices"
            UserNotice::Hidden(conversations) => conversations.iter().for_each(|id| session.tell(*id)),
            UserNotice::Replaced {
                device_id,
                generation,
            } if is_older(&session, device_id, *generation) => {
                session.end(ByeReason::Replaced, 0, &sentences::REPLACED);
            }
            UserNotice::LoggedOut {
                device_id,
                generation,
            } if is_older(&session, device_id, *generation) => {
                session.end(ByeReason::LoggedOut, 0, &sentences::LOGGED_OUT);
            }
            UserNotice::Disabled { generation } if session.generation.0 < *generation => {
                session.end(ByeReason::Disabled, 0, &sentences::DISABLED);
            }
            UserNotice::Replaced { .. } | UserNotice::LoggedOut { .. } | UserNotice::Disabled { .. } => {}
        }
    }
}

/// Whether a session is an earlier login of a device.
fn is_older(session: &Session, device_id: &str, generation: u64) -> bool {
    *session.device_id == *device_id && session.generation.0 < generation
}
