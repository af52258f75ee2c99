//! Expressions: values, columns, and the equalities that hold for every row.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, Ident, InTarget, ObjectName, Query, UnaryOperator, Value, Visit, Visitor,
};

/// A name as PostgreSQL compares it.
pub(super) fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The last part of a name: a table without its schema.
pub(super) fn last(name: &ObjectName) -> String {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map(folded).unwrap_or_default()
}

/// The text of a value that is known before a plan is made: a parameter or a constant.
pub(super) fn value(expr: &Expr, parameters: &[&str]) -> Option<String> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => value(inner, parameters),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } => value(inner, parameters).map(|text| format!("-{text}")),
        Expr::Value(found) => match &found.value {
            Value::Null | Value::Boolean(_) => None,
            known => Some(known.to_string()),
        },
        Expr::Identifier(ident) => {
            let name = folded(ident);
            parameters.contains(&name.as_str()).then_some(name)
        }
        _ => None,
    }
}

/// A column, and the name of its relation where it has one. A column within a function or a cast is none: no machine follows
/// from it.
pub(super) fn column(expr: &Expr) -> Option<(Option<String>, String)> {
    match expr {
        Expr::Nested(inner) => column(inner),
        Expr::Identifier(ident) => Some((None, folded(ident))),
        Expr::CompoundIdentifier(parts) => match &parts[..] {
            [relation, name] => Some((Some(folded(relation)), folded(name))),
            _ => None,
        },
        _ => None,
    }
}

/// A condition that holds for every row of the result.
pub(super) enum Fact<'e> {
    Equal(&'e Expr, &'e Expr),
    /// Equal to one of some values.
    Among(&'e Expr),
}

/// The parts of a condition that hold for every row: nothing below OR or NOT does.
pub(super) fn facts<'e>(condition: &'e Expr, parameters: &[&str], found: &mut Vec<Fact<'e>>) {
    match condition {
        Expr::Nested(inner) => facts(inner, parameters, found),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            facts(left, parameters, found);
            facts(right, parameters, found);
        }
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } => found.push(Fact::Equal(left, right)),
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } if value(right, parameters).is_some() => found.push(Fact::Among(left)),
        Expr::In {
            expr,
            target: InTarget::List(list),
            negated: false,
            ..
        } => match &list[..] {
            [one] => found.push(Fact::Equal(expr, one)),
            list if list.iter().all(|item| value(item, parameters).is_some()) => {
                found.push(Fact::Among(expr));
            }
            _ => {}
        },
        _ => {}
    }
}

/// The subqueries right below a part of a statement.
pub(super) fn subqueries(part: &impl Visit) -> Vec<Query> {
    #[derive(Default)]
    struct Found {
        depth: usize,
        queries: Vec<Query>,
    }
    impl Visitor for Found {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if self.depth == 0 {
                self.queries.push(query.clone());
            }
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut found = Found::default();
    let _ = part.visit(&mut found);
    found.queries
}

/// The functions that are called anywhere in a part of a statement.
pub(super) fn functions(part: &impl Visit) -> Vec<String> {
    struct Called(Vec<String>);
    impl Visitor for Called {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(Function { name, .. }) = expr {
                self.0.push(last(name));
            }
            ControlFlow::Continue(())
        }
    }
    let mut called = Called(Vec::new());
    let _ = part.visit(&mut called);
    called.0
}
