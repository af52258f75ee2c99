//! The folded form of names, by which look-alikes are equal.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::unicode::{is_invisible, is_unspaced};

/// Folds a name for searches and uniqueness: removes compatibility forms (full and half width, ligatures), case, invisible
/// characters, and spaces between ideographs.
pub fn folded(name: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let visible: String = nfkc
        .normalize(name)
        .chars()
        .filter(|c| !is_invisible(*c))
        .collect();
    let same_case: String = visible
        .chars()
        // Upper case first: "ß" and "ss", "ς" and "σ" differ in lower case only.
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .map(likeness)
        .collect();
    single_spaced(&nfkc.normalize(&same_case))
}

/// The representative of interchangeable dashes, dots and quotes.
fn likeness(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{b7}' | '\u{2022}' | '\u{2027}' | '\u{2219}' | '\u{22c5}' | '\u{30fb}' | '\u{387}' => '\u{b7}',
        '\u{2018}' | '\u{2019}' | '\u{2bc}' | '`' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        _ => c,
    }
}

/// Collapses white space to one space; removes it beside ideographs and at the ends.
fn single_spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let sides = (spaced.chars().next_back(), word.chars().next());
        if let (Some(before), Some(after)) = sides
            && !is_unspaced(before)
            && !is_unspaced(after)
        {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_equal() {
        for (one, other) in [
            ("仁心诊所", "仁心诊所\u{200b}"),
            ("仁心诊所", "\u{202e}仁心\u{2060}诊所\u{3164}"),
            ("仁心诊所", "仁心 诊所"),
            ("仁心诊所", "仁心\u{3000}诊所 "),
            ("ABC诊所", "ａｂｃ诊所"),
            ("ABC诊所", "abc 诊所"),
            ("カナ", "ｶﾅ"),
            ("école", "E\u{301}COLE"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("⼈民医院", "人民医院"),
            ("葛\u{e0100}城", "葛城"),
            ("Dr. A", "Dr.  A"),
            ("玛丽·居里", "玛丽・居里"),
            ("O’Neil", "o'neil"),
        ] {
            let alike = folded(one) == folded(other);
            assert!(alike, "{one:?} {:?} {other:?} {:?}", folded(one), folded(other));
        }
        for (one, other) in [
            ("仁心诊所", "仁爱诊所"),
            ("仁心", "仁心诊所"),
            ("An Na", "Anna"),
            ("e", "é"),
            ("一", "二"),
        ] {
            assert_ne!(folded(one), folded(other));
        }
    }

    #[test]
    fn folding_again_changes_nothing() {
        for name in [
            "Ｄｒ．　李",
            "ﬀ ㎏ ⑽ ﷺ",
            "İstanbul",
            "ǰ",
            "한국",
            "\u{200b}",
            "ΐ",
            "ﬃ",
        ] {
            let once = folded(name);
            assert_eq!(folded(&once), once, "{name:?}");
        }
        assert_eq!(folded("\u{200b}\u{3164}\u{2800}"), "");
    }
}
