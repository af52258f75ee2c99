//! Paths and links in documents lead somewhere.

use crate::{allowed, tree};

/// Documents whose paths are held; the history in CHANGELOG.md may name what is gone.
const DOCUMENTS: [&str; 6] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "README.zh-CN.md",
    "SECURITY.md",
    "docs/operations.md",
];

/// The endings by which a word between backticks is a path.
const ENDINGS: [&str; 11] = [
    ".rs", ".md", ".toml", ".sql", ".proto", ".yml", ".yaml", ".json", ".py", ".conf", "/",
];

#[test]
fn paths_between_backticks_are_there() {
    let mut absent = Vec::new();
    for document in DOCUMENTS {
        let text = tree::read(document);
        for (index, line) in text.lines().enumerate() {
            // A room that is named before it is built.
            if line.contains("to come)") {
                continue;
            }
            let paths = spans(line)
                .into_iter()
                .filter(|span| is_path(span) && !is_there(span));
            absent.extend(paths.map(|path| format!("{document}:{} {path}", index + 1)));
        }
    }
    allowed::check("paths of documents that are not there", &absent);
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in tree::files().iter().filter(|path| path.ends_with(".md")) {
        let text = tree::read(document);
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = resolve(document, path);
            let is_there = tree::root().join(&target).exists();
            let has_anchor = anchor.is_empty()
                || (is_there && headings(&tree::read(&target)).iter().any(|it| it == anchor));
            if !is_there || !has_anchor {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "broken links: {broken:#?}");
}

/// The words between backticks.
fn spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Whether a word is a path of this tree: one with a folder, or of a file at the root; no placeholder, no command.
fn is_path(span: &str) -> bool {
    let is_plain = span
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-/*@".contains(c));
    let is_ours = [
        "api-server",
        "deploy",
        "docs",
        "fleet",
        "house",
        "im-server",
        "loadtest",
        "proto",
    ]
    .iter()
    .any(|room| span.strip_prefix(room).is_some_and(|rest| rest.starts_with('/')));
    is_plain && is_ours && (ENDINGS.iter().any(|ending| span.ends_with(ending)) || span.contains('.'))
}

fn is_there(path: &str) -> bool {
    tree::files().iter().any(|file| matches(path, file)) || tree::root().join(path).exists()
}

/// Whether a file is meant by a path of a document: itself, below a folder (`a/`), with `*` for one name.
pub(crate) fn matches(pattern: &str, file: &str) -> bool {
    let mut names = file.split('/');
    for part in pattern.split('/') {
        if part.is_empty() {
            return true;
        }
        let Some(name) = names.next() else { return false };
        let fits = part.split_once('*').map_or(part == name, |(start, end)| {
            name.starts_with(start) && name.ends_with(end)
        });
        if !fits {
            return false;
        }
    }
    names.next().is_none()
}

/// The rows of the table with this head: of each cell the words between backticks.
pub(crate) fn table(document: &str, head: &str) -> Vec<Vec<Vec<String>>> {
    let text = tree::read(document);
    let rows = text
        .lines()
        .skip_while(|line| *line != head)
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<Vec<String>>> = rows
        .map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells
                .map(|cell| spans(cell).into_iter().map(str::to_owned).collect())
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "{document} has no table {head}");
    rows
}

/// Targets of links inside the tree, without those in blocks of code.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("    ")) {
        for part in line.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or("");
            if !target.starts_with("http") && !target.contains(' ') {
                found.push(target);
            }
        }
    }
    found
}

fn resolve(document: &str, path: &str) -> String {
    if path.is_empty() {
        return document.to_owned();
    }
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The anchors of a document's headings, as GitHub makes them.
fn headings(text: &str) -> Vec<String> {
    let heads = text.lines().filter(|line| line.starts_with('#'));
    heads
        .map(|head| {
            let head = head.trim_start_matches('#').trim().to_lowercase();
            let kept = head
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}
