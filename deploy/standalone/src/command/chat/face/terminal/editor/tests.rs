//! Keys, edits and the submitted text.

use super::*;

fn press(editor: &mut Editor, code: KeyCode) -> Outcome {
    editor.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(editor: &mut Editor, c: char) -> Outcome {
    editor.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

fn write(editor: &mut Editor, text: &str) {
    for c in text.chars() {
        press(editor, KeyCode::Char(c));
    }
}

fn times(editor: &mut Editor, count: usize, code: KeyCode) {
    for _ in 0..count {
        press(editor, code);
    }
}

#[test]
fn a_backspace_takes_a_whole_character() {
    let mut editor = Editor::new();
    write(&mut editor, "体温三十九度");
    times(&mut editor, 3, KeyCode::Backspace);
    write(&mut editor, "八度");
    assert_eq!(
        press(&mut editor, KeyCode::Enter),
        Outcome::Submitted("体温三八度".into())
    );
    assert_eq!(editor.text(), "");
    // A letter with its accent, a family, a flag: each is one character to people.
    write(&mut editor, "ae\u{301}👨‍👩‍👧🇨🇳");
    times(&mut editor, 3, KeyCode::Backspace);
    assert_eq!(editor.text(), "a");
}

#[test]
fn arrows_move_and_are_not_sent() {
    let mut editor = Editor::new();
    write(&mut editor, "三十八度");
    times(&mut editor, 2, KeyCode::Left);
    press(&mut editor, KeyCode::Backspace);
    write(&mut editor, "十七点");
    press(&mut editor, KeyCode::Home);
    write(&mut editor, "体温");
    press(&mut editor, KeyCode::Delete);
    press(&mut editor, KeyCode::End);
    press(&mut editor, KeyCode::Left);
    press(&mut editor, KeyCode::Right);
    write(&mut editor, "。");
    assert_eq!(
        press(&mut editor, KeyCode::Enter),
        Outcome::Submitted("体温十七点八度。".into())
    );
}

#[test]
fn the_history_goes_back_and_comes_back_to_the_draft() {
    let mut editor = Editor::new();
    for line in ["一", "二"] {
        write(&mut editor, line);
        press(&mut editor, KeyCode::Enter);
    }
    write(&mut editor, "三");
    press(&mut editor, KeyCode::Up);
    assert_eq!(editor.text(), "二");
    times(&mut editor, 5, KeyCode::Up);
    assert_eq!(editor.text(), "一");
    times(&mut editor, 5, KeyCode::Down);
    assert_eq!(editor.text(), "三");
}

#[test]
fn keys_of_a_shell_do_what_they_do_there() {
    let mut editor = Editor::new();
    write(&mut editor, "one two three");
    control(&mut editor, 'w');
    assert_eq!(editor.text(), "one two ");
    control(&mut editor, 'a');
    control(&mut editor, 'y');
    assert_eq!(editor.text(), "threeone two ");
    control(&mut editor, 'k');
    assert_eq!(editor.text(), "three");
    control(&mut editor, 'u');
    assert_eq!(editor.text(), "");
    control(&mut editor, 'y');
    assert_eq!(control(&mut editor, 'c'), Outcome::Edited);
    assert_eq!(editor.text(), "", "first it only clears the line");
    assert_eq!(control(&mut editor, 'c'), Outcome::Leave);
    assert_eq!(control(&mut editor, 'd'), Outcome::Leave);
    write(&mut editor, "x");
    control(&mut editor, 'a');
    assert_eq!(control(&mut editor, 'd'), Outcome::Edited);
    assert_eq!(control(&mut editor, 'z'), Outcome::Suspend);
    assert_eq!(control(&mut editor, 'l'), Outcome::Redraw);
    for c in "bfpnhgqrsvx[".chars() {
        assert_eq!(control(&mut editor, c), Outcome::Edited);
        assert_eq!(editor.text(), "", "{c}");
    }
}

#[test]
fn what_is_pasted_is_one_text_without_steering() {
    let mut editor = Editor::new();
    editor.paste("一\r\n二\r三\t\x1b[2J\u{9b}x");
    assert_eq!(editor.text(), "一\n二\n三 [2Jx");
    press(&mut editor, KeyCode::Home);
    write(&mut editor, ">");
    assert_eq!(editor.text(), "一\n二\n>三 [2Jx");
}

#[test]
fn a_text_has_a_bound() {
    let mut editor = Editor::new();
    editor.paste(&"度".repeat(MAX_TEXT_BYTES));
    assert_eq!(editor.text(), "");
    editor.paste(&"a".repeat(MAX_TEXT_BYTES));
    write(&mut editor, "b");
    assert_eq!(editor.text().len(), MAX_TEXT_BYTES);
}
