//! The table of dependencies in ARCHITECTURE.md is what the manifests say.

use std::collections::{BTreeMap, BTreeSet};

use crate::links::table;
use crate::{allowed, tree};

type Crates = BTreeMap<String, BTreeSet<String>>;

/// The dependencies of each crate in the workspace, from the sections of this name.
fn manifests(section: &str) -> Crates {
    let workspace: toml::Table = toml::from_str(&tree::read("Cargo.toml")).unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let mut found = Crates::new();
    for member in members.iter().map(|member| member.as_str().unwrap()) {
        let manifest: toml::Table = toml::from_str(&tree::read(&format!("{member}/Cargo.toml"))).unwrap();
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let depends = manifest.get(section).and_then(toml::Value::as_table);
        found.insert(
            name,
            depends
                .map(|depends| depends.keys().cloned().collect())
                .unwrap_or_default(),
        );
    }
    let names: BTreeSet<String> = found.keys().cloned().collect();
    for depends in found.values_mut() {
        depends.retain(|name| names.contains(name));
    }
    found
}

#[test]
fn the_table_of_dependencies_is_what_the_manifests_say() {
    let stated: Crates = table("ARCHITECTURE.md", "| crate | depends on |")
        .into_iter()
        .map(|row| (row[0].first().unwrap().clone(), row[1].iter().cloned().collect()))
        .collect();
    let real = manifests("dependencies");
    let names: BTreeSet<&String> = stated.keys().chain(real.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| stated.get(*name) != real.get(*name));
    let differ: Vec<String> = differ
        .map(|name| format!("{name}: stated {:?}, is {:?}", stated.get(name), real.get(name)))
        .collect();
    allowed::check("crates whose dependencies ARCHITECTURE.md has wrong", &differ);
}

#[test]
fn tests_depend_on_the_testkit_and_no_server_but_api_servers_on_im_server() {
    for (name, depends) in manifests("dev-dependencies") {
        for other in depends {
            let is_known = ["testkit", "telemetry", "proto"].contains(&other.as_str());
            assert!(
                is_known || (name == "api-server" && other == "im-server"),
                "{name}'s tests depend on {other}"
            );
        }
    }
}

/// No crate depends on itself, directly or through others.
#[test]
fn dependencies_point_one_way() {
    let crates = manifests("dependencies");
    for start in crates.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = crates[start].iter().collect();
        while let Some(name) = next.pop() {
            if reached.insert(name) {
                next.extend(&crates[name]);
            }
        }
        assert!(!reached.contains(start), "{start} depends on itself");
    }
}
