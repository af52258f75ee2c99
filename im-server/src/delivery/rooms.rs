//! The rooms of a node.

use std::sync::Arc;

use backplane::{Backplane, Channel, SubscriberId};
use dashmap::{DashMap, Entry};
use proto::{ConversationId, Seq};

use super::{Receiver, room::Room};

/// An empty room is kept this long, seconds: users come back soon.
const KEEP_EMPTY_S: u32 = 20;

pub(crate) struct Rooms<R> {
    rooms: DashMap<ConversationId, Arc<Room<R>>>,
}

impl<R> Default for Rooms<R> {
    fn default() -> Self {
        Self {
            rooms: DashMap::default(),
        }
    }
}

impl<R: Receiver> Rooms<R> {
    pub(crate) fn get(&self, id: ConversationId) -> Option<Arc<Room<R>>> {
        self.rooms.get(&id).map(|room| room.clone())
    }

    /// Opens and subscribes to a room; a new one counts entries up to `delivered` as delivered. True when it is new:
    /// then read the newest seq once more, since announcements before the subscription missed it. While the backplane
    /// is away, comparisons with the database bring the entries of the room.
    pub(crate) async fn open(
        &self,
        id: ConversationId,
        delivered: Seq,
        backplane: &Backplane,
        subscriber: SubscriberId,
    ) -> (Arc<Room<R>>, bool) {
        let room = match self.rooms.entry(id) {
            Entry::Occupied(room) => return (room.get().clone(), false),
            Entry::Vacant(vacant) => vacant.insert(Arc::new(Room::new(id, delivered))).clone(),
        };
        let _ = backplane.subscribe(subscriber, Channel::Conversation(id)).await;
        (room, true)
    }

    /// Closes rooms that have been empty for a while. Unsubscribes while holding the shard lock, so that a concurrent
    /// [`Self::open`] re-subscribes afterwards.
    pub(crate) fn close_empty(&self, now_s: u32, backplane: &Backplane, subscriber: SubscriberId) {
        self.rooms.retain(|id, room| {
            // A task that is about to attach holds a reference.
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
