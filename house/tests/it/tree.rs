//! The files of the workspace.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::source::Source;

/// The folders at the root that hold code and documents.
const ROOMS: [&str; 8] = [
    "api-server",
    "deploy",
    "docs",
    "fleet",
    "house",
    "im-server",
    "loadtest",
    "proto",
];

/// Where the workspace lies.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The paths of all files below the rooms and of those at the root, from the root, in order.
pub(crate) fn files() -> &'static [String] {
    static FILES: OnceLock<Vec<String>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut found = Vec::new();
        for room in ROOMS {
            walk(&root().join(room), &mut found);
        }
        let mut paths: Vec<String> = found.iter().map(|path| below_root(path)).collect();
        let top = std::fs::read_dir(root())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        paths.extend(top.filter(|path| path.is_file()).map(|path| below_root(&path)));
        paths.sort();
        paths
    })
}

/// All Rust files, read.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let rust = files().iter().filter(|path| path.ends_with(".rs"));
        let mut sources: Vec<Source> = rust.map(|path| Source::new(path, &read(path))).collect();
        let tests: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
        for source in &mut sources {
            source.is_test |= tests.iter().any(|module| {
                let rest = source.path.strip_prefix(module);
                rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            });
        }
        sources
    })
}

/// The Rust files of programs and libraries: no tests, no examples.
pub(crate) fn product() -> impl Iterator<Item = &'static Source> {
    sources().iter().filter(|source| !source.is_test)
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn below_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

/// Adds the files below `folder`, but for those that a build or a run leaves there.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') || ["target", "node_modules", "data", "__pycache__"].contains(&name) {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}
