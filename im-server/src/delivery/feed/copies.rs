//! The app's copies of conversations, as its Sync names them.

use journal::overview::Overview;
use proto::Seq;

#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    /// (conversation, epoch, have_seq), sorted: held during the Sync, so without the spare capacity of a map.
    items: Box<[(i64, i64, i64)]>,
    unnamed: Unnamed,
}

/// Conversations that the app does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// New to the app, which has never synced.
    #[default]
    New,
    /// The app may have a copy, and knows everything below this number of the order.
    KnownBelow(i64),
    /// The app may have a copy.
    Unknown,
}

/// The app's copy of one conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    /// Everything up to this.
    Have(Seq),
    New,
    /// It may have one that it did not name.
    Unnamed,
    /// One that it must drop.
    Stale,
}

impl Copies {
    /// From (conversation, epoch, have_seq); the first of duplicates counts.
    pub(crate) fn new(items: impl Iterator<Item = (i64, i64, i64)>, unnamed: Unnamed) -> Self {
        let mut items: Vec<_> = items.collect();
        items.sort_by_key(|(conversation, ..)| *conversation);
        items.dedup_by_key(|(conversation, ..)| *conversation);
        Self {
            items: items.into_boxed_slice(),
            unnamed,
        }
    }

    // protocol: "Without such a mark it sends all of them"
    /// The app knows every change below this number of the order.
    pub(crate) fn known_below(&self) -> i64 {
        match self.unnamed {
            Unnamed::KnownBelow(number) => number,
            Unnamed::New | Unnamed::Unknown => 0,
        }
    }

    fn find(&self, conversation: i64) -> Option<(i64, i64)> {
        let at = self
            .items
            .binary_search_by_key(&conversation, |(of, ..)| *of)
            .ok()?;
        let (_, epoch, have_seq) = self.items[at];
        Some((epoch, have_seq))
    }

    pub(crate) fn of(&self, overview: &Overview) -> Copy {
        let conversation = &overview.conversation;
        match self.find(conversation.id.get()) {
            // protocol: "A copy that is named with have_seq 0 counts as new"
            // An app that does not know the epoch has no copy.
            Some((epoch, 0)) if epoch == conversation.epoch || epoch == 0 => Copy::New,
            Some((epoch, have_seq))
                if epoch == conversation.epoch && have_seq <= conversation.last_seq.get() =>
            {
                Copy::Have(Seq::from_database(have_seq))
            }
            Some(_) => Copy::Stale,
            None => match self.unnamed {
                Unnamed::New => Copy::New,
                Unnamed::KnownBelow(number) if overview.changed_no < number => {
                    Copy::Have(overview.last_visible())
                }
                Unnamed::KnownBelow(_) | Unnamed::Unknown => Copy::Unnamed,
            },
        }
    }
}
