//! The checker of histories: it passes what is right and finds each kind of wrong.

use std::process::Command;

/// Two users in a conversation from the beginning, a third from seq 4 to 6; messages a, b, c, d are 3, 5, 7, 8.
const RIGHT: &str = r#"{"t_us":1,"client":"0.0","user":1,"conversation":9,"event":"conversation","from_seq":1,"reset":false}
{"t_us":2,"client":"0.0","user":1,"conversation":9,"event":"send","id":"a"}
{"t_us":3,"client":"0.0","user":1,"conversation":9,"event":"ack","id":"a","seq":3}
{"t_us":4,"client":"0.0","user":1,"conversation":9,"event":"entry","seq":1}
{"t_us":4,"client":"0.0","user":1,"conversation":9,"event":"entry","seq":2}
{"t_us":5,"client":"0.0","user":1,"conversation":9,"event":"entry","seq":3,"id":"a"}
{"t_us":6,"event":"fault","fault":"kill-node","target":1}
{"t_us":6,"client":"0.0","user":1,"conversation":9,"event":"entry","seq":4}
{"t_us":7,"client":"0.0","user":1,"conversation":9,"event":"send","id":"b"}
{"t_us":7,"client":"0.0","user":1,"conversation":9,"event":"ack","id":"b","seq":5}
{"t_us":7,"client":"0.0","user":1,"conversation":9,"event":"entry","seq":5,"id":"b"}
{"t_us":8,"client":"0.0","user":1,"conversation":9,"event":"entry","seq":6}
{"t_us":9,"client":"0.0","user":1,"conversation":9,"event":"entry","seq":7,"id":"c"}
{"t_us":6,"client":"0.4","user":3,"conversation":9,"event":"conversation","from_seq":4,"reset":false}
{"t_us":6,"client":"0.4","user":3,"conversation":9,"event":"entry","seq":4}
{"t_us":7,"client":"0.4","user":3,"conversation":9,"event":"entry","seq":5,"id":"b"}
{"t_us":8,"client":"0.4","user":3,"conversation":9,"event":"entry","seq":6}
{"event":"journal","conversation":9,"seq":1,"joined":1}
{"event":"journal","conversation":9,"seq":2,"joined":2}
{"event":"journal","conversation":9,"seq":3,"id":"a"}
{"event":"journal","conversation":9,"seq":4,"joined":3}
{"event":"journal","conversation":9,"seq":5,"id":"b"}
{"event":"journal","conversation":9,"seq":6,"left":3}
{"event":"journal","conversation":9,"seq":7,"id":"c"}
"#;

/// What the checker says of a history, first line and whether it passed.
fn check(history: &str) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, history).unwrap();
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/check_history.py"))
        .arg(path)
        .output()
        .expect("python3, which ./test installs");
    let text = String::from_utf8(output.stdout).unwrap();
    (
        text.lines().next().unwrap_or_default().to_owned(),
        output.status.success(),
    )
}

#[test]
fn a_right_history_passes() {
    assert_eq!(
        check(RIGHT),
        (
            "acked 2 lost 0 duplicated 0 reordered 0 leaked 0".to_owned(),
            true
        )
    );
}

#[test]
fn each_kind_of_wrong_is_found() {
    let without = |line: &str| {
        assert!(RIGHT.contains(line), "{line}");
        RIGHT.replacen(&format!("{line}\n"), "", 1)
    };
    let with = |line: &str| format!("{RIGHT}{line}\n");
    for (history, sum) in [
        // An entry of a span never came.
        (
            without(
                r#"{"t_us":7,"client":"0.4","user":3,"conversation":9,"event":"entry","seq":5,"id":"b"}"#,
            ),
            "lost 1 duplicated 0 reordered 0 leaked 0",
        ),
        // Acknowledged, and another message stands there.
        (
            RIGHT.replace(r#""seq":3,"id":"a""#, r#""seq":3,"id":"z""#),
            "lost 1 duplicated 0 reordered 0 leaked 0",
        ),
        (
            with(r#"{"t_us":9,"client":"0.0","user":1,"conversation":9,"event":"entry","seq":7,"id":"c"}"#),
            "lost 0 duplicated 1 reordered 0 leaked 0",
        ),
        // The visitor after its end.
        (
            with(r#"{"t_us":9,"client":"0.4","user":3,"conversation":9,"event":"entry","seq":7,"id":"c"}"#),
            "lost 0 duplicated 0 reordered 0 leaked 1",
        ),
        // Two acknowledgements of one message: the second is of nothing.
        (
            with(r#"{"t_us":9,"client":"0.0","user":1,"conversation":9,"event":"ack","id":"a","seq":8}"#),
            "lost 1 duplicated 1 reordered 0 leaked 0",
        ),
        (
            RIGHT.replace(r#""from_seq":1,"reset":false"#, r#""from_seq":1,"reset":true"#),
            "lost 0 duplicated 0 reordered 1 leaked 0",
        ),
    ] {
        let (line, passed) = check(&history);
        assert!(line.ends_with(sum), "{line}, not {sum}");
        assert!(!passed);
    }
}
