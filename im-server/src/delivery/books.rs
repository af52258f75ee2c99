//! Positions of a session in conversations where no room holds its position.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

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

/// A Sync under way.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Conversations from this id on were synced before.
    pub(crate) synced_from: i64,
    /// But for these.
    missed: BTreeSet<ConversationId>,
}

impl Begun {
    /// Whether an earlier Sync of this session has read a conversation.
    pub(crate) fn was_synced(&self, conversation: ConversationId) -> bool {
        conversation.get() >= self.synced_from && !self.missed.contains(&conversation)
    }
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
    /// Begins a Sync of a range of ids. Notices about its conversations count from now on, since they may be newer than what
    /// the Sync reads.
    pub(crate) fn begin_sync(&mut self, range: Range<i64>, horizon: i64) -> Begun {
        let synced_from = self.synced_from;
        if synced_from == i64::MAX {
            self.baseline = horizon;
        }
        self.synced_from = synced_from.min(range.start);
        let mut missed = BTreeSet::new();
        if let Some(rare) = &mut self.rare {
            let all = std::mem::take(&mut rare.missed);
            (missed, rare.missed) = all.into_iter().partition(|id| range.contains(&id.get()));
        }
        self.tidy();
        Begun { synced_from, missed }
    }

    /// Conversations below the last one that was `done` count as not synced: the next Sync reads them.
    pub(crate) fn sync_failed(&mut self, begun: Begun, done: ConversationId) {
        self.synced_from = begun.synced_from.min(done.get());
        self.add_missed(begun.missed.into_iter().filter(|id| *id < done));
    }

    /// Upper bound of where the next part of a Sync begins; `None` before the first part.
    pub(crate) fn synced_from(&self) -> Option<i64> {
        (self.synced_from != i64::MAX).then_some(self.synced_from)
    }

    pub(crate) fn is_synced(&self, conversation: ConversationId) -> bool {
        let is_missed = |rare: &Rare| rare.missed.contains(&conversation);
        self.is_passed(conversation) && !self.rare.as_deref().is_some_and(is_missed)
    }

    /// Whether a Sync has come past a conversation, whatever it could read of it.
    pub(crate) fn is_passed(&self, conversation: ConversationId) -> bool {
        conversation.get() >= self.synced_from
    }

    /// Notes which conversations a Sync could not read, but for those that an earlier one of this session has read to their ends.
    /// Whether there are any: the next Sync reads them.
    pub(crate) fn miss(&mut self, begun: &Begun, missing: &[ConversationId]) -> bool {
        let is_paused = |id| matches!(self.kept(id), Some(Kept::Paused(_)));
        let is_owed = |id: &ConversationId| !begun.was_synced(*id) || is_paused(*id);
        let owed: Vec<ConversationId> = missing.iter().copied().filter(is_owed).collect();
        let is_missing = !owed.is_empty();
        self.add_missed(owed.into_iter());
        is_missing
    }

    fn add_missed(&mut self, missed: impl Iterator<Item = ConversationId>) {
        let mut missed = missed.peekable();
        if missed.peek().is_some() {
            self.rare.get_or_insert_default().missed.extend(missed);
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
        if !self.is_passed(conversation) {
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
