//! The examples at the end of each `--help` do what they say: each is run as it stands, in a shell.

use std::{path::Path, process::Command};

use crate::process::{Running, huizhen, in_folder, run, text};

const COMMANDS: [&[&str]; 15] = [
    &[],
    &["init"],
    &["migrate"],
    &["reconcile"],
    &["operator"],
    &["backup"],
    &["copy"],
    &["restore"],
    &["serve"],
    &["demo"],
    &["chat"],
    &["check"],
    &["frame"],
    &["frame", "decode"],
    &["completions"],
];

fn help(folder: &Path, command: &[&str]) -> String {
    let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
    let output = run(huizhen(folder, &arguments), "");
    assert!(output.status.success(), "{command:?}");
    text(&output.stdout)
}

/// The lines behind "Examples:", without what is said of them.
fn examples(help: &str) -> Vec<String> {
    let Some((_, examples)) = help.split_once("Examples:\n") else {
        return Vec::new();
    };
    examples
        .lines()
        .take_while(|line| line.starts_with("  "))
        .map(|line| {
            let line = line.trim();
            line.split_once("   ")
                .map_or(line, |(example, _)| example)
                .to_owned()
        })
        .collect()
}

fn shell(folder: &Path, line: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_huizhen")).parent().unwrap();
    let mut command = Command::new("sh");
    // `exec`, so that a signal reaches the program and not the shell.
    let line = if line.contains('|') {
        line.to_owned()
    } else {
        format!("exec {line}")
    };
    command.args(["-c", &line]).env(
        "PATH",
        format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
    );
    in_folder(&mut command, folder);
    command
}

#[test]
fn every_example_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let target = testkit::postgres::Postgres::shared().empty_database().unwrap();
    let mut ran = 0;
    // The other commands need the settings that init makes, and the demo beside them.
    let mut demo = None;
    for command in COMMANDS {
        let examples = examples(&help(folder, command));
        assert!(
            !examples.is_empty() || command == ["frame"],
            "{command:?} has no examples"
        );
        for example in examples {
            ran += 1;
            if example.contains(" chat ") {
                demo.get_or_insert_with(|| {
                    let mut demo = Running::start(huizhen(folder, &["demo"]));
                    demo.wait_for("doctor.token");
                    demo
                });
            } else {
                demo = None;
            }
            let serves = matches!(example.split_whitespace().nth(1), None | Some("serve" | "demo"))
                && !example.contains("--help")
                && !example.contains("--print-config");
            if serves {
                let mut server = Running::start(shell(folder, &example));
                // A demo is ready when its people are there.
                let ready = if example.contains("demo") {
                    "doctor.token"
                } else {
                    "listening rest="
                };
                server.wait_for(ready);
                server.signal("TERM");
                assert_eq!(server.end(), Some(0), "{example}");
                continue;
            }
            let mut command = shell(folder, &example);
            // A machine with a low limit is no fault of the example.
            command.env("HUIZHEN_MAX_SESSIONS", "10");
            command.env("TARGET_URL", &target);
            let output = run(command, "");
            assert!(
                output.status.success(),
                "{example}\n{}\n{}",
                text(&output.stdout),
                text(&output.stderr)
            );
            assert!(
                !output.stdout.is_empty() || example.contains('>'),
                "{example} says nothing"
            );
        }
    }
    assert!(ran >= 23, "only {ran} examples were found");
}

#[test]
fn completions_are_made_for_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(huizhen(folder.path(), &["completions", shell]), "");
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("huizhen"), "{shell}");
    }
}

#[test]
fn settings_of_serve_are_told_by_its_help_and_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let help = help(folder.path(), &["serve"]);
    let output = run(huizhen(folder.path(), &["--print-config"]), "");
    let in_force = text(&output.stdout);
    for (flag, key) in [
        ("--im-addr", "im_addr"),
        ("--rest-addr", "rest_addr"),
        ("--admin-addr", "admin_addr"),
        ("--data", "data"),
        ("--drain-s", "drain_s"),
    ] {
        assert!(help.contains(flag), "{flag}");
        assert!(in_force.lines().any(|line| line.starts_with(key)), "{key}");
    }
    assert!(in_force.contains("# environment, HUIZHEN_IM_ADDR"), "{in_force}");
}
