//! Domains import each other in one direction only. Where an effect must go the other way, the lower domain raises an event
//! (src/subscribers.rs).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Folders of `src` that every domain stands on.
const FLOOR: [&str; 5] = ["app", "caller", "error", "http", "settings"];

/// Root modules that stand on the domains.
const ROOF: [&str; 6] = ["assembly", "background", "lib", "routes", "subscribers", "write"];

/// Pairs of domains that still import each other: none, and none is added.
const KNOWN: [[&str; 2]; 0] = [];

/// The importing module, the imported one, and a file with such an import.
type Imports = BTreeMap<(String, String), PathBuf>;

pub(crate) fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

pub(crate) fn domains() -> BTreeSet<String> {
    let entries = fs::read_dir(source()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders
        .map(|folder| folder.file_name().into_string().unwrap())
        .filter(|name| !FLOOR.contains(&name.as_str()) && !ROOF.contains(&name.as_str()))
        .collect()
}

pub(crate) fn files_of(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_of(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The root modules that a text names by `crate::…`.
fn imported(text: &str) -> BTreeSet<String> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect();
    let code = code.join("\n");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(tree) = rest.strip_prefix('{') {
            names.extend(branches(tree).into_iter().filter(|name| !name.is_empty()));
        } else {
            names.insert(word(rest));
        }
    }
    names
}

/// The first word of each branch of a use tree.
fn branches(tree: &str) -> Vec<String> {
    let (mut depth, mut start, mut words) = (0, 0, Vec::new());
    for (at, character) in tree.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                words.push(word(&tree[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                words.push(word(&tree[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    words
}

fn word(text: &str) -> String {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    text[..end.unwrap_or(text.len())].to_owned()
}

fn imports() -> Imports {
    let mut imports = Imports::new();
    for domain in domains() {
        let mut files = Vec::new();
        files_of(&source().join(&domain), &mut files);
        for file in files {
            for name in imported(&fs::read_to_string(&file).unwrap()) {
                if name != domain {
                    imports.entry((domain.clone(), name)).or_insert(file.clone());
                }
            }
        }
    }
    imports
}

fn reaches(imports: &Imports, from: &str, to: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        let next = imports.keys().filter(|(importing, _)| importing == at);
        for (_, imported) in next {
            if imported == to {
                return true;
            }
            if seen.insert(imported.as_str()) {
                open.push(imported);
            }
        }
    }
    false
}

/// The imports on a circle.
fn circles(imports: &Imports) -> Vec<(String, String)> {
    let pairs = imports.keys();
    pairs.filter(|(a, b)| reaches(imports, b, a)).cloned().collect()
}

#[test]
fn domains_import_each_other_in_one_direction() {
    let imports = imports();
    let domains = domains();
    assert!(domains.len() >= 10, "{domains:?}");
    let between: Imports = imports
        .iter()
        .filter(|((_, imported), _)| domains.contains(imported))
        .map(|(pair, file)| (pair.clone(), file.clone()))
        .collect();
    assert!(reaches(&between, "vas", "team"), "imports are found");
    let known = |a: &str, b: &str| KNOWN.contains(&[a, b]) || KNOWN.contains(&[b, a]);
    let circles = circles(&between);
    let new: Vec<_> = circles.iter().filter(|(a, b)| !known(a, b)).collect();
    for pair in &new {
        println!("{} imports {}: {}", pair.0, pair.1, between[*pair].display());
    }
    assert!(new.is_empty(), "imports on a circle: {new:?}");
    for [a, b] in KNOWN {
        assert!(
            circles.contains(&(a.into(), b.into())),
            "{a} and {b} are no circle any more"
        );
    }
}

#[test]
fn domains_do_not_import_what_stands_on_them() {
    for ((domain, imported), file) in imports() {
        assert!(
            !ROOF.contains(&imported.as_str()),
            "{domain} imports {imported}: {}",
            file.display()
        );
    }
}

#[test]
fn a_circle_is_found() {
    let text = "// crate::no\nuse crate::{\n    a::{b, c},\n    d,\n    e::{self, f::g},\n};\nfn h() { crate::i::j() }";
    assert_eq!(
        imported(text).into_iter().collect::<Vec<_>>(),
        ["a", "d", "e", "i"]
    );
    let import = |a: &str, b: &str| ((a.to_owned(), b.to_owned()), PathBuf::new());
    let mut imports = Imports::from([import("a", "b"), import("b", "c"), import("d", "a")]);
    assert_eq!(circles(&imports), []);
    imports.extend([import("c", "a")]);
    assert_eq!(circles(&imports).len(), 3);
}
