//! Decides about the text of a statement.

use sqlparser::{
    ast::{Set, Statement},
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use crate::citus::{Refusal, Rule, may_ask_all, refusals};

/// The decision about a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) refusal: Option<Refusal>,
    /// The rest of it, where settings were taken out.
    pub(super) left: Option<String>,
    /// Rows go by COPY.
    pub(super) copies: bool,
}

/// Settings of a session that do not reach the machines.
const OF_SESSION: [&str; 5] = [
    "jit",
    "lock_timeout",
    "plan_cache_mode",
    "synchronous_commit",
    "work_mem",
];

/// The beginning of those that choose a plan.
const OF_PLANS: &str = "enable_";

/// The first words of a statement by which a test looks or acts past the programs: it passes as it is.
pub const OF_A_TEST: &str = "/* of a test */ ";

pub(super) fn verdict(sql: &str) -> Verdict {
    let mut verdict = Verdict::default();
    if sql.starts_with(OF_A_TEST) {
        return verdict;
    }
    for refusal in refusals(sql, &[]) {
        match refusal.rule {
            Rule::Copies => verdict.copies = true,
            Rule::AsksAll if may_ask_all(sql) => {}
            _ => verdict.refusal = verdict.refusal.take().or(Some(refusal)),
        }
    }
    let is_function = sql.trim_start().to_ascii_uppercase().starts_with("CREATE");
    if !is_function && sql.to_ascii_lowercase().contains("set_config(") {
        verdict.refusal = Some(Refusal {
            rule: Rule::AsksAll,
            reason: "a setting of a session reaches no machine".to_owned(),
        });
    }
    if !sql.to_ascii_uppercase().contains("SET ") {
        return verdict;
    }
    let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, sql) else {
        return verdict;
    };
    let mut left = Vec::new();
    for statement in &statements {
        let Some((name, value)) = setting(statement) else {
            left.push(statement.to_string());
            continue;
        };
        if name == "plan_cache_mode" && value.contains("force_generic_plan") {
            verdict.refusal = Some(Refusal {
                rule: Rule::AsksAll,
                reason: "a plan without values names no conversation".to_owned(),
            });
        }
    }
    if left.len() < statements.len() {
        verdict.left = Some(left.join("; "));
    }
    verdict
}

/// A setting that stays on the coordinator, also one of a transaction: Citus hands on neither.
fn setting(statement: &Statement) -> Option<(String, String)> {
    let Statement::Set(Set::SingleAssignment { variable, values, .. }) = statement else {
        return None;
    };
    let name = variable.to_string().to_lowercase();
    let stays = OF_SESSION.contains(&name.as_str()) || name.starts_with(OF_PLANS);
    let value = values.first().map(ToString::to_string).unwrap_or_default();
    stays.then_some((name, value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn left(sql: &str) -> Option<String> {
        verdict(sql).left
    }

    #[test]
    fn settings_that_reach_no_machine_are_taken_out() {
        assert_eq!(left("SELECT 1"), None);
        assert_eq!(left("SET default_transaction_read_only = 'on';"), None);
        assert_eq!(left("SET lock_timeout = '4s'").unwrap(), "");
        assert_eq!(
            left("SET plan_cache_mode = force_custom_plan; SET lock_timeout = '500ms'").unwrap(),
            ""
        );
        assert_eq!(
            left("BEGIN; SET LOCAL lock_timeout = '1s'; SET enable_seqscan = off; SELECT 1").unwrap(),
            "BEGIN; SELECT 1"
        );
        assert_eq!(left("UPDATE account SET name = 'lock_timeout'"), None);
        assert!(
            verdict("SET plan_cache_mode = 'force_generic_plan';")
                .refusal
                .is_some()
        );
        assert!(verdict("SET plan_cache_mode = auto").refusal.is_none());
    }

    #[test]
    fn a_statement_of_a_test_passes() {
        let sql = format!("{OF_A_TEST}SELECT count(*) FROM conversation");
        assert_eq!(verdict(&sql), Verdict::default());
    }

    #[test]
    fn a_statement_that_may_ask_all_passes() {
        let may = "SELECT updated_ms FROM conversation WHERE id = (SELECT max(id) FROM conversation)";
        assert_eq!(verdict(may), Verdict::default());
        let rule = verdict("SELECT max(id) FROM conversation").refusal.unwrap().rule;
        assert_eq!(rule, Rule::AsksAll);
        let copies =
            verdict("INSERT INTO sent (conversation_id) SELECT x FROM UNNEST($1::BIGINT[]) AS n (x)");
        assert!(copies.copies && copies.refusal.is_none());
    }
}
