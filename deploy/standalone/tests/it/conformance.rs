//! `docs/seed-conformance.md` names tests that exist, and every "done" names one.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of all functions that are tests, in every crate of the workspace.
fn tests(folder: &Path, found: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                tests(&path, found);
            }
            continue;
        }
        if !name.ends_with(".rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut in_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                in_test = true;
            } else if let Some((_, rest)) = line.split_once("fn ")
                && in_test
            {
                let end = rest.find(['(', '<']).unwrap_or(rest.len());
                found.insert(rest[..end].to_owned());
                in_test = false;
            }
        }
    }
}

#[test]
fn the_tests_that_the_conformance_page_names_exist() {
    let mut known = HashSet::new();
    tests(&root(), &mut known);
    let page = fs::read_to_string(root().join("docs/seed-conformance.md")).unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, state, named] = cells[..] else {
            continue;
        };
        if matches!(state, "state" | "---") {
            continue;
        }
        rows += 1;
        let named: Vec<&str> = named
            .split(',')
            .map(|name| name.trim().trim_matches('`'))
            .filter(|name| !name.is_empty())
            .collect();
        let is_there = state == "done" || state.starts_with("part: ");
        if is_there == named.is_empty() || (!is_there && !state.starts_with("not yet")) {
            wrong.push(format!("state and test do not go together: {line}"));
        }
        for name in named {
            if !known.contains(name) {
                wrong.push(format!("there is no test {name}"));
            }
        }
    }
    assert!(rows > 40, "only {rows} rows were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
