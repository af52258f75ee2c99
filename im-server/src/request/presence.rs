//! Presence of users who share a conversation with the caller.

use std::{collections::HashSet, sync::Arc};

use backplane::{Presence, Unavailable};
use proto::{
    UserId,
    wire::{ErrorCode, PresenceQuery, PresenceState, UserPresence, server_frame::Body},
};

use super::{Pending, not_now, unavailable};
use crate::{sentences, session::Session, shared::Shared};

// protocol: "users in a PresenceQuery | 100"
// protocol: "PresenceQuery | INVALID | user_ids"
const MAX_USERS: usize = 100;

// protocol: "PresenceQuery | Presence"
pub(crate) fn presence(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    request_id: u64,
    query: PresenceQuery,
) -> Option<Pending> {
    if query.user_ids.len() > MAX_USERS {
        let message = sentences::too_many_users(query.user_ids.len(), MAX_USERS);
        session.refuse(request_id, ErrorCode::Invalid, "user_ids", &message);
        return None;
    }
    // An impossible id is left out like that of a stranger.
    let mut users: Vec<UserId> = query.user_ids.into_iter().filter_map(UserId::new).collect();
    // Each costs a statement, so a repeated id is asked for once.
    let mut asked = HashSet::with_capacity(users.len());
    users.retain(|user| asked.insert(*user));
    let (shared, session) = (shared.clone(), session.clone());
    Some(Box::pin(async move {
        let sharing = match shared.journal.sharing_a_conversation(session.user, &users).await {
            Ok(sharing) => sharing,
            Err(error) => return unavailable(&session, request_id, &error),
        };
        match shared.backplane.presence(&sharing).await {
            Ok(presence) => {
                let users = presence.into_iter().map(user_presence).collect();
                session.answer(request_id, Body::Presence(PresenceState { users }));
            }
            Err(Unavailable) => not_now(&session, request_id),
        }
    }))
}

fn user_presence(presence: Presence) -> UserPresence {
    let online = !presence.devices.is_empty();
    let mut platforms: Vec<i32> = presence
        .devices
        .iter()
        .map(|device| device.platform as i32)
        .collect();
    platforms.sort_unstable();
    platforms.dedup();
    UserPresence {
        user_id: presence.user.get(),
        online,
        platforms,
        last_seen_ms: if online {
            0
        } else {
            presence.last_seen_ms.unwrap_or(0)
        },
    }
}
