//! The rules of Citus 13.2 for the kinds of statements that we have, on the text of a statement. They refuse more than Citus
//! does: a join that its planner sees through may count as unnamed here. Read its `multi_router_planner.c` beside them.

mod expression;
mod facts;
mod scope;
mod statement;

#[cfg(test)]
mod tests;

use std::fmt;

use sqlparser::{
    ast::Statement,
    dialect::PostgreSqlDialect,
    parser::{Parser, ParserError},
};

use self::{facts::Facts, statement::Reader};
use super::tables::OF_CONVERSATION;

/// A rule that a statement breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A use of a table of conversations names none: every machine is asked.
    AsksAll,
    /// Rows of a SELECT go to the machines by COPY, which loses the SQLSTATE of a broken constraint.
    Copies,
    /// Tables of conversations and of the coordinator in one statement.
    BothPlaces,
    /// A subquery or a common table expression within an INSERT of values.
    ReadsWithinInsert,
    /// An INSERT gives its conversation no value.
    InsertsNowhere,
    /// The column that names the conversation is set.
    MovesRows,
    /// Rows of several conversations, where Citus takes one: locks, recursion, writes within, subqueries.
    OneOnly,
    /// Uses name different conversations.
    Strangers,
    /// A function that Citus cannot evaluate once for all machines.
    Mutable,
    /// Text of tables of conversations that cannot be parsed.
    Unreadable,
}

/// A refused statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// The part of the statement that breaks it.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.rule, self.reason)
    }
}

/// The first rule that a statement breaks.
pub fn refusal(sql: &str) -> Option<Refusal> {
    refusals(sql, &[]).into_iter().next()
}

/// All rules that a statement breaks; several statements may stand in one text. A statement of a function has the function's
/// parameters for values.
pub fn refusals(sql: &str, parameters: &[&str]) -> Vec<Refusal> {
    let statements = match parsed(sql) {
        Ok(statements) => statements,
        Err(error) if mentions_conversations(sql) => {
            let reason = error.to_string();
            return vec![Refusal {
                rule: Rule::Unreadable,
                reason,
            }];
        }
        Err(_) => return Vec::new(),
    };
    let judge = |statement| {
        let mut facts = Facts::default();
        Reader::new(&mut facts, parameters).statement(statement);
        facts.judge()
    };
    statements.iter().flat_map(judge).collect()
}

/// The parser does not know the weaker locks, which are the same to the rules.
fn parsed(sql: &str) -> Result<Vec<Statement>, ParserError> {
    let sql = sql
        .replace("FOR NO KEY UPDATE", "FOR UPDATE")
        .replace("FOR KEY SHARE", "FOR SHARE");
    Parser::parse_sql(&PostgreSqlDialect {}, &sql)
}

fn mentions_conversations(sql: &str) -> bool {
    let mut words = sql.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    words.any(|word| OF_CONVERSATION.iter().any(|(table, _)| *table == word))
}
