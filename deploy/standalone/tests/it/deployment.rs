//! What lies in `deploy/` fits the programs: metrics, flags, YAML; and systemd is told what it wants to know.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use program::catalogue::{Kind, all};
use yaml_rust2::{Yaml, YamlLoader};

use crate::process::{PATIENCE, Running, huizhen, run, text};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder with one of these ends.
pub(crate) fn files(folder: &Path, ends: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "secrets" | "node_modules") {
                found.extend(files(&path, ends));
            }
        } else if ends.iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    found
}

/// Words of letters, digits and underscores that begin like this.
fn words(text: &str, beginning: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with(beginning))
        .map(str::to_owned)
        .collect()
}

fn catalogue() -> BTreeSet<&'static str> {
    all().iter().map(|metric| metric.name).collect()
}

/// Counted by a name in quotes, or by the static of the catalogue: `NAME.increment(`, `.add(`, `.set(`, `.record(`.
#[test]
fn the_catalogue_has_the_metrics_that_the_code_counts_and_no_others() {
    let mut counted = BTreeSet::new();
    let mut code = String::new();
    for file in files(&root(), &[".rs"]) {
        if !file.components().any(|part| part.as_os_str() == "tests") {
            code += &fs::read_to_string(&file).unwrap();
        }
    }
    for kind in ["counter!(", "gauge!(", "histogram!("] {
        for part in code.split(kind).skip(1) {
            let name = part
                .trim_start()
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next());
            counted.extend(
                name.filter(|name| name.starts_with("huizhen_"))
                    .map(str::to_owned),
            );
        }
    }
    // The process writes it as text: it has fractions.
    counted.insert(telemetry::metric::CPU_SECONDS.to_owned());
    for area in files(&root().join("fleet/telemetry/src/events"), &[".rs"]) {
        let text = fs::read_to_string(&area).unwrap();
        for (before, after) in text
            .match_indices("(\n        \"huizhen_")
            .map(|(at, _)| text.split_at(at))
        {
            let row = before.rsplit('\n').next().unwrap();
            let name = row.trim().split(':').next().unwrap();
            let uses = [".increment(", ".add(", ".set(", ".record("].map(|call| format!("{name}{call}"));
            if uses.iter().any(|call| code.contains(call)) {
                counted.insert(after.split('"').nth(1).unwrap().to_owned());
            }
        }
    }
    let counted: BTreeSet<&str> = counted.iter().map(String::as_str).collect();
    assert_eq!(counted, catalogue());
}

#[test]
fn operators_find_every_metric_and_every_alert_in_the_guide() {
    let guide = read("docs/operations.md");
    for metric in all() {
        let row = guide.lines().find(|line| {
            line.strip_prefix("| `")
                .and_then(|rest| rest.strip_prefix(metric.name))
                .is_some_and(|rest| rest.starts_with(['`', '{']))
        });
        let row = row.unwrap_or_else(|| panic!("{} has no row in docs/operations.md", metric.name));
        assert!(row.contains(metric.help), "{row} does not say {:?}", metric.help);
    }
    for line in read("deploy/prometheus/alerts.yml").lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            assert!(
                guide.contains(&format!("| {alert} |")),
                "{alert} is not explained"
            );
        }
    }
}

/// The metrics that alerts, dashboards and the autoscaler ask for.
fn asked_for() -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    for path in [
        "deploy/prometheus/alerts.yml",
        "deploy/grafana/dashboard.json",
        "deploy/kubernetes/huizhen/templates/im-server.yaml",
    ] {
        asked.extend(words(&read(path), "huizhen_"));
    }
    assert!(asked.len() > 15, "{asked:?}");
    asked
}

#[test]
fn whatever_alerts_and_dashboards_ask_for_is_a_metric() {
    for asked in asked_for() {
        let known = all().iter().any(|metric| {
            let parts = ["_bucket", "_sum", "_count"];
            match metric.kind {
                Kind::Histogram => parts
                    .iter()
                    .any(|part| asked.strip_suffix(part) == Some(metric.name)),
                Kind::Counter | Kind::Gauge => asked == metric.name,
            }
        });
        assert!(known, "nothing counts {asked}");
    }
}

