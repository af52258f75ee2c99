//! The commands beside serving.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use testkit::redis::{Options, Redis};

use crate::process::{PATIENCE, Running, huizhen, run, text};

#[test]
fn init_makes_everything_once_and_check_is_content() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = run(huizhen(folder, &["init"]), "");
    assert!(made.status.success(), "{}", text(&made.stderr));
    let mode = |file: &str| std::fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    assert_eq!(mode("data/tls/key.pem"), 0o600);
    assert_eq!(mode("data/huizhen.toml"), 0o600);
    let key = std::fs::read(folder.join("data/tls/key.pem")).unwrap();
    let again = run(huizhen(folder, &["init"]), "");
    assert!(text(&again.stdout).matches("kept").count() >= 2);
    assert_eq!(std::fs::read(folder.join("data/tls/key.pem")).unwrap(), key);

    let checked = run(
        huizhen(
            folder,
            &["check", "--config", "data/huizhen.toml", "--max-sessions", "10"],
        ),
        "",
    );
    let lines = text(&checked.stdout);
    assert!(checked.status.success(), "{lines}");
    for about in [
        "ok    settings",
        "ok    data folder",
        "ok    database",
        "ok    port",
        "ok    open files",
        "ok    clock",
        "fsync        ",
        "is valid for 36",
        "only its owner may read",
    ] {
        assert!(lines.contains(about), "{about} in\n{lines}");
    }

    // And it serves, with TLS.
    let mut serve = Running::start(huizhen(
        folder,
        &["--config", "data/huizhen.toml", "--ports-file", "ports.json"],
    ));
    serve.wait_for("listening tls=127.0.0.1:");
    let served = run(huizhen(folder, &["check", "--config", "data/huizhen.toml"]), "");
    assert!(
        text(&served.stdout).contains("served by a running process"),
        "{}",
        text(&served.stdout)
    );
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
}

