//! `docs/errors.md` has a line for every code of the wire.

use protox::prost_reflect::MessageDescriptor;

use super::{
    document,
    reflect::{self, pool},
};

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

// protocol: "field of an Error is the name of the field as in the .proto file"
#[test]
fn every_field_of_a_refusal_is_one_of_its_request() {
    let pool = pool();
    let text = document::read("protocol.md");
    let rows = text
        .lines()
        .skip_while(|line| *line != "### Which request fails how")
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let mut checked = 0;
    for row in rows {
        let cells = cells(row);
        let requests = match cells[0] {
            // The fields of the others are in these.
            "all that name a conversation" => "Send, Recall, History, Received, Read, Typing",
            requests => requests,
        };
        for request in requests.split(", ") {
            let message = reflect::message(&pool, request);
            let envelope = reflect::message(&pool, "ClientFrame");
            for field in cells[2].split(", ").map(|field| field.trim_matches('`')) {
                let is_there = |of: &MessageDescriptor| of.get_field_by_name(field).is_some();
                // A request that is refused as a whole is named as the envelope names it.
                let is_whole = request == "Login" && is_there(&envelope);
                assert!(is_there(&message) || is_whole, "{request} has no field {field}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 25, "{checked} fields");
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
