//! Photos and files beside a chat. Times on a machine that also runs other tests say little: what counts is that each byte
//! came as it was put.

use super::fleet::{programs, report};

const SHORT: [&str; 18] = [
    "--workers",
    "2",
    "--media-rate",
    "max",
    "--picture-pixels",
    "400",
    "--file-kib",
    "40",
    "--pairs",
    "1",
    "--conversations",
    "5",
    "--rate",
    "50",
    "--duration",
    "4s",
    "--warm-up",
    "200ms",
];

/// Each run holds these.
fn holds(report: &serde_json::Value) {
    assert_eq!(report["faults"], serde_json::json!([]), "{report}");
    for wrong in ["lost", "duplicated", "reordered"] {
        assert_eq!(report[wrong], 0, "{report}");
    }
    for figure in ["media put", "put, MiB/s", "got, MiB/s", "requests/s"] {
        assert!(
            report["figures"][figure].as_f64().unwrap() > 0.0,
            "{figure}: {report}"
        );
    }
    let parts: Vec<&str> = report["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["workload"].as_str().unwrap())
        .collect();
    assert_eq!(parts, ["without", "with media"]);
    assert_eq!(report["bars"].as_array().unwrap().len(), 2, "{report}");
    let endpoints = report["parameters"]["endpoints"].as_object().unwrap();
    assert_eq!(endpoints.len(), 7, "{report}");
    // Of each put one is got whole.
    assert!(
        endpoints["GET /media/{id}"]["calls"].as_u64() >= endpoints["PUT of the bytes"]["calls"].as_u64(),
        "{report}"
    );
}

#[test]
fn media_come_as_they_were_put() {
    let program = programs().join("huizhen");
    assert!(
        program.is_file(),
        "huizhen is not built: `cargo build -p standalone`, or run ./test"
    );
    let (report, _) = report(&[&["media", "--server", program.to_str().unwrap()], &SHORT[..]].concat());
    holds(&report);
    assert!(
        report["figures"]["with media: server, MiB resident"]
            .as_f64()
            .unwrap()
            > 1.0,
        "{report}"
    );
}

#[test]
fn media_of_a_fleet_come_from_every_server_as_they_were_put() {
    let (report, _) = report(&[&["media", "--nodes", "2", "--api-servers", "2"], &SHORT[..]].concat());
    holds(&report);
    for server in ["im-1", "im-2", "api-1", "api-2", "postgresql"] {
        let figure = format!("with media: {server}, MiB resident");
        assert!(report["figures"][figure].as_f64().unwrap() > 1.0, "{report}");
    }
}
