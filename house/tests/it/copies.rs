//! No two places in product code share twelve lines: the same to the letter, or of one shape with eight of twelve the same.
//!
//! Blank lines, comments, imports, attributes and lone punctuation do not count, and white space is folded.

use std::collections::{BTreeMap, HashMap};

use crate::source::Source;
use crate::{allowed, tree};

/// So many lines in common make a pair.
const SHARED: usize = 12;
/// So many of them are the same to the letter where only the shape is the same.
const TO_THE_LETTER: usize = 8;
/// A shape that stands in more places is an idiom of the language, such as the fields of a record.
const TOO_COMMON: usize = 16;

struct Line {
    number: usize,
    text: String,
    shape: String,
}

struct Place {
    file: usize,
    line: usize,
}

/// The first and the last line of a place.
type Range = (usize, usize);

#[test]
fn no_two_places_share_twelve_lines() {
    let sources: Vec<&Source> = tree::product().collect();
    let (same, alike) = pairs(&sources);
    allowed::check("pairs that share 12 lines", &same);
    allowed::check("pairs of one shape that share 8 of 12 lines", &alike);
}

/// The pairs of places that are the same to the letter, and those that are nearly so.
fn pairs(sources: &[&Source]) -> (Vec<String>, Vec<String>) {
    let files: Vec<Vec<Line>> = sources.iter().map(|source| lines(source)).collect();
    let mut same: BTreeMap<(usize, usize), (Range, Range)> = BTreeMap::new();
    let mut alike = same.clone();
    for places in windows(&files)
        .values()
        .filter(|places| (2..=TOO_COMMON).contains(&places.len()))
    {
        for (index, one) in places.iter().enumerate() {
            for other in &places[index + 1..] {
                if one.file == other.file && one.line.abs_diff(other.line) < SHARED {
                    continue;
                }
                let (a, b) = (
                    &files[one.file][one.line..][..SHARED],
                    &files[other.file][other.line..][..SHARED],
                );
                let equal = a.iter().zip(b).filter(|(a, b)| a.text == b.text).count();
                let found = match equal {
                    SHARED => &mut same,
                    TO_THE_LETTER.. => &mut alike,
                    _ => continue,
                };
                let (first, second) = (range(a), range(b));
                let pair = found.entry((one.file, other.file)).or_insert((first, second));
                pair.0 = join(pair.0, first);
                pair.1 = join(pair.1, second);
            }
        }
    }
    alike.retain(|pair, _| !same.contains_key(pair));
    let name = |((one, other), (a, b)): (&(usize, usize), &(Range, Range))| {
        format!(
            "{}:{}-{} ~ {}:{}-{}",
            sources[*one].path, a.0, a.1, sources[*other].path, b.0, b.1
        )
    };
    (same.iter().map(name).collect(), alike.iter().map(name).collect())
}

#[test]
fn a_copy_is_found_from_twelve_lines_on() {
    let text = |count: usize, changed: usize| -> String {
        let name = |line: usize| if line < changed { "other" } else { "value" };
        (0..count)
            .map(|line| format!("let {}_{line} = call_{line}(1);\n\n// why {line}\n", name(line)))
            .collect()
    };
    let source = |path: &str, count, changed| Source::new(path, &text(count, changed));
    let first = source("a/src/a.rs", 12, 0);
    for (count, changed, same, alike) in [(12, 0, 1, 0), (11, 0, 0, 0), (12, 4, 0, 1), (12, 5, 0, 0)] {
        let second = source("b/src/b.rs", count, changed);
        let found = pairs(&[&first, &second]);
        assert_eq!(
            (found.0.len(), found.1.len()),
            (same, alike),
            "{count} lines, {changed} changed: {found:?}"
        );
    }
}

fn range(lines: &[Line]) -> Range {
    (lines[0].number, lines[lines.len() - 1].number)
}

/// Two places of one pair of files as one, where they touch; else the first.
fn join(one: Range, other: Range) -> Range {
    if other.0 <= one.1 + 1 && one.0 <= other.1 + 1 {
        (one.0.min(other.0), one.1.max(other.1))
    } else {
        one
    }
}

/// Where each run of twelve lines stands, by its shape.
fn windows(files: &[Vec<Line>]) -> HashMap<Vec<&str>, Vec<Place>> {
    let mut windows: HashMap<Vec<&str>, Vec<Place>> = HashMap::new();
    for (file, lines) in files.iter().enumerate() {
        for (line, window) in lines.windows(SHARED).enumerate() {
            let shape = window.iter().map(|line| line.shape.as_str()).collect();
            windows.entry(shape).or_default().push(Place { file, line });
        }
    }
    windows
}

/// The lines of a file that count.
fn lines(source: &Source) -> Vec<Line> {
    let mut found = Vec::new();
    let (mut importing, mut attributing) = (false, false);
    for (index, (text, code)) in source.text.lines().zip(source.code.lines()).enumerate() {
        let trimmed = code.trim();
        importing |= ["use ", "pub use ", "pub(crate) use ", "mod ", "pub mod "]
            .iter()
            .any(|start| trimmed.starts_with(start));
        // An attribute may have many lines: the document of an endpoint is one.
        attributing |= trimmed.starts_with("#[");
        let counts = !importing && !attributing && trimmed.chars().any(char::is_alphanumeric);
        if importing && trimmed.ends_with(';') {
            importing = false;
        }
        attributing &= !trimmed.ends_with(']');
        if counts {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            found.push(Line {
                number: index + 1,
                text,
                shape: shape(trimmed),
            });
        }
    }
    found
}

/// A line with `x` for each name and `0` for each number; words of the language stay.
fn shape(code: &str) -> String {
    let mut shape = String::new();
    let mut word = String::new();
    for c in code.chars().chain(std::iter::once(' ')) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            let is_kept = KEYWORDS.contains(&word.as_str());
            shape.push_str(if is_kept {
                &word
            } else if is_number {
                "0"
            } else {
                "x"
            });
            word.clear();
        }
        if !c.is_whitespace() {
            shape.push(c);
        }
    }
    shape
}

const KEYWORDS: [&str; 27] = [
    "as", "async", "await", "break", "const", "continue", "else", "enum", "fn", "for", "if", "impl", "in",
    "let", "loop", "match", "move", "mut", "pub", "ref", "return", "self", "struct", "trait", "type",
    "where", "while",
];
