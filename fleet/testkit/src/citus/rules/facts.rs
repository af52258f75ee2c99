//! The acts of a statement, and the rules that they break.

use std::collections::BTreeSet;

use super::{Refusal, Rule};

/// How a use of a table names its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// By equality with each of these values.
    One(BTreeSet<String>),
    /// By a list of values.
    Several,
    /// Not at all.
    Missing,
}

/// A use of a table of conversations.
#[derive(Debug)]
pub(super) struct Use {
    /// For the reason of a refusal.
    pub(super) name: String,
    pub(super) naming: Naming,
    /// 0 in the statement itself, more in subqueries.
    pub(super) depth: usize,
}

#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) uses: Vec<Use>,
    /// Tables of the coordinator.
    pub(super) elsewhere: BTreeSet<String>,
    /// Where Citus takes one conversation only: the reason.
    pub(super) one_only: Option<&'static str>,
    /// An INSERT of rows that are read, and not on the machine that they go to.
    pub(super) copies: Option<String>,
    /// Rules that need no view of the whole.
    pub(super) broken: Vec<Refusal>,
}

impl Facts {
    pub(super) fn broke(&mut self, rule: Rule, reason: impl Into<String>) {
        let reason = reason.into();
        self.broken.push(Refusal { rule, reason });
    }

    pub(super) fn judge(mut self) -> Vec<Refusal> {
        if let Some(table) = self.copies.take() {
            self.broke(Rule::Copies, format!("INSERT … SELECT into {table}"));
        }
        if !self.elsewhere.is_empty() && !self.uses.is_empty() {
            let elsewhere: Vec<&str> = self.elsewhere.iter().map(String::as_str).collect();
            let reason = format!("{} and {}", self.names(|_| true), elsewhere.join(", "));
            self.broke(Rule::BothPlaces, reason);
        }
        let unnamed = self.names(|used| used.naming == Naming::Missing);
        if !unnamed.is_empty() {
            self.broke(Rule::AsksAll, format!("no conversation is named for {unnamed}"));
        }
        let several = self.names(|used| !matches!(used.naming, Naming::One(_)));
        let is_within = self.uses.iter().any(|used| used.depth > 0);
        let has_list = self.uses.iter().any(|used| used.naming == Naming::Several);
        match self.one_only {
            Some(reason) if !several.is_empty() => {
                self.broke(Rule::OneOnly, format!("{reason} over several: {several}"));
            }
            None if has_list && is_within => {
                self.broke(Rule::OneOnly, format!("a subquery beside several: {several}"));
            }
            _ => {}
        }
        if !self.agree() {
            let reason = self.names(|_| true);
            self.broke(Rule::Strangers, reason);
        }
        self.broken
    }

    fn names(&self, which: impl Fn(&Use) -> bool) -> String {
        let names: Vec<&str> = self
            .uses
            .iter()
            .filter(|used| which(used))
            .map(|used| used.name.as_str())
            .collect();
        names.join(", ")
    }

    /// Whether all uses that name one conversation name the same, and none names a list beside them.
    fn agree(&self) -> bool {
        let mut common: Option<BTreeSet<&String>> = None;
        let mut has_list = false;
        for used in &self.uses {
            match &used.naming {
                Naming::One(values) => {
                    let values: BTreeSet<&String> = values.iter().collect();
                    common = Some(match common {
                        Some(before) => before.intersection(&values).copied().collect(),
                        None => values,
                    });
                }
                Naming::Several => has_list = true,
                Naming::Missing => {}
            }
        }
        common.is_none_or(|common| !common.is_empty() && !has_list)
    }
}