#[test]
fn a_running_program_has_what_alerts_and_dashboards_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    // With TLS, so that the certificate's metric is there.
    assert!(run(huizhen(folder.path(), &["init"]), "").status.success());
    let mut command = huizhen(folder.path(), &["demo", "--ports-file", "ports.json"]);
    command.env("HUIZHEN_TLS_CERT", "data/tls/certificate.pem");
    command.env("HUIZHEN_TLS_KEY", "data/tls/key.pem");
    let mut demo = Running::start(command);
    demo.wait_for("doctor.token");
    let mut patient = Running::start(huizhen(
        folder.path(),
        &["chat", "data/demo/patient.token", "--json"],
    ));
    patient.type_line("a message, and with it a batch of the journal");
    patient.wait_for_event("the message", |event| {
        event["event"] == "entry" && event["text"] != ""
    });
    let ports: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("ports.json")).unwrap()).unwrap();
    let admin = ports["admin"].as_str().unwrap().to_owned();
    let begun = Instant::now();
    loop {
        let shown = get(&admin, "/metrics");
        let missing: Vec<String> = asked_for()
            .into_iter()
            .filter(|asked| {
                !shown.lines().any(|line| {
                    line.strip_prefix(asked.as_str())
                        .is_some_and(|rest| rest.starts_with(['{', ' ']))
                })
            })
            .collect();
        if missing.is_empty() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{missing:?} in\n{shown}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Flags that stand in a text, and settings of the environment, as flags.
fn flags(text: &str) -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for word in text.split(|letter: char| letter.is_whitespace() || "\"'[],`".contains(letter)) {
        if let Some(flag) = word.strip_prefix("--") {
            let end = flag
                .find(|letter: char| !letter.is_ascii_lowercase() && letter != '-')
                .unwrap_or(flag.len());
            if flag.starts_with(|letter: char| letter.is_ascii_lowercase()) {
                flags.insert(flag[..end].to_owned());
            }
        }
    }
    for setting in words(text, "HUIZHEN_")
        .into_iter()
        .filter(|word| word != "HUIZHEN_")
    {
        flags.insert(
            setting
                .trim_start_matches("HUIZHEN_")
                .to_lowercase()
                .replace('_', "-"),
        );
    }
    flags
}

#[test]
fn every_flag_that_is_used_in_deploy_exists() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&run(huizhen(folder.path(), &["serve", "--help"]), "").stdout);
    let known: BTreeSet<&str> = help
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|flag| flag.split(['=', '[', ',']).next().unwrap())
        .collect();
    let mut used = BTreeSet::new();
    for file in files(&root().join("deploy/systemd"), &[".service"])
        .into_iter()
        .chain(files(&root().join("deploy/kubernetes"), &[".yaml"]))
    {
        let text = fs::read_to_string(file).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            used.extend(flags(line));
        }
    }
    for line in read("deploy/compose/compose.yaml").lines() {
        if !line.trim_start().starts_with('#')
            && (line.contains("[im-server,") || line.contains("[api-server,") || line.contains("HUIZHEN_"))
        {
            used.extend(flags(line));
        }
    }
    for line in read("deploy/compose/init.sh").lines() {
        if line.contains("HUIZHEN_") {
            used.extend(flags(line));
        }
    }
    assert!(used.len() > 10, "{used:?}");
    for flag in used {
        assert!(known.contains(flag.as_str()), "--{flag} is no flag:\n{help}");
    }
}

