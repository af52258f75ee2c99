//! Finding a team by part of its name: every piece of 1 to [`LONGEST`] characters of each name is a row, so that a search
//! walks the rows of one piece, the newest first, on every engine.

use std::collections::BTreeSet;

/// The longest piece, characters. A name of 64 characters has at most 250 pieces; a search for more characters than this
/// walks those of its first ones and compares the rest.
const LONGEST: usize = 4;

/// A name as it is searched: in small letters.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// All pieces of a folded name.
pub(super) fn pieces(folded: &str) -> BTreeSet<String> {
    let characters: Vec<char> = folded.chars().collect();
    (1..=LONGEST)
        .flat_map(|length| characters.windows(length))
        .map(|piece| piece.iter().collect())
        .collect()
}

/// What a search walks, and the pattern that the names must match (with `\` as its escape).
pub(super) fn search(name: &str) -> (String, String) {
    let folded = folded(name);
    let anchor = folded.chars().take(LONGEST).collect();
    let mut pattern = String::from("%");
    for character in folded.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    (anchor, pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_all_parts_of_up_to_four_characters() {
        let found: Vec<String> = pieces(&folded("AbА儿")).into_iter().collect();
        let mut expected = ["a", "b", "а", "儿", "ab", "bа", "а儿", "abа", "bа儿", "abа儿"];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(pieces("aaaa").len(), 4);
        assert!(pieces("").is_empty());
        let longest: String = (0..64_u8).map(|at| char::from(b'0' + at)).collect();
        assert_eq!(pieces(&longest).len(), 64 + 63 + 62 + 61);
    }

    #[test]
    fn a_search_walks_its_first_characters_and_takes_signs_as_they_are() {
        assert_eq!(search("儿"), ("儿".into(), "%儿%".into()));
        assert_eq!(search("北京ABC"), ("北京ab".into(), "%北京abc%".into()));
        assert_eq!(search(r"1%_\"), (r"1%_\".into(), r"%1\%\_\\%".into()));
    }
}
