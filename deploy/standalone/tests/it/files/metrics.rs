//! The catalogue of metrics, the code, the guide, alerts and dashboards agree.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use telemetry::{
    events::all,
    metric::{Kind, Metric},
};

use super::{files, read, root, words};
use crate::process::{PATIENCE, Running, ask, huizhen, run};

/// Metrics are counted by their statics: `NAME.increment(`, `.add(`, `.set(`, `.record(`, or handed over as `&NAME`.
#[test]
fn the_code_counts_every_metric_of_the_catalogue() {
    let mut code = String::new();
    for file in files(&root(), &[".rs"]) {
        if !file.components().any(|part| part.as_os_str() == "tests") {
            code += &fs::read_to_string(&file).unwrap();
        }
    }
    let mut names = BTreeSet::new();
    for area in files(&root().join("fleet/telemetry/src/events"), &[".rs"]) {
        for line in fs::read_to_string(&area).unwrap().lines() {
            if let Some((name, rest)) = line.trim().split_once(": ")
                && rest.ends_with('(')
                && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            {
                names.insert(name.to_owned());
            }
        }
    }
    // The process writes this one as text, since it has fractions.
    assert!(names.remove("PROCESS_CPU_S"));
    // This one has three labels, which the macro counts.
    assert!(names.remove("REQUESTS") && code.contains("\"huizhen_rest_requests_total\","));
    assert!(names.len() > 30, "{names:?}");
    let uncounted: Vec<&String> = names
        .iter()
        .filter(|name| {
            let used = [".increment(", ".add(", ".set(", ".record("].map(|call| format!("{name}{call}"));
            !used.iter().any(|call| code.contains(call)) && !code.contains(&format!("&{name}"))
        })
        .collect();
    assert!(uncounted.is_empty(), "nothing counts {uncounted:?}");
}

/// `UPDATE=1` rewrites the table.
#[test]
fn the_guide_has_the_table_of_the_catalogue() {
    let path = root().join("docs/operations.md");
    let guide = fs::read_to_string(&path).unwrap();
    let is_row = |line: &&str| line.starts_with("| `huizhen_");
    let table: String = all().iter().map(row).collect();
    let written: String = guide
        .lines()
        .filter(is_row)
        .map(|line| format!("{line}\n"))
        .collect();
    if std::env::var_os("UPDATE").is_some() && written != table {
        let before = guide.lines().take_while(|line| !is_row(line));
        let after = guide
            .lines()
            .skip_while(|line| !is_row(line))
            .filter(|line| !is_row(line));
        let lines =
            |lines: &mut dyn Iterator<Item = &str>| lines.map(|line| format!("{line}\n")).collect::<String>();
        let (before, after) = (lines(&mut before.into_iter()), lines(&mut after.into_iter()));
        fs::write(&path, before + &table + &after).unwrap();
        return;
    }
    assert_eq!(
        written, table,
        "UPDATE=1 rewrites the table of docs/operations.md"
    );
}

fn row(metric: &Metric) -> String {
    let label = metric
        .label
        .map(|(label, _)| format!("{{{label}}}"))
        .unwrap_or_default();
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    format!("| `{}{label}` | {kind} | {} |\n", metric.name, metric.help)
}

#[test]
fn the_guide_explains_every_alert() {
    let guide = read("docs/operations.md");
    let alerts = read("deploy/prometheus/alerts.yml");
    let alerts: Vec<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        assert!(
            guide.contains(&format!("| {alert} |")),
            "{alert} is not explained"
        );
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
fn alerts_and_dashboards_query_metrics_of_the_catalogue() {
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
        let shown = ask(&admin, "GET /metrics", "", "");
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
