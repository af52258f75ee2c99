//! Escapes every field of every event, so that peers cannot forge log lines: a device's version, a node's name or an
//! error's text may contain a line break, an escape sequence or a change of direction.

use std::{
    fmt::{self, Debug, Write as _},
    io,
};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

/// The longest value in a text line, bytes; the rest is cut. Values of our own are shorter.
const MAX_VALUE_BYTES: usize = 8 * 1024;

/// Whether a character breaks a line, moves the cursor or is invisible: controls, line separators, directional marks and
/// overrides, zero-width characters and tags.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Formats the fields of text lines: `message name=value name=value`, each escaped and bounded.
pub(crate) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            is_empty: true,
            outcome: Ok(()),
        };
        fields.record(&mut line);
        line.outcome
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    is_empty: bool,
    outcome: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, name: &str, value: &dyn Debug) -> fmt::Result {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.write_char(' ')?;
        }
        if name != "message" {
            let (italic, dim, plain) = match self.writer.has_ansi_escapes() {
                true => ("\x1b[3m", "\x1b[2m", "\x1b[0m"),
                false => ("", "", ""),
            };
            write!(self.writer, "{italic}{name}{plain}{dim}={plain}")?;
        }
        let mut escaping = Escaping {
            writer: &mut self.writer,
            left: MAX_VALUE_BYTES,
        };
        write!(escaping, "{value:?}")
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Events of the `log` crate carry their location as fields; the line has it already.
        let name = field.name();
        if self.outcome.is_ok() && !name.starts_with("log.") {
            self.outcome = self.write(name.strip_prefix("r#").unwrap_or(name), value);
        }
    }
}

struct Escaping<'a, 'w> {
    writer: &'a mut Writer<'w>,
    /// Bytes left of the bound.
    left: usize,
}

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.left && !text.contains(is_hidden) {
            self.left -= text.len();
            return self.writer.write_str(text);
        }
        for character in text.chars() {
            if self.left == 0 {
                return Ok(());
            }
            if self.left < character.len_utf8() {
                self.left = 0;
                return self.writer.write_char('…');
            }
            self.left -= character.len_utf8();
            if is_hidden(character) {
                write!(self.writer, "{}", character.escape_default())?;
            } else {
                self.writer.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Writes JSON lines. JSON itself escapes only the C0 controls; this escapes the other hidden characters, too.
pub(crate) struct JsonLines<W>(pub(crate) W);

impl<W: io::Write> io::Write for JsonLines<W> {
    /// Expects one whole line.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_to_escape = |character: char| character != '\n' && is_hidden(character);
        match std::str::from_utf8(bytes) {
            Ok(line) if line.contains(is_to_escape) => {
                let mut escaped = String::with_capacity(line.len() + 16);
                for character in line.chars() {
                    match is_to_escape(character) {
                        true => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                            let _ = write!(escaped, "\\u{unit:04x}");
                        }),
                        false => escaped.push(character),
                    }
                }
                self.0.write_all(escaped.as_bytes())?;
            }
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A line break, a screen cleared in two ways, a line separator, an override of direction, nothing to be seen, a tag.
    const PLANTED: &str = "a\r\nERROR forged\u{1b}[2J\u{9b}2J\u{2028}b\u{202e}c\u{200b}\u{7f}\u{e0041}d";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn log() {
        let error = io::Error::other(PLANTED);
        let span = tracing::info_span!("a_request", path = %PLANTED);
        let _entered = span.enter();
        tracing::info!(version = %PLANTED, device = PLANTED, kinds = ?[PLANTED], %error, "heard {PLANTED}");
        tracing::info!(
            error = &error as &dyn std::error::Error,
            session = 7,
            is_new = true,
            "plain 体温三十八度"
        );
    }

    fn text_lines(ansi: bool) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(ansi)
            .fmt_fields(Fields)
            .finish();
        tracing::subscriber::with_default(lines, log);
        kept.text()
    }

    #[test]
    fn a_peer_forges_no_line_of_text_and_clears_no_screen() {
        let text = text_lines(false);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            !text.contains(|character| character != '\n' && is_hidden(character)),
            "{text:?}"
        );
        let escaped = r"a\r\nERROR forged\u{1b}[2J\u{9b}2J\u{2028}b\u{202e}c\u{200b}\u{7f}\u{e0041}d";
        // Span, message, version, device, list and error; then the span and the error of the second line.
        assert_eq!(text.matches(escaped).count(), 8, "{text}");
        assert!(text.contains("plain 体温三十八度 error="), "{text}");
        assert!(text.ends_with("session=7 is_new=true\n"), "{text}");
    }

    #[test]
    fn on_a_terminal_only_our_own_colours_are_left() {
        let colours = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3m", "\x1b[32m"];
        let text = text_lines(true);
        let text = colours.iter().fold(text, |text, colour| text.replace(colour, ""));
        assert!(
            !text.contains(|character| character != '\n' && is_hidden(character)),
            "{text:?}"
        );
    }

    #[test]
    fn json_keeps_what_was_said_and_hides_nothing() {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || JsonLines(writer.clone()))
            .finish();
        tracing::subscriber::with_default(lines, log);
        let text = kept.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            !text.contains(|character| character != '\n' && is_hidden(character)),
            "{text:?}"
        );
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["version"], PLANTED);
        assert_eq!(line["message"], format!("heard {PLANTED}"));
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .fmt_fields(Fields)
            .finish();
        let long = "长".repeat(MAX_VALUE_BYTES);
        tracing::subscriber::with_default(lines, || tracing::info!(%long, after = 1, "a"));
        let text = kept.text();
        assert_eq!(text.matches('长').count(), MAX_VALUE_BYTES / 3);
        assert!(text.ends_with("长… after=1\n"));
    }
}
