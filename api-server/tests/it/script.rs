//! Scripts of consults, in `src/consult/testdata/*.txt`: a line for each act of a user, and below it the effects.
//!
//! Two worlds run them: the decisions alone (`src/subscribers/scripts.rs`), and the service on each engine (`lives.rs`).
//! `REWRITE=1 cargo test -p api-server --lib scripts` writes the effects of the decisions into the scripts; read the
//! difference.
//!
//! | line | act |
//! |---|---|
//! | `patient opens` | a consult with the team; the acts that follow are about the newest consult |
//! | `assistant adds ann`, `assistant removes ann` | a doctor |
//! | `ann hands-over bob` | her seat |
//! | `owner lets claim`, `owner lets assign`, `ann claims` | a consult that has no doctor |
//! | `ann finishes`, `patient cancels`, `patient hides` | the consult |
//! | `ann proposes`, `ann proposes 500` | a value-added service, for a price; they are numbered from 1 |
//! | `patient confirms 1`, `patient declines 1`, `ann retracts 1` | a service |
//! | `ann joins`, `ann leaves`, `owner dismisses ann` | membership in the team, of doctors and members |
//! | `ann looks` | at the consult, and at her lists |
//! | `owner asks 2000`, `owner demands 900` | the team's price of a consult, and its membership fee; without them 0 |
//! | `patient has 3000` | so much more in the wallet |
//!
//! Ann, Bob and Cho are doctors of the team, Dan is a doctor of none, Eve a member.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

pub const DOCTORS: [&str; 4] = ["ann", "bob", "cho", "dan"];

/// The newest consult, as its staff sees it.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub status: String,
    /// A word for each entry of the main conversation.
    pub main: Vec<String>,
    /// A word for each entry of the staff room.
    pub staff: Vec<String>,
    /// The patient's and the team's money, accounts with nothing left out.
    pub money: String,
}

pub trait World {
    /// An act, answered with a note or with the error code of a refusal and its field.
    async fn act(&mut self, who: &str, act: &str, about: Option<&str>) -> Result<Option<String>, String>;

    /// The newest consult; empty before the first.
    async fn view(&mut self) -> View;
}

/// The scripts, in their order.
pub fn all() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/consult/testdata");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 15, "{}", paths.len());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// Accounts and their balances.
pub fn money(accounts: [(&str, i64); 4]) -> String {
    let full = accounts.into_iter().filter(|(_, fen)| *fen != 0);
    let words: Vec<String> = full.map(|(name, fen)| format!("{name} {fen}")).collect();
    words.join(", ")
}

/// The script with the effects of each act below it.
pub async fn play(world: &mut impl World, text: &str) -> String {
    let mut played = String::new();
    let mut seen = View::default();
    for line in text.lines().filter(|line| !line.starts_with('>')) {
        let _ = writeln!(played, "{line}");
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        for effect in effects(world, &mut seen, line).await {
            let _ = writeln!(played, "> {effect}");
        }
    }
    played
}

async fn effects(world: &mut impl World, seen: &mut View, line: &str) -> Vec<String> {
    let mut words = line.split_whitespace();
    let (Some(who), Some(act)) = (words.next(), words.next()) else {
        panic!("no act: {line}");
    };
    let mut effects = Vec::new();
    match world.act(who, act, words.next()).await {
        Ok(note) => {
            effects.extend(note);
            if act == "opens" {
                *seen = View {
                    money: std::mem::take(&mut seen.money),
                    ..View::default()
                };
            }
        }
        Err(refusal) => effects.push(format!("refused: {refusal}")),
    }
    let view = world.view().await;
    if view.status != seen.status {
        effects.push(view.status.clone());
    }
    for (name, entries, before) in [
        ("main", &view.main, seen.main.len()),
        ("staff", &view.staff, seen.staff.len()),
    ] {
        if entries.len() > before {
            effects.push(format!("{name}: {}", entries[before..].join(" ")));
        }
    }
    if view.money != seen.money {
        effects.push(format!("money: {}", view.money));
    }
    *seen = view;
    if effects.is_empty() {
        effects.push("no effect".into());
    }
    effects
}
