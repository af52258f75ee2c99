//! Lays text out in rows of a terminal. Pure.

use rustyline::GraphemeClusterMode;
use unicode_segmentation::UnicodeSegmentation;

/// A text in rows, with its cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Laid {
    pub(super) rows: Vec<String>,
    pub(super) cursor: Position,
}

/// A position in rows, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Measures grapheme clusters as this terminal draws them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ruler(GraphemeClusterMode);

impl Ruler {
    /// Reads the terminal's name: terminals differ in joined emoji.
    pub(super) fn of_environment() -> Self {
        Self(GraphemeClusterMode::from_env())
    }

    #[cfg(test)]
    pub(super) fn of_each_character() -> Self {
        Self(GraphemeClusterMode::WcWidth)
    }

    /// The width of a text without line breaks, columns.
    pub(super) fn width(self, text: &str) -> usize {
        text.graphemes(true).map(|cluster| self.cluster(cluster)).sum()
    }

    fn cluster(self, cluster: &str) -> usize {
        usize::from(self.0.width(cluster))
    }

    /// The number of rows of a line after the terminal has wrapped it.
    pub(super) fn rows(self, line: &str, columns: usize) -> usize {
        line.split('\n')
            .map(|part| self.width(part).div_ceil(columns.max(1)).max(1))
            .sum()
    }

    /// The beginning of a text that fits into `columns`, with an ellipsis if it is cut.
    pub(super) fn clip(self, text: &str, columns: usize) -> String {
        const ELLIPSIS: &str = "...";
        if self.width(text) <= columns {
            return text.to_owned();
        }
        let mut clipped = String::new();
        let mut left = columns.saturating_sub(ELLIPSIS.len());
        for cluster in text.graphemes(true) {
            let width = self.cluster(cluster);
            if width > left {
                break;
            }
            left -= width;
            clipped.push_str(cluster);
        }
        clipped + ELLIPSIS
    }

    /// Breaks a text into rows of at most `columns`. `lead` precedes the first row, and equal space the others; `cursor` is a
    /// byte offset in `text`.
    pub(super) fn lay(self, lead: &str, text: &str, cursor: usize, columns: usize) -> Laid {
        let indent = " ".repeat(self.width(lead));
        let mut rows = vec![lead.to_owned()];
        let mut column = indent.len();
        let mut at = None;
        for (offset, cluster) in text.grapheme_indices(true) {
            let width = self.cluster(cluster);
            let is_break = cluster == "\n";
            if !is_break && column + width > columns && column > indent.len() {
                rows.push(indent.clone());
                column = indent.len();
            }
            if offset >= cursor {
                at.get_or_insert(Position {
                    row: rows.len() - 1,
                    column,
                });
            }
            if is_break {
                rows.push(indent.clone());
                column = indent.len();
            } else if let Some(row) = rows.last_mut() {
                row.push_str(cluster);
                column += width;
            }
        }
        let end = Position {
            row: rows.len() - 1,
            column,
        };
        Laid {
            rows,
            cursor: at.unwrap_or(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(text: &str, cursor: usize, columns: usize) -> (Vec<String>, (usize, usize)) {
        let laid = Ruler::of_each_character().lay("> ", text, cursor, columns);
        (laid.rows, (laid.cursor.row, laid.cursor.column))
    }

    #[test]
    fn wide_characters_are_not_split() {
        assert_eq!(lay("", 0, 9), (vec!["> ".into()], (0, 2)));
        assert_eq!(
            lay("体温三十九度", 18, 9),
            (vec!["> 体温三".into(), "  十九度".into()], (1, 8))
        );
        assert_eq!(lay("体温三十", 9, 9).1, (1, 2), "before what is on the next row");
        assert_eq!(lay("a\n体", 1, 9), (vec!["> a".into(), "  体".into()], (0, 3)));
    }

    #[test]
    fn a_cluster_is_one_step() {
        // e with an accent of its own.
        assert_eq!(lay("e\u{301}x", 3, 20).1, (0, 3));
        assert_eq!(Ruler::of_each_character().width("e\u{301}"), 1);
    }

    #[test]
    fn a_narrow_terminal_ends_nothing() {
        for columns in 0..5 {
            let laid = Ruler::of_each_character().lay("> ", "体温ab", 8, columns);
            assert_eq!(laid.rows.concat().replace(['>', ' '], ""), "体温ab");
        }
    }

    #[test]
    fn clips_and_counts() {
        let ruler = Ruler::of_each_character();
        assert_eq!(ruler.clip("体温三十九度", 12), "体温三十九度");
        assert_eq!(ruler.clip("体温三十九度", 10), "体温三...");
        assert_eq!(ruler.rows("体温三十九度", 5), 3);
        assert_eq!(ruler.rows("a\n\nb", 5), 3);
    }
}
