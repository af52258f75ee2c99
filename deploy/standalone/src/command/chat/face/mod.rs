//! The display of a chat, and the source of its lines.

pub(super) mod clean;
mod input;
mod terminal;

use std::io::{IsTerminal, Write};

use tokio::sync::mpsc;

use self::terminal::{Input, Terminal, Wish};

/// The three ways to use a chat.
pub(super) enum Face {
    /// An interactive terminal with a line editor.
    Terminal(Box<Terminal>, mpsc::Receiver<Input>),
    /// Lines in, lines out: pipes, and terminals that cannot move their cursor.
    Lines(Lines),
    /// JSON lines, for programs.
    Json(mpsc::Receiver<String>),
}

/// Plain lines.
pub(super) struct Lines {
    typed: mpsc::Receiver<String>,
    /// A user types, and the terminal echoes the line.
    pub(super) echoes: bool,
}

/// An event of the input.
#[derive(Debug)]
pub(super) enum Came {
    /// A line typed at a terminal; it may be a command.
    Typed(String),
    /// A line of a pipe: literal text.
    Piped(String),
    /// The user wants to leave.
    Leave,
    /// The terminal has hung up, or the process must end.
    HangUp,
    /// The input is over.
    End,
    /// A key that the terminal has handled.
    Nothing,
}

/// Treatment of the line breaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaks {
    /// They stay, for human readers.
    Kept,
    /// They become spaces, so that programs get one line per entry.
    Joined,
}

impl Face {
    pub(super) fn json() -> Self {
        Self::Json(input::lines())
    }

    /// An interactive terminal where there is one, else lines.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub(super) fn text() -> std::io::Result<Self> {
        if terminal::is_here() {
            let (terminal, input) = Terminal::open()?;
            return Ok(Self::Terminal(Box::new(terminal), input));
        }
        Ok(Self::Lines(Lines {
            typed: input::lines(),
            echoes: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        }))
    }

    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// Whether a human reader uses it, rather than a program.
    pub(super) fn is_interactive(&self) -> bool {
        match self {
            Self::Terminal(..) => true,
            Self::Lines(lines) => lines.echoes,
            Self::Json(_) => false,
        }
    }

    /// Whether the terminal has echoed the user's own lines, so that a tick suffices.
    pub(super) fn echoes(&self) -> bool {
        matches!(self, Self::Lines(Lines { echoes: true, .. }))
    }

    /// Whether it shows waiting messages, so that each line is accepted at once.
    pub(super) fn shows_waiting(&self) -> bool {
        matches!(self, Self::Terminal(..))
    }

    pub(super) fn breaks(&self) -> Breaks {
        if self.is_interactive() {
            Breaks::Kept
        } else {
            Breaks::Joined
        }
    }

    /// The next event; dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Came {
        match self {
            Self::Terminal(terminal, input) => match input.recv().await {
                Some(input) => match terminal.take(input) {
                    Some(Wish::Line(line)) => Came::Typed(line),
                    Some(Wish::Leave) => Came::Leave,
                    Some(Wish::End) => Came::HangUp,
                    None => Came::Nothing,
                },
                None => Came::End,
            },
            Self::Lines(Lines { typed, echoes }) => match typed.recv().await {
                Some(line) if *echoes => Came::Typed(line),
                Some(line) => Came::Piped(line),
                None => Came::End,
            },
            Self::Json(typed) => typed.recv().await.map_or(Came::End, Came::Piped),
        }
    }

    /// Shows text of one or more lines. False when the reader is gone.
    pub(super) fn show(&mut self, text: &str) -> bool {
        match self {
            Self::Terminal(terminal, _) => {
                terminal.show(text);
                true
            }
            Self::Lines(_) => print(text),
            Self::Json(_) => print(&clean::json(text)),
        }
    }

    pub(super) fn set_waiting(&mut self, waiting: Vec<String>) {
        if let Self::Terminal(terminal, _) = self {
            terminal.set_waiting(waiting);
        }
    }
}

/// Prints a line at once. False when the reader is gone.
fn print(line: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}
