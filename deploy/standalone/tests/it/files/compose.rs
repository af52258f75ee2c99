//! `deploy/compose`: its secrets, and that nothing in it is more open than it must be.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use yaml_rust2::{Yaml, YamlLoader};

use super::{read, root};
use crate::process::{huizhen, run, text};

/// A mapping with what it merges in (`<<`); its own keys win.
fn merged(of: &Yaml) -> BTreeMap<String, Yaml> {
    let mut found = BTreeMap::new();
    for (key, value) in of.as_hash().expect("a mapping") {
        if key.as_str() == Some("<<") {
            for (key, value) in merged(value) {
                found.entry(key).or_insert(value);
            }
        } else {
            found.insert(key.as_str().unwrap().to_owned(), value.clone());
        }
    }
    found
}

fn services() -> BTreeMap<String, BTreeMap<String, Yaml>> {
    let compose = YamlLoader::load_from_str(&read("deploy/compose/compose.yaml")).unwrap();
    let services = compose[0]["services"].as_hash().unwrap();
    services
        .iter()
        .map(|(name, service)| (name.as_str().unwrap().to_owned(), merged(service)))
        .collect()
}

fn list(of: Option<&Yaml>) -> Vec<String> {
    of.and_then(Yaml::as_vec)
        .map(|list| list.iter().filter_map(Yaml::as_str).map(str::to_owned).collect())
        .unwrap_or_default()
}

#[test]
fn a_fleet_is_there_and_every_container_is_closed() {
    let services = services();
    for name in [
        "postgres",
        "redis",
        "api-1",
        "api-2",
        "im-1",
        "im-2",
        "im-3",
        "prometheus",
        "alertmanager",
        "grafana",
    ] {
        let service = services.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        assert_eq!(
            service.get("read_only").and_then(Yaml::as_bool),
            Some(true),
            "{name} may write to its image"
        );
        assert_eq!(
            list(service.get("cap_drop")),
            ["ALL"],
            "{name} keeps capabilities"
        );
        assert_eq!(
            list(service.get("security_opt")),
            ["no-new-privileges:true"],
            "{name}"
        );
        assert!(service.contains_key("healthcheck"), "{name} is not looked at");
        let image = service["image"].as_str().unwrap();
        assert!(
            image.contains(':') && !image.ends_with(":latest"),
            "{name}: {image}"
        );
        // Databases, metrics and dashboards are no business of the network outside, and nothing of ours goes there in clear.
        let open = list(service.get("ports"));
        let is_program = name.starts_with("api-") || name.starts_with("im-");
        let is_tls = |port: &str| {
            is_program
                && ["8443", "9503", "9513", "9523"]
                    .iter()
                    .any(|tls| port.ends_with(tls))
        };
        for port in open {
            let port = interpolated(&port, &[]).unwrap();
            assert!(
                port.starts_with("127.0.0.1:") || is_tls(&port),
                "{name} opens {port}"
            );
        }
        if is_program {
            assert_eq!(list(service.get("env_file")), ["secrets/fleet.env"], "{name}");
        }
    }
}

/// A value as compose reads it: `${NAME:-else}`, `${NAME:+then}`, `${NAME:?why}`.
fn interpolated(text: &str, set: &[(&str, &str)]) -> Result<String, String> {
    let Some((before, rest)) = text.split_once("${") else {
        return Ok(text.to_owned());
    };
    let (inner, after) = rest.split_once('}').expect("a closing brace");
    let (name, (kind, other)) = inner
        .split_once(':')
        .map(|(name, rest)| (name, rest.split_at(1)))
        .expect("a rule for what is not set");
    let value = set
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value);
    let put = match (kind, value.filter(|value| !value.is_empty())) {
        ("-", value) => value.unwrap_or(other),
        ("+", Some(_)) => other,
        ("+", None) => "",
        ("?", Some(value)) => value,
        ("?", None) => return Err(other.to_owned()),
        _ => panic!("{inner}"),
    };
    Ok(format!("{before}{put}{}", interpolated(after, set)?))
}

