//! Which modules of a crate import each other: a circle is allowed inside one folder only.
//!
//! The modules are those of a crate's root. What the root itself re-exports counts as an import of its home.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;
use crate::use_tree::{paths, uses};
use crate::{allowed, tree};

type Imports = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for root in crates() {
        let imports = imports(&root);
        for circle in circles(&imports) {
            // A circle of n modules is n breaches, so that a smaller one is progress.
            for from in &circle {
                let edges = imports[from].iter().filter(|(to, _)| circle.contains(*to));
                let edges: Vec<String> = edges.map(|(to, file)| format!("{to} ({file})")).collect();
                found.push(format!("{root}: {from} → {}", edges.join(", ")));
            }
        }
    }
    allowed::check("modules in an import circle", &found);
}

/// The `src` folders of the crates.
fn crates() -> BTreeSet<String> {
    tree::product()
        .filter_map(|source| {
            source
                .path
                .split_once("/src/")
                .map(|(root, _)| format!("{root}/src"))
        })
        .collect()
}

fn imports(root: &str) -> Imports {
    let inside = |source: &&Source| {
        source
            .path
            .strip_prefix(root)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let sources: Vec<&Source> = tree::product().filter(inside).collect();
    let modules: BTreeSet<String> = sources
        .iter()
        .map(|source| module(source, root).remove(0))
        .collect();
    let mut homes = BTreeMap::new();
    for source in sources.iter().filter(|source| is_root(source, root)) {
        for used in uses(source) {
            let first = used
                .path
                .iter()
                .find(|segment| !["crate", "self"].contains(&segment.as_str()));
            if let Some(first) = first.filter(|first| modules.contains(*first)) {
                homes.insert(used.name, first.clone());
            }
        }
    }
    let mut imports: Imports = modules
        .iter()
        .map(|module| (module.clone(), BTreeMap::new()))
        .collect();
    for source in &sources {
        let place = module(source, root);
        if is_root(source, root) {
            continue;
        }
        let used = uses(source).into_iter().map(|used| used.path);
        for path in used.chain(paths(source)) {
            let Some(first) = first_segment(&path, &place) else {
                continue;
            };
            let target = homes
                .get(&first)
                .filter(|_| !modules.contains(&first))
                .unwrap_or(&first);
            if *target != place[0] && modules.contains(target) {
                imports
                    .get_mut(&place[0])
                    .unwrap()
                    .entry(target.clone())
                    .or_insert_with(|| source.path.clone());
            }
        }
    }
    imports
}

fn is_root(source: &Source, root: &str) -> bool {
    ["lib.rs", "main.rs"]
        .iter()
        .any(|name| source.path == format!("{root}/{name}"))
}

/// The module path of a file: `a/b.rs` is `[a, b]`, `a/mod.rs` is `[a]`.
fn module(source: &Source, root: &str) -> Vec<String> {
    let inside = source.path[root.len() + 1..].trim_end_matches(".rs");
    let mut path: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if path.len() > 1 && path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// The module of the root that a path of a file at `place` leads to.
fn first_segment(path: &[String], place: &[String]) -> Option<String> {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    match path.first()?.as_str() {
        "crate" => path.get(1).cloned(),
        "super" if supers >= place.len() => path.get(supers).cloned(),
        _ => None,
    }
}

/// The sets of modules that reach each other.
fn circles(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|from| (from, reach(imports, from))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for from in imports.keys() {
        if found.iter().any(|circle| circle.contains(from)) || !reached[from].contains(from) {
            continue;
        }
        let circle = reached[from]
            .iter()
            .filter(|to| reached[**to].contains(from))
            .map(|to| (*to).clone());
        found.push(circle.collect());
    }
    found
}

fn reach<'a>(imports: &'a Imports, from: &'a String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = imports[from].keys().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(imports[module].keys());
        }
    }
    reached
}

#[test]
fn a_circle_is_found_and_a_chain_is_none() {
    let imports = |edges: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in edges {
            imports.entry((*to).to_owned()).or_default();
            imports
                .entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned(), String::new());
        }
        imports
    };
    assert!(circles(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let found = circles(&imports(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]));
    assert_eq!(found, [BTreeSet::from(["b".to_owned(), "c".to_owned()])]);
}

#[test]
fn imports_are_read_from_uses_paths_and_re_exports() {
    let source = Source::new(
        "x/src/a/b.rs",
        "use crate::{c::{D, self}, e};\npub(crate) use super::f::G;\nfn h() { crate::i::j(); super::super::k::l(); }\n",
    );
    let place = module(&source, "x/src");
    let used = uses(&source)
        .into_iter()
        .map(|used| used.path)
        .chain(paths(&source));
    let mut firsts: Vec<String> = used.filter_map(|path| first_segment(&path, &place)).collect();
    firsts.sort();
    firsts.dedup();
    assert_eq!(firsts, ["c", "e", "i", "k"]);
}
