//! Allowances: how many breaches of a rule stand in the tree today. They only shrink.
//!
//! `HOUSE_TIGHTEN=1 cargo test -p house` writes what is found into `house/allowed.txt` where that is less.

use std::fmt::Write as _;
use std::sync::Mutex;

use crate::tree;

const FILE: &str = "house/allowed.txt";

/// One writer at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// Fails when more breaches of `rule` are found than are allowed, and lists all of them; fails as well when fewer are, once
/// the file says that it is tightened.
pub(crate) fn check(rule: &str, found: &[String]) {
    let text = {
        let _writing = WRITING.lock().unwrap();
        tree::read(FILE)
    };
    let allowed: usize = value(&text, rule).map_or(0, |number| number.parse().unwrap());
    if found.len() > allowed {
        let mut list = String::new();
        for breach in found {
            let _ = writeln!(list, "  {breach}");
        }
        panic!(
            "{rule}: {} found, {allowed} allowed by {FILE}:\n{list}",
            found.len()
        );
    }
    if found.len() < allowed {
        if std::env::var_os("HOUSE_TIGHTEN").is_some() {
            lower(rule, found.len());
        } else if value(&text, "tightened") == Some("yes") {
            panic!(
                "{rule}: only {} found: lower {allowed} in {FILE} (HOUSE_TIGHTEN=1 does it)",
                found.len()
            );
        }
    }
}

fn value<'a>(text: &'a str, rule: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(" = "))
        .find(|(name, _)| *name == rule)
        .map(|(_, value)| value)
}

/// Writes a smaller number behind the rule, or removes the rule at 0; the file says from then on that it is tightened.
fn lower(rule: &str, number: usize) {
    let _writing = WRITING.lock().unwrap();
    let mut lines = Vec::new();
    for line in tree::read(FILE).lines() {
        match line.split_once(" = ") {
            Some((name, _)) if name == rule && number == 0 => {}
            Some((name, _)) if name == rule => lines.push(format!("{rule} = {number}")),
            Some(("tightened", _)) => lines.push("tightened = yes".to_owned()),
            _ => lines.push(line.to_owned()),
        }
    }
    std::fs::write(tree::root().join(FILE), lines.join("\n") + "\n").unwrap();
}
