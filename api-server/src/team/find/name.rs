//! Finding a team by part of its name. Every piece of a name is a row: a search walks the rows of one piece, the newest
//! first, and reads no more than its page on either engine.

use std::collections::BTreeSet;

use crate::http::input::folded;

/// Searched characters of a folded name at most: some characters fold to several.
const MAX_SEARCHED_CHARS: usize = 64;

/// A name as it is searched.
pub(in crate::team) fn searched(name: &str) -> String {
    folded(name).chars().take(MAX_SEARCHED_CHARS).collect()
}

/// All pieces of a folded name: 55 of one of 10 characters, at most 2,080 of one of 64.
pub(in crate::team) fn pieces(folded: &str) -> BTreeSet<&str> {
    let ends: Vec<usize> = folded
        .char_indices()
        .map(|(at, character)| at + character.len_utf8())
        .collect();
    folded
        .char_indices()
        .flat_map(|(from, _)| {
            let further = ends.iter().filter(move |to| **to > from);
            further.map(move |to| &folded[from..*to])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_all_parts() {
        let searched_name = searched("AbА儿");
        let found: Vec<&str> = pieces(&searched_name).into_iter().collect();
        let mut expected = ["a", "b", "а", "儿", "ab", "bа", "а儿", "abа", "bа儿", "abа儿"];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(pieces("aaaa").len(), 4);
        assert!(pieces("").is_empty());
        let longest: String = (0..64_u8).map(|at| char::from(b'0' + at)).collect();
        assert_eq!(pieces(&longest).len(), 64 * 65 / 2);
        assert!(pieces(&searched(&"ﷺ".repeat(64))).len() <= 64 * 65 / 2);
    }

    #[test]
    fn a_part_of_a_name_is_a_part_of_it_however_it_is_spelt() {
        for name in ["ΟΔΟΣ ΑΣ", "ÄB儿C", "ＡＢ 儿 科", "Straße"] {
            let characters: Vec<char> = name.chars().collect();
            let whole = searched(name);
            for from in 0..characters.len() {
                for to in from + 1..=characters.len() {
                    let part: String = characters[from..to].iter().collect();
                    let part = searched(&part);
                    assert!(
                        part.is_empty() || pieces(&whole).contains(part.as_str()),
                        "{part}"
                    );
                }
            }
        }
        assert!(pieces(&searched("仁心\u{200b}儿科")).contains(searched("心 儿").as_str()));
    }
}
