//! A conversation as the database has it at the end: its journal and who was in it when. Pure.

pub mod deadline;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::wire::EntryKind;

use super::note::Seen;
use super::rules::{Findings, Rule};
use deadline::{Deadlines, Promise, Record, Step};

/// An entry of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The user who wrote or caused it.
    pub sender: i64,
    /// The wire's EntryKind.
    pub kind: i32,
    /// The sender's name for it, as a number; 0 for an entry that is not a message.
    pub id: u64,
    /// [`hash`](super::hash) of its body.
    pub body: u64,
    /// The participant who joined or left by it.
    pub change: Option<Change>,
    /// Of which deadline it tells.
    pub deadline: Option<Step>,
}

/// A participant joined or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub user_id: i64,
    /// Came.
    pub joined: bool,
    /// Of one who came: the first entry that they see; 0: that of their coming.
    pub sees_from: i64,
}

/// A row of participant: the user came by `from_seq`, and sees the entries from `sees_from_seq` to `to_seq`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Who.
    pub user_id: i64,
    /// The entry of their coming.
    pub from_seq: i64,
    /// The last one; none while they are in.
    pub to_seq: Option<i64>,
    /// The first one; none in rows of releases before 2026-12, which show what came from the coming on.
    pub sees_from_seq: Option<i64>,
}

/// A conversation at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    facts: BTreeMap<i64, Fact>,
    /// Seqs that the journal has twice.
    doubled: Vec<i64>,
    spans: Vec<Span>,
    /// Whether spans were read from the database; else they follow from the entries of joining and leaving.
    has_spans: bool,
    deadlines: Deadlines,
}

impl Truth {
    /// Adds an entry.
    pub fn fact(&mut self, seq: i64, fact: Fact) {
        if self.facts.insert(seq, fact).is_some() {
            self.doubled.push(seq);
        }
    }

    /// Adds a row of participant.
    pub fn span(&mut self, span: Span) {
        self.has_spans = true;
        self.spans.push(span);
    }

    /// Adds a row of consult_deadline.
    pub fn record(&mut self, record: Record) {
        self.deadlines.records.push(record);
    }

    /// Says when the rows of consult_deadline were read, by the database's clock.
    pub fn read_at(&mut self, now_ms: i64) {
        self.deadlines.read_ms = Some(now_ms);
    }

    /// Says what was promised to who opened it.
    pub fn promise(&mut self, promise: Promise) {
        self.deadlines.promise = Some(promise);
    }

    /// The rows of consult_deadline.
    pub fn records(&self) -> &[Record] {
        &self.deadlines.records
    }

    /// The promise, and when the rows were read.
    pub fn promised(&self) -> (Option<Promise>, Option<i64>) {
        (self.deadlines.promise, self.deadlines.read_ms)
    }

    /// The entries that tell of deadlines, in the order of seq.
    pub fn steps(&self) -> impl Iterator<Item = (i64, Step)> {
        self.facts().filter_map(|(seq, fact)| Some((seq, fact.deadline?)))
    }

    /// Compares the moment at which an entry came with what was promised.
    pub(super) fn judge_moment(&self, seen: Seen, t_us: u64, findings: &mut Findings) {
        let step = self.facts.get(&seen.seq).and_then(|fact| fact.deadline);
        if let Some(step) = step.filter(|step| self.deadlines.is_early(*step, t_us)) {
            findings.found(Rule::DeadlineEarly, || {
                format!(
                    "conversation {}: {} came by {} at {t_us} µs",
                    seen.conversation,
                    step.kind.as_str(),
                    seen.seq
                )
            });
        }
    }

    /// The entries, in the order of seq.
    pub fn facts(&self) -> impl Iterator<Item = (i64, &Fact)> {
        self.facts.iter().map(|(seq, fact)| (*seq, fact))
    }

    /// The rows of participant.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// An entry.
    pub fn get(&self, seq: i64) -> Option<&Fact> {
        self.facts.get(&seq)
    }

