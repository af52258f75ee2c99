//! Decisions: one page each, with context, decision and cost.

use crate::tree;

const LONGEST: usize = 60;
const SECTIONS: [&str; 3] = ["## Context", "## Decision", "## Cost"];

#[test]
fn each_decision_is_one_page_with_three_sections() {
    let index = tree::read("docs/decisions/README.md");
    let mut wrong = Vec::new();
    for path in tree::files()
        .iter()
        .filter(|path| path.starts_with("docs/decisions/0"))
    {
        let text = tree::read(path);
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        if heads != SECTIONS {
            wrong.push(format!("{path}: sections {heads:?}"));
        }
        if text.lines().count() > LONGEST {
            wrong.push(format!("{path}: {} lines", text.lines().count()));
        }
        let name = path.rsplit('/').next().unwrap();
        let title = text.lines().next().unwrap().trim_start_matches("# ");
        if !index.contains(&format!("[{title}]({name})")) {
            wrong.push(format!("{path}: the index does not have [{title}]({name})"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
