//! Finding a team by part of its name: every piece of each name is a row, so that a search walks the rows of one piece, the
//! newest first, and reads no more than its page on every engine.

use std::collections::BTreeSet;

/// A name as it is searched: in small letters, each character for itself, so that a part of a name is a part of it here too.
pub(super) fn folded(name: &str) -> String {
    name.chars().map(small).collect()
}

/// A character's small letter; itself where that would be several.
fn small(character: char) -> char {
    let mut small = character.to_lowercase();
    match (small.next(), small.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

/// All pieces of a folded name: 55 of one of 10 characters, at most 2,080 of one of 64.
pub(super) fn pieces(folded: &str) -> BTreeSet<&str> {
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
        let folded_name = folded("AbА儿");
        let found: Vec<&str> = pieces(&folded_name).into_iter().collect();
        let mut expected = ["a", "b", "а", "儿", "ab", "bа", "а儿", "abа", "bа儿", "abа儿"];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(pieces("aaaa").len(), 4);
        assert!(pieces("").is_empty());
        let longest: String = (0..64_u8).map(|at| char::from(b'0' + at)).collect();
        assert_eq!(pieces(&longest).len(), 64 * 65 / 2);
    }

    #[test]
    fn a_part_of_a_name_is_a_part_of_it_in_small_letters() {
        for name in ["ΟΔΟΣ ΑΣ", "İstanbul", "ÄB儿C"] {
            let characters: Vec<char> = name.chars().collect();
            let whole = folded(name);
            assert_eq!(whole.chars().count(), characters.len());
            for from in 0..characters.len() {
                for to in from + 1..=characters.len() {
                    let part: String = characters[from..to].iter().collect();
                    assert!(pieces(&whole).contains(folded(&part).as_str()), "{part}");
                }
            }
        }
    }
}
