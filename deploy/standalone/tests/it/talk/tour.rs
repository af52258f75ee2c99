//! The tour of both READMEs, pasted block by block into a shell beside a running demo, with the patient's chat in a terminal
//! of its own.

use std::{fs, path::Path, process::Command};

use crate::process::{Running, huizhen, in_folder};

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

/// Follows it; in `language` the chat shows what stands there.
fn follow(readme: &str, heading: &str, language: &str) {
    let mut blocks = blocks(readme, heading);
    let shown = blocks.pop().unwrap();
    assert_eq!((blocks.len(), shown.lines().count()), (7, 5), "{readme}");

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut demo = Running::start(huizhen(folder, &["demo", "--ports-file", "ports.json"]));
    demo.wait_for("curl -K data/demo/doctor.curl http://127.0.0.1:");
    let ports: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("ports.json")).unwrap()).unwrap();
    let base = format!("http://{}", ports["rest"].as_str().unwrap());

    // What fails ends it, and what was to come does not come.
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail"]);
    in_folder(&mut shell, folder);
    let mut shell = Running::start(shell);
    let mut chat = None;
    for (number, block) in blocks.iter().enumerate() {
        for line in block.lines() {
            shell.type_line(&line.replace("http://127.0.0.1:8080", &base));
        }
        shell.type_line(&format!("echo block {number} is done"));
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
        shell.wait_for(&format!("block {number} is done"));
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
    shell.end_input();
    assert_eq!(shell.end(), Some(0));
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn a_newcomer_makes_a_clinic_a_team_and_a_consult_with_curl_alone() {
    follow("README.md", "\n## The tour", "C.UTF-8");
}

#[test]
fn the_same_in_chinese() {
    follow("README.zh-CN.md", "\n## 用 curl 走一遍", "zh_CN.UTF-8");
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
