//! `use` declarations and paths as lists of segments.

use crate::source::Source;

/// A path of a `use` declaration, and the name that it brings in.
pub(crate) struct Use {
    pub(crate) path: Vec<String>,
    pub(crate) name: String,
}

/// All that the `use` declarations of a file bring in, one path each.
pub(crate) fn uses(source: &Source) -> Vec<Use> {
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("use ") {
        let before = &source.code[..at];
        let head = before.rsplit(['\n', ';', '}', '{']).next().unwrap_or("").trim();
        if !head.is_empty() && !head.starts_with("pub") {
            continue;
        }
        let Some(end) = source.code[at..].find(';') else {
            continue;
        };
        let tree: String = source.code[at + 4..at + end]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        expand(&tree, &[], &mut found);
    }
    found
}

fn expand(tree: &str, prefix: &[String], found: &mut Vec<Use>) {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let mut path = prefix.to_vec();
        path.extend(segments(&tree[..open]));
        let inside = tree[open + 1..].trim_end().trim_end_matches('}');
        let inside = if tree.ends_with('}') {
            &tree[open + 1..tree.len() - 1]
        } else {
            inside
        };
        for part in parts(inside) {
            expand(part, &path, found);
        }
    } else if !tree.is_empty() {
        let (path, name) = tree
            .split_once(" as ")
            .map_or((tree, None), |(path, name)| (path, Some(name.trim())));
        let mut all = prefix.to_vec();
        all.extend(segments(path));
        if all.last().is_some_and(|last| last == "self") {
            all.pop();
        }
        let name = name.map_or_else(|| all.last().cloned().unwrap_or_default(), str::to_owned);
        found.push(Use { path: all, name });
    }
}

fn segments(path: &str) -> impl Iterator<Item = String> {
    path.split("::")
        .map(str::trim)
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
}

/// The parts of a list in braces, at its own level.
fn parts(inside: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut from) = (0, 0);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                found.push(&inside[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&inside[from..]);
    found
}

/// Paths outside of `use` that begin at the crate or above the module: their first segments.
pub(crate) fn paths(source: &Source) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in source.code.match_indices(start) {
            let before = source.code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let path = source.code[at..]
                .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                .next()
                .unwrap_or("");
            found.push(segments(path).collect());
        }
    }
    found
}
