//! How long files and functions are, and how many names a folder shows.

use std::collections::{BTreeMap, BTreeSet};

use crate::{allowed, tree};

const LONGEST_FILE: usize = 500;
const LONGEST_TEST_FILE: usize = 499;
const LONGEST_FUNCTION: usize = 160;
const MOST_NAMES: usize = 10;
const MOST_ROOT_FILES: usize = 8;

#[test]
fn no_file_is_too_long() {
    let mut files = Vec::new();
    let mut tests = Vec::new();
    for source in tree::sources() {
        let lines = source.text.lines().count();
        let breach = format!("{} {lines}", source.path);
        if source.is_test && lines > LONGEST_TEST_FILE {
            tests.push(breach);
        } else if !source.is_test && lines > LONGEST_FILE {
            files.push(breach);
        }
    }
    allowed::check("files over 500 lines", &files);
    allowed::check("test files of 500 lines and more", &tests);
}

#[test]
fn no_function_is_too_long() {
    let mut found = Vec::new();
    for source in tree::product() {
        let long = source
            .functions()
            .into_iter()
            .filter(|function| function.lines > LONGEST_FUNCTION);
        found.extend(long.map(|long| format!("{}:{} {} {}", source.path, long.line, long.name, long.lines)));
    }
    allowed::check("functions over 160 lines", &found);
}

/// Median and 95th percentile stay about where they are: files 124 and 357, functions 8 and 37 on 28 November.
#[test]
fn files_and_functions_stay_short() {
    let mut files: Vec<usize> = tree::product()
        .map(|source| source.text.lines().count())
        .collect();
    let mut functions: Vec<usize> = tree::product()
        .flat_map(|source| source.functions())
        .map(|function| function.lines)
        .collect();
    let (files, functions) = (quantiles(&mut files), quantiles(&mut functions));
    println!("files {files:?}, functions {functions:?} (median, 95th percentile, largest)");
    assert!(files.0 <= 125 && files.1 <= 360, "files: {files:?}");
    assert!(functions.0 <= 9 && functions.1 <= 40, "functions: {functions:?}");
}

fn quantiles(numbers: &mut [usize]) -> (usize, usize, usize) {
    numbers.sort_unstable();
    let last = numbers.len() - 1;
    (numbers[last / 2], numbers[last * 95 / 100], numbers[last])
}

#[test]
fn a_folder_shows_few_names() {
    let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in tree::files()
        .iter()
        .filter(|path| path.contains("/src/") && !is_data(path))
    {
        let mut child = path.as_str();
        while let Some((folder, name)) = child.rsplit_once('/') {
            folders
                .entry(folder.to_owned())
                .or_default()
                .insert(name.to_owned());
            if folder.ends_with("/src") {
                break;
            }
            child = folder;
        }
    }
    let mut crowded = Vec::new();
    let mut roots = Vec::new();
    for (folder, names) in &folders {
        if folder.ends_with("/src") {
            let files = names.iter().filter(|name| name.ends_with(".rs")).count();
            if files > MOST_ROOT_FILES {
                roots.push(format!("{folder} {files} files"));
            }
        } else if nouns(names).len() > MOST_NAMES {
            crowded.push(format!("{folder} {} names", nouns(names).len()));
        }
    }
    allowed::check("folders over 10 names", &crowded);
    allowed::check("crate roots over 8 files", &roots);
}

fn is_data(path: &str) -> bool {
    path.contains("/testdata/") || !path.ends_with(".rs")
}

/// The names as a reader counts them: `x.rs`, `x_tests.rs` and the folder `x` are one noun, and `mod.rs` is the folder itself.
fn nouns(names: &BTreeSet<String>) -> BTreeSet<&str> {
    let stems = names
        .iter()
        .map(|name| name.trim_end_matches(".rs").trim_end_matches("_tests"));
    stems.filter(|stem| *stem != "mod" && *stem != "tests").collect()
}

/// A folder is one idea: no room for what has no name of its own.
#[test]
fn no_file_is_named_after_a_layer() {
    let layers = [
        "utils", "util", "common", "helpers", "helper", "misc", "types", "models", "manager", "service",
    ];
    let mut found = Vec::new();
    for source in tree::product() {
        let parts = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
        if parts.clone().any(|part| layers.contains(&part)) {
            found.push(source.path.clone());
        }
    }
    allowed::check("files named after a layer", &found);
}
