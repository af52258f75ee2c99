//! The live rows at the lower end of a terminal, below the lines that stay. Pure: it returns the bytes to write.

use std::collections::VecDeque;
use std::fmt::Write;

use super::layout::{Position, Ruler};

/// Lines kept for a redraw: more than the rows of any screen.
const MAX_REMEMBERED_LINES: usize = 500;

/// The live rows.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) rows: Vec<Row>,
    pub(super) cursor: Position,
}

/// One live row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) look: Look,
}

/// The style of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Dim,
}

/// Draws each state as a difference to the last one drawn.
#[derive(Debug)]
pub(super) struct Painter {
    ruler: Ruler,
    columns: usize,
    rows: usize,
    /// The number of live rows above the cursor.
    above: usize,
    /// The width of the widest live row, columns.
    widest: usize,
    lines: VecDeque<String>,
}

impl Painter {
    pub(super) fn new(ruler: Ruler, columns: u16, rows: u16) -> Self {
        Self {
            ruler,
            columns: usize::from(columns).max(1),
            rows: usize::from(rows).max(1),
            above: 0,
            widest: 0,
            lines: VecDeque::new(),
        }
    }

    /// The columns of a live row: the last one stays free, so that the terminal never wraps by itself.
    pub(super) fn live_columns(&self) -> usize {
        self.columns - 1
    }

    /// The maximum of live rows, so that the screen has space for some lines above them.
    pub(super) fn live_rows(&self) -> usize {
        (self.rows / 2).max(2)
    }

    /// Adds a line above the live rows.
    pub(super) fn show(&mut self, line: &str, live: &Live) -> String {
        self.lines.push_back(line.to_owned());
        if self.lines.len() > MAX_REMEMBERED_LINES {
            self.lines.pop_front();
        }
        let mut bytes = self.to_top();
        push_line(&mut bytes, line);
        self.draw(&mut bytes, live);
        bytes
    }

    /// Draws the present live rows.
    pub(super) fn refresh(&mut self, live: &Live) -> String {
        let mut bytes = self.to_top();
        self.draw(&mut bytes, live);
        bytes
    }

    /// Adapts to another size. Some terminals wrap rows that have become too long, and others cut them off. The live rows may
    /// begin anywhere then, and the screen must be redrawn.
    pub(super) fn resized(&mut self, columns: u16, rows: u16) -> Fit {
        self.columns = usize::from(columns).max(1);
        self.rows = usize::from(rows).max(1);
        if self.widest > self.columns || self.above >= self.rows {
            Fit::Broken
        } else {
            Fit::Kept
        }
    }

    /// Clears the screen and draws the newest lines that fit.
    pub(super) fn redraw(&mut self, live: &Live) -> String {
        let mut left = self.rows.saturating_sub(live.rows.len());
        let newest = self.lines.iter().rev().take_while(|line| {
            let needed = self.ruler.rows(line, self.columns);
            let fits = needed <= left;
            left = left.saturating_sub(needed);
            fits
        });
        let count = newest.count();
        let mut bytes = String::from("\x1b[?25l\x1b[H\x1b[2J");
        for line in self.lines.iter().skip(self.lines.len() - count) {
            push_line(&mut bytes, line);
        }
        self.draw(&mut bytes, live);
        bytes
    }

    /// Removes the live rows from the screen.
    pub(super) fn erase(&mut self) -> String {
        let bytes = self.to_top() + "\x1b[?25h";
        self.above = 0;
        self.widest = 0;
        bytes
    }

    /// Moves to the first live row and clears from there.
    fn to_top(&self) -> String {
        let mut bytes = String::from("\x1b[?25l\r");
        if self.above > 0 {
            let _ = write!(bytes, "\x1b[{}A", self.above);
        }
        bytes.push_str("\x1b[J");
        bytes
    }

    fn draw(&mut self, bytes: &mut String, live: &Live) {
        for (number, row) in live.rows.iter().enumerate() {
            if number > 0 {
                bytes.push_str("\r\n");
            }
            match row.look {
                Look::Plain => bytes.push_str(&row.text),
                Look::Dim => {
                    let _ = write!(bytes, "\x1b[2m{}\x1b[0m", row.text);
                }
            }
        }
        let below = live.rows.len().saturating_sub(live.cursor.row + 1);
        if below > 0 {
            let _ = write!(bytes, "\x1b[{below}A");
        }
        bytes.push('\r');
        if live.cursor.column > 0 {
            let _ = write!(bytes, "\x1b[{}C", live.cursor.column);
        }
        bytes.push_str("\x1b[?25h");
        self.above = live.cursor.row;
        let widths = live.rows.iter().map(|row| self.ruler.width(&row.text));
        self.widest = widths.max().unwrap_or(0);
    }
}

