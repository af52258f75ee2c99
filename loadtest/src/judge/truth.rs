//! A conversation as the database has it at the end: its journal and who was in it when. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::wire::EntryKind;

use super::note::Seen;
use super::rules::{Findings, Rule};

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
}

/// A participant joined or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub user_id: i64,
    /// Came.
    pub joined: bool,
}

/// A row of participant: the user sees the entries from `from_seq` to `to_seq`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Who.
    pub user_id: i64,
    /// The first entry.
    pub from_seq: i64,
    /// The last one; none while they are in.
    pub to_seq: Option<i64>,
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
        let ranges: Vec<(i64, i64)> = if self.has_spans {
            let own = self.spans.iter().filter(|span| span.user_id == user_id);
            own.map(|span| (span.from_seq, span.to_seq.unwrap_or(i64::MAX)))
                .collect()
        } else {
            self.stays(user_id)
        };
        View(ranges)
    }

    /// From each joining to the leaving after it, both included, by the journal.
    fn stays(&self, user_id: i64) -> Vec<(i64, i64)> {
        let mut stays = Vec::new();
        let mut since = None;
        for (seq, fact) in &self.facts {
            match fact.change {
                Some(change) if change.user_id == user_id && change.joined => since = since.or(Some(*seq)),
                Some(change) if change.user_id == user_id => {
                    stays.extend(since.take().map(|from| (from, *seq)));
                }
                _ => {}
            }
        }
        stays.extend(since.map(|from| (from, i64::MAX)));
        stays
    }

    /// How many entries between `after` and `until`, both left out, this view has.
    pub(super) fn seen_between(&self, view: &View, after: i64, until: i64) -> Vec<i64> {
        if after.saturating_add(1) >= until {
            return Vec::new();
        }
        let between = self.facts.range(after + 1..until);
        between
            .map(|(seq, _)| *seq)
            .filter(|seq| view.has(*seq))
            .collect()
    }

    /// Where this user came in last before `seq`, or by it.
    pub(super) fn joined_before(&self, user_id: i64, seq: i64) -> Option<i64> {
        let stays = self.stays(user_id);
        stays
            .iter()
            .rev()
            .map(|(from, _)| *from)
            .find(|from| *from <= seq)
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

    /// Rows of participant begin not later than the joining and end with the leaving.
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
            let mut rows: Vec<(i64, i64)> = View::rows(&self.spans, user_id);
            rows.sort_unstable();
            let agree = rows.len() == stays.len()
                && rows
                    .iter()
                    .zip(&stays)
                    .all(|(row, stay)| row.0 <= stay.0 && row.1 == stay.1);
            if !agree {
                findings.found(Rule::SpansDiffer, || {
                    format!("conversation {conversation}: {user_id} has rows {rows:?}, and came and went {stays:?}")
                });
            }
        }
    }
}

/// A user's rights in a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View(Vec<(i64, i64)>);

impl View {
    fn rows(spans: &[Span], user_id: i64) -> Vec<(i64, i64)> {
        let own = spans.iter().filter(|span| span.user_id == user_id);
        own.map(|span| (span.from_seq, span.to_seq.unwrap_or(i64::MAX)))
            .collect()
    }

    /// Whether it has this entry.
    pub fn has(&self, seq: i64) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&seq))
    }

    /// Whether it never had anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