/// Staging beside production: nothing of one reaches the other, and it is said all the same.
#[test]
fn check_tries_the_payment_providers_and_shows_no_key() {
    const KEY: &str = include_str!("../../../../fleet/payment/tests/it/testdata/merchant.pem");
    const PUBLIC: &str = include_str!("../../../../fleet/payment/tests/it/testdata/platform.pub");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let check = |flags: &[&str]| {
        let flags = [&["check", "--max-sessions", "10"], flags].concat();
        let checked = run(huizhen(folder, &flags), "");
        let lines = text(&checked.stdout) + &text(&checked.stderr);
        let secret = KEY.lines().nth(1).unwrap();
        assert!(!lines.contains(secret), "{lines}");
        (checked.status.success(), lines)
    };
    let write = |name: &str, text: &str, mode: u32| {
        std::fs::write(folder.join(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.join(name), mode).unwrap();
    };
    let refused = |flags: &[&str], why: &str| {
        let (is_fine, lines) = check(flags);
        assert!(!is_fine && lines.contains("fail  payment"), "{lines}");
        assert!(lines.contains(why), "{why} in\n{lines}");
    };
    assert!(!check(&[]).1.contains("payment"));
    refused(&["--payment-providers", "wechat"], "needs --wechat-pay-config");
    let alipay = ["--payment-providers", "alipay", "--alipay-config", "alipay.toml"];
    refused(&alipay, "alipay.toml cannot be read");
    let settings = "app_id = \"1\"\nseller_id = \"2\"\nprivate_key_file = \"app.pem\"\n\
                    alipay_public_key_file = \"alipay.pub\"\nnotify_url = \"https://api.example.com/\"\n\
                    base_url = \"http://127.0.0.1:1/gateway.do\"\n";
    write("alipay.toml", settings, 0o644);
    refused(&alipay, "chmod 600 alipay.toml");
    write("alipay.toml", settings, 0o600);
    write("alipay.pub", PUBLIC, 0o600);
    write("app.pem", KEY, 0o600);
    refused(&alipay, "app.pem is not a private RSA key");
    write("app.pem", &KEY.replace("TESTING KEY", "PRIVATE KEY"), 0o600);
    refused(&alipay, "the provider cannot be reached: no connection");
}

#[test]
fn check_tells_of_another_fleet_on_the_same_redis() {
    let redis = Redis::start(Options {
        settings: vec!["maxmemory 1gb".into(), "maxmemory-policy noeviction".into()],
        ..Options::default()
    })
    .unwrap();
    let (production, staging) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let command = |folder: &tempfile::TempDir, arguments: &[&str]| {
        let mut command = huizhen(folder.path(), arguments);
        command.env("HUIZHEN_REDIS_URL", redis.url());
        command
    };
    let check = |folder| {
        let checked = run(command(folder, &["check", "--max-sessions", "10"]), "");
        text(&checked.stdout) + &text(&checked.stderr)
    };
    let serve = |folder| {
        let mut serve = Running::start(command(folder, &["serve", "--drain-s", "1"]));
        serve.wait_for("listening admin=");
        serve
    };
    let fleets = |count: usize| {
        let end = std::time::Instant::now() + PATIENCE;
        while redis
            .command(&["HKEYS", "huizhen:fleets"])
            .unwrap()
            .lines()
            .count()
            != count
        {
            assert!(std::time::Instant::now() < end, "never {count} fleets");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    let (first, second) = (serve(&production), serve(&staging));
    fleets(2);
    // Whose database it is is read beside the server, too.
    let lines = check(&production);
    assert!(
        lines.contains("another fleet uses it under the same prefix"),
        "{lines}"
    );
    second.signal("TERM");
    assert_eq!(second.end(), Some(0));
    let lines = check(&staging);
    assert!(
        lines.contains("warn  redis") && lines.contains("another fleet uses it under the same prefix"),
        "{lines}"
    );
    assert!(lines.contains("prefix="), "{lines}");
    first.signal("TERM");
    assert_eq!(first.end(), Some(0));
}

#[test]
fn check_looks_at_the_limits_of_redis() {
    let folder = tempfile::tempdir().unwrap();
    let check = |settings: &[&str]| {
        let redis = Redis::start(Options {
            settings: settings.iter().map(|line| (*line).to_owned()).collect(),
            ..Options::default()
        })
        .unwrap();
        let flags = ["check", "--max-sessions", "10", "--redis-url", &redis.url()];
        let checked = run(huizhen(folder.path(), &flags), "");
        (checked.status.success(), text(&checked.stdout))
    };
    let limited = ["maxmemory 1gb", "maxmemory-policy noeviction"];
    let (is_fine, lines) = check(&limited);
    assert!(
        is_fine && lines.contains("ok    redis        it answers"),
        "{lines}"
    );
    assert_eq!(lines.matches(" redis  ").count(), 1, "{lines}");
    let (is_fine, lines) = check(&[
        limited[0],
        limited[1],
        "client-output-buffer-limit pubsub 64kb 32kb 1",
    ]);
    assert!(!is_fine && lines.contains("fail  redis"), "{lines}");
    assert!(
        lines.contains("client-output-buffer-limit pubsub 256mb 64mb 60"),
        "{lines}"
    );
    let (is_fine, lines) = check(&[]);
    assert!(
        is_fine && lines.contains("warn  redis") && lines.contains("maxmemory 1gb"),
        "{lines}"
    );
}

#[test]
fn check_says_what_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(folder.join("bad.pem"), "nothing").unwrap();
    let checked = run(
        huizhen(
            folder,
            &[
                "check",
                "--im-addr",
                &address,
                "--max-sessions",
                "4000000000",
                "--tls-cert",
                "bad.pem",
                "--tls-key",
                "bad.pem",
            ],
        ),
        "",
    );
    assert_eq!(checked.status.code(), Some(1));
    let lines = text(&checked.stdout);
    for told in [
        "warn  data folder",
        "→ huizhen init --data ./data",
        "fail  port",
        "→ huizhen serve --im-addr 127.0.0.1:0",
        "fail  open files",
        "→ ulimit -n 4000001024",
        "fail  certificate",
        "→ chmod 600 bad.pem",
    ] {
        assert!(lines.contains(told), "{told} in\n{lines}");
    }
    assert!(!folder.join("data").exists(), "a check makes nothing");
}

#[test]
fn check_tells_what_strangers_reach() {
    let folder = tempfile::tempdir().unwrap();
    let check = |flags: &[&str]| {
        let flags = [&["check", "--max-sessions", "10"], flags].concat();
        let checked = run(huizhen(folder.path(), &flags), "");
        (checked.status.success(), text(&checked.stdout))
    };
    let (_, lines) = check(&[]);
    assert!(lines.contains("ok    exposure"), "{lines}");
    let (_, lines) = check(&["--rest-addr", "0.0.0.0:0", "--im-addr", "[::]:0"]);
    for told in [
        "--rest-addr 0.0.0.0:0 is all addresses of this machine",
        "--im-addr [::]:0 is all addresses of this machine",
        "--sms-provider log writes phones and SMS codes to the log",
    ] {
        let line = lines.lines().find(|line| line.contains(told));
        assert!(
            line.is_some_and(|line| line.starts_with("warn  exposure")),
            "{told} in\n{lines}"
        );
    }
    let (is_fine, lines) = check(&["--rest-tls-addr", "127.0.0.1:0"]);
    assert!(
        !is_fine && lines.contains("--rest-tls-addr 127.0.0.1:0 needs one"),
        "{lines}"
    );
}

/// One certificate for the node and REST, told about once, and a start that says what is open.
#[test]
fn rest_is_served_with_tls_by_the_nodes_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let refused = run(huizhen(folder, &["serve", "--rest-tls-addr", "127.0.0.1:0"]), "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("set --tls-cert and --tls-key"),
        "{}",
        text(&refused.stderr)
    );
    assert!(
        run(huizhen(folder, &["init", "--host", "elsewhere.example"]), "")
            .status
            .success()
    );
    let flags = [
        "serve",
        "--config",
        "data/huizhen.toml",
        "--advertise",
        "127.0.0.1",
        "--rest-addr",
        "0.0.0.0:0",
        "--rest-tls-addr",
        "127.0.0.1:0",
    ];
    let mut command = huizhen(folder, &flags);
    command.stdout(Stdio::piped());
    command.stderr(std::fs::File::create(folder.join("log")).unwrap());
    let mut serve = command.spawn().unwrap();
    let lines = BufReader::new(serve.stdout.take().unwrap()).lines();
    let listening: Vec<String> = lines
        .map(Result::unwrap)
        .take_while(|line| !line.starts_with("listening ws="))
        .collect();
    assert!(
        listening
            .iter()
            .any(|line| line.starts_with("listening rest-tls=127.0.0.1:")),
        "{listening:?}"
    );
    let stop = Command::new("kill").arg(serve.id().to_string()).status().unwrap();
    assert!(stop.success() && serve.wait().unwrap().success());
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    for told in [
        "is not for 127.0.0.1",
        "access tokens and records of REST travel without TLS",
        "--sms-provider log writes phones",
    ] {
        assert_eq!(log.matches(told).count(), 1, "{told} in\n{log}");
    }
}

#[test]
fn a_wrong_setting_stops_the_start_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("huizhen.toml"),
        "im_addr = \"127.0.0.1:0\"\nrest_adr = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    let output = run(huizhen(folder.path(), &["--config", "huizhen.toml"]), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr)
            .contains("huizhen.toml:2: unknown setting `rest_adr`; did you mean `rest_addr`?"),
        "{}",
        text(&output.stderr)
    );
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = Running::start(huizhen(folder.path(), &["serve"]));
    serve.wait_for("listening rest=");
    let second = run(huizhen(folder.path(), &["serve"]), "");
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("in use by another process"),
        "{}",
        text(&second.stderr)
    );
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
    let migrated = run(huizhen(folder.path(), &["migrate"]), "");
    assert!(
        text(&migrated.stdout).contains("the schema has version"),
        "{}",
        text(&migrated.stderr)
    );
}