#[test]
fn the_yaml_is_yaml() {
    for path in [
        "deploy/prometheus/prometheus.yml",
        "deploy/prometheus/alerts.yml",
        "deploy/compose/compose.yaml",
        "deploy/kubernetes/huizhen/Chart.yaml",
        "deploy/grafana/provisioning/datasources/prometheus.yaml",
        "deploy/grafana/provisioning/dashboards/huizhen.yaml",
    ] {
        let documents =
            YamlLoader::load_from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(!documents.is_empty(), "{path}");
    }
    serde_json::from_str::<serde_json::Value>(&read("deploy/grafana/dashboard.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&read("deploy/kubernetes/huizhen/values.schema.json")).unwrap();
}

/// Every scalar of values.yaml with its path.
pub(crate) fn values(of: &Yaml, path: &str, found: &mut Vec<(String, String)>) {
    match of {
        Yaml::Hash(children) => {
            for (name, child) in children {
                let name = name.as_str().unwrap();
                let path = if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}.{name}")
                };
                values(child, &path, found);
            }
        }
        Yaml::String(text) | Yaml::Real(text) => found.push((path.to_owned(), text.clone())),
        Yaml::Integer(number) => found.push((path.to_owned(), number.to_string())),
        Yaml::Boolean(is) => found.push((path.to_owned(), is.to_string())),
        other => panic!("values.yaml has {other:?} at {path}"),
    }
}

#[test]
fn the_chart_uses_exactly_its_values_and_becomes_yaml() {
    let loaded = YamlLoader::load_from_str(&read("deploy/kubernetes/huizhen/values.yaml")).unwrap();
    let mut known = Vec::new();
    values(&loaded[0], "", &mut known);
    let mut used = BTreeSet::new();
    for file in files(&root().join("deploy/kubernetes/huizhen/templates"), &[".yaml"]) {
        let mut rendered = String::new();
        for line in fs::read_to_string(&file).unwrap().lines() {
            let mut line = line.to_owned();
            while let Some((before, rest)) = line.split_once("{{") {
                let (action, after) = rest.split_once("}}").expect("an action ends on its line");
                let value = action
                    .split_whitespace()
                    .find_map(|word| word.strip_prefix(".Values."))
                    .map(|path| {
                        used.insert(path.to_owned());
                        let value = known.iter().find(|(known, _)| known == path);
                        value
                            .unwrap_or_else(|| panic!("{}: values.yaml has no {path}", file.display()))
                            .1
                            .clone()
                    });
                let is_control = action.trim_start_matches('-').trim_start().starts_with("if ")
                    || action.trim_matches(['-', ' ']) == "end";
                let put = if is_control { String::new() } else { value.unwrap() };
                line = format!("{before}{put}{after}");
            }
            rendered.push_str(&line);
            rendered.push('\n');
        }
        let documents = YamlLoader::load_from_str(&rendered)
            .unwrap_or_else(|error| panic!("{}: {error}\n{rendered}", file.display()));
        for document in documents {
            assert!(document["kind"].as_str().is_some(), "{}", file.display());
        }
    }
    let schema: serde_json::Value =
        serde_json::from_str(&read("deploy/kubernetes/huizhen/values.schema.json")).unwrap();
    for (path, _) in known {
        assert!(
            used.contains(&path),
            "values.yaml has {path}, which no template uses"
        );
        let described = path
            .split('.')
            .fold(&schema, |schema, name| &schema["properties"][name]);
        assert!(
            described.is_object(),
            "values.schema.json refuses {path} of values.yaml"
        );
    }
}

#[test]
fn systemd_is_told_of_ready_of_life_and_of_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = huizhen(folder.path(), &["serve", "--data", "data", "--drain-s", "0"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    let mut running = Running::start(command);
    let next = || {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).expect("systemd is told nothing");
        text(&buffer[..length])
    };
    assert_eq!(next().trim(), "READY=1");
    let line = running.wait_for("listening im=");
    let address = line.split('=').nth(1).unwrap();
    std::net::TcpStream::connect(address).expect("ready, and does not accept");
    assert_eq!(next().trim(), "WATCHDOG=1");
    running.signal("TERM");
    while next().trim() != "STOPPING=1" {}
    assert_eq!(running.end(), Some(0));
}
