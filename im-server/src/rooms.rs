//! The conversations with somebody here in them.

use std::sync::Arc;

use backplane::{Backplane, Channel, SubscriberId};
use dashmap::{DashMap, Entry};
use proto::{ConversationId, Seq};

use crate::room::Room;

/// How long a room is kept when the last session has left, seconds: people come back soon.
const KEEP_EMPTY_S: u32 = 20;

/// The rooms of a node.
#[derive(Default)]
pub(crate) struct Rooms {
    rooms: DashMap<ConversationId, Arc<Room>>,
}

impl Rooms {
    /// A room, if it is here.
    pub(crate) fn get(&self, id: ConversationId) -> Option<Arc<Room>> {
        self.rooms.get(&id).map(|room| room.clone())
    }

    /// A room; one that is not here begins after `delivered` and is subscribed to. True when it is new: then ask the
    /// database for its newest seq once more, since what was announced before the subscription has passed by. While the
    /// backplane is away the room is here all the same: its entries come by comparing with the database until then.
    pub(crate) async fn open(
        &self,
        id: ConversationId,
        delivered: Seq,
        backplane: &Backplane,
        subscriber: SubscriberId,
    ) -> (Arc<Room>, bool) {
        let room = match self.rooms.entry(id) {
            Entry::Occupied(room) => return (room.get().clone(), false),
            Entry::Vacant(vacant) => vacant.insert(Arc::new(Room::new(id, delivered))).clone(),
        };
        let _ = backplane.subscribe(subscriber, Channel::Conversation(id)).await;
        (room, true)
    }

    /// Lets go of rooms that nobody has been in for a while. A room is unsubscribed under the lock under which it goes,
    /// so whoever opens it again subscribes after that.
    pub(crate) fn close_empty(&self, now_s: u32, backplane: &Backplane, subscriber: SubscriberId) {
        self.rooms.retain(|id, room| {
            // Somebody who has just looked it up and will attach holds it.
            let close =
                Arc::strong_count(room) == 1 && room.is_empty_since(now_s.saturating_sub(KEEP_EMPTY_S));
            if close {
                backplane.unsubscribe(subscriber, Channel::Conversation(*id));
            }
            !close
        });
    }

    pub(crate) fn ids(&self) -> Vec<ConversationId> {
        self.rooms.iter().map(|room| *room.key()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }
}
