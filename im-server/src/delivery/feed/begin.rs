//! Where feeding begins: a pure decision from where the session stands and what the app has.

use journal::overview::Overview;
use proto::Seq;

use super::copies::Copy;

/// Where a session stands in a conversation before it catches up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A room pushes to it.
    Live,
    /// This session was given everything up to this.
    Reached(Seq),
    /// It awaits a Sync, and was given everything up to this.
    Paused(Seq),
    /// This session was given nothing that the baseline does not cover.
    Unknown,
}

/// How it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Nothing is owed, or is owed by another.
    Nothing,
    /// Behind this.
    After(Seq),
    /// With the newest entries.
    Newest { reset: bool },
}

/// Why a session catches up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A Sync that has this session's first look at the conversation, or found it paused.
    Sync { copy: Copy, limit: usize },
    /// A notice, or a Sync of a conversation that this session has synced before.
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
            // A copy that ends before the newest entries would have a hole.
            Copy::Unnamed => Begin::Newest {
                reset: newest_from(overview, limit) > overview.first_visible_after(Seq::ZERO),
            },
        },
    }
}

/// Where the newest `limit` entries begin that a user may see; `None` when there are none. Spans hold each seq between
/// their ends (I2), so this is arithmetic.
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
