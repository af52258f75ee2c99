//! The state that the demo keeps in its folder, so that a restart continues with the same accounts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::access::write_private;

/// The contents of `demo.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Passwords by phone, and of operators by name. They are written before an account is made, so that its login never gets lost.
    pub(super) passwords: BTreeMap<String, String>,
    pub(super) team_id: Option<i64>,
    pub(super) consultation_id: Option<i64>,
    /// The number of consults made: part of the idempotency key of the next one.
    #[serde(default)]
    pub(super) consults: u32,
    /// The uploaded photo of the next consult: its request is the same when it is repeated.
    #[serde(default)]
    pub(super) photo: Option<String>,
    /// The time at which the first start played the money's events, epoch milliseconds, and the number of events played.
    #[serde(default)]
    pub(super) story_ms: Option<i64>,
    #[serde(default)]
    pub(super) story: u32,
    #[serde(skip)]
    path: PathBuf,
}

impl State {
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("demo.json");
        let state = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!(
                    "{} cannot be understood; remove the folder to begin anew",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        Ok(Self { path, ..state })
    }

    pub(super) fn write(&self) -> anyhow::Result<()> {
        write_private(&self.path, &serde_json::to_string_pretty(self)?)
    }
}
