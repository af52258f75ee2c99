//! `docs/errors.md` has a line for every code of the wire.

use super::{document, reflect::pool};

// protocol: "errors.md says what to do about each code"
#[test]
fn every_code_of_the_wire_stands_in_errors_md() {
    let text = document::read("errors.md");
    let pool = pool();
    let mut missing = Vec::new();
    for (name, prefix) in [("ByeReason", "BYE_REASON_"), ("ErrorCode", "ERROR_CODE_")] {
        let codes = pool.get_enum_by_name(&format!("huizhen.v1.{name}")).unwrap();
        for code in codes.values().filter(|code| code.number() != 0) {
            let word = code.name().strip_prefix(prefix).unwrap();
            let row = format!("| {} | `{word}` |", code.number());
            match text.lines().find(|line| line.starts_with(&row)) {
                // Meaning, what the app does, what the operator does.
                Some(line) if cells(line).len() == 5 && cells(line).iter().all(|cell| !cell.is_empty()) => {}
                Some(line) => missing.push(format!("not all cells are filled: {line}")),
                None => missing.push(format!("no line begins with {row}")),
            }
        }
    }
    assert!(missing.is_empty(), "docs/errors.md:\n{}", missing.join("\n"));
}

#[test]
fn errors_md_has_no_code_twice_or_unknown() {
    let pool = pool();
    let mut known: Vec<String> = Vec::new();
    for (name, prefix) in [("ByeReason", "BYE_REASON_"), ("ErrorCode", "ERROR_CODE_")] {
        let codes = pool.get_enum_by_name(&format!("huizhen.v1.{name}")).unwrap();
        known.extend(codes.values().map(|code| {
            format!(
                "| {} | `{}` |",
                code.number(),
                code.name().strip_prefix(prefix).unwrap()
            )
        }));
    }
    let mut seen = Vec::new();
    let text = document::read("errors.md");
    let mut in_wire = false;
    for line in text.lines() {
        if line.starts_with("## ") {
            in_wire = line.starts_with("## The wire");
        }
        let cells = cells(line);
        // Codes of the wire are the rows that begin with a number.
        if !in_wire || cells.first().is_none_or(|first| first.parse::<u32>().is_err()) || cells.len() != 5 {
            continue;
        }
        let row = format!("| {} | {} |", cells[0], cells[1]);
        assert!(known.contains(&row), "unknown code: {row}");
        assert!(!seen.contains(&row), "twice: {row}");
        seen.push(row);
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}
