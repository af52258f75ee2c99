//! Figures that documents name are those of a constant in the code.

use crate::{allowed, tree};

/// A document, what it says, the room and the text of the constant behind it.
const FIGURES: &[(&str, &str, &str, &str)] = &[
    (
        "ARCHITECTURE.md",
        "four lanes",
        "fleet/journal/",
        "const LANES: usize = 4;",
    ),
    (
        "ARCHITECTURE.md",
        "`synchronous=FULL`",
        "fleet/database/",
        "\"synchronous\", \"FULL\"",
    ),
    (
        "ARCHITECTURE.md",
        "WAL mode",
        "fleet/database/",
        "\"journal_mode\", \"WAL\"",
    ),
    (
        "docs/decisions/0004-postgresql-append.md",
        "answered within 4.5 s",
        "fleet/journal/",
        "Duration::from_millis(4500)",
    ),
    (
        "docs/decisions/0004-postgresql-append.md",
        "the next 64 batches",
        "fleet/journal/",
        "const WARY_BATCHES: u32 = 64;",
    ),
    (
        "docs/decisions/0003-sqlite-append.md",
        "at most 2,048 entries",
        "fleet/journal/",
        "const MESSAGES: usize = 2048;",
    ),
    (
        "docs/decisions/0003-sqlite-append.md",
        "16 MiB in all",
        "fleet/journal/",
        "16 * 1024 * 1024",
    ),
    (
        "docs/protocol.md",
        "more than 256 refused messages",
        "fleet/journal/",
        "const MAX_REFUSED: usize = 256;",
    ),
    (
        "docs/protocol.md",
        "64 answers are owed",
        "im-server/",
        "const ANSWER_FRAMES: usize = 64;",
    ),
    (
        "docs/protocol.md",
        "9501 by default",
        "im-server/",
        "\"127.0.0.1:9501\"",
    ),
    (
        "docs/protocol.md",
        "`tls_port` (9503)",
        "im-server/",
        "\"127.0.0.1:9503\"",
    ),
    (
        "docs/protocol.md",
        "`ws_port` (9502)",
        "im-server/",
        "\"127.0.0.1:9502\"",
    ),
    (
        "docs/operations.md",
        "10⁹ higher",
        "fleet/journal/",
        "SEQUENCE_GAP: i64 = 1_000_000_000;",
    ),
    (
        "docs/protocol.md",
        "within 2 minutes",
        "fleet/journal/",
        "2 * 60 * 1000",
    ),
];

#[test]
fn figures_are_those_of_the_code() {
    let mut wrong = Vec::new();
    for (document, stated, room, constant) in FIGURES.iter().copied() {
        let text = tree::read(document)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if !text.contains(stated) {
            wrong.push(format!("{document} does not say “{stated}”"));
        }
        let mut room = tree::product().filter(|source| source.path.starts_with(room));
        if !room.any(|source| source.text.contains(constant)) {
            wrong.push(format!("{document}: “{stated}” is not {constant}"));
        }
    }
    allowed::check("figures that the code does not have", &wrong);
}

/// A default that docs/operations.md names behind a flag, as in `--max-sessions` (18000), is the flag's.
#[test]
fn defaults_are_those_of_the_flags() {
    let text = tree::read("docs/operations.md");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for part in text.split("`--").skip(1) {
        let Some((flag, rest)) = part.split_once("` (") else {
            continue;
        };
        let number = rest.split_once(')').map(|(number, _)| number).unwrap_or("");
        let is_flag = flag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_flag || number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
            continue;
        }
        seen += 1;
        let defaults = defaults(flag);
        if !defaults.iter().any(|default| default == number) {
            wrong.push(format!(
                "--{flag}: {number} in docs/operations.md, {defaults:?} in the code"
            ));
        }
    }
    assert!(seen >= 5, "docs/operations.md names {seen} defaults");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The defaults of a flag, without the underscores of numbers.
fn defaults(flag: &str) -> Vec<String> {
    let field = format!("pub {}:", flag.replace('-', "_"));
    let mut found = Vec::new();
    for source in tree::product() {
        for (at, _) in source.text.match_indices(&field) {
            let before = &source.text[..at];
            let attribute = &before[before.rfind("#[arg(").unwrap_or(at)..];
            let Some((_, value)) = attribute.split_once("default_value") else {
                continue;
            };
            let value = value
                .trim_start_matches("_t")
                .trim_start_matches(" = ")
                .trim_start_matches('"');
            found.push(
                value
                    .chars()
                    .take_while(|c| c.is_ascii_digit() || *c == '_')
                    .filter(|c| *c != '_')
                    .collect(),
            );
        }
    }
    found
}
