//! The decision about the deadlines of a consult, without a database.

use journal::history::written::Written;
use proto::Seq;

use crate::team::Clock;

const MINUTE_MS: i64 = 60 * 1000;
pub(super) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// By how much the clocks of two machines may differ and count as right.
const SKEW_MS: i64 = MINUTE_MS;

/// Longer than any deadline may be ahead.
pub(in crate::consult) const LONGEST_MS: i64 = 100 * DAY_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consult) enum Kind {
    /// The team is reminded of the first answer.
    AnswerReminder,
    /// A doctor has written by then.
    FirstAnswer,
    /// The conversation is warned of the end by silence.
    SilenceWarning,
    /// The consult ends by itself.
    SilenceEnd,
}

impl Kind {
    const ALL: [Self; 4] = [
        Self::AnswerReminder,
        Self::FirstAnswer,
        Self::SilenceWarning,
        Self::SilenceEnd,
    ];

    /// The word of the wire and the database.
    pub(in crate::consult) const fn as_str(self) -> &'static str {
        match self {
            Self::AnswerReminder => "answer_reminder",
            Self::FirstAnswer => "first_answer",
            Self::SilenceWarning => "silence_warning",
            Self::SilenceEnd => "silence_end",
        }
    }

    pub(in crate::consult) fn from_database(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether conversations show it as their deadline; the others are notices of these.
    pub(super) const fn is_shown(self) -> bool {
        matches!(self, Self::FirstAnswer | Self::SilenceEnd)
    }
}

/// A deadline that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consult) struct Promise {
    pub(in crate::consult) kind: Kind,
    pub(in crate::consult) due_ms: i64,
    /// When it was set.
    pub(in crate::consult) changed_ms: i64,
    /// Messages after this one were written since.
    pub(in crate::consult) seq: Seq,
}

impl Promise {
    /// The same span, from now on.
    fn moved(self, now_ms: i64) -> Self {
        let span_ms = self.due_ms.saturating_sub(self.changed_ms).clamp(0, LONGEST_MS);
        Self {
            due_ms: now_ms + span_ms,
            changed_ms: now_ms,
            ..self
        }
    }
}

/// A consult at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) now_ms: i64,
    pub(super) clock: Clock,
    /// A doctor's first message.
    pub(super) answer: Option<Written>,
    pub(super) newest: Option<Written>,
}

// protocol: "come before the two, as entries"
/// A change of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Set(Promise),
    Met(Promise),
    Lifted(Promise),
    Fired(Promise),
}

impl Step {
    pub(super) const fn promise(self) -> Promise {
        match self {
            Self::Set(promise) | Self::Met(promise) | Self::Lifted(promise) | Self::Fired(promise) => promise,
        }
    }

    /// The word of the wire and the database.
    pub(super) const fn state(self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::Met(_) => "met",
            Self::Lifted(_) => "lifted",
            Self::Fired(_) => "fired",
        }
    }

    /// Whether the conversation gets an entry. A notice that was not needed is none.
    pub(super) const fn is_entry(self) -> bool {
        matches!(self, Self::Fired(_)) || self.promise().kind.is_shown()
    }
}

// protocol: "A team may promise a first answer within minutes"
/// The deadlines of a consult that begins.
pub(super) fn opening(clock: &Clock, now_ms: i64) -> Vec<Promise> {
    let set = |kind, due_ms| Promise {
        kind,
        due_ms,
        changed_ms: now_ms,
        seq: Seq::ZERO,
    };
    let mut promises = Vec::new();
    if let Some(minutes) = clock.answer_minutes {
        promises.push(set(Kind::FirstAnswer, now_ms + minutes * MINUTE_MS));
        if let Some(before) = clock.reminder_minutes {
            promises.push(set(Kind::AnswerReminder, now_ms + (minutes - before) * MINUTE_MS));
        }
    }
    promises.extend(silence(clock, now_ms, now_ms, Seq::ZERO));
    promises
}

/// The deadlines of a conversation that is silent since a time.
fn silence(clock: &Clock, since_ms: i64, now_ms: i64, seq: Seq) -> Vec<Promise> {
    let set = |kind, days| Promise {
        kind,
        due_ms: since_ms + days * DAY_MS,
        changed_ms: now_ms,
        seq,
    };
    let Some(days) = clock.silence_days else {
        return Vec::new();
    };
    let warning = clock
        .silence_warning_days
        .map(|before| set(Kind::SilenceWarning, days - before));
    std::iter::once(set(Kind::SilenceEnd, days))
        .chain(warning)
        .collect()
}

