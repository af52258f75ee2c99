//! Where a chat is shown, and where its lines come from.

use std::io::{IsTerminal, Write};

use tokio::sync::mpsc;

use super::{
    clean, input,
    people::Breaks,
    terminal::{self, Input, Terminal, Wish},
};

/// The three ways to use a chat.
pub(super) enum Face {
    /// A person at a terminal, with a line editor.
    Terminal(Box<Terminal>, mpsc::Receiver<Input>),
    /// Lines in, lines out: pipes, and terminals that cannot be drawn upon.
    Lines(Lines),
    /// Programs.
    Json(mpsc::Receiver<String>),
}

/// Plain lines.
pub(super) struct Lines {
    typed: mpsc::Receiver<String>,
    /// A person types, and the terminal echoes it.
    pub(super) echoes: bool,
}

/// An event of the input.
#[derive(Debug)]
pub(super) enum Came {
    /// A line that was typed at a terminal: it may be a command.
    Typed(String),
    /// A line of a pipe: text as it is.
    Piped(String),
    /// The user wants to leave.
    Leave,
    /// The terminal is gone, or the process is to end.
    HangUp,
    /// The input is over.
    End,
    /// A key that is dealt with.
    Nothing,
}

impl Face {
    pub(super) fn json() -> Self {
        Self::Json(input::lines())
    }

    /// For people, as far as there is a terminal.
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

    /// A person sits there, and not a program.
    pub(super) fn is_interactive(&self) -> bool {
        match self {
            Self::Terminal(..) => true,
            Self::Lines(lines) => lines.echoes,
            Self::Json(_) => false,
        }
    }

    /// Whether the user sees their own lines where they typed them, so that a tick is enough.
    pub(super) fn echoes(&self) -> bool {
        matches!(self, Self::Lines(Lines { echoes: true, .. }))
    }

    /// Whether messages that wait are shown, and each line is taken at once.
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

    /// Shows one line, or several. False when the reader is gone.
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
