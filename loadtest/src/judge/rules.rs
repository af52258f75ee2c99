//! The rules, each with its name. `check_history.py` has the same names.

use std::collections::BTreeMap;

/// The most examples of each rule that are described.
const EXAMPLES: usize = 5;

/// The harm of a broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Something is not there.
    Lost,
    /// Something is there twice.
    Duplicated,
    /// Something is at another place.
    Reordered,
    /// A user got or wrote an entry outside of their rights.
    Leaked,
    /// Something says something else.
    Changed,
}

impl Class {
    /// As reports and `check_history.py` call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Leaked => "leaked",
            Self::Changed => "changed",
        }
    }
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "RULES tells of each")]
pub enum Rule {
    JournalGap,
    AckLost,
    EntryLost,
    Skipped,
    NeverCame,
    NotSynced,
    Unanswered,
    PageLacks,
    DeadlineLost,
    JournalDoubled,
    MessageDoubled,
    AckDiffers,
    EntryDoubled,
    DeadlineDoubled,
    EntryReordered,
    RealTime,
    Reset,
    Unannounced,
    PageOrder,
    SpansDiffer,
    DeadlineEarly,
    Leaked,
    Invented,
    OutsideSendersTime,
    Changed,
    ChangedSinceSent,
    NobodySent,
    AckUnsent,
    DeadlineDiffers,
}

/// Every rule: its name, what it means when it is broken, and what that is in words.
pub const RULES: [(Rule, &str, Class, &str); 29] = [
    (
        Rule::JournalGap,
        "journal-gap",
        Class::Lost,
        "a journal lacks a seq (I2)",
    ),
    (
        Rule::AckLost,
        "ack-lost",
        Class::Lost,
        "what was acknowledged does not stand there (I1)",
    ),
    (
        Rule::EntryLost,
        "entry-lost",
        Class::Lost,
        "a session got a later entry and never this one (I3)",
    ),
    (
        Rule::Skipped,
        "skipped",
        Class::Lost,
        "a Conversation frame begins behind entries that the app lacks (I3)",
    ),
    (
        Rule::NeverCame,
        "never-came",
        Class::Lost,
        "a device had not got it when everything was quiet (I3)",
    ),
    (
        Rule::NotSynced,
        "not-synced",
        Class::Lost,
        "a device was not connected and synced when everything was quiet",
    ),
    (
        Rule::Unanswered,
        "unanswered",
        Class::Lost,
        "a send had no answer when everything was quiet",
    ),
    (
        Rule::PageLacks,
        "page-lacks",
        Class::Lost,
        "a page of History lacks an entry that lies within it",
    ),
    (
        Rule::DeadlineLost,
        "deadline-lost",
        Class::Lost,
        "a deadline has passed or was promised, and the consult was never told",
    ),
    (
        Rule::JournalDoubled,
        "journal-doubled",
        Class::Duplicated,
        "a journal has one seq twice (I2)",
    ),
    (
        Rule::MessageDoubled,
        "message-doubled",
        Class::Duplicated,
        "one message is two entries (I4)",
    ),
    (
        Rule::AckDiffers,
        "ack-differs",
        Class::Duplicated,
        "one message was acknowledged under two seqs (I4)",
    ),
    (
        Rule::EntryDoubled,
        "entry-doubled",
        Class::Duplicated,
        "a session got an entry again (I3)",
    ),
    (
        Rule::DeadlineDoubled,
        "deadline-doubled",
        Class::Duplicated,
        "a deadline fired again, or was not ahead",
    ),
    (
        Rule::EntryReordered,
        "entry-reordered",
        Class::Reordered,
        "a session got an entry after a later one (I3)",
    ),
    (
        Rule::RealTime,
        "real-time",
        Class::Reordered,
        "sent after another one was acknowledged, and stands before it (I2)",
    ),
    (
        Rule::Reset,
        "reset",
        Class::Reordered,
        "an app was asked to drop its copy",
    ),
    (
        Rule::Unannounced,
        "untold",
        Class::Reordered,
        "a session got an entry of a conversation that was not announced to it",
    ),
    (
        Rule::PageOrder,
        "page-order",
        Class::Reordered,
        "a page of History is not in the order of seq",
    ),
    (
        Rule::SpansDiffer,
        "spans-differ",
        Class::Reordered,
        "participant rows and the entries of joining and leaving differ",
    ),
    (
        Rule::DeadlineEarly,
        "deadline-early",
        Class::Reordered,
        "a deadline fired before its time, or for another one",
    ),
    (
        Rule::Leaked,
        "leaked",
        Class::Leaked,
        "a user got an entry outside of their spans (I5)",
    ),
    (
        Rule::Invented,
        "invented",
        Class::Leaked,
        "a user got an entry that the database does not have",
    ),
    (
        Rule::OutsideSendersTime,
        "outside-senders-time",
        Class::Leaked,
        "an entry was written outside of its sender's time (I5)",
    ),
    (
        Rule::Changed,
        "changed",
        Class::Changed,
        "an entry came with another body, id, kind or sender than the database has",
    ),
    (
        Rule::ChangedSinceSent,
        "changed-since-sent",
        Class::Changed,
        "the database has another body or sender than was sent",
    ),
    (
        Rule::NobodySent,
        "nobody-sent",
        Class::Changed,
        "a journal has a message that was never sent there",
    ),
    (
        Rule::AckUnsent,
        "ack-unsent",
        Class::Changed,
        "something was acknowledged that its device did not send",
    ),
    (
        Rule::DeadlineDiffers,
        "deadline-differs",
        Class::Changed,
        "the record of a deadline and the entries that tell of it differ",
    ),
];

