//! docs/protocol.md is cited beside its code and beside its test.
//!
//! A comment `// protocol: "Before the first Sync no entry is sent"` quotes a part of one sentence or of one row, as it
//! reads without marks; it may go on over several comment lines. `house/protocol.txt` lists the sentences that lack a citation:
//! `about` (nothing that a program does, though a test may hold it), or what they lack (`code`, `test`, `both`). The list only shrinks; `HOUSE_TIGHTEN=1` shortens it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::prose::{plain, sentences};
use crate::source::Source;
use crate::tree;

const LIST: &str = "house/protocol.txt";
const MARK: &str = "protocol: \"";
/// A quotation is longer, so that it names one sentence for a reader as well.
const SHORTEST: usize = 12;

#[derive(Clone, Copy, Default)]
struct Cited {
    code: bool,
    test: bool,
}

impl Cited {
    /// The missing citation of a sentence.
    fn lack(self) -> &'static str {
        match (self.code, self.test) {
            (true, true) => "nothing",
            (false, true) => "code",
            (true, false) => "test",
            (false, false) => "both",
        }
    }
}

#[test]
fn each_citation_quotes_one_sentence_and_each_sentence_is_cited_or_listed() {
    let stated = sentences(&tree::read("docs/protocol.md"));
    let (cited, wrong) = cited(&stated);
    assert!(
        wrong.is_empty(),
        "citations that quote no sentence of docs/protocol.md, or several:\n{}",
        wrong.join("\n")
    );

    let text = tree::read(LIST);
    let listed: BTreeMap<&str, &str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(lack, it)| (it, lack))
        .collect();
    let mut uncited = String::new();
    let mut needless = Vec::new();
    for (sentence, cited) in stated.iter().zip(&cited) {
        let lack = cited.lack();
        let allowed = listed.get(sentence.as_str()).copied().unwrap_or("nothing");
        if allowed == lack || (allowed == "about" && ["both", "code"].contains(&lack)) {
            continue;
        }
        if allowed == "both" || lack == "nothing" {
            needless.push((sentence.as_str(), lack));
        } else {
            let _ = writeln!(uncited, "{lack} {sentence}");
        }
    }
    assert!(
        uncited.is_empty(),
        "sentences of docs/protocol.md without a citation in code, in a test, or in both:\n{uncited}"
    );

    let gone: Vec<&str> = listed
        .keys()
        .filter(|it| !stated.iter().any(|sentence| sentence == **it))
        .copied()
        .collect();
    if std::env::var_os("HOUSE_TIGHTEN").is_some() {
        tighten(&text, &needless, &gone);
    } else {
        assert!(
            needless.is_empty() && gone.is_empty(),
            "{LIST} lists too much (HOUSE_TIGHTEN=1 shortens it): {needless:#?} {gone:#?}"
        );
    }
}

/// Where each sentence is cited; and the citations that are of no sentence, or of more than one.
fn cited(stated: &[String]) -> (Vec<Cited>, Vec<String>) {
    let mut cited = vec![Cited::default(); stated.len()];
    let mut wrong = Vec::new();
    for source in tree::sources()
        .iter()
        .filter(|source| !source.path.starts_with("house/"))
    {
        for (line, quoted) in quotations(source) {
            let found: Vec<usize> = (0..stated.len())
                .filter(|at| stated[*at].contains(&quoted))
                .collect();
            match found[..] {
                [at] if quoted.len() >= SHORTEST => {
                    // Comments of a test module within a file count as its test's.
                    let is_test = source.is_test || is_in_test_module(source, line);
                    cited[at].test |= is_test;
                    cited[at].code |= !is_test;
                }
                _ => wrong.push(format!("{}:{line} {} of “{quoted}”", source.path, found.len())),
            }
        }
    }
    (cited, wrong)
}

/// A test module stands at the end of its file.
fn is_in_test_module(source: &Source, line: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().take(line).map(str::trim).collect();
    lines
        .windows(2)
        .any(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{'))
}

/// The quotations of a file's comments, with the number of their first line.
fn quotations(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut comments = source.comments.iter();
    while let Some(comment) = comments.next() {
        let Some((_, quoted)) = comment.text.split_once(MARK) else {
            continue;
        };
        let mut quoted = quoted.to_owned();
        while !quoted.contains('"') {
            let Some(next) = comments.next() else { break };
            quoted.push(' ');
            quoted.push_str(next.text.trim_start_matches(['/', '!']).trim());
        }
        let quoted = quoted.split('"').next().unwrap_or("");
        found.push((comment.line, plain(quoted)));
    }
    found
}

fn tighten(text: &str, needless: &[(&str, &str)], gone: &[&str]) {
    let mut kept = String::new();
    for line in text.lines() {
        let sentence = line.split_once(' ').map_or("", |(_, sentence)| sentence);
        let lack = needless
            .iter()
            .find(|(needless, _)| *needless == sentence)
            .map(|(_, lack)| *lack);
        if line.starts_with('#') || (lack.is_none() && !gone.contains(&sentence)) {
            let _ = writeln!(kept, "{line}");
        } else if let Some(lack) = lack.filter(|lack| *lack != "nothing") {
            let _ = writeln!(kept, "{lack} {sentence}");
        }
    }
    std::fs::write(tree::root().join(LIST), kept).unwrap();
}