/// The changes of deadlines now.
pub(super) fn look(promises: &[Promise], at: &Look) -> Vec<Step> {
    let find = |kind| promises.iter().find(|promise| promise.kind == kind).copied();
    let mut steps = answers(find(Kind::FirstAnswer), find(Kind::AnswerReminder), at);
    steps.extend(silences(find(Kind::SilenceEnd), find(Kind::SilenceWarning), at));
    steps
}

// protocol: "A message is noticed when a deadline is due"
/// A doctor's message is noticed when a deadline is due, and counts from its own time.
fn answers(answer: Option<Promise>, reminder: Option<Promise>, at: &Look) -> Vec<Step> {
    let Some(answer) = answer else {
        return reminder.map(Step::Lifted).into_iter().collect();
    };
    if is_astray(answer, at.now_ms) {
        let promises = std::iter::once(answer).chain(reminder);
        return promises
            .map(|promise| Step::Set(promise.moved(at.now_ms)))
            .collect();
    }
    if let Some(message) = at.answer {
        let written_ms = message
            .created_ms
            .clamp(answer.changed_ms.min(at.now_ms), at.now_ms);
        let step = match written_ms <= answer.due_ms {
            true => Step::Met(answer),
            false => Step::Fired(answer),
        };
        return std::iter::once(step).chain(reminder.map(Step::Met)).collect();
    }
    if is_due(answer, at.now_ms) {
        let lifted = reminder.map(Step::Lifted);
        return std::iter::once(Step::Fired(answer)).chain(lifted).collect();
    }
    let reminder = reminder.filter(|reminder| is_due(*reminder, at.now_ms));
    reminder.map(Step::Fired).into_iter().collect()
}

fn silences(end: Option<Promise>, warning: Option<Promise>, at: &Look) -> Vec<Step> {
    let Some(end) = end else {
        return warning.map(Step::Lifted).into_iter().collect();
    };
    if at.clock.silence_days.is_none() {
        let lifted = warning.map(Step::Lifted);
        return std::iter::once(Step::Lifted(end)).chain(lifted).collect();
    }
    let is_warning_due = warning.is_some_and(|warning| is_due(warning, at.now_ms));
    let is_end_due = is_due(end, at.now_ms);
    if is_astray(end, at.now_ms) {
        return anew(warning, silence(&at.clock, at.now_ms, at.now_ms, end.seq));
    }
    if !is_warning_due && !is_end_due {
        return Vec::new();
    }
    let newer = at.newest.filter(|newest| newest.seq > end.seq);
    if let Some(message) = newer {
        let since_ms = silent_since(message, end, at.now_ms);
        return anew(warning, silence(&at.clock, since_ms, at.now_ms, message.seq));
    }
    match warning {
        // No end without a warning, however late the warning is.
        Some(warning) if is_end_due => {
            let later = Promise {
                due_ms: at.now_ms + (end.due_ms - warning.due_ms).max(0),
                changed_ms: at.now_ms,
                ..end
            };
            vec![Step::Fired(warning), Step::Set(later)]
        }
        Some(warning) => vec![Step::Fired(warning)],
        None => vec![Step::Fired(end)],
    }
}

/// Sets the deadlines of silence anew. A warning that the team has removed since is lifted.
fn anew(warning: Option<Promise>, promises: Vec<Promise>) -> Vec<Step> {
    let is_warned = promises
        .iter()
        .any(|promise| promise.kind == Kind::SilenceWarning);
    let lifted = warning.filter(|_| !is_warned).map(Step::Lifted);
    promises.into_iter().map(Step::Set).chain(lifted).collect()
}

fn is_due(promise: Promise, now_ms: i64) -> bool {
    promise.due_ms <= now_ms
}

/// Whether it was set by a clock that was set back since.
fn is_astray(promise: Promise, now_ms: i64) -> bool {
    promise.due_ms > now_ms.saturating_add(LONGEST_MS)
}

/// Since when a conversation is silent whose newest message came after its deadline was set. The message carries the time of
/// the node that accepted it: one of a wrong clock counts as of now, so that no consult ends early.
fn silent_since(message: Written, end: Promise, now_ms: i64) -> i64 {
    let set_ms = end.changed_ms.min(now_ms);
    match message.created_ms < set_ms - SKEW_MS {
        true => now_ms,
        false => message.created_ms.clamp(set_ms, now_ms),
    }
}
