//! Positions of a session in conversations where no room holds its position.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use journal::overview::Page;
use proto::{ConversationId, Seq};

#[derive(Debug)]
pub(crate) struct Books {
    /// Conversations from this id on are synced: an app syncs from the newest id to the oldest, in one part or in
    /// several.
    synced_from: i64,
    /// The horizon (see [`journal::order`]) at the first Sync.
    baseline: i64,
    /// Rooms that the session is attached to.
    attached: Vec<ConversationId>,
    /// Boxed, because it is nearly always absent.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// Conversations that the session's task is to look after.
    to_feed: Vec<ConversationId>,
    kept: BTreeMap<ConversationId, Kept>,
    /// Conversations that the user may have hidden or put back since the Sync.
    to_tell: BTreeSet<ConversationId>,
    /// Conversations that a Sync could not read, since their machine did not answer.
    missed: BTreeSet<ConversationId>,
    /// Through which entry the app knows them to be hidden, as this session heard since its Sync.
    heard: BTreeMap<ConversationId, Seq>,
}

/// A session's position in a conversation that it is not attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The user has left; everything up to this seq was delivered.
    Left(Seq),
    /// More is owed, and only the next Sync delivers it.
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
    // protocol: "Before the first Sync no entry is sent to you"
    /// Begins a Sync of the conversations from `from` on. Notices about them count from now on, since they may be
    /// newer than what the Sync reads. Returns the argument of [`Self::sync_failed`].
    pub(crate) fn begin_sync(&mut self, from: ConversationId, horizon: i64) -> i64 {
        let before = self.synced_from;
        if before == i64::MAX {
            self.baseline = horizon;
        }
        self.synced_from = before.min(from.get());
        before
    }

    /// Conversations below the last one that was `done` count as not synced: the next Sync reads them.
    pub(crate) fn sync_failed(&mut self, before: i64, done: ConversationId) {
        self.synced_from = before.min(done.get());
    }

    /// Upper bound of where the next part of a Sync begins; `None` before the first part.
    pub(crate) fn synced_from(&self) -> Option<i64> {
        (self.synced_from != i64::MAX).then_some(self.synced_from)
    }

    pub(crate) fn is_synced(&self, conversation: ConversationId) -> bool {
        conversation.get() >= self.synced_from && !self.is_missed(conversation)
    }

    /// Notes which conversations of a range of ids a Sync could not read, but for those that an earlier one of this session
    /// has read to their ends. Whether there are any: the next Sync reads them.
    pub(crate) fn miss(&mut self, range: Range<i64>, page: &Page, synced_from: i64) -> bool {
        let is_paused = |id| matches!(self.kept(id), Some(Kept::Paused(_)));
        let was_read =
            |id: &ConversationId| id.get() >= synced_from && !self.is_missed(*id) && !is_paused(*id);
        let missing: Vec<_> = page.missing.iter().copied().filter(|id| !was_read(id)).collect();
        let is_missing = !missing.is_empty();
        if !is_missing && self.rare.as_ref().is_none_or(|rare| rare.missed.is_empty()) {
            return false;
        }
        let is_there = |id: &ConversationId| page.overviews.iter().any(|there| there.conversation.id == *id);
        let missed = &mut self.rare.get_or_insert_default().missed;
        // One that is in neither list has no stay of the user any more.
        missed.retain(|id| !range.contains(&id.get()) || is_there(id));
        missed.extend(missing);
        self.tidy();
        is_missing
    }

    /// Whether no Sync of this session has read it yet, though others of its range were read.
    pub(crate) fn is_missed(&self, conversation: ConversationId) -> bool {
        let missed = self.rare.as_ref().map(|rare| &rare.missed);
        missed.is_some_and(|missed| missed.contains(&conversation))
    }

    /// A Sync has read it.
    pub(crate) fn found(&mut self, conversation: ConversationId) {
        if let Some(rare) = &mut self.rare
            && rare.missed.remove(&conversation)
        {
            self.tidy();
        }
    }

    // protocol: "A conversation that you do not name counts as known"
    /// The horizon of the first Sync: everything below it was delivered in conversations that are not in these books.
    pub(crate) fn baseline(&self) -> i64 {
        self.baseline
    }

    /// Enqueues a conversation for the session's task; false when a Sync is still to read it.
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
        let has = |rare: &Rare| !rare.to_feed.is_empty() || !rare.to_tell.is_empty();
        self.rare.as_deref().is_some_and(has)
    }

    /// Enqueues a conversation that its user may have hidden or put back; false when a Sync is still to read it.
    pub(crate) fn tell(&mut self, conversation: ConversationId) -> bool {
        if !self.is_synced(conversation) {
            return false;
        }
        self.rare.get_or_insert_default().to_tell.insert(conversation);
        true
    }

    pub(crate) fn take_to_tell(&mut self) -> BTreeSet<ConversationId> {
        let to_tell = self.rare.as_mut().map(|rare| std::mem::take(&mut rare.to_tell));
        self.tidy();
        to_tell.unwrap_or_default()
    }

    /// Whether this session has heard so since its Sync.
    pub(crate) fn has_heard(&self, conversation: ConversationId, through: Seq) -> bool {
        let heard = self.rare.as_ref().and_then(|rare| rare.heard.get(&conversation));
        heard == Some(&through)
    }

    pub(crate) fn note_heard(&mut self, conversation: ConversationId, through: Seq) {
        let rare = self.rare.get_or_insert_default();
        rare.heard.insert(conversation, through);
    }

    pub(crate) fn take_to_feed(&mut self) -> Vec<ConversationId> {
        let to_feed = self.rare.as_mut().map(|rare| std::mem::take(&mut rare.to_feed));
        self.tidy();
        to_feed.unwrap_or_default()
    }

    /// A room holds the position from now on.
    pub(crate) fn attach(&mut self, conversation: ConversationId) {
        self.forget(conversation);
        self.attached.push(conversation);
    }

    /// No room holds the position any more.
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

    // protocol: "a session never gets an entry twice"
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

    /// Frees the box when it is empty.
    fn tidy(&mut self) {
        if let Some(rare) = &self.rare
            && rare.to_feed.is_empty()
            && rare.kept.is_empty()
            && rare.to_tell.is_empty()
            && rare.heard.is_empty()
            && rare.missed.is_empty()
        {
            self.rare = None;
        }
    }
}
