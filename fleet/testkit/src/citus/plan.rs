//! Plans of plain PostgreSQL: each scan of a table of conversations walks an index by the column that names them, and the value
//! comes from a parameter, directly or by a scan around it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tables::column_of;

/// A scan of a table of conversations.
struct Scan {
    table: String,
    column: &'static str,
    /// The condition of the index.
    walked: Vec<String>,
    /// That, and the filter of its rows.
    kept: Vec<String>,
}

/// The faults of a plan that `EXPLAIN (FORMAT JSON)` printed.
///
/// # Errors
/// When it is no plan.
pub fn faults(plan: &str) -> serde_json::Result<Vec<String>> {
    let plan: Value = serde_json::from_str(plan)?;
    let mut scans = BTreeMap::new();
    let mut faults = Vec::new();
    read(&plan[0]["Plan"], &mut scans, &mut faults);
    for (alias, scan) in &scans {
        let Scan { table, column, .. } = scan;
        if !scan.walked.iter().any(|term| other_side(term, column).is_some()) {
            faults.push(format!("the index of {table} {alias} is not asked for {column}"));
        }
        if !is_named(alias, &scans, &mut Vec::new()) {
            faults.push(format!("no value names the conversation of {table} {alias}"));
        }
    }
    Ok(faults)
}

fn read(step: &Value, scans: &mut BTreeMap<String, Scan>, faults: &mut Vec<String>) {
    let text = |key: &str| step[key].as_str().unwrap_or_default();
    let kind = text("Node Type");
    let table = text("Relation Name");
    if kind.contains("Scan")
        && let Some(column) = column_of(table)
    {
        if kind == "Seq Scan" {
            faults.push(format!("reads all of {table}"));
        }
        let walked: Vec<String> = ["Index Cond", "Recheck Cond"]
            .into_iter()
            .flat_map(|key| terms(text(key)))
            .collect();
        let kept = walked.iter().cloned().chain(terms(text("Filter"))).collect();
        let scan = Scan {
            table: table.to_owned(),
            column,
            walked,
            kept,
        };
        // A table may be read twice under one name, by a subquery.
        let mut alias = text("Alias").to_owned();
        while scans.contains_key(&alias) {
            alias.push('\'');
        }
        scans.insert(alias, scan);
    }
    for below in step["Plans"].as_array().into_iter().flatten() {
        read(below, scans, faults);
    }
}

/// The parts of a condition that are joined by AND, but for those with OR.
fn terms(condition: &str) -> Vec<String> {
    let mut terms = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    let whole = condition
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let whole = whole.unwrap_or(condition);
    for (at, letter) in whole.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && whole[at..].starts_with(" AND ") => {
                terms.push(whole[from..at].to_owned());
                from = at + " AND ".len();
            }
            _ => {}
        }
    }
    terms.push(whole[from..].to_owned());
    terms.retain(|term| !term.contains(" OR "));
    terms
}

/// The value or the column that a column is equal to; ANY of a list is one.
fn other_side(term: &str, column: &str) -> Option<String> {
    let term = term.trim().trim_start_matches('(');
    let term = term.strip_suffix(')').filter(|_| !balanced(term)).unwrap_or(term);
    if let Some(other) = term.strip_prefix(&format!("{column} = ")) {
        return Some(other.to_owned());
    }
    let other = term.strip_suffix(&format!(" = {column}"))?;
    Some(other.to_owned())
}

fn balanced(text: &str) -> bool {
    text.matches('(').count() == text.matches(')').count()
}

/// Whether a value names the conversation of a scan, or a scan around it whose conversation a value names.
fn is_named(alias: &str, scans: &BTreeMap<String, Scan>, seen: &mut Vec<String>) -> bool {
    let Some(scan) = scans.get(alias) else {
        return false;
    };
    seen.push(alias.to_owned());
    scan.kept.iter().any(|term| {
        let Some(other) = other_side(term, scan.column) else {
            return false;
        };
        // `$0` is the result of a subquery.
        let value = other
            .trim_start_matches("ANY ")
            .trim_start_matches(['(', '\'', '{']);
        if value.starts_with('$') && !value.starts_with("$0")
            || value.starts_with("ARRAY[$")
            || value.starts_with(|c: char| c.is_ascii_digit())
        {
            return true;
        }
        let Some((around, column)) = other.split_once('.') else {
            return false;
        };
        let is_distribution = scans.get(around).is_some_and(|scan| scan.column == column);
        is_distribution && !seen.iter().any(|seen| seen == around) && is_named(around, scans, seen)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use serde_json::json;

    use super::*;

    fn scan(alias: &str, table: &str, condition: &str) -> Value {
        json!({"Node Type": "Index Scan", "Relation Name": table, "Alias": alias, "Index Cond": condition})
    }

    fn number_of_faults(scans: &[Value]) -> usize {
        let plan = json!([{"Plan": {"Node Type": "Nested Loop", "Plans": scans}}]);
        faults(&plan.to_string()).unwrap().len()
    }

    #[test]
    fn a_scan_has_its_conversation_from_a_parameter_or_from_a_scan_around_it() {
        for (first, second, expected) in [
            ("(id = $1)", "(conversation_id = c.id)", 0),
            (
                "((last_seq > $2) AND (id = $1))",
                "((conversation_id = c.id) AND (seq = $3))",
                0,
            ),
            (
                "(id = ANY ($1))",
                "(conversation_id = ANY ('{$1,$2}'::bigint[]))",
                0,
            ),
            ("(id = ANY (ARRAY[$1, $2]))", "(conversation_id = c.id)", 0),
            ("(id = ($1)::bigint)", "(conversation_id = '7'::bigint)", 0),
            ("(id = $0)", "(conversation_id = $1)", 1),
            ("(id = $1)", "(conversation_id = c.last_seq)", 1),
            ("(id = $1)", "(seq = $1)", 2),
            ("(id > $1)", "(conversation_id = c.id)", 3),
            ("(id = e.conversation_id)", "(conversation_id = c.id)", 2),
            ("(id = $1)", "(conversation_id = wanted.id)", 1),
        ] {
            let scans = [scan("c", "conversation", first), scan("e", "entry", second)];
            assert_eq!(number_of_faults(&scans), expected, "{first} {second}");
        }
    }

    #[test]
    fn an_equality_under_or_names_nothing() {
        for condition in [
            "((conversation_id = $1) OR (user_id = $2))",
            "(((conversation_id = $1) OR (user_id = $2)) AND (seq = $3))",
        ] {
            let faults = number_of_faults(&[scan("e", "entry", condition)]);
            assert_eq!(faults, 2, "{condition}");
        }
    }

    #[test]
    fn a_filter_names_and_does_not_walk() {
        let mut joined = scan("s", "sent", "(conversation_id = wanted.id)");
        assert_eq!(number_of_faults(std::slice::from_ref(&joined)), 1);
        joined["Filter"] = json!("(conversation_id = ANY ($1))");
        assert_eq!(number_of_faults(&[joined]), 0);
        let mut filtered = scan("s", "sent", "(sender_id = $2)");
        filtered["Filter"] = json!("(conversation_id = $1)");
        assert_eq!(number_of_faults(&[filtered]), 1);
        let whole = json!({"Node Type": "Seq Scan", "Relation Name": "sent", "Alias": "s", "Filter": "(conversation_id = $1)"});
        assert_eq!(number_of_faults(&[whole]), 2);
        let elsewhere = json!({"Node Type": "Seq Scan", "Relation Name": "account", "Alias": "a"});
        assert_eq!(number_of_faults(&[elsewhere]), 0);
    }
}