/// The environment of a service; the reason when compose refuses to start it.
fn environment(service: &str, set: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
    merged(&services()[service]["environment"])
        .into_iter()
        .map(|(name, value)| Ok((name, interpolated(value.as_str().unwrap(), set)?)))
        .collect()
}

#[test]
fn nothing_starts_until_it_is_said_how_codes_are_sent() {
    for api in ["api-1", "api-2"] {
        let why = environment(api, &[]).unwrap_err();
        for word in ["SMS_PROVIDER=webhook", "SMS_WEBHOOK_URL", "trial"] {
            assert!(why.contains(word), "{why}");
        }
        let environment = environment(api, &[("SMS_PROVIDER", "log")]).unwrap();
        assert_eq!(environment["HUIZHEN_SMS_PROVIDER"], "log");
    }
    assert!(environment("im-1", &[]).is_ok());
}

/// The settings as the program itself reads them.
#[test]
fn a_certificate_in_the_folder_switches_tls_on_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let printed = |service: &str, set: &[(&str, &str)]| {
        let mut command = huizhen(folder.path(), &["serve", "--print-config"]);
        command.envs(environment(service, set).unwrap());
        let output = run(command, "");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let webhook = [
        ("SMS_PROVIDER", "webhook"),
        ("SMS_WEBHOOK_URL", "https://sms.example.com/send"),
    ];
    let plain = printed("api-1", &webhook);
    assert!(plain.contains("https://sms.example.com/send"), "{plain}");
    assert!(
        !plain.contains("0.0.0.0:8443") && !plain.contains("/etc/huizhen/tls"),
        "{plain}"
    );
    let certificate = [
        webhook[0],
        webhook[1],
        ("TLS_CERT", "certificate.pem"),
        ("TLS_KEY", "key.pem"),
        ("TRUSTED_PROXIES", "10.0.0.0/8"),
        ("PROXY_PROTOCOL_PORTS", "im,tls"),
    ];
    for service in ["api-1", "api-2", "im-1", "im-2", "im-3"] {
        let tls = printed(service, &certificate);
        for setting in [
            "/etc/huizhen/tls/certificate.pem",
            "/etc/huizhen/tls/key.pem",
            "10.0.0.0/8",
        ] {
            assert!(tls.contains(setting), "{service} has no {setting}: {tls}");
        }
        assert_eq!(service.starts_with("api-"), tls.contains("0.0.0.0:8443"), "{tls}");
        let mounts = list(services()[service].get("volumes"));
        let mounts: Vec<String> = mounts.iter().map(|it| interpolated(it, &[]).unwrap()).collect();
        let payment = "./payment:/etc/huizhen/payment:ro";
        let media = "./media:/etc/huizhen/media:ro";
        let expected = ["./tls:/etc/huizhen/tls:ro", payment, media];
        let count = if service.starts_with("api-") { 3 } else { 1 };
        assert_eq!(mounts, expected[..count], "{service}");
    }
    assert!(!plain.contains("/etc/huizhen/payment"), "{plain}");
    assert!(!plain.contains("/etc/huizhen/media"), "{plain}");
    let stored = [webhook[0], webhook[1], ("MEDIA_STORE", "s3://clinic-media/a")];
    for service in ["api-1", "im-1"] {
        let printed = printed(service, &stored);
        assert!(printed.contains("s3://clinic-media/a"), "{printed}");
        let has_key = printed.contains("/etc/huizhen/media/s3.toml");
        assert_eq!(has_key, service == "api-1", "{printed}");
    }
    let paid = printed(
        "api-1",
        &[webhook[0], webhook[1], ("PAYMENT_PROVIDERS", "wechat,alipay")],
    );
    for setting in [
        "\"wechat\", \"alipay\"",
        "payment/wechat-pay.toml",
        "payment/alipay.toml",
    ] {
        assert!(paid.contains(setting), "{paid}");
    }
    for (node, port) in [("im-1", 9503), ("im-2", 9513), ("im-3", 9523)] {
        let service = &services()[node];
        let listens = format!("--tls-addr=0.0.0.0:{port}");
        assert!(list(service.get("command")).contains(&listens), "{node}");
        // The announced port is the one inside.
        assert!(
            list(service.get("ports")).contains(&format!("{port}:{port}")),
            "{node}"
        );
    }
}

