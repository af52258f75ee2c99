//! The tours of both READMEs, pasted block by block into a shell beside a running demo, with the patient's chat in a terminal
//! of its own. Between them and the end the demo is started again, on a day of the next month.

use std::{fs, path::Path, process::Command};

use super::terminal::Terminal;
use crate::process::{Places, Running, huizhen, in_folder};

/// The indented blocks of the tour: what is pasted, and last what the chat shows.
fn blocks(readme: &str, heading: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(readme);
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text
        .split_once(heading)
        .unwrap_or_else(|| panic!("{readme} has no tour"));
    let section = section.split("\n## ").next().unwrap();
    let mut blocks = Vec::new();
    let mut block = String::new();
    for line in section.lines().chain([""]) {
        if let Some(line) = line.strip_prefix("    ") {
            block.push_str(line);
            block.push('\n');
        } else if !block.is_empty() {
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks
}

/// Pastes a block, and waits for its end.
fn paste(shell: &mut Running, block: &str) {
    for line in block.lines() {
        shell.type_line(line);
    }
    shell.type_line("echo the block is done");
}

/// Follows them; in `language` the chat shows what stands there.
fn follow(readme: &str, headings: [&str; 2], language: &str) {
    let mut blocks = blocks(readme, headings[0]);
    let shown = blocks.pop().unwrap();
    assert_eq!((blocks.len(), shown.lines().count()), (8, 5), "{readme}");

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let places = Places::take();
    let mut demo = Running::start(places.on(huizhen(folder, &["demo"])));
    demo.wait_for("curl -K data/demo/doctor.curl http://127.0.0.1:");
    let base = places.rest();

    // A failing line ends the shell, so that the expected output does not come.
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail"]);
    in_folder(&mut shell, folder);
    let mut shell = Running::start(shell);
    let mut chat = None;
    for block in &blocks {
        paste(&mut shell, &block.replace("http://127.0.0.1:8080", &base));
        if block.contains("\necho ") {
            let line = shell.wait_for("huizhen chat");
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[..2], ["./target/quick/huizhen", "chat"]);
            let mut terminal = huizhen(folder, &words[1..]);
            terminal.env("LANG", language);
            let mut terminal = Running::start(terminal);
            terminal.wait_for("──");
            chat = Some(terminal);
        }
        shell.wait_for("the block is done");
    }
    let mut chat = chat.expect("one block opens the consult");
    for line in shown.lines() {
        chat.wait_for(line);
    }
    chat.end_input();
    assert_eq!(chat.end(), Some(0));

    let image = fs::read(folder.join("data/demo/invitation.png")).unwrap();
    assert!(image.starts_with(b"\x89PNG\r\n"), "no QR code");
    shell.type_line("curl -K data/demo/patient.curl $API/consult/$CONSULT");
    let consult = shell.wait_for("consultation_id");
    for expected in [
        "\"status\":\"finished\"",
        "\"target_member_name\":\"小明\"",
        "\"team_name\":\"仁心儿科\"",
    ] {
        assert!(consult.contains(expected), "{consult}");
    }
    let demo = follow_money(readme, headings[1], (folder, &places), (demo, &mut shell));
    shell.end_input();
    assert_eq!(shell.end(), Some(0));
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
}

/// The second one; returns the demo that it has started.
fn follow_money(
    readme: &str,
    heading: &str,
    (folder, places): (&Path, &Places),
    (mut demo, shell): (Running, &mut Running),
) -> Running {
    let blocks = blocks(readme, heading);
    assert_eq!(blocks.len(), 5, "{readme}");
    for block in &blocks {
        if let Some(now) = block.strip_prefix("cargo run --profile quick -- demo --now ") {
            shell.type_line(&format!("echo now {now}"));
            let line = shell.wait_for("now ");
            let now = line.trim().trim_start_matches("now ");
            demo.signal("INT");
            assert_eq!(demo.end(), Some(0));
            demo = Running::start(places.on(huizhen(folder, &["demo", "--now", now])));
            demo.wait_for("curl -K data/demo/doctor.curl http://127.0.0.1:");
            continue;
        }
        let own = env!("CARGO_BIN_EXE_huizhen");
        paste(shell, &block.replace("./target/quick/huizhen", own));
        for expected in [
            ("consumption_list", "\"amount_fen\":-9900"),
            ("/income", "\"this_month_fen\":8910"),
            ("/payee", "****3445"),
            ("withdrawal_list", "\"paid_fen\":8910"),
            ("reconcile", "balanced"),
        ] {
            if block.contains(expected.0) {
                shell.wait_for(expected.1);
            }
        }
        shell.wait_for("the block is done");
    }
    demo
}

#[test]
fn a_newcomer_makes_a_clinic_a_team_and_a_consult_with_curl_alone() {
    let headings = ["\n## The tour:", "\n## The tour of the money"];
    follow("README.md", headings, "C.UTF-8");
}

#[test]
fn the_same_in_chinese() {
    let headings = ["\n## 用 curl 走一遍", "\n## 资金走一遍"];
    follow("README.zh-CN.md", headings, "zh_CN.UTF-8");
}

/// Follows the day in a clinic; the patient's chat is at a terminal, where `/send` works.
fn follow_day(readme: &str, heading: &str, language: &str) {
    let mut blocks = blocks(readme, heading);
    let shown = blocks.pop().unwrap();
    assert_eq!((blocks.len(), shown.lines().count()), (11, 8), "{readme}");

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let places = Places::take();
    let mut demo = Running::start(places.on(huizhen(folder, &["demo"])));
    demo.wait_for("Ctrl-C");
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail"]);
    in_folder(&mut shell, folder);
    let mut shell = Running::start(shell);
    let mut chat = None;
    for block in &blocks {
        if let Some(line) = block.strip_prefix("/send ") {
            let chat: &mut Terminal = chat.as_mut().expect("an earlier block opens the consult");
            chat.keys(&format!("/send {}\r", line.trim_end()));
            chat.wait_for(shown.lines().nth(2).unwrap());
            continue;
        }
        let block = block.replace("http://127.0.0.1:8080", &places.rest());
        let block = block.replace(
            "| ./target/quick/huizhen",
            &format!("| {}", env!("CARGO_BIN_EXE_huizhen")),
        );
        let block = block.replace(
            "\n./target/quick/huizhen",
            &format!("\n{}", env!("CARGO_BIN_EXE_huizhen")),
        );
        paste(&mut shell, &block);
        if block.contains("\necho ./target") {
            let line = shell.wait_for("huizhen chat");
            let words: Vec<&str> = line.split_whitespace().collect();
            let mut command = huizhen(folder, &words[1..]);
            command.env("LANG", language);
            let mut terminal = Terminal::start(&command, 140, 60);
            terminal.wait_for("/help");
            chat = Some(terminal);
        }
        for expected in [
            ("max=120", "起疹子两天"),
            ("consult_history", "\"served_by_me\":1"),
            ("follow_up_of", "\"follow_up_of\":"),
        ] {
            if block.contains(expected.0) {
                shell.wait_for(expected.1);
            }
        }
        shell.wait_for("the block is done");
    }
    let mut chat = chat.expect("one block opens the consult");
    for line in shown.lines() {
        chat.wait_for(line);
    }
    chat.keys("\x04");
    assert_eq!(chat.end(), Some(0));
    for picture in ["poster.png", "seen.png"] {
        let image = fs::read(folder.join("data/demo").join(picture)).unwrap();
        assert!(image.len() > 100, "{picture}");
    }
    shell.end_input();
    assert_eq!(shell.end(), Some(0));
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn a_clinic_s_day_with_curl_and_chat_alone() {
    follow_day("README.md", "\n## A day in a clinic", "C.UTF-8");
}

#[test]
fn the_clinic_s_day_in_chinese() {
    follow_day("README.zh-CN.md", "\n## 诊所的一天", "zh_CN.UTF-8");
}

/// A file for curl holds an access token: nobody else reads it, and an earlier demo's folder gets one.
#[test]
fn the_files_for_curl_are_private_and_made_again() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("data/demo/patient.curl");
    for _ in 0..2 {
        let mut demo = Running::start(huizhen(folder, &["demo"]));
        demo.wait_for("curl -K data/demo/doctor.curl");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        demo.signal("TERM");
        assert_eq!(demo.end(), Some(0));
        fs::remove_file(&file).unwrap();
    }
}
