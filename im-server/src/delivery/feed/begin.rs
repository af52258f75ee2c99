//! Where feeding begins: a pure decision on the session's position and the app's copy.

use journal::overview::Overview;
use proto::Seq;

use super::copies::Copy;

/// The position of a session in a conversation before feeding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A room pushes to it.
    Live,
    /// This session received everything up to this.
    Reached(Seq),
    /// It awaits a Sync, and received everything up to this.
    Paused(Seq),
    /// This session received nothing beyond the baseline.
    Unknown,
}

/// The first entry to feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Nothing is owed, or another owner delivers it.
    Nothing,
    /// The app's copy ends there; `reset` when it lacks entries before that.
    After { reached: Seq, reset: bool },
    /// With the newest entries.
    Newest { reset: bool },
}

/// Entries of before that a user who is brought in gets at once; older ones are there for History.
pub(super) const NEWEST: usize = 50;

/// Why a session is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The session's first Sync of the conversation, or one that resumes a paused conversation.
    Sync { copy: Copy, limit: usize },
    /// A notice, or another Sync of a conversation that this session has synced.
    Notice,
}

pub(super) fn begin(standing: Standing, overview: &Overview, cause: Cause, baseline: i64) -> Begin {
    let have = match cause {
        Cause::Sync {
            copy: Copy::Have(have),
            ..
        } => have,
        _ => Seq::ZERO,
    };
    match (standing, cause) {
        (Standing::Live, _) | (Standing::Paused(_), Cause::Notice) => Begin::Nothing,
        (Standing::Reached(reached) | Standing::Paused(reached), _) => after(overview, reached.max(have)),
        (Standing::Unknown, Cause::Notice) => match overview.changed_since(baseline) {
            Some(at) => brought_in(overview, at),
            None => Begin::Nothing,
        },
        (Standing::Unknown, Cause::Sync { copy, limit }) => match copy {
            Copy::Have(have) => after(overview, have),
            Copy::New => Begin::Newest { reset: false },
            Copy::Stale => Begin::Newest { reset: true },
            // protocol: "If it has, its newest entries come"
            // A copy that ends before the newest entries would have a gap, as one that was made before its user was shown
            // older entries.
            Copy::Unnamed => Begin::Newest {
                reset: overview.newest_from(limit) > overview.first_visible_after(Seq::ZERO)
                    || overview.may_hide(),
            },
        },
    }
}

// protocol: "Your copy ends with the leaving: entries continue at have_seq + 1"
// protocol: "Entries that you got in this session do not come again"
// protocol: "when your user was brought in again and sees entries that they did not see before"
/// Entries behind a position that its user did not see when it passed them never come: the app drops its copy, and History
/// has them.
fn after(overview: &Overview, reached: Seq) -> Begin {
    Begin::After {
        reached,
        reset: overview.reveals(reached),
    }
}

// protocol: "entries begin at the joining, or at the newest 50"
// protocol: "Older ones are there for History, as after a Sync"
/// A stay that began after this session's first Sync.
fn brought_in(overview: &Overview, at: usize) -> Begin {
    let stays = &overview.spans;
    match at.checked_sub(1).map(|before| stays[before]) {
        // The first Sync delivered the stay before it, whole.
        Some(before) => after(overview, before.to.unwrap_or(before.from)),
        None => {
            let joined = stays[at].from;
            let first = overview
                .newest_from(NEWEST)
                .map_or(joined, |first| first.min(joined));
            Begin::After {
                reached: first.previous(),
                reset: false,
            }
        }
    }
}
