//! Escapes peers' text, so that it cannot control the terminal or deceive its reader.

use std::fmt::Write;

/// Escapes text to one line. Characters that move the cursor, clear the screen or change the direction become visible.
pub(in super::super) fn line(text: &str) -> String {
    escaped(text, " ")
}

/// Escapes text and keeps its lines. Each after the first is indented, so that a peer cannot forge another's line.
pub(in super::super) fn lines(text: &str, indent: &str) -> String {
    escaped(text, &format!("\n{indent}"))
}

/// Escapes the hidden characters that JSON itself leaves as they are.
pub(in super::super) fn json(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    for c in line.chars() {
        if steers(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
    }
    clean
}

fn escaped(text: &str, line_break: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut clean = String::with_capacity(text.len());
    for c in text.trim_end_matches('\n').chars() {
        match c {
            '\n' | '\r' => clean.push_str(line_break),
            '\t' => clean.push(' '),
            c if steers(c) => {
                let _ = write!(clean, "<U+{:04X}>", u32::from(c));
            }
            c => clean.push(c),
        }
    }
    clean
}

/// Controls, line separators, directional marks and zero-width characters, except the joiners of emoji and scripts.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers() {
        let hostile = "a\x1b[2J\u{9b}2J\x07\x08\u{202e}b\u{2066}\u{200b}\x7f\u{2028}\u{e0041}";
        for clean in [line(hostile), lines(hostile, ""), json(hostile)] {
            assert!(!clean.contains(steers), "{clean:?}");
        }
        assert_eq!(line("a\x1b[2J"), "a<U+001B>[2J");
        assert_eq!(line("a\r\nb\tc\n"), "a b c");
        assert_eq!(lines("a\r\nb\rc\n\n", "  "), "a\n  b\n  c");
        assert_eq!(line("👨‍👩‍👧 体温"), "👨‍👩‍👧 体温");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "a\u{9b}\u{202e}\u{e0041}\u{7f}";
        let clean = json(&serde_json::to_string(text).unwrap());
        assert_eq!(serde_json::from_str::<String>(&clean).unwrap(), text);
        assert!(clean.is_ascii());
    }
}
