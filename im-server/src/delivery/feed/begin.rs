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
    After(Seq),
    /// With the newest entries.
    Newest {
        reset: bool,
    },
}

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
        (Standing::Reached(reached) | Standing::Paused(reached), _) => Begin::After(reached.max(have)),
        (Standing::Unknown, Cause::Notice) => match overview.changed_since(baseline) {
            Some(span) => Begin::After(span.from.previous()),
            None => Begin::Nothing,
        },
        (Standing::Unknown, Cause::Sync { copy, limit }) => match copy {
            Copy::Have(have) => Begin::After(have),
            Copy::New => Begin::Newest { reset: false },
            Copy::Stale => Begin::Newest { reset: true },
            // A copy that ends before the newest entries would have a gap.
            Copy::Unnamed => Begin::Newest {
                reset: newest_from(overview, limit) > overview.first_visible_after(Seq::ZERO),
            },
        },
    }
}

/// The first of the newest `limit` entries that a user may see. Spans are gap-free (I2), so this is arithmetic.
pub(super) fn newest_from(overview: &Overview, limit: usize) -> Option<Seq> {
    let mut wanted = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut from = None;
    for span in overview.spans.iter().rev() {
        let (low, high) = (
            span.from.get(),
            span.to.unwrap_or(overview.conversation.last_seq).get(),
        );
        if wanted <= 0 || high < low {
            continue;
        }
        let first = low.max(high.saturating_sub(wanted - 1));
        wanted -= high - first + 1;
        from = Some(Seq::from_database(first));
    }
    from
}
