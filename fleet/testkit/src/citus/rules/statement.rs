//! Reads a statement: each use of a table with the query that it stands in.

use std::collections::BTreeSet;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Cte, Delete, Expr, FromTable, Insert, OnConflictAction, OnInsert, Query,
    Select, SelectItem, SetExpr, Statement, TableObject, Update, UpdateTableFromKind, Visit,
};

use super::{
    Rule,
    expression::{folded, functions, last, subqueries, value},
    facts::{Facts, Naming, Use},
    mentions_conversations,
    scope::{Kind, Scope},
};
use crate::citus::tables::column_of;

/// Functions without state: Citus evaluates others once, and refuses them where each row may need another result.
const IMMUTABLE: [&str; 10] = [
    "abs", "coalesce", "greatest", "least", "length", "lower", "nullif", "replace", "substr", "upper",
];

/// Functions with another result at each call.
const VOLATILE: [&str; 8] = [
    "clock_timestamp",
    "gen_random_uuid",
    "nextval",
    "pg_advisory_xact_lock",
    "random",
    "set_config",
    "setval",
    "timeofday",
];

/// Names of common table expressions that can be seen.
type Expressions = [String];

pub(super) struct Reader<'r> {
    facts: &'r mut Facts,
    parameters: &'r [&'r str],
}

