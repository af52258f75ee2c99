//! Characters that a line may contain, by their Unicode properties.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        CanonicalCombiningClass, DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory,
        JoiningType, PrependedConcatenationMark, Script,
    },
};

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_pictograph(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c)
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

/// Whether a character is invisible: format and filler characters, variation selectors, and the blank Braille pattern,
/// which fonts draw as a space.
pub(super) fn is_invisible(c: char) -> bool {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    let marks_letters = CodePointSetData::new::<PrependedConcatenationMark>().contains(c);
    ignorable || (category(c) == GeneralCategory::Format && !marks_letters) || c == '\u{2800}'
}

/// Whether a character controls a device or ends a line.
pub(super) fn is_control(c: char) -> bool {
    matches!(
        category(c),
        GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
    )
}

/// Whether a code point has an agreed meaning. Beside assigned ones, the ranges that Unicode reserves for ideographs and
/// pictographs count: a rare name or a new emoji must not wait for the next release.
fn is_agreed(c: char) -> bool {
    let is_noncharacter = u32::from(c) & 0xfffe == 0xfffe;
    match category(c) {
        GeneralCategory::PrivateUse | GeneralCategory::Surrogate => false,
        GeneralCategory::Unassigned => {
            !is_noncharacter && (matches!(c, '\u{20000}'..='\u{3ffff}') || is_pictograph(c))
        }
        _ => true,
    }
}

/// Whether a character is written without spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(
        script(c),
        Script::Han | Script::Hiragana | Script::Katakana | Script::Bopomofo
    )
}

/// Whether a mark changes the character before it, and so cannot begin a line.
pub(super) fn is_mark(c: char) -> bool {
    matches!(
        category(c),
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark | GeneralCategory::SpacingMark
    )
}

/// Whether a character may stand between its neighbours in one line of text.
pub(super) fn fits_in_line(before: Option<char>, c: char, after: Option<char>) -> bool {
    if is_control(c) || !is_agreed(c) {
        return false;
    }
    !is_invisible(c) || before.is_some_and(|before| joins(before, c, after))
}

/// Whether an invisible character changes the look of its neighbours here, which is its purpose.
fn joins(before: char, c: char, after: Option<char>) -> bool {
    match c {
        ZERO_WIDTH_JOINER => {
            let emoji = (is_pictograph(before) || is_emoji_end(before)) && after.is_some_and(is_pictograph);
            emoji || is_virama(before) || (is_joining(before) && after.is_none_or(is_joining))
        }
        ZERO_WIDTH_NON_JOINER => is_virama(before) || (is_joining(before) && after.is_some_and(is_joining)),
        '\u{fe0e}' | '\u{fe0f}' => is_pictograph(before) || after == Some(KEYCAP),
        '\u{fe00}'..='\u{fe0d}' | '\u{e0100}'..='\u{e01ef}' => script(before) == Script::Han,
        '\u{180b}'..='\u{180d}' | '\u{180f}' => script(before) == Script::Mongolian,
        _ => false,
    }
}

/// Characters between a pictograph and the joiner to the next: variation selectors and skin tones.
fn is_emoji_end(c: char) -> bool {
    matches!(c, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

fn is_virama(c: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(c) == CanonicalCombiningClass::Virama
}

/// Letters that connect to their neighbours, such as those of Arabic, and the marks on them.
fn is_joining(c: char) -> bool {
    let joining = CodePointMapData::<JoiningType>::new().get(c);
    matches!(
        joining,
        JoiningType::DualJoining | JoiningType::RightJoining | JoiningType::LeftJoining
    ) || (joining == JoiningType::Transparent && is_mark(c))
}
