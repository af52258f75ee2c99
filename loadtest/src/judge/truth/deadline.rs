//! Deadlines of a consult: each fires once, not before its time, and not never. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::judge::rules::{Findings, Rule};

/// A deadline that was due this long before the database was read has fired: a job that looks every 5 s, a lease of 15 s
/// that must run out, a server that starts again.
pub const GRACE_MS: i64 = 60_000;
/// By how much the database's clock may run faster than that of the run.
const SLACK_US: u64 = 100_000;

/// A deadline by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
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
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AnswerReminder => "answer_reminder",
            Self::FirstAnswer => "first_answer",
            Self::SilenceWarning => "silence_warning",
            Self::SilenceEnd => "silence_end",
        }
    }

    /// The kind of this word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The notice that comes before it, whose only entry is that it has fired.
    const fn notice(self) -> Option<Self> {
        match self {
            Self::FirstAnswer => Some(Self::AnswerReminder),
            Self::SilenceEnd => Some(Self::SilenceWarning),
            Self::AnswerReminder | Self::SilenceWarning => None,
        }
    }
}

/// The state of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is ahead.
    Set,
    /// A doctor wrote in time.
    Met,
    /// It holds no longer.
    Lifted,
    /// Its time has passed.
    Fired,
}

impl State {
    const ALL: [Self; 4] = [Self::Set, Self::Met, Self::Lifted, Self::Fired];

    /// The word of the wire and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Met => "met",
            Self::Lifted => "lifted",
            Self::Fired => "fired",
        }
    }

    /// The state of this word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// An entry that tells of a deadline. Times are the database's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which one.
    pub kind: Kind,
    /// Its state.
    pub state: State,
    /// When it is due.
    pub due_ms: i64,
    /// When the entry was written.
    pub created_ms: i64,
}

/// A row of consult_deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which one.
    pub kind: Kind,
    /// Its state.
    pub state: State,
    /// When it is due; none once it is not ahead.
    pub due_ms: Option<i64>,
}

/// The promise of a team to who opens a consult.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// How long the first answer takes at most.
    pub answer_ms: i64,
    /// How long before that the team is reminded; none: it is not.
    pub reminder_ms: Option<i64>,
    /// When the consult was asked for, by the run's clock; none where the database's clock was shifted meanwhile.
    pub asked_us: Option<u64>,
    /// By how much its end by silence was brought forward past the servers, if that took effect.
    pub aged_ms: Option<i64>,
}

/// The deadlines of a conversation beside its journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    pub(super) records: Vec<Record>,
    pub(super) promise: Option<Promise>,
    /// When the records were read, by the database's clock; none where there is no database to read.
    pub(super) read_ms: Option<i64>,
}

/// The journal of a conversation as far as it tells of deadlines.
#[derive(Default)]
struct Course {
    /// Deadlines that are ahead, and when they are due where that is known.
    ahead: BTreeMap<Kind, Option<i64>>,
    last: BTreeMap<Kind, Step>,
}

impl Deadlines {
    /// Whether an entry came sooner than the promise allows, by the run's clock.
    pub(super) fn is_early(&self, step: Step, t_us: u64) -> bool {
        let Some(promise) = self.promise else { return false };
        let Some(asked_us) = promise.asked_us else {
            return false;
        };
        let after_ms = match step.kind {
            Kind::FirstAnswer => promise.answer_ms,
            Kind::AnswerReminder => promise.answer_ms - promise.reminder_ms.unwrap_or(0),
            Kind::SilenceWarning | Kind::SilenceEnd => return false,
        };
        let after_us = u64::try_from(after_ms * 1000).unwrap_or(0);
        step.state == State::Fired && t_us + SLACK_US < asked_us + after_us
    }

    /// Compares the entries of a journal, its records and the promise.
    pub(super) fn judge(
        &self,
        conversation: i64,
        steps: impl Iterator<Item = (i64, Step)>,
        findings: &mut Findings,
    ) {
        let mut course = Course::default();
        for (seq, step) in steps {
            course.hear(conversation, seq, step, self.promise, findings);
        }
        if let Some(promise) = self.promise
            && !course.last.contains_key(&Kind::FirstAnswer)
        {
            findings.found(Rule::DeadlineLost, || {
                format!("conversation {conversation}: {promise:?}, and no entry sets it")
            });
        }
        if let Some(read_ms) = self.read_ms {
            self.judge_records(conversation, read_ms, &course.last, findings);
        }
    }