impl Rule {
    fn line(self) -> &'static (Self, &'static str, Class, &'static str) {
        // RULES stands in the order of the variants; a test holds it to that.
        &RULES[self as usize]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.line().1
    }

    /// The harm when it is broken.
    pub fn class(self) -> Class {
        self.line().2
    }
}

/// How often each rule was broken, with examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Of all that is counted: in a session after one of its Syncs had failed.
    pub after_failed_sync: u64,
    counts: BTreeMap<Rule, u64>,
    examples: BTreeMap<Rule, Vec<String>>,
}

impl Findings {
    /// Notes that a rule was broken.
    pub fn found(&mut self, rule: Rule, example: impl FnOnce() -> String) {
        self.found_often(rule, 1, example);
    }

    /// Counts breaks of a rule at one place; 0 counts nothing.
    pub fn found_often(&mut self, rule: Rule, times: u64, example: impl FnOnce() -> String) {
        if times == 0 {
            return;
        }
        *self.counts.entry(rule).or_default() += times;
        let examples = self.examples.entry(rule).or_default();
        if examples.len() < EXAMPLES {
            examples.push(example());
        }
    }

    /// Takes one back: what counted as lost has come late.
    pub fn taken_back(&mut self, rule: Rule) {
        if let Some(count) = self.counts.get_mut(&rule) {
            *count = count.saturating_sub(1);
        }
    }

    /// Adds those of another part.
    pub fn add(&mut self, other: Self) {
        self.after_failed_sync += other.after_failed_sync;
        for (rule, count) in other.counts {
            *self.counts.entry(rule).or_default() += count;
        }
        for (rule, more) in other.examples {
            let examples = self.examples.entry(rule).or_default();
            let room = EXAMPLES.saturating_sub(examples.len());
            examples.extend(more.into_iter().take(room));
        }
    }

    /// How many were counted over all rules.
    pub(super) fn sum(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How often this one was broken.
    pub fn count(&self, rule: Rule) -> u64 {
        self.counts.get(&rule).copied().unwrap_or_default()
    }

    /// How often rules of this class were broken.
    pub fn of_class(&self, class: Class) -> u64 {
        let of_it = self.counts.iter().filter(|(rule, _)| rule.class() == class);
        of_it.map(|(_, count)| count).sum()
    }

    /// The rules that were broken, by name.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        let broken = self.counts.iter().filter(|(_, count)| **count > 0);
        broken
            .map(|(rule, count)| (rule.name().to_owned(), *count))
            .collect()
    }

    /// Examples, each with its rule's name.
    pub fn examples(&self) -> Vec<String> {
        let broken = self.examples.iter().filter(|(rule, _)| self.count(**rule) > 0);
        broken
            .flat_map(|(rule, examples)| examples.iter().map(|text| format!("{}: {text}", rule.name())))
            .collect()
    }

    /// Whether no rule was broken.
    pub fn is_clean(&self) -> bool {
        self.counts.values().all(|count| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_stands_in_the_order_of_the_rules() {
        for (at, (rule, name, ..)) in RULES.iter().enumerate() {
            assert_eq!((*rule as usize, rule.name()), (at, *name));
        }
    }

    #[test]
    fn findings_add_up_and_tell_a_few_examples() {
        let mut findings = Findings::default();
        assert!(findings.is_clean());
        findings.found_often(Rule::Leaked, 0, || "nothing".to_owned());
        assert!(findings.is_clean());
        for at in 0..9 {
            findings.found(Rule::Leaked, || format!("{at}"));
        }
        findings.found(Rule::EntryLost, || "late".to_owned());
        findings.taken_back(Rule::EntryLost);
        let mut sum = Findings::default();
        sum.add(findings.clone());
        sum.add(findings);
        assert_eq!((sum.count(Rule::Leaked), sum.of_class(Class::Leaked)), (18, 18));
        assert_eq!(sum.examples().len(), EXAMPLES);
        assert_eq!(sum.by_name().len(), 1);
        assert!(!sum.is_clean());
    }
}
