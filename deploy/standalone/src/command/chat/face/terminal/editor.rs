//! The line under edit: keys become edits of rustyline's line buffer.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use rustyline::{
    At, Config, Word,
    history::{History, MemHistory, SearchDirection},
    line_buffer::{ChangeListener, DeleteListener, Direction, LineBuffer},
};

/// The longest text that can be typed or pasted, bytes: its frame stays within the node's limit.
pub(super) const MAX_TEXT_BYTES: usize = 32 * 1024;

/// The effect of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The line or its cursor has changed.
    Edited,
    /// The line is complete; the next one is empty.
    Submitted(String),
    /// The user wants to leave.
    Leave,
    /// The user wants to suspend the process.
    Suspend,
    /// The screen must be redrawn.
    Redraw,
}

/// The line, its history and its kill ring.
pub(super) struct Editor {
    line: LineBuffer,
    /// In memory only: no file of this machine may contain the text of a consult.
    history: MemHistory,
    /// The index of the history line shown; the length of the history while none is.
    shown: usize,
    /// The line under edit before the user entered the history.
    draft: String,
    cut: Cut,
}

impl Editor {
    pub(super) fn new() -> Self {
        Self {
            line: LineBuffer::with_capacity(MAX_TEXT_BYTES),
            history: MemHistory::with_config(&Config::default()),
            shown: 0,
            draft: String::new(),
            cut: Cut::default(),
        }
    }

    pub(super) fn text(&self) -> &str {
        self.line.as_str()
    }

    /// The cursor, as a byte offset.
    pub(super) fn cursor(&self) -> usize {
        self.line.pos()
    }

    /// Inserts pasted text with its line breaks, without other control characters.
    pub(super) fn paste(&mut self, text: &str) {
        let text: String = text
            .replace("\r\n", "\n")
            .chars()
            .filter_map(|c| match c {
                '\r' | '\n' => Some('\n'),
                '\t' => Some(' '),
                c if c.is_control() => None,
                c => Some(c),
            })
            .collect();
        self.insert(&text);
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Outcome {
        if key.kind == KeyEventKind::Release {
            return Outcome::Edited;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter if alt => self.insert("\n"),
            KeyCode::Enter => return self.submit(),
            KeyCode::Char(c) if control => return self.control(c),
            KeyCode::Char(c) if alt => self.alt(c),
            KeyCode::Char(c) if !c.is_control() => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace if alt => self.cut_before(Word::Emacs),
            KeyCode::Left if control || alt => {
                self.line.move_to_prev_word(Word::Emacs, 1);
            }
            KeyCode::Right if control || alt => {
                self.line.move_to_next_word(At::AfterEnd, Word::Emacs, 1);
            }
            code => self.plain(code),
        }
        Outcome::Edited
    }

    fn plain(&mut self, code: KeyCode) {
        match code {
            KeyCode::Backspace => {
                self.line.backspace(1, &mut Unheard);
            }
            KeyCode::Delete => {
                self.line.delete(1, &mut Unheard);
            }
            KeyCode::Left => {
                self.line.move_backward(1);
            }
            KeyCode::Right => {
                self.line.move_forward(1);
            }
            KeyCode::Home => {
                self.line.move_home();
            }
            KeyCode::End => {
                self.line.move_end();
            }
            KeyCode::Up => self.older(),
            KeyCode::Down => self.newer(),
            _ => {}
        }
    }

    fn control(&mut self, c: char) -> Outcome {
        match c {
            'j' | 'm' => return self.submit(),
            'c' if self.line.is_empty() => return Outcome::Leave,
            'c' => self.replace(""),
            'd' if self.line.is_empty() => return Outcome::Leave,
            'd' => self.plain(KeyCode::Delete),
            'z' => return Outcome::Suspend,
            'l' => return Outcome::Redraw,
            'a' => self.plain(KeyCode::Home),
            'e' => self.plain(KeyCode::End),
            'b' => self.plain(KeyCode::Left),
            'f' => self.plain(KeyCode::Right),
            'p' => self.plain(KeyCode::Up),
            'n' => self.plain(KeyCode::Down),
            'h' => self.plain(KeyCode::Backspace),
            'w' => self.cut_before(Word::Big),
            'k' => {
                self.cut.begin();
                self.line.kill_line(&mut self.cut);
            }
            'u' => {
                self.cut.begin();
                self.line.discard_line(&mut self.cut);
            }
            'y' => {
                let text = self.cut.text.clone();
                self.insert(&text);
            }
            't' => {
                self.line.transpose_chars(&mut Unheard);
            }
            _ => {}
        }
        Outcome::Edited
    }

    fn alt(&mut self, c: char) {
        match c {
            'b' => {
                self.line.move_to_prev_word(Word::Emacs, 1);
            }
            'f' => {
                self.line.move_to_next_word(At::AfterEnd, Word::Emacs, 1);
            }
            'd' => {
                self.cut.begin();
                self.line.delete_word(At::AfterEnd, Word::Emacs, 1, &mut self.cut);
            }
            _ => {}
        }
    }

    fn insert(&mut self, text: &str) {
        // Text that is too long is dropped whole: half a sentence could mean something else.
        self.line.yank(text, 1, &mut Unheard);
    }

    fn cut_before(&mut self, word: Word) {
        self.cut.begin();
        self.line.delete_prev_word(word, 1, &mut self.cut);
    }

    fn replace(&mut self, text: &str) {
        self.line.update(text, text.len(), &mut Unheard);
    }

    fn submit(&mut self) -> Outcome {
        let text = self.line.as_str().to_owned();
        self.replace("");
        // An in-memory history cannot fail.
        let _ = self.history.add(&text);
        self.shown = self.history.len();
        self.draft.clear();
        Outcome::Submitted(text)
    }

    fn older(&mut self) {
        let Some(older) = self.shown.checked_sub(1) else {
            return;
        };
        if self.shown == self.history.len() {
            self.draft = self.line.as_str().to_owned();
        }
        self.recall(older);
    }

    fn newer(&mut self) {
        if self.shown >= self.history.len() {
            return;
        }
        let newer = self.shown + 1;
        if newer == self.history.len() {
            self.shown = newer;
            let draft = std::mem::take(&mut self.draft);
            self.replace(&draft);
        } else {
            self.recall(newer);
        }
    }

    fn recall(&mut self, index: usize) {
        let found = self.history.get(index, SearchDirection::Forward);
        if let Ok(Some(found)) = found {
            let text = found.entry.into_owned();
            self.shown = index;
            self.replace(&text);
        }
    }
}

/// The text that was killed last; Ctrl-Y yanks it.
#[derive(Default)]
struct Cut {
    text: String,
    is_new: bool,
}

impl Cut {
    fn begin(&mut self) {
        self.is_new = true;
    }
}

impl DeleteListener for Cut {
    fn delete(&mut self, _: usize, text: &str, _: Direction) {
        if self.is_new {
            self.text.clear();
            self.is_new = false;
        }
        self.text.push_str(text);
    }
}

/// Ignores the notifications of edits.
struct Unheard;

impl DeleteListener for Unheard {
    fn delete(&mut self, _: usize, _: &str, _: Direction) {}
}

impl ChangeListener for Unheard {
    fn insert_char(&mut self, _: usize, _: char) {}

    fn insert_str(&mut self, _: usize, _: &str) {}

    fn replace(&mut self, _: usize, _: &str, _: &str) {}
}

#[cfg(test)]
mod tests;
