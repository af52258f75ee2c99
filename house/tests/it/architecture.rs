//! Claims of ARCHITECTURE.md about the invariants and the two servers.

use std::collections::BTreeSet;

use crate::tree;

/// Each invariant is cited by a test.
#[test]
fn each_invariant_has_a_test() {
    let text = tree::read("ARCHITECTURE.md");
    let stated: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("- **I")?.split(' ').next())
        .collect();
    assert_eq!(
        stated,
        BTreeSet::from(["1", "2", "3", "4", "5", "6", "7", "8"]),
        "the list of invariants"
    );
    let mut uncited = Vec::new();
    for number in stated {
        let name = format!("fn i{number}_");
        let cite = format!("I{number}");
        let cited = tree::sources()
            .iter()
            .filter(|source| source.is_test)
            .any(|source| {
                source.code.contains(&name)
                    || source
                        .comments
                        .iter()
                        .any(|comment| is_cited(&comment.text, &cite))
            });
        if !cited {
            uncited.push(cite);
        }
    }
    assert!(uncited.is_empty(), "no test cites {uncited:?}");
}

fn is_cited(text: &str, cite: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|word| word == cite)
}

/// A node knows conversations, participants and permissions; the name of a consult is on the wire only.
#[test]
fn a_node_does_not_know_consults() {
    let wire = ["consult_id", "consultation_id"];
    let mut found = Vec::new();
    for source in tree::product().filter(|source| source.path.starts_with("im-server/")) {
        let words = source
            .words()
            .filter(|(_, word)| word.to_lowercase().contains("consult"));
        found.extend(
            words
                .filter(|(_, word)| !wire.contains(word))
                .map(|(line, word)| format!("{}:{line} {word}", source.path)),
        );
    }
    assert!(found.is_empty(), "im-server knows of consults: {found:#?}");
}

/// Each server is a library, and its program wires only.
#[test]
fn each_server_is_a_library_with_a_thin_main() {
    for server in ["im-server", "api-server"] {
        let main = tree::read(&format!("{server}/src/main.rs"));
        assert!(
            tree::files().contains(&format!("{server}/src/lib.rs")),
            "{server} is no library"
        );
        assert!(
            main.lines().count() <= 160,
            "{server}/src/main.rs has {} lines",
            main.lines().count()
        );
    }
}