impl<'r> Reader<'r> {
    pub(super) fn new(facts: &'r mut Facts, parameters: &'r [&'r str]) -> Self {
        Self { facts, parameters }
    }

    pub(super) fn statement(&mut self, statement: &Statement) {
        self.part(statement, 0, &[]);
    }

    fn part(&mut self, statement: &Statement, depth: usize, expressions: &Expressions) {
        match statement {
            Statement::Query(query) => self.query(query, depth, expressions),
            Statement::Insert(insert) => self.insert(insert, depth, expressions),
            Statement::Update(update) => self.update(update, depth, expressions),
            Statement::Delete(delete) => self.delete(delete, depth, expressions),
            Statement::Explain { statement, .. } | Statement::Prepare { statement, .. } => {
                self.part(statement, depth, expressions);
            }
            Statement::Merge { .. } if mentions_conversations(&statement.to_string()) => {
                self.facts.broke(Rule::Unreadable, "MERGE");
            }
            // Definitions, transactions and settings.
            _ => {}
        }
    }

    fn query(&mut self, query: &Query, depth: usize, expressions: &Expressions) {
        let mut visible = expressions.to_vec();
        if let Some(with) = &query.with {
            if with.recursive {
                self.facts.one_only = Some("WITH RECURSIVE");
                visible.extend(with.cte_tables.iter().map(|cte| folded(&cte.alias.name)));
            }
            for cte in &with.cte_tables {
                self.expression(cte, depth, &visible);
                visible.push(folded(&cte.alias.name));
            }
        }
        if !query.locks.is_empty() {
            self.facts.one_only = Some("FOR UPDATE");
        }
        self.body(&query.body, depth, &visible);
        self.within(&query.order_by, depth, &visible);
        self.within(&query.limit_clause, depth, &visible);
    }

    fn expression(&mut self, cte: &Cte, depth: usize, visible: &Expressions) {
        let writes = matches!(
            *cte.query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        );
        if writes {
            self.facts.one_only = Some("a write within WITH");
        }
        let before = self.facts.uses.len();
        self.query(&cte.query, depth + 1, visible);
        let is_insert = matches!(*cte.query.body, SetExpr::Insert(_));
        if is_insert && self.facts.uses.len() > before {
            self.facts.broke(Rule::ReadsWithinInsert, "an INSERT within WITH");
        }
    }

    fn body(&mut self, body: &SetExpr, depth: usize, expressions: &Expressions) {
        match body {
            SetExpr::Select(select) => self.select(select, depth, expressions),
            SetExpr::Query(query) => self.query(query, depth, expressions),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, depth + 1, expressions);
                self.body(right, depth + 1, expressions);
            }
            SetExpr::Values(values) => self.within(values, depth, expressions),
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.part(statement, depth, expressions),
            SetExpr::Table(_) => self.facts.broke(Rule::Unreadable, "TABLE"),
        }
    }

    fn select(&mut self, select: &Select, depth: usize, expressions: &Expressions) {
        let mut scope = Scope::default();
        scope.add_from(&select.from, expressions);
        if let Some(condition) = &select.selection {
            scope.add_condition(condition);
        }
        self.scope(scope, depth, expressions);
        self.within(&select.projection, depth, expressions);
        self.within(&select.selection, depth, expressions);
        self.within(&select.distinct, depth, expressions);
        self.within(&select.group_by, depth, expressions);
        self.within(&select.having, depth, expressions);
    }

    /// The uses of a FROM, and what stands within it.
    fn scope(&mut self, mut scope: Scope<'_>, depth: usize, expressions: &Expressions) {
        scope.read(self.parameters);
        for (at, relation) in scope.relations.iter().enumerate() {
            match &relation.kind {
                Kind::OfConversation(table, _) => {
                    let naming = scope.naming(at).unwrap_or(Naming::Missing);
                    self.add_use(table, &relation.name, naming, depth);
                }
                Kind::Elsewhere(table) => {
                    self.facts.elsewhere.insert(table.clone());
                }
                Kind::Derived(query) => self.query(query, depth + 1, expressions),
                Kind::Rows => {}
            }
        }
        for query in &scope.subqueries {
            self.query(query, depth + 1, expressions);
        }
    }

    fn add_use(&mut self, table: &str, name: &str, naming: Naming, depth: usize) {
        let name = match name == table {
            true => table.to_owned(),
            false => format!("{table} {name}"),
        };
        self.facts.uses.push(Use { name, naming, depth });
    }

    /// Subqueries of expressions.
    fn within(&mut self, part: &impl Visit, depth: usize, expressions: &Expressions) {
        for query in subqueries(part) {
            self.query(&query, depth + 1, expressions);
        }
    }

    fn update(&mut self, update: &Update, depth: usize, expressions: &Expressions) {
        let mut scope = Scope::default();
        scope.add_from(std::slice::from_ref(&update.table), &[]);
        let target = scope.relations.first().and_then(|target| match target.kind {
            Kind::OfConversation(_, column) => Some(column),
            _ => None,
        });
        if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = &update.from
        {
            scope.add_from(from, expressions);
        }
        if let Some(condition) = &update.selection {
            scope.add_condition(condition);
        }
        self.one_table(&scope);
        self.scope(scope, depth, expressions);
        self.within(&update.assignments, depth, expressions);
        self.within(&update.selection, depth, expressions);
        self.moves(target, &update.assignments);
        self.calls(&VOLATILE, update, "UPDATE");
        self.returns(&update.returning);
    }

    fn delete(&mut self, delete: &Delete, depth: usize, expressions: &Expressions) {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let mut scope = Scope::default();
        scope.add_from(from, &[]);
        if let Some(using) = &delete.using {
            scope.add_from(using, expressions);
        }
        if let Some(condition) = &delete.selection {
            scope.add_condition(condition);
        }
        self.one_table(&scope);
        self.scope(scope, depth, expressions);
        self.within(&delete.selection, depth, expressions);
        self.calls(&VOLATILE, delete, "DELETE");
        self.returns(&delete.returning);
    }

    /// A write to several conversations stands alone in its statement.
    fn one_table(&mut self, scope: &Scope<'_>) {
        if scope.relations.len() > 1 {
            self.facts.one_only = Some("a write with a join");
        }
    }

    fn insert(&mut self, insert: &Insert, depth: usize, expressions: &Expressions) {
        let TableObject::TableName(name) = &insert.table else {
            return;
        };
        let table = last(name);
        let column = column_of(&table);
        if column.is_none() {
            self.facts.elsewhere.insert(table.clone());
        }
        let position = column.and_then(|column| insert.columns.iter().position(|name| last(name) == column));
        match insert.source.as_deref() {
            Some(source) => match &*source.body {
                SetExpr::Values(values) => {
                    if source.with.is_some() || !subqueries(values).is_empty() {
                        self.facts
                            .broke(Rule::ReadsWithinInsert, format!("values of {table}"));
                    }
                    let rows: Vec<&[Expr]> = values.rows.iter().map(|row| &row.content[..]).collect();
                    if column.is_some() {
                        self.values(&table, position, &rows, depth);
                    }
                }
                _ => self.rows(&table, column.is_some(), position, source, depth, expressions),
            },
            None if column.is_some() => self.facts.broke(Rule::InsertsNowhere, table.clone()),
            None => {}
        }
        if let Some(OnInsert::OnConflict(conflict)) = &insert.on
            && let OnConflictAction::DoUpdate(change) = &conflict.action
        {
            self.moves(column, &change.assignments);
            self.calls_others(&change.assignments, "DO UPDATE SET");
            self.calls_others(&change.selection, "DO UPDATE WHERE");
        }
        if !subqueries(&insert.on).is_empty() || !subqueries(&insert.returning).is_empty() {
            self.facts
                .broke(Rule::ReadsWithinInsert, format!("a clause of {table}"));
        }
        self.returns(&insert.returning);
    }

    /// `VALUES` into a table of conversations.
    fn values(&mut self, table: &str, position: Option<usize>, rows: &[&[Expr]], depth: usize) {
        let given = |row: &&[Expr]| value(row.get(position?)?, self.parameters);
        let given: Option<BTreeSet<String>> = rows.iter().map(given).collect();
        match given {
            Some(values) => {
                let naming = match values.len() {
                    1 => Naming::One(values),
                    _ => Naming::Several,
                };
                self.add_use(table, table, naming, depth);
            }
            None => self.facts.broke(
                Rule::InsertsNowhere,
                format!("no conversation is given for {table}"),
            ),
        }
    }

    /// `INSERT … SELECT`: one machine runs it whole where it reads what it writes beside.
    fn rows(
        &mut self,
        table: &str,
        is_of_conversation: bool,
        position: Option<usize>,
        source: &Query,
        depth: usize,
        expressions: &Expressions,
    ) {
        let before = self.facts.uses.len();
        self.query(source, depth, expressions);
        if !is_of_conversation {
            return;
        }
        let read = &self.facts.uses[before..];
        let naming = read.iter().find_map(|used| match &used.naming {
            Naming::One(_) => Some(used.naming.clone()),
            _ => None,
        });
        let is_one = read.iter().all(|used| matches!(used.naming, Naming::One(_)));
        let is_beside = position.is_some_and(|position| carries(source, &Wanted::At(position)));
        match naming.filter(|_| is_one && is_beside) {
            Some(naming) => self.add_use(table, table, naming, depth),
            None => self.facts.copies = Some(table.to_owned()),
        }
    }

    fn moves(&mut self, column: Option<&str>, assignments: &[Assignment]) {
        let Some(column) = column else { return };
        let is_it = |name: &sqlparser::ast::ObjectName| last(name) == column;
        let sets = assignments.iter().any(|assignment| match &assignment.target {
            AssignmentTarget::ColumnName(name) => is_it(name),
            AssignmentTarget::Tuple(names) => names.iter().any(is_it),
        });
        if sets {
            self.facts.broke(Rule::MovesRows, format!("{column} is set"));
        }
    }

    fn calls(&mut self, refused: &[&str], part: &impl Visit, place: &str) {
        if let Some(name) = functions(part)
            .iter()
            .find(|name| refused.contains(&name.as_str()))
        {
            self.facts.broke(Rule::Mutable, format!("{name} within {place}"));
        }
    }

    fn calls_others(&mut self, part: &impl Visit, place: &str) {
        let called = functions(part);
        if let Some(name) = called.iter().find(|name| !IMMUTABLE.contains(&name.as_str())) {
            self.facts.broke(Rule::Mutable, format!("{name} within {place}"));
        }
    }

    fn returns(&mut self, returning: &Option<Vec<SelectItem>>) {
        self.calls_others(returning, "RETURNING");
    }
}

/// A column of a query's result.
enum Wanted {
    At(usize),
    Named(String),
}

/// Whether a column of a result is the one that a table of conversations is distributed by.
fn carries(query: &Query, wanted: &Wanted) -> bool {
    let (SetExpr::Select(select), None) = (&*query.body, &query.with) else {
        return false;
    };
    let item = match wanted {
        Wanted::At(position) => select.projection.get(*position),
        Wanted::Named(name) => select
            .projection
            .iter()
            .find(|item| item_name(item).as_ref() == Some(name)),
    };
    let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return false;
    };
    let mut scope = Scope::default();
    scope.add_from(&select.from, &[]);
    let Some((at, name)) = scope.resolved(expr) else {
        return false;
    };
    match scope.relations[at].kind {
        Kind::OfConversation(_, column) => name == column,
        Kind::Derived(query) => carries(query, &Wanted::Named(name)),
        Kind::Elsewhere(_) | Kind::Rows => false,
    }
}

fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(folded(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(folded),
        _ => None,
    }
}