/// Whether the live rows have kept their positions after a resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Kept,
    Broken,
}

fn push_line(bytes: &mut String, line: &str) {
    // In raw mode a line feed does not return the cursor to the left.
    bytes.push_str(&line.replace('\n', "\r\n"));
    bytes.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn count(number: u16) -> NonZeroU16 {
        NonZeroU16::new(number).unwrap()
    }

    struct Screen {
        terminal: vt100::Parser,
        painter: Painter,
    }

    impl Screen {
        fn new(columns: u16, rows: u16) -> Self {
            Self {
                terminal: vt100::Parser::new(count(rows), count(columns), 0),
                painter: Painter::new(Ruler::of_each_character(), columns, rows),
            }
        }

        fn write(&mut self, bytes: &str) {
            self.terminal.process(bytes.as_bytes());
        }

        fn rows(&self) -> Vec<String> {
            let screen = self.terminal.screen();
            let contents = screen.contents();
            contents.lines().map(|row| row.trim_end().to_owned()).collect()
        }

        fn cursor(&self) -> (u16, u16) {
            self.terminal.screen().cursor_position()
        }
    }

    fn typing(ruler: Ruler, text: &str, columns: usize) -> Live {
        let laid = ruler.lay("> ", text, text.len(), columns);
        Live {
            rows: laid
                .rows
                .into_iter()
                .map(|text| Row {
                    text,
                    look: Look::Plain,
                })
                .collect(),
            cursor: laid.cursor,
        }
    }

    #[test]
    fn lines_come_above_what_is_typed() {
        let mut screen = Screen::new(20, 6);
        let ruler = Ruler::of_each_character();
        let live = typing(ruler, "体温三十九度，还有一点咳嗽", 19);
        assert_eq!(live.rows.len(), 2);
        let bytes = screen.painter.refresh(&live);
        screen.write(&bytes);
        for line in ["one", "two, which is longer than a row", "three", "four"] {
            let bytes = screen.painter.show(line, &live);
            screen.write(&bytes);
        }
        assert_eq!(
            screen.rows(),
            [
                "two, which is longer than a row",
                "three",
                "four",
                "> 体温三十九度，还",
                "  有一点咳嗽"
            ]
        );
        assert_eq!(screen.cursor(), (5, 12));
        let bytes = screen.painter.refresh(&typing(ruler, "", 19));
        screen.write(&bytes);
        assert_eq!(screen.rows().last().unwrap(), ">");
    }

    #[test]
    fn a_narrower_terminal_shows_everything_again() {
        let mut screen = Screen::new(40, 8);
        let ruler = Ruler::of_each_character();
        let live = typing(ruler, "体温三十九度，还有一点咳嗽", 39);
        for line in ["one", "two"] {
            let bytes = screen.painter.show(line, &live);
            screen.write(&bytes);
        }
        screen.terminal.screen_mut().set_size(count(8), count(20));
        assert_eq!(screen.painter.resized(20, 8), Fit::Broken);
        let live = typing(ruler, "体温三十九度，还有一点咳嗽", 19);
        let bytes = screen.painter.redraw(&live);
        screen.write(&bytes);
        assert_eq!(
            screen.rows(),
            ["one", "two", "> 体温三十九度，还", "  有一点咳嗽"]
        );
        assert_eq!(screen.painter.resized(60, 8), Fit::Kept);
    }

    #[test]
    fn nothing_is_left_of_what_was_typed_when_it_is_erased() {
        let mut screen = Screen::new(20, 6);
        let ruler = Ruler::of_each_character();
        let live = typing(ruler, "a\nb\nc", 19);
        let bytes = screen.painter.show("one", &live) + &screen.painter.erase();
        screen.write(&bytes);
        assert_eq!(screen.rows(), ["one"]);
        assert_eq!(screen.cursor(), (1, 0));
    }
}