    fn judge_records(
        &self,
        conversation: i64,
        read_ms: i64,
        last: &BTreeMap<Kind, Step>,
        findings: &mut Findings,
    ) {
        let mut expected: BTreeSet<Kind> = last.keys().copied().collect();
        if let Some(promise) = self.promise {
            expected.insert(Kind::FirstAnswer);
            expected.extend(promise.reminder_ms.map(|_| Kind::AnswerReminder));
        }
        for record in &self.records {
            expected.remove(&record.kind);
            let step = last.get(&record.kind);
            let (rule, why) = match (record.state, step.map(|step| step.state)) {
                (State::Set, None | Some(State::Set)) => match record.due_ms {
                    Some(due_ms) if due_ms > read_ms - GRACE_MS => {
                        if step.is_none_or(|step| self.is_of(due_ms, *step)) {
                            continue;
                        }
                        (
                            Rule::DeadlineDiffers,
                            "it is due at another time than an entry says",
                        )
                    }
                    _ => (Rule::DeadlineLost, "its time has passed, and it has not fired"),
                },
                (State::Fired, Some(State::Fired))
                | (State::Met, Some(State::Met))
                | (State::Lifted, Some(State::Set | State::Lifted)) => continue,
                // A notice that was not needed has no entry.
                (State::Met | State::Lifted, None) if record.kind.notice().is_none() => continue,
                (State::Fired, _) => (Rule::DeadlineLost, "it has fired, and no entry says so"),
                _ => (Rule::DeadlineDiffers, "its record is not what the journal says"),
            };
            findings.found(rule, || {
                format!(
                    "conversation {conversation}: {}: {why} ({record:?})",
                    record.kind.as_str()
                )
            });
        }
        for kind in expected {
            findings.found(Rule::DeadlineLost, || {
                format!("conversation {conversation}: {} has no record", kind.as_str())
            });
        }
    }
}

impl Deadlines {
    /// Whether a record is due at this time by the entry that set it, or as it was brought forward.
    fn is_of(&self, due_ms: i64, set: Step) -> bool {
        let step = Step { due_ms, ..set };
        due_ms == set.due_ms || is_aged(step, set.due_ms, self.promise)
    }
}

impl Course {
    fn hear(
        &mut self,
        conversation: i64,
        seq: i64,
        step: Step,
        promise: Option<Promise>,
        findings: &mut Findings,
    ) {
        let Step { kind, due_ms, .. } = step;
        let is_first = self.last.insert(kind, step).is_none();
        let place = || format!("conversation {conversation}: {} by {seq}", kind.as_str());
        match step.state {
            State::Set => {
                self.ahead.insert(kind, Some(due_ms));
                if let Some((notice, due_ms)) = notice_of(step, promise) {
                    self.ahead.insert(notice, due_ms);
                }
                if let Some(promise) = promise
                    && (kind, is_first) == (Kind::FirstAnswer, true)
                    && due_ms != step.created_ms + promise.answer_ms
                {
                    findings.found(Rule::DeadlineEarly, || {
                        format!("{} is not due when it was promised", place())
                    });
                }
            }
            State::Met | State::Lifted => self.is_over(kind),
            State::Fired => {
                match self.ahead.get(&kind) {
                    None => findings.found(Rule::DeadlineDoubled, || {
                        format!("{} fires, and is not ahead", place())
                    }),
                    Some(Some(ahead_ms)) if *ahead_ms != due_ms && !is_aged(step, *ahead_ms, promise) => {
                        findings.found(Rule::DeadlineEarly, || {
                            format!("{} fires for {due_ms}, and was due at {ahead_ms}", place())
                        });
                    }
                    Some(_) => {}
                }
                if step.created_ms < due_ms {
                    findings.found(Rule::DeadlineEarly, || {
                        format!("{} fires {} ms early", place(), due_ms - step.created_ms)
                    });
                }
                self.is_over(kind);
            }
        }
    }

    /// A notice is over with what it is a notice of.
    fn is_over(&mut self, kind: Kind) {
        self.ahead.remove(&kind);
        if let Some(notice) = kind.notice() {
            self.ahead.remove(&notice);
        }
    }
}

/// Whether it fires for the time that it was brought forward to.
fn is_aged(step: Step, ahead_ms: i64, promise: Option<Promise>) -> bool {
    let aged_ms = promise.and_then(|promise| promise.aged_ms);
    step.kind == Kind::SilenceEnd && aged_ms.is_some_and(|aged_ms| ahead_ms - aged_ms == step.due_ms)
}

/// The notice that is set with a deadline, and when it is due where that is known.
fn notice_of(step: Step, promise: Option<Promise>) -> Option<(Kind, Option<i64>)> {
    let notice = step.kind.notice()?;
    match (step.kind, promise) {
        (Kind::FirstAnswer, Some(promise)) => {
            let before_ms = promise.reminder_ms?;
            Some((notice, Some(step.due_ms - before_ms)))
        }
        _ => Some((notice, None)),
    }
}
