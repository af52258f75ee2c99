//! Commands beside a running server: `check` knows it, `operator` has it do the work.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use testkit::port::Port;

use crate::process::{Running, huizhen, run, text};

/// Ports of a server's own, all of them at once.
struct Ports(Vec<(&'static str, Port)>);

impl Ports {
    fn take() -> Self {
        Self(
            ["IM", "WS", "REST", "ADMIN"]
                .into_iter()
                .map(|name| (name, Port::take().unwrap()))
                .collect(),
        )
    }

    fn on(&self, mut command: Command) -> Command {
        for (name, port) in &self.0 {
            command.env(format!("HUIZHEN_{name}_ADDR"), port.address().to_string());
        }
        command
    }
}

fn check(ports: &Ports, folder: &Path, more: &[&str]) -> (bool, String) {
    let arguments: Vec<&str> = ["check", "--max-sessions", "10"]
        .iter()
        .chain(more)
        .copied()
        .collect();
    let checked = run(ports.on(huizhen(folder, &arguments)), "");
    (
        checked.status.success(),
        text(&checked.stdout) + &text(&checked.stderr),
    )
}

#[test]
fn check_knows_its_own_server_and_no_other() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ports = Ports::take();
    let mut serve = Running::start(ports.on(huizhen(folder.path(), &["serve", "--drain-s=1"])));
    serve.wait_for("listening ws=");
    let (is_fine, lines) = check(&ports, folder.path(), &[]);
    assert!(is_fine, "{lines}");
    assert_eq!(
        lines.matches("is held by the server itself: huizhen ").count(),
        4,
        "{lines}"
    );
    assert!(
        lines.contains("ok    database")
            && lines.contains("served by a running process; its schema has version"),
        "{lines}"
    );
    for about in [
        "ok    free space",
        "ok    advertised",
        "only apps on this machine can",
        "ok    sms",
        "ok    clock",
    ] {
        assert!(lines.contains(about), "{about} in\n{lines}");
    }
    // A server of another folder holds the same ports.
    assert!(run(huizhen(other.path(), &["migrate"]), "").status.success());
    let (is_fine, lines) = check(&ports, other.path(), &[]);
    assert!(!is_fine, "{lines}");
    assert_eq!(
        lines.matches("is held by a server of another database").count(),
        4,
        "{lines}"
    );
    // A program that is none of ours.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let flag = format!("--ws-addr={}", taken.local_addr().unwrap());
    let (is_fine, lines) = check(&ports, folder.path(), &[&flag]);
    assert!(!is_fine && lines.contains("in use by another program"), "{lines}");
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
    let (is_fine, lines) = check(&ports, folder.path(), &[]);
    assert!(is_fine && lines.matches(" is free").count() == 4, "{lines}");
}

#[test]
fn check_looks_at_what_others_must_reach() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::take();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = format!("http://{}/send?key=geheim", taken.local_addr().unwrap());
    let gone = Port::take().unwrap();
    let dead = format!("http://{}/send?key=geheim", gone.address());
    let look = |more: &[&str]| {
        let (is_fine, lines) = check(&ports, folder.path(), more);
        assert!(!lines.contains("geheim"), "{lines}");
        (is_fine, lines)
    };
    let webhook = |url: &str| {
        let url = format!("--sms-webhook-url={url}");
        look(&["--sms-provider=webhook", &url])
    };
    let (is_fine, lines) = webhook(&gateway);
    assert!(
        is_fine && lines.contains("ok    sms") && lines.contains("which accepts"),
        "{lines}"
    );
    let (is_fine, lines) = webhook(&dead);
    assert!(!is_fine && lines.contains("fail  sms"), "{lines}");
    let (_, lines) = look(&["--rest-addr=0.0.0.0:0"]);
    assert!(
        lines.contains("warn  sms") && lines.contains("--sms-provider webhook"),
        "{lines}"
    );

    let (is_fine, lines) = look(&["--im-addr=0.0.0.0:0"]);
    assert!(
        !is_fine && lines.contains("fail  advertised") && lines.contains("→ huizhen serve --advertise"),
        "{lines}"
    );
    let (_, lines) = look(&["--advertise=127.0.0.1", "--redis-url=redis://127.0.0.1:1"]);
    assert!(lines.contains("warn  advertised"), "{lines}");
    let (_, lines) = look(&["--advertise=192.0.2.1:9501"]);
    assert!(
        lines.contains("ok    advertised")
            && lines.contains("192.0.2.1:9501, not an address of this machine"),
        "{lines}"
    );
    let (is_fine, lines) = look(&["--advertise=nowhere.invalid"]);
    assert!(!is_fine && lines.contains("fail  advertised"), "{lines}");
}

#[test]
fn operators_are_managed_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let operator = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["operator"].iter().chain(arguments).copied().collect();
        run(huizhen(folder, &arguments), "")
    };
    let socket = folder.join("data/operator.sock");
    let mut serve = Running::start(huizhen(folder, &["serve"]));
    serve.wait_for("listening ws=");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let added = operator(&["add", "张伟"]);
    assert!(
        text(&added.stdout).contains("\npassword "),
        "{}",
        text(&added.stderr)
    );
    let again = operator(&["add", "张伟"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again.stderr).contains("huizhen operator reset"),
        "{}",
        text(&again.stderr)
    );
    assert!(operator(&["disable", "张伟"]).status.success());
    assert!(text(&operator(&["list"]).stdout).contains("disabled  张伟"));
    assert!(text(&operator(&["reset", "张伟"]).stdout).contains("\npassword "));
    assert_eq!(operator(&["disable", "nobody"]).status.code(), Some(1));

    // A socket that a killed server left keeps nothing from working, neither the command nor the next server.
    serve.signal("KILL");
    assert_eq!(serve.end(), None);
    assert!(socket.exists());
    assert!(text(&operator(&["list"]).stdout).contains("good      张伟"));
    let mut serve = Running::start(huizhen(folder, &["serve"]));
    serve.wait_for("listening ws=");
    assert!(text(&operator(&["list"]).stdout).contains("good      张伟"));
    // Without a door the command says what to do.
    std::fs::remove_file(&socket).unwrap();
    let refused = operator(&["list"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("stop the server first"),
        "{}",
        text(&refused.stderr)
    );
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
    assert!(!socket.exists());
    assert!(operator(&["list"]).status.success());
}
