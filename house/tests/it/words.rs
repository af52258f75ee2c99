//! The glossary of CONTRIBUTING.md, where a program can decide.

use crate::links::table;
use crate::source::Source;
use crate::{allowed, tree};

/// Comment lines that begin with these have no subject.
const NO_SUBJECT: [&str; 4] = ["what", "whoever", "somebody", "nobody"];

/// Phrases that stand for a term of the field, each with the term.
const PHRASES: [(&str, &str); 9] = [
    ("is told", "is logged, is sent, learns"),
    ("are told", "are logged, are sent, learn"),
    ("let go", "drop"),
    ("lets go", "drops"),
    ("so many", "a number and its unit"),
    ("room for", "capacity for"),
    ("whoever", "the caller, the client, the user"),
    ("somebody", "a user, a participant, another process"),
    ("taken up", "processed, dequeued"),
];

/// Parts of identifiers with the rooms where they are wrong, each with the glossary's word.
const PARTS: [(&str, &str, &str); 7] = [
    ("fleet/journal/", "claim", "index an entry"),
    ("", "person", "user"),
    ("", "people", "users"),
    ("", "somebody", "user"),
    ("", "told", "describe, log"),
    ("", "let_go", "drop"),
    ("im-server/", "has_room", "has_capacity"),
];

#[test]
fn comments_have_a_subject() {
    let mut found = Vec::new();
    for source in tree::sources() {
        for (line, text) in comment_lines(source) {
            let first = text
                .split(|c: char| !c.is_alphabetic())
                .next()
                .unwrap_or("")
                .to_lowercase();
            if NO_SUBJECT.contains(&first.as_str()) {
                found.push(format!("{}:{line} {text}", source.path));
            }
        }
    }
    allowed::check(
        "comment lines that begin with what, whoever, somebody, nobody",
        &found,
    );
}

#[test]
fn comments_use_the_terms_of_the_field() {
    for (phrase, term) in PHRASES {
        let mut found = Vec::new();
        for source in tree::sources()
            .iter()
            .filter(|source| !source.path.starts_with("house/"))
        {
            for (line, text) in comment_lines(source) {
                if holds(&text.to_lowercase(), phrase) {
                    found.push(format!("{}:{line} {text} (better: {term})", source.path));
                }
            }
        }
        allowed::check(&format!("comments with “{phrase}”"), &found);
    }
}

#[test]
fn names_use_the_glossary() {
    for (room, part, term) in PARTS {
        let mut found = Vec::new();
        for source in tree::product().filter(|source| source.path.starts_with(room)) {
            let words = source.words().filter(|(_, word)| has_part(&snake(word), part));
            let mut names: Vec<&str> = words.map(|(_, word)| word).collect();
            names.sort_unstable();
            names.dedup();
            found.extend(
                names
                    .iter()
                    .map(|name| format!("{} {name} (better: {term})", source.path)),
            );
        }
        allowed::check(&format!("names with “{part}”"), &found);
    }
}

/// Users read a type of JSON, never one of Rust.
#[test]
fn sentences_name_no_type_of_rust() {
    let types = [
        "i64", "u64", "i32", "u32", "usize", "f64", "bool", "Vec<", "Option<",
    ];
    let mut found = Vec::new();
    for source in tree::product().filter(|source| !source.path.starts_with("loadtest/")) {
        for string in &source.strings {
            let is_sentence = string.text.contains(' ') && !string.text.contains("SELECT");
            if is_sentence && types.iter().any(|name| holds(&string.text, name)) {
                found.push(format!("{}:{} {}", source.path, string.line, string.text));
            }
        }
    }
    allowed::check("sentences with a type of Rust", &found);
}

/// A glossary that is longer is not learnt.
#[test]
fn the_glossary_fits_a_page() {
    let words = table("CONTRIBUTING.md", "| word | meaning | not |");
    assert!(words.len() <= 40, "{} words", words.len());
}

/// The lines of all comments, without the marks of a comment.
fn comment_lines(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for comment in &source.comments {
        for (index, line) in comment.text.lines().enumerate() {
            let text = line.trim().trim_start_matches(['/', '!', '*']).trim();
            found.push((comment.line + index, text.to_owned()));
        }
    }
    found
}

/// Whether the phrase stands in the text as words of their own.
fn holds(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let after = text[at + phrase.len()..]
            .chars()
            .next()
            .is_some_and(char::is_alphanumeric);
        !before && !after
    })
}

/// Whether a name in lower case has the part as words of its own; of `claim` also its other forms. An invitation in person
/// keeps its name.
fn has_part(name: &str, part: &str) -> bool {
    let name = name.replace("in_person", "");
    format!("_{name}_").contains(&format!("_{part}_")) || (part == "claim" && name.contains(part))
}

/// `OneName` as `one_name`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}
