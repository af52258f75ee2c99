//! Figures that documents name are those of a constant in the code.

use crate::{allowed, tree};

/// A document, what it says, the room and the text of the constant behind it.
const FIGURES: [(&str, &str, &str, &str); 10] = [
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
        "within 2 minutes",
        "fleet/journal/",
        "2 * 60 * 1000",
    ),
];

#[test]
fn figures_are_those_of_the_code() {
    let mut wrong = Vec::new();
    for (document, stated, room, constant) in FIGURES {
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