    /// The newest entry.
    pub fn last_seq(&self) -> i64 {
        self.facts.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// How often this user was in.
    pub fn times_in(&self, user_id: i64) -> usize {
        self.stays(user_id).len()
    }

    /// This user's rights.
    pub fn view(&self, user_id: i64) -> View {
        View(match self.has_spans {
            true => self.rows(user_id),
            false => self.stays(user_id),
        })
    }

    /// From each joining to the leaving after it, both included, by the journal.
    fn stays(&self, user_id: i64) -> Vec<Stay> {
        let mut stays = Vec::new();
        let mut since: Option<Stay> = None;
        for (seq, fact) in &self.facts {
            match fact.change {
                Some(change) if change.user_id == user_id && change.joined => {
                    since = since.or(Some(Stay {
                        from: *seq,
                        to: i64::MAX,
                        sees_from: match change.sees_from {
                            0 => *seq,
                            sees_from => sees_from,
                        },
                    }));
                }
                Some(change) if change.user_id == user_id => {
                    stays.extend(since.take().map(|stay| Stay { to: *seq, ..stay }));
                }
                _ => {}
            }
        }
        stays.extend(since);
        stays
    }

    /// The same by the rows of participant.
    fn rows(&self, user_id: i64) -> Vec<Stay> {
        let own = self.spans.iter().filter(|span| span.user_id == user_id);
        let mut rows: Vec<Stay> = own
            .map(|span| Stay {
                from: span.from_seq,
                to: span.to_seq.unwrap_or(i64::MAX),
                sees_from: span.sees_from_seq.unwrap_or(span.from_seq),
            })
            .collect();
        rows.sort_unstable_by_key(|row| row.from);
        rows
    }

    /// The entries between `after` and `until`, both left out, that this view has by the stays up to the entry `now`.
    pub(super) fn seen_between(&self, view: &View, after: i64, until: i64, now: i64) -> Vec<i64> {
        if after.saturating_add(1) >= until {
            return Vec::new();
        }
        let between = self.facts.range(after + 1..until);
        between
            .map(|(seq, _)| *seq)
            .filter(|seq| view.had(*seq, now))
            .collect()
    }

    /// Where this user came in last before `seq`, or by it.
    pub(super) fn joined_before(&self, user_id: i64, seq: i64) -> Option<i64> {
        let stays = self.stays(user_id);
        stays.iter().rev().map(|stay| stay.from).find(|from| *from <= seq)
    }

    /// Compares an entry that came with the journal; false when that does not have it.
    pub(super) fn compare(&self, seen: &Seen, findings: &mut Findings, who: impl Fn() -> String) -> bool {
        let Some(fact) = self.facts.get(&seen.seq) else {
            findings.found(Rule::Invented, || {
                format!(
                    "{}: conversation {} has no entry {}",
                    who(),
                    seen.conversation,
                    seen.seq
                )
            });
            return false;
        };
        let is_same = fact.sender == seen.sender
            && fact.kind == seen.kind
            && fact.id == seen.id
            && fact.body == seen.body;
        if !is_same {
            findings.found(Rule::Changed, || {
                format!(
                    "{}: {} of conversation {} came otherwise",
                    who(),
                    seen.seq,
                    seen.conversation
                )
            });
        }
        true
    }

    /// Judges the journal by itself.
    pub(super) fn judge(&self, conversation: i64, findings: &mut Findings) {
        for seq in &self.doubled {
            findings.found(Rule::JournalDoubled, || {
                format!("conversation {conversation} has {seq} twice")
            });
        }
        let mut expected = 1;
        let mut messages: HashMap<(i64, u64), i64> = HashMap::new();
        for (seq, fact) in &self.facts {
            let missing = seq - expected;
            findings.found_often(Rule::JournalGap, missing.max(0) as u64, || {
                format!("conversation {conversation} has nothing before {seq}")
            });
            expected = seq + 1;
            if fact.kind != EntryKind::Message as i32 {
                continue;
            }
            if fact.id != 0
                && let Some(first) = messages.insert((fact.sender, fact.id), *seq)
            {
                findings.found(Rule::MessageDoubled, || {
                    format!(
                        "conversation {conversation}: {:016x} is {first} and {seq}",
                        fact.id
                    )
                });
            }
        }
        self.judge_senders(conversation, findings);
        self.judge_spans(conversation, findings);
        self.deadlines.judge(conversation, self.steps(), findings);
    }

    /// A message's sender was in when it was written (I5).
    fn judge_senders(&self, conversation: i64, findings: &mut Findings) {
        let mut inside: BTreeSet<i64> = BTreeSet::new();
        for (seq, fact) in &self.facts {
            match fact.change {
                Some(change) if change.joined => drop(inside.insert(change.user_id)),
                Some(change) => drop(inside.remove(&change.user_id)),
                None if fact.kind == EntryKind::Message as i32 && !inside.contains(&fact.sender) => {
                    findings.found(Rule::OutsideSendersTime, || {
                        format!(
                            "conversation {conversation}: {} wrote {seq} and was not in",
                            fact.sender
                        )
                    });
                }
                None => {}
            }
        }
    }

    /// Rows of participant begin not later than the joining, end with the leaving, and show what its entry says.
    fn judge_spans(&self, conversation: i64, findings: &mut Findings) {
        if !self.has_spans {
            return;
        }
        let changes = self.facts.values().filter_map(|fact| fact.change);
        let users: BTreeSet<i64> = changes
            .map(|change| change.user_id)
            .chain(self.spans.iter().map(|span| span.user_id))
            .collect();
        for user_id in users {
            let stays = self.stays(user_id);
            let rows = self.rows(user_id);
            let agree = rows.len() == stays.len()
                && rows.iter().zip(&stays).all(|(row, stay)| {
                    row.from <= stay.from && row.to == stay.to && row.sees_from == stay.sees_from
                });
            if !agree {
                findings.found(Rule::SpansDiffer, || {
                    format!("conversation {conversation}: {user_id} has rows {rows:?}, and came and went {stays:?}")
                });
            }
        }
    }
}

/// A time in a conversation, both ends included, and the first entry that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stay {
    from: i64,
    to: i64,
    sees_from: i64,
}

impl Stay {
    const fn shows(self, seq: i64) -> bool {
        self.sees_from <= seq && seq <= self.to
    }
}

/// A user's rights in a conversation: their stays, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View(Vec<Stay>);

impl View {
    /// Whether it has this entry.
    pub fn has(&self, seq: i64) -> bool {
        self.had(seq, i64::MAX)
    }

    /// Whether it had this entry by the stays that began up to the entry `now`: a node that sends that entry knows of them.
    pub(super) fn had(&self, seq: i64, now: i64) -> bool {
        let mut begun = self.0.iter().take_while(|stay| stay.from <= now);
        begun.any(|stay| stay.shows(seq))
    }

    /// The newest entry that is known to who sends this user the entry `seq`: that, or the beginning of the first stay that
    /// shows it.
    pub(super) fn known_with(&self, seq: i64) -> i64 {
        let first = self.0.iter().find(|stay| stay.shows(seq));
        first.map_or(seq, |stay| stay.from.max(seq))
    }

    /// Whether a copy that ends with `have` may lack entries before that which only a later stay shows.
    pub(super) fn reveals(&self, have: i64) -> bool {
        let Some(made_in) = self.0.iter().find(|stay| have <= stay.to) else {
            return false;
        };
        (1..=have).any(|seq| self.has(seq) && !self.had(seq, made_in.from))
    }

    /// Whether it never had anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