#[test]
fn no_password_stands_in_the_file() {
    for (name, service) in services() {
        let Some(environment) = service.get("environment") else {
            continue;
        };
        for (key, value) in merged(environment) {
            let is_secret = ["PASSWORD", "SECRET", "TOKEN", "KEY"]
                .iter()
                .any(|word| key.contains(word));
            // The name of a file.
            let is_secret = is_secret && key != "HUIZHEN_TLS_KEY";
            let value = value.as_str().unwrap_or_default();
            assert!(
                !is_secret || (key.ends_with("_FILE") && value.starts_with("/run/secrets/")),
                "{name}: {key}"
            );
        }
    }
}

/// `init.sh` in a folder of its own.
fn init(folder: &Path) {
    let output = Command::new("bash").arg(folder.join("init.sh")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let secret = fs::read_to_string(folder.join("secrets/redis_password")).unwrap();
    assert!(!shown.contains(&secret), "a password is shown: {shown}");
}

fn secrets(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder.join("secrets"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn secrets_are_made_once_and_for_one_reader() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::copy(root().join("deploy/compose/init.sh"), folder.join("init.sh")).unwrap();
    init(folder);
    let made = secrets(folder);
    for name in ["postgres_password", "redis_password", "grafana_password"] {
        assert!(made[name].len() >= 32, "{name} is short");
        assert_eq!(
            made.values().filter(|other| **other == made[name]).count(),
            1,
            "{name} is used twice"
        );
    }
    assert!(made["fleet.env"].contains(&made["postgres_password"]));
    assert!(made["fleet.env"].contains(&made["redis_password"]));
    assert!(made["redis_users.acl"].contains("user default off"));
    assert_eq!(mode(&folder.join("secrets")), 0o700);
    assert!(
        ["tls", "payment", "media"]
            .iter()
            .all(|name| folder.join(name).is_dir())
    );
    let settings = fs::read_to_string(folder.join(".env")).unwrap();
    assert!(settings.contains("#SMS_PROVIDER=webhook"), "{settings}");
    fs::write(folder.join(".env"), "SMS_PROVIDER=webhook\n").unwrap();
    for name in ["fleet.env", "redis_password"] {
        assert_eq!(mode(&folder.join("secrets").join(name)), 0o600, "{name}");
    }
    // Again: nothing changes, and a folder that was opened is closed.
    fs::set_permissions(folder.join("secrets"), fs::Permissions::from_mode(0o755)).unwrap();
    init(folder);
    assert_eq!(secrets(folder), made);
    assert_eq!(
        fs::read_to_string(folder.join(".env")).unwrap(),
        "SMS_PROVIDER=webhook\n"
    );
    assert_eq!(mode(&folder.join("secrets")), 0o700);
}

#[test]
fn docker_compose_takes_the_file_and_wants_the_secrets() {
    let has_compose = Command::new("docker")
        .args(["compose", "version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_compose {
        eprintln!("not asked: there is no docker compose here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["init.sh", "compose.yaml"] {
        fs::copy(root().join("deploy/compose").join(name), folder.join(name)).unwrap();
    }
    let config = || {
        Command::new("docker")
            .args(["compose", "config", "--quiet"])
            .current_dir(folder)
            .output()
            .unwrap()
    };
    assert!(!config().status.success(), "it starts without secrets");
    init(folder);
    let refused = config();
    assert!(!refused.status.success(), "it starts without a way for codes");
    assert!(
        text(&refused.stderr).contains("SMS_WEBHOOK_URL"),
        "{}",
        text(&refused.stderr)
    );
    fs::write(folder.join(".env"), "SMS_PROVIDER=log\n").unwrap();
    let output = config();
    assert!(output.status.success(), "{}", text(&output.stderr));
}
