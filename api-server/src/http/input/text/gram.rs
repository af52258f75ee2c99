//! Finding rows by part of a folded text: every piece of it is a row, so that a search walks the rows of one piece, and reads
//! no more than its page on either engine.

use super::fold::folded;

/// Characters of a piece, at most. A longer search walks its first piece, and looks into the text of each row.
const MAX_PIECE_CHARS: usize = 6;

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Search {
    /// The piece whose rows are walked.
    pub(crate) piece: String,
    /// Of a longer search: the pattern of LIKE that the text of a row matches.
    pub(crate) pattern: Option<String>,
}

impl Search {
    /// None when nothing is left to search.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let folded = folded(text);
        let piece: String = folded.chars().take(MAX_PIECE_CHARS).collect();
        let is_longer = piece.len() < folded.len();
        (!piece.is_empty()).then(|| Self {
            piece,
            pattern: is_longer.then(|| pattern(&folded)),
        })
    }
}

fn pattern(folded: &str) -> String {
    let mut pattern = String::from("%");
    for c in folded.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// All pieces of a folded text: 105 of one of 20 characters, at most 705 of one of 120.
pub(crate) fn pieces(folded: &str) -> impl Iterator<Item = &str> {
    let ends: Vec<usize> = folded.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    let starts = folded.char_indices().enumerate();
    starts.flat_map(move |(number, (from, _))| {
        let last = ends.len().min(number + MAX_PIECE_CHARS);
        let of_start: Vec<&str> = ends[number..last].iter().map(|to| &folded[from..*to]).collect();
        of_start
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pieces_are_all_parts_up_to_six_characters() {
        let found: BTreeSet<&str> = pieces("头痛三").collect();
        assert_eq!(
            found,
            BTreeSet::from(["头", "痛", "三", "头痛", "痛三", "头痛三"])
        );
        assert_eq!(pieces("abcdefgh").filter(|piece| piece.len() == 6).count(), 3);
        assert!(pieces("abcdefgh").all(|piece| piece.len() <= 6));
        assert_eq!(pieces(&"字".repeat(120)).count(), 705);
        assert_eq!(pieces("").count(), 0);
    }

    #[test]
    fn a_search_longer_than_a_piece_has_a_pattern() {
        let short = Search::new("ＡＢ 儿").unwrap();
        assert_eq!((short.piece.as_str(), short.pattern), ("ab儿", None));
        let long = Search::new("50%_a\\bc").unwrap();
        assert_eq!(long.piece, "50%_a\\");
        assert_eq!(long.pattern.unwrap(), "%50\\%\\_a\\\\bc%");
        assert_eq!(Search::new("\u{200b}"), None);
    }
}
