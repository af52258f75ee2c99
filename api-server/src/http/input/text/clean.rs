//! Cleaning of text: one function for a line, one for several lines.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::unicode::{fits_in_line, is_control, is_invisible, is_mark};

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is too short or too long, or has no visible character.
    Length,
    /// It contains a forbidden character.
    Character(char),
}

/// Composed as NFC, so that equal text has equal bytes.
pub(super) fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(text)
        .into_owned()
}

/// One line: composed and trimmed. Invisible characters are refused instead of removed: a name that came back changed would
/// surprise its owner.
pub(super) fn line(text: &str, min: usize, max: usize) -> Result<String, Fault> {
    let line = composed(text);
    let line = line.trim();
    let mut before = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let begins_with_mark = before.is_none() && is_mark(c);
        if begins_with_mark || !fits_in_line(before, c, rest.peek().copied()) {
            return Err(Fault::Character(c));
        }
        before = Some(c);
    }
    measured(line.to_owned(), min, max)
}

/// Text of several lines: composed, with `\n` as the only line end. Controls and characters that change the reading order are
/// removed: a patient's text must not be refused for additions of their keyboard or clipboard. NUL is refused.
pub(super) fn lines(text: &str, min: usize, max: usize) -> Result<String, Fault> {
    if text.contains('\0') {
        return Err(Fault::Character('\0'));
    }
    let text: String = text.replace("\r\n", "\n").chars().filter_map(kept).collect();
    let text = measured(composed(&text), min, max)?;
    let has_something_to_see = text.chars().any(|c| !c.is_whitespace() && !is_invisible(c));
    if min > 0 && !has_something_to_see {
        return Err(Fault::Length);
    }
    Ok(text)
}

/// A character as it stands in text of several lines.
fn kept(c: char) -> Option<char> {
    match c {
        '\n' | '\t' => Some(c),
        '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
        // Embeddings, overrides and isolates; deprecated format characters; annotations; the byte order mark; language tags.
        '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{feff}'
        | '\u{e0001}' => None,
        _ if is_control(c) || u32::from(c) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c) => {
            None
        }
        _ => Some(c),
    }
}

fn measured(text: String, min: usize, max: usize) -> Result<String, Fault> {
    if (min..=max).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(Fault::Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_composed_and_trimmed() {
        for (given, kept) in [
            (" 仁心诊所\n", "仁心诊所"),
            ("\u{3000}张伟\u{a0}", "张伟"),
            ("e\u{301}cole", "\u{e9}cole"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            // A compatibility ideograph becomes the unified one.
            ("\u{f900}", "\u{8c48}"),
        ] {
            assert_eq!(line(given, 1, 64).as_deref(), Ok(kept), "{given:?}");
        }
    }

    #[test]
    fn a_line_keeps_what_scripts_and_emoji_need() {
        for good in [
            "👩\u{200d}⚕\u{fe0f}",
            "👩🏽\u{200d}⚕\u{fe0f} 李医生",
            "❤\u{fe0f}",
            "1\u{fe0f}\u{20e3} 号诊室",
            // Persian, Hindi and Malayalam are misspelt without joiners.
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "ന\u{d4d}\u{200d}",
            // An ideographic variant, an unassigned ideograph, a rare one.
            "葛\u{e0100}城",
            "\u{3fff0}",
            "𠮷野家",
            "الطبيب",
            "ᠮᠣᠩᠭᠣᠯ\u{180b}",
        ] {
            assert_eq!(line(good, 1, 64).as_deref(), Ok(good), "{good:?}");
        }
    }

    #[test]
    fn a_line_refuses_what_cannot_be_seen_or_is_not_agreed_on() {
        for bad in [
            '\u{0}',
            '\u{7}',
            '\u{1b}',
            '\n',
            '\t',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2064}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{2800}',
            '\u{3164}',
            '\u{e000}',
            '\u{fdd0}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{ffff}',
            '\u{378}',
            '\u{1d173}',
            '\u{2fffe}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{f0000}',
            '\u{10ffff}',
        ] {
            for text in [format!("A{bad}B"), format!("{bad}A{bad}B"), format!("诊{bad}A")] {
                let refused = line(&text, 1, 64);
                // White space at the beginning is trimmed; ideographs have variants.
                let is_variant = bad == '\u{e0100}' && text.starts_with('诊');
                assert_eq!(
                    matches!(refused, Err(Fault::Character(_))),
                    !is_variant,
                    "{text:?}"
                );
            }
        }
        for only in ["\u{200b}", "\u{3164}", "\u{2800}", "\u{301}", "\u{202e}"] {
            assert!(line(only, 1, 64).is_err(), "{only:?}");
        }
        for empty in ["", " ", "\n", "\u{3000}"] {
            assert_eq!(line(empty, 1, 64), Err(Fault::Length), "{empty:?}");
            assert_eq!(line(empty, 0, 64).as_deref(), Ok(""));
        }
    }

    #[test]
    fn a_line_is_measured_as_it_is_kept() {
        let decomposed = "e\u{301}".repeat(64);
        assert_eq!(line(&decomposed, 1, 64).map(|line| line.chars().count()), Ok(64));
        assert_eq!(line(&"x".repeat(65), 1, 64), Err(Fault::Length));
        assert_eq!(
            line(&format!("  {}  ", "x".repeat(64)), 1, 64).map(|line| line.len()),
            Ok(64)
        );
    }

    #[test]
    fn lines_are_cleaned() {
        for (given, kept) in [
            ("一\r\n二\r三\u{2028}四\u{85}五", "一\n二\n三\n四\n五"),
            ("a\tb", "a\tb"),
            ("\u{feff}头痛\u{7}三天\u{1b}[2J", "头痛三天[2J"),
            ("\u{202e}天三痛头\u{202c}\u{2066}x\u{2069}", "天三痛头x"),
            ("e\u{301}", "\u{e9}"),
            (
                "می\u{200c}خواهم 👩\u{200d}⚕\u{fe0f}",
                "می\u{200c}خواهم 👩\u{200d}⚕\u{fe0f}",
            ),
            ("  两端的空白留下  ", "  两端的空白留下  "),
            ("\u{ffff}x\u{fdd0}", "x"),
        ] {
            assert_eq!(lines(given, 1, 64).as_deref(), Ok(kept), "{given:?}");
        }
        for bad in ["", " \n", "\u{200b}\u{3164}", "\u{7}", "\u{feff}"] {
            assert_eq!(lines(bad, 1, 64), Err(Fault::Length), "{bad:?}");
        }
        assert_eq!(lines("a\0b", 0, 64), Err(Fault::Character('\0')));
        assert_eq!(lines("\u{7}", 0, 64).as_deref(), Ok(""));
    }
}
