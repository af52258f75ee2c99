//! The relations of one FROM, and the values that each one's distribution column is equal to. Values flow as PostgreSQL's
//! equivalence classes have them: along equalities of WHERE and of inner joins both ways, and into the optional side of an
//! outer join. A list of values stays with the column that it is compared with: Citus prunes each table by its own condition.

use std::collections::BTreeSet;

use sqlparser::ast::{Expr, JoinConstraint, JoinOperator, Query, TableFactor, TableWithJoins};

use super::{
    expression::{Fact, column, facts, folded, last, subqueries, value},
    facts::Naming,
};
use crate::citus::tables::column_of;

/// A relation of a FROM.
pub(super) struct Relation<'s> {
    /// The name that its columns are called by.
    pub(super) name: String,
    pub(super) kind: Kind<'s>,
}

pub(super) enum Kind<'s> {
    /// A table of conversations, and the column that names them.
    OfConversation(String, &'static str),
    Elsewhere(String),
    Derived(&'s Query),
    /// Rows of a function or of a common table expression.
    Rows,
}

/// A relation's number and the name of a column.
type Column = (usize, String);

#[derive(Default)]
pub(super) struct Scope<'s> {
    pub(super) relations: Vec<Relation<'s>>,
    /// Subqueries within arguments and conditions of joins.
    pub(super) subqueries: Vec<Query>,
    conditions: Vec<&'s Expr>,
    /// Conditions of an outer join, with the first relation of its optional side and the one behind the last.
    optional: Vec<(&'s Expr, usize, usize)>,
    equal: Vec<(Column, String)>,
    /// The same of an optional side alone.
    equal_there: Vec<(Column, String)>,
    among: Vec<Column>,
    /// The second column has the values of the first.
    flows: Vec<(Column, Column)>,
    /// The same into an optional side.
    flows_there: Vec<(Column, Column)>,
}

impl<'s> Scope<'s> {
    pub(super) fn add_from(&mut self, items: &'s [TableWithJoins], expressions: &[String]) {
        for item in items {
            self.add_item(item, expressions, true);
        }
    }

    fn add_item(&mut self, item: &'s TableWithJoins, expressions: &[String], counts: bool) {
        self.add(&item.relation, expressions, counts);
        for join in &item.joins {
            let first = self.relations.len();
            let (constraint, is_inner, is_left) = match &join.join_operator {
                JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => {
                    (Some(on), true, false)
                }
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (Some(on), false, true),
                JoinOperator::Right(on) | JoinOperator::RightOuter(on) | JoinOperator::FullOuter(on) => {
                    (Some(on), false, false)
                }
                _ => (None, false, false),
            };
            self.add(&join.relation, expressions, counts && is_inner);
            let Some(JoinConstraint::On(on)) = constraint else {
                continue;
            };
            self.subqueries.extend(subqueries(on));
            if counts && is_inner {
                self.conditions.push(on);
            }
            if counts && is_left {
                self.optional.push((on, first, self.relations.len()));
            }
        }
    }

    fn add(&mut self, factor: &'s TableFactor, expressions: &[String], counts: bool) {
        let (alias, kind) = match factor {
            TableFactor::Table {
                name, alias, args, ..
            } => {
                if let Some(args) = args {
                    self.subqueries.extend(subqueries(&args.args));
                }
                let table = last(name);
                let is_expression = name.0.len() == 1 && expressions.contains(&table);
                let kind = match column_of(&table) {
                    _ if is_expression || args.is_some() => Kind::Rows,
                    Some(column) => Kind::OfConversation(table.clone(), column),
                    None => Kind::Elsewhere(table.clone()),
                };
                let name = alias.as_ref().map_or(table, |alias| folded(&alias.name));
                self.relations.push(Relation { name, kind });
                return;
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => return self.add_item(table_with_joins, expressions, counts),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                return self.add_item(table_with_joins, expressions, false);
            }
            TableFactor::Derived { subquery, alias, .. } => (alias, Kind::Derived(subquery)),
            TableFactor::UNNEST {
                alias, array_exprs, ..
            } => {
                self.subqueries.extend(subqueries(array_exprs));
                (alias, Kind::Rows)
            }
            TableFactor::Function { alias, args, .. } => {
                self.subqueries.extend(subqueries(args));
                (alias, Kind::Rows)
            }
            other => {
                self.subqueries.extend(subqueries(other));
                (&None, Kind::Rows)
            }
        };
        let name = alias.as_ref().map(|alias| folded(&alias.name));
        self.relations.push(Relation {
            name: name.unwrap_or_default(),
            kind,
        });
    }

    pub(super) fn add_condition(&mut self, condition: &'s Expr) {
        self.conditions.push(condition);
    }

    /// Reads the conditions, once all relations are there.
    pub(super) fn read(&mut self, parameters: &[&str]) {
        let mut found = Vec::new();
        for condition in std::mem::take(&mut self.conditions) {
            facts(condition, parameters, &mut found);
        }
        for fact in found {
            match fact {
                Fact::Among(expr) => self.among.extend(self.resolved(expr)),
                Fact::Equal(left, right) => {
                    let sides = [(left, right), (right, left)];
                    for (side, other) in sides {
                        if let (Some(column), Some(text)) = (self.resolved(side), value(other, parameters)) {
                            self.equal.push((column, text));
                        }
                    }
                    if let (Some(left), Some(right)) = (self.resolved(left), self.resolved(right)) {
                        self.flows.push((left.clone(), right.clone()));
                        self.flows.push((right, left));
                    }
                }
            }
        }
        for (condition, first, end) in std::mem::take(&mut self.optional) {
            self.read_optional(condition, first, end, parameters);
        }
    }

    fn read_optional(&mut self, condition: &Expr, first: usize, end: usize, parameters: &[&str]) {
        let mut found = Vec::new();
        facts(condition, parameters, &mut found);
        let is_there = |column: &Column| (first..end).contains(&column.0);
        for fact in found {
            match fact {
                Fact::Among(expr) => self.among.extend(self.resolved(expr).filter(is_there)),
                Fact::Equal(left, right) => {
                    for (side, other) in [(left, right), (right, left)] {
                        let Some(column) = self.resolved(side).filter(is_there) else {
                            continue;
                        };
                        if let Some(text) = value(other, parameters) {
                            self.equal_there.push((column, text));
                        } else if let Some(from) = self.resolved(other).filter(|from| !is_there(from)) {
                            self.flows_there.push((from, column));
                        }
                    }
                }
            }
        }
    }

    /// A column of this FROM. One without a relation's name is certain only where there is one relation; one of a query around
    /// this one is no value.
    pub(super) fn resolved(&self, expr: &Expr) -> Option<Column> {
        let (relation, name) = column(expr)?;
        let at = match relation {
            Some(relation) => self.relations.iter().position(|found| found.name == relation)?,
            None if self.relations.len() == 1 => 0,
            None => return None,
        };
        Some((at, name))
    }

    /// How a relation names its conversation; `None` of one that has none.
    pub(super) fn naming(&self, at: usize) -> Option<Naming> {
        let Kind::OfConversation(_, name) = self.relations[at].kind else {
            return None;
        };
        let own = (at, name.to_owned());
        let mut sources = vec![own.clone()];
        let into = |column: &Column| {
            let there = self.flows_there.iter().filter(move |(_, to)| to == column);
            there.map(|(from, _)| from.clone()).collect::<Vec<_>>()
        };
        sources.extend(into(&own));
        let mut at = 0;
        while let Some(column) = sources.get(at).cloned() {
            at += 1;
            let found = self.flows.iter().filter(|(_, to)| *to == column);
            let mut found: Vec<Column> = found.map(|(from, _)| from.clone()).collect();
            found.extend(into(&column));
            found.retain(|from| !sources.contains(from));
            sources.extend(found);
        }
        let among_sources = self.equal.iter().filter(|(column, _)| sources.contains(column));
        let of_own = self.equal_there.iter().filter(|(column, _)| *column == own);
        let values: BTreeSet<String> = among_sources
            .chain(of_own)
            .map(|(_, text)| text.clone())
            .collect();
        if !values.is_empty() {
            return Some(Naming::One(values));
        }
        // An optional side is asked where the other one is.
        let beside = into(&own).into_iter().filter(|from| self.is_distribution(from));
        let listed = [own]
            .into_iter()
            .chain(beside)
            .any(|column| self.among.contains(&column));
        Some(if listed { Naming::Several } else { Naming::Missing })
    }

    fn is_distribution(&self, (at, name): &Column) -> bool {
        matches!(self.relations[*at].kind, Kind::OfConversation(_, column) if column == name)
    }
}
