//! The app finds the state of domains by type (src/app/parts.rs), which the compiler cannot check: the text can.

use std::fs;

use crate::circles::{domains, files_of, source};

#[test]
fn each_part_is_made_at_the_start() {
    let made = ["assembly.rs", "subscribers.rs"].map(|file| fs::read_to_string(source().join(file)).unwrap());
    let mut parts = Vec::new();
    for domain in domains() {
        let mut files = Vec::new();
        files_of(&source().join(&domain), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let names = text.split("impl Part for ").skip(1);
            let names = names.filter_map(|rest| rest.split_once(" {").map(|(name, _)| name));
            parts.extend(names.map(|name| format!("{domain}::{name}")));
        }
    }
    assert!(parts.len() >= 10, "{parts:?}");
    parts.retain(|part| !made.iter().any(|text| text.contains(part.as_str())));
    assert!(parts.is_empty(), "assembly.rs does not make {parts:?}");
}
