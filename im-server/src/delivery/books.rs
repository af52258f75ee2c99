//! What a session knows of conversations that no room holds for it.

use std::collections::BTreeMap;

use proto::{ConversationId, Seq};

/// The conversations of a session. Bounded by how many its user has.
#[derive(Debug)]
pub(crate) struct Books {
    /// Conversations from this id on are synced: an app syncs from the newest id to the oldest, in one part or in many.
    synced_from: i64,
    /// The horizon (see [`journal::order`]) that the first Sync began with.
    baseline: i64,
    /// Rooms that it is a member of.
    attached: Vec<ConversationId>,
    /// Boxed, since nearly always there is nothing.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// Conversations that the session's task is to look after.
    to_feed: Vec<ConversationId>,
    kept: BTreeMap<ConversationId, Kept>,
}

/// Where a session stands in a conversation that it is not attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The user has left; everything up to this was given.
    Left(Seq),
    /// More is owed, and is given by the next Sync only.
    Paused(Seq),
}

impl Default for Books {
    fn default() -> Self {
        Self {
            synced_from: i64::MAX,
            baseline: i64::MAX,
            attached: Vec::new(),
            rare: None,
        }
    }
}

impl Books {
    /// Begins a Sync of the conversations from `from` on. Notices about them are heeded from now on: what they tell may
    /// come too late for what the Sync reads. Returns what [`Self::sync_failed`] needs.
    pub(crate) fn begin_sync(&mut self, from: ConversationId, horizon: i64) -> i64 {
        let before = self.synced_from;
        if before == i64::MAX {
            self.baseline = horizon;
        }
        self.synced_from = before.min(from.get());
        before
    }

    /// Conversations below the last one that was `done` are not synced after all: the next Sync reads them.
    pub(crate) fn sync_failed(&mut self, before: i64, done: ConversationId) {
        self.synced_from = before.min(done.get());
    }

    /// Where the next part of a Sync must begin at the latest; `None` before the first part.
    pub(crate) fn synced_from(&self) -> Option<i64> {
        (self.synced_from != i64::MAX).then_some(self.synced_from)
    }

    pub(crate) fn is_synced(&self, conversation: ConversationId) -> bool {
        conversation.get() >= self.synced_from
    }

    /// The horizon of the session's first Sync: of a conversation that is not in these books, everything below it was
    /// given.
    pub(crate) fn baseline(&self) -> i64 {
        self.baseline
    }

    /// Puts a conversation on the list of the session's task; false when a Sync is to read it anyway.
    pub(crate) fn feed(&mut self, conversation: ConversationId) -> bool {
        if !self.is_synced(conversation) {
            return false;
        }
        let to_feed = &mut self.rare.get_or_insert_default().to_feed;
        if !to_feed.contains(&conversation) {
            to_feed.push(conversation);
        }
        true
    }

    pub(crate) fn has_to_feed(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.to_feed.is_empty())
    }

    pub(crate) fn take_to_feed(&mut self) -> Vec<ConversationId> {
        let to_feed = self.rare.as_mut().map(|rare| std::mem::take(&mut rare.to_feed));
        self.tidy();
        to_feed.unwrap_or_default()
    }

    /// A room holds its position from now on.
    pub(crate) fn attach(&mut self, conversation: ConversationId) {
        self.forget(conversation);
        self.attached.push(conversation);
    }

    /// No room holds its position any more.
    pub(crate) fn detach(&mut self, conversation: ConversationId) {
        if let Some(at) = self.attached.iter().rposition(|of| *of == conversation) {
            self.attached.swap_remove(at);
        }
    }

    pub(crate) fn take_attached(&mut self) -> Vec<ConversationId> {
        std::mem::take(&mut self.attached)
    }

    pub(crate) fn keep(&mut self, conversation: ConversationId, kept: Kept) {
        let rare = self.rare.get_or_insert_default();
        rare.kept.insert(conversation, kept);
    }

    pub(crate) fn kept(&self, conversation: ConversationId) -> Option<Kept> {
        let rare = self.rare.as_ref()?;
        rare.kept.get(&conversation).copied()
    }

    pub(crate) fn forget(&mut self, conversation: ConversationId) {
        if let Some(rare) = &mut self.rare {
            rare.kept.remove(&conversation);
        }
        self.tidy();
    }

    /// Gives the box back when it is empty.
    fn tidy(&mut self) {
        if let Some(rare) = &self.rare
            && rare.to_feed.is_empty()
            && rare.kept.is_empty()
        {
            self.rare = None;
        }
    }
}
