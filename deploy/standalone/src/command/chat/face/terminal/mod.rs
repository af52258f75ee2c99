//! An interactive terminal: the line under edit is at the lower end, and messages appear above it.
//!
//! crossterm decodes keys and sets the raw mode, and rustyline's line buffer edits. The drawing is our own: rustyline and
//! reedline read a line in a blocking call, and neither can update the rows of waiting messages beside it. reedline also
//! queries the terminal for its cursor and waits for the answer.

mod editor;
mod keys;
mod layout;
mod painter;

use std::io::{self, IsTerminal, Write};

use crossterm::event::Event;
use tokio::sync::mpsc;

pub(in super::super) use self::keys::Input;
use self::keys::RawMode;
use self::{
    editor::{Editor, Outcome},
    layout::Ruler,
    painter::{Fit, Live, Look, Painter, Row},
};

/// Precedes the line under edit.
const PROMPT: &str = "> ";
/// Rows for unacknowledged messages; further ones are only counted.
const MAX_WAITING_ROWS: usize = 4;

/// A request of the user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Send this line.
    Line(String),
    /// Leave the chat.
    Leave,
    /// The terminal has hung up, or the process must end.
    End,
}

/// The terminal of this process.
pub(in super::super) struct Terminal {
    editor: Editor,
    painter: Painter,
    ruler: Ruler,
    /// The unacknowledged messages, as shown.
    waiting: Vec<String>,
    raw: RawMode,
}

/// Whether input and output are a terminal that can move its cursor.
pub(super) fn is_here() -> bool {
    let is_drawable = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    is_drawable && io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Terminal {
    /// Enters raw mode and starts to read input.
    pub(super) fn open() -> io::Result<(Self, mpsc::Receiver<Input>)> {
        let input = keys::listen()?;
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        let ruler = Ruler::of_environment();
        let mut terminal = Self {
            editor: Editor::new(),
            painter: Painter::new(ruler, columns, rows),
            ruler,
            waiting: Vec::new(),
            raw: RawMode::enter()?,
        };
        terminal.refresh();
        Ok((terminal, input))
    }

    /// Shows a line above the live rows.
    pub(super) fn show(&mut self, line: &str) {
        let live = self.live();
        let bytes = self.painter.show(line, &live);
        self.write(&bytes);
    }

    /// Updates the rows of unacknowledged messages.
    pub(super) fn set_waiting(&mut self, waiting: Vec<String>) {
        if self.waiting != waiting {
            self.waiting = waiting;
            self.refresh();
        }
    }

    /// Handles keys and signals; requests beyond the terminal are returned.
    pub(super) fn take(&mut self, input: Input) -> Option<Wish> {
        match input {
            Input::Event(Event::Key(key)) => return self.key(key),
            Input::Event(Event::Paste(text)) => {
                self.editor.paste(&text);
                self.refresh();
            }
            Input::Event(Event::Resize(columns, rows)) => self.resize(columns, rows),
            Input::Event(_) => {}
            Input::Continued => {
                if self.raw.enter_again().is_ok() {
                    let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
                    self.painter.resized(columns, rows);
                    self.refresh();
                }
            }
            Input::Ended => return Some(Wish::End),
        }
        None
    }

    fn key(&mut self, key: crossterm::event::KeyEvent) -> Option<Wish> {
        let outcome = self.editor.key(key);
        match outcome {
            Outcome::Edited => self.refresh(),
            Outcome::Redraw => self.redraw(),
            Outcome::Suspend => {
                let bytes = self.painter.erase();
                self.write(&bytes);
                self.raw.suspend();
            }
            Outcome::Leave => return Some(Wish::Leave),
            Outcome::Submitted(line) => {
                self.refresh();
                return Some(Wish::Line(line));
            }
        }
        None
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        match self.painter.resized(columns, rows) {
            Fit::Kept => self.refresh(),
            Fit::Broken => self.redraw(),
        }
    }

    fn refresh(&mut self) {
        let live = self.live();
        let bytes = self.painter.refresh(&live);
        self.write(&bytes);
    }

    fn redraw(&mut self) {
        let live = self.live();
        let bytes = self.painter.redraw(&live);
        self.write(&bytes);
    }

    /// The waiting messages, and below them as many rows of the line under edit as fit around its cursor.
    fn live(&self) -> Live {
        let columns = self.painter.live_columns();
        let mut rows: Vec<Row> = self
            .waiting
            .iter()
            .take(MAX_WAITING_ROWS)
            .map(|text| self.ruler.clip(text, columns))
            .map(|text| Row {
                text,
                look: Look::Dim,
            })
            .collect();
        let more = self.waiting.len() - rows.len();
        if more > 0 {
            rows.push(Row {
                text: format!("+ {more}"),
                look: Look::Dim,
            });
        }
        rows.truncate(self.painter.live_rows() - 1);
        let laid = self
            .ruler
            .lay(PROMPT, self.editor.text(), self.editor.cursor(), columns);
        let height = self.painter.live_rows().saturating_sub(rows.len()).max(1);
        let first = (laid.cursor.row + 1).saturating_sub(height);
        let mut cursor = laid.cursor;
        cursor.row = rows.len() + laid.cursor.row - first;
        rows.extend(laid.rows.into_iter().skip(first).take(height).map(|text| Row {
            text,
            look: Look::Plain,
        }));
        Live { rows, cursor }
    }

    fn write(&mut self, bytes: &str) {
        let mut out = io::stdout().lock();
        // A terminal that is gone sends a hang-up, which ends the chat.
        let _ = out.write_all(bytes.as_bytes()).and_then(|()| out.flush());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let bytes = self.painter.erase();
        self.write(&bytes);
    }
}
