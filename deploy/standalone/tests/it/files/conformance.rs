//! `docs/seed-conformance.md` names tests that exist, and every "done" names one that quotes its line.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All functions that are tests, in every crate of the workspace, with what stands above them.
fn tests(folder: &Path, found: &mut HashMap<String, String>) {
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
        let mut above = String::new();
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                in_test = true;
            } else if let Some(comment) = line.strip_prefix("///") {
                above.push_str(comment);
            } else if let Some((_, rest)) = line.split_once("fn ")
                && in_test
            {
                let end = rest.find(['(', '<']).unwrap_or(rest.len());
                found
                    .entry(rest[..end].to_owned())
                    .or_default()
                    .push_str(&std::mem::take(&mut above));
                in_test = false;
            } else if !line.starts_with("#[") && !line.starts_with("// protocol: ") {
                above.clear();
            }
        }
    }
}

#[test]
fn the_tests_that_the_conformance_page_names_exist() {
    let mut known = HashMap::new();
    tests(&root(), &mut known);
    let page = fs::read_to_string(root().join("docs/seed-conformance.md")).unwrap();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [quoted, _, state, named] = cells[..] else {
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
        let mut quotes = false;
        for name in &named {
            match known.get(*name) {
                Some(above) => quotes |= spaceless(above).contains(&spaceless(quoted)),
                None => wrong.push(format!("there is no test {name}")),
            }
        }
        if is_there && !quotes {
            wrong.push(format!("no test of the line quotes it: {quoted}"));
        }
    }
    assert!(rows > 40, "only {rows} rows were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn spaceless(text: &str) -> String {
    text.split_whitespace().collect()
}
