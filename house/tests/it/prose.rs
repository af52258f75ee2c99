//! Sentences of a Markdown document.

/// The sentences of the text and the rows of its tables, on one line each, without marks. Headings, blocks of code and what is
/// generated are left out.
pub(crate) fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut paragraph = String::new();
    let (mut generated, mut code) = (false, false);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        code ^= trimmed.starts_with("```");
        if trimmed.starts_with("<!--") {
            generated = trimmed.contains("generated:");
        }
        let is_row = trimmed.starts_with('|');
        let begins = is_item(trimmed) || is_row || trimmed.is_empty() || trimmed.starts_with('#');
        if begins || generated || code {
            split(&std::mem::take(&mut paragraph), &mut found);
        }
        let is_head = is_row && lines.peek().is_some_and(|next| next.starts_with("|--"));
        let is_text =
            !trimmed.starts_with(['#', '<']) && !trimmed.starts_with("```") && !trimmed.starts_with("|--");
        if generated || code || is_head || !is_text {
            continue;
        }
        if is_row {
            found.push(plain(trimmed.trim_matches('|')));
        } else {
            paragraph.push(' ');
            paragraph.push_str(without_mark(trimmed));
        }
    }
    split(&paragraph, &mut found);
    found
}

fn is_item(line: &str) -> bool {
    without_mark(line).len() < line.len()
}

/// A line without the mark of a list's item.
fn without_mark(line: &str) -> &str {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    line.strip_prefix("- ")
        .or_else(|| line[digits..].strip_prefix(". ").filter(|_| digits > 0))
        .unwrap_or(line)
}

/// Text without emphasis, backticks and targets of links, in single spaces.
pub(crate) fn plain(text: &str) -> String {
    let mut text = text.replace("**", "").replace('`', "");
    while let Some(at) = text.find("](") {
        let end = text[at..].find(')').map_or(text.len(), |end| at + end + 1);
        text.replace_range(at..end, "");
    }
    let text = text.replace('[', "");
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_start_matches('*')
        .replace(".* ", ". ")
}

/// A sentence ends with a full stop before a space and something that begins one.
fn split(paragraph: &str, found: &mut Vec<String>) {
    let text = plain(paragraph);
    let mut from = 0;
    for (at, _) in text.match_indices(". ") {
        let next = text[at + 2..].chars().next();
        let is_end = next.is_some_and(|c| {
            c.is_uppercase() || c == '/' || c.is_lowercase() && starts_with_name(&text[at + 2..])
        });
        if is_end {
            found.push(text[from..=at].trim().to_owned());
            from = at + 2;
        }
    }
    let last = text[from..].trim();
    if !last.is_empty() {
        found.push(last.to_owned());
    }
}

/// Whether a sentence begins with a name in lower case, as `tls_port` or `errors.md`.
fn starts_with_name(text: &str) -> bool {
    let word = text.split(' ').next().unwrap_or("");
    word.contains('_') || word.trim_end_matches('.').contains('.')
}

#[test]
fn sentences_are_split_at_full_stops() {
    let text = "# Head\n\nOne `a_b` is 0. It **may**\nend. a_b too.\n\n- item: e.g. this\n  goes on\n\n| a | b |\n|---|---|\n| `x` | 1. y |\n\
                \n<!-- generated: it -->\n| no | row |\n<!-- end of generated -->\n```\nno code. Never.\n```\n";
    let expected = [
        "One a_b is 0.",
        "It may end.",
        "a_b too.",
        "item: e.g. this goes on",
        "x | 1. y",
    ];
    assert_eq!(sentences(text), expected);
}
