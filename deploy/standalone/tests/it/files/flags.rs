//! Flags and YAML of `deploy/`.

use std::{collections::BTreeSet, fs};

use yaml_rust2::YamlLoader;

use super::{files, read, root, words};
use crate::process::{huizhen, run, text};

/// The flags in a text, and its environment variables as flags.
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
