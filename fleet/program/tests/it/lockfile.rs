//! Holds Cargo.lock against the floors and bans of deny.toml, because `cargo deny` and its advisories may be out of
//! reach where the tests run.

use std::path::Path;

use toml::Value;

#[test]
fn the_lockfile_keeps_to_deny_toml() {
    let broken = broken_rules(&root("Cargo.lock"), &root("deny.toml"));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_kind_of_breach_is_found() {
    let lock = r#"
        [[package]]
        name = "bytes"
        version = "1.9.3"
        [[package]]
        name = "openssl-sys"
        version = "0.9.1"
        [[package]]
        name = "rustls"
        version = "0.22.0"
        [[package]]
        name = "rustls"
        version = "0.23.46"
        [[package]]
        name = "h2"
        version = "0.4.17"
        [[package]]
        name = "left"
        version = "1.0.0"
        source = "git+https://example.org/left"
    "#;
    let deny = r#"
        [bans]
        deny = [
            { crate = "openssl-sys", reason = "rustls" },
            { crate = "bytes@<1.11.1", reason = "advisory" },
            { crate = "h2@>=0.4.0, <0.4.16", reason = "advisory" },
            { crate = "rustls", deny-multiple-versions = true, reason = "one" },
        ]
    "#;
    let found = broken_rules(lock, deny);
    assert_eq!(found.len(), 4, "{found:?}");
    for part in ["bytes 1.9.3", "openssl-sys 0.9.1", "rustls", "left 1.0.0"] {
        assert!(
            found.iter().any(|rule| rule.contains(part)),
            "{part} in {found:?}"
        );
    }
}

#[test]
fn deny_toml_holds_the_floors_and_bans() {
    let text = root("deny.toml");
    for rule in [
        "bytes@<1.11.1",
        "h2@<0.4.16",
        "rand@>=0.10.0, <0.10.1",
        "rand@<0.9.3",
        "anyhow@<1.0.103",
        "rustls-webpki@<0.103.13",
        "event-listener@<5.4.2",
        "crossbeam-epoch@<0.9.20",
        "tracing-subscriber@<0.3.20",
        "\"aws-lc-sys\"",
        "\"openssl-sys\"",
        "\"rsa\"",
    ] {
        assert!(text.contains(rule), "{rule}");
    }
}

fn root(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The packages of the lockfile that break a rule.
fn broken_rules(lock: &str, deny: &str) -> Vec<String> {
    let lock: Value = toml::from_str(lock).unwrap();
    let deny: Value = toml::from_str(deny).unwrap();
    let packages: Vec<(&str, &str, Option<&str>)> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            (
                package["name"].as_str().unwrap(),
                package["version"].as_str().unwrap(),
                package.get("source").and_then(Value::as_str),
            )
        })
        .collect();
    let mut broken = Vec::new();
    for (name, version, source) in &packages {
        if source.is_some_and(|source| !source.starts_with("registry+")) {
            broken.push(format!("{name} {version} comes from no registry"));
        }
    }
    for rule in deny["bans"]["deny"].as_array().unwrap() {
        let spec = rule["crate"].as_str().unwrap();
        let (banned, versions) = spec
            .split_once('@')
            .map_or((spec, None), |(name, versions)| (name, Some(versions)));
        let found: Vec<&str> = packages
            .iter()
            .filter(|(name, ..)| *name == banned)
            .map(|(_, version, _)| *version)
            .collect();
        if rule.get("deny-multiple-versions").is_some() {
            if found.len() > 1 {
                broken.push(format!("{banned} is there {} times: {found:?}", found.len()));
            }
            continue;
        }
        for version in found {
            if versions.is_none_or(|versions| matches(version, versions)) {
                broken.push(format!("{banned} {version} is banned by {spec:?}"));
            }
        }
    }
    broken
}

/// Whether a version is among `<1.2.3` or `>=1.0.0, <1.2.3`.
fn matches(version: &str, versions: &str) -> bool {
    versions.split(',').map(str::trim).all(|bound| {
        if let Some(low) = bound.strip_prefix(">=") {
            return numbers(version) >= numbers(low);
        }
        let high = bound.strip_prefix('<').expect("a bound is >= or <");
        numbers(version) < numbers(high)
    })
}

/// A version as numbers; what stands behind `-` or `+` counts for nothing, since no floor has one.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(['-', '+'])
        .next()
        .unwrap_or_default()
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect()
}