#[test]
fn operators_are_made_listed_disabled_and_reset() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let operator = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["operator"].iter().chain(arguments).copied().collect();
        run(huizhen(folder, &arguments), "")
    };
    let password = |output: &std::process::Output| {
        let lines = text(&output.stdout);
        let password = lines.lines().find_map(|line| line.strip_prefix("password "));
        password
            .map(str::to_owned)
            .unwrap_or_else(|| panic!("{lines}{}", text(&output.stderr)))
    };
    let first = password(&operator(&["add", "张伟"]));
    assert_eq!(first.len(), 24);
    let again = operator(&["add", "张伟"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again.stderr).contains("huizhen operator reset"),
        "{}",
        text(&again.stderr)
    );
    for bad in ["", " x", "a\nb", &"x".repeat(65)] {
        assert_eq!(operator(&["add", bad]).status.code(), Some(1), "{bad:?}");
    }
    for unknown in ["disable", "reset"] {
        let output = operator(&[unknown, "nobody"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("there is no operator"));
    }
    assert!(operator(&["disable", "张伟"]).status.success());
    assert!(text(&operator(&["list"]).stdout).contains("disabled  张伟"));
    let second = password(&operator(&["reset", "张伟"]));
    assert_ne!(first, second);
    assert!(text(&operator(&["list"]).stdout).contains("good      张伟"));
    let everything = std::fs::read(folder.join("data/huizhen.db")).unwrap();
    for secret in [first, second] {
        let found = everything
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "the password itself is kept nowhere");
    }
}
