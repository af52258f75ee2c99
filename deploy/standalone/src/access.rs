//! Token files: a login and its REST service, for `huizhen chat`, with a companion file for curl.

use std::{
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// A logged-in device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    /// The REST service, as in `http://127.0.0.1:8080`.
    pub(crate) api: String,
    pub(crate) user_id: i64,
    /// The user's name, for display.
    pub(crate) name: String,
    /// The device of the token.
    pub(crate) device_id: String,
    /// The value of X-AUTH-TOKEN.
    pub(crate) access_token: String,
}

impl Access {
    /// Reads a token file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "the token file {} cannot be read; `huizhen demo` makes some",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is no token file; it is JSON with api, user_id, name, device_id and access_token",
                path.display()
            )
        })
    }

    /// Writes a token file with mode 0600, and its companion for curl.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        write_private(path, &serde_json::to_string_pretty(self)?)?;
        write_private(&Self::beside(path), &self.for_curl())
    }

    /// The path of a token file's companion for curl.
    pub(crate) fn beside(path: &Path) -> PathBuf {
        path.with_extension("curl")
    }

    /// The settings for `curl -K`: the caller, and a line end after each answer.
    fn for_curl(&self) -> String {
        format!(
            "# curl -K this-file {}/... calls REST as this user.\n\
             header = \"X-AUTH-TOKEN: {}\"\n\
             header = \"Content-Type: application/json\"\n\
             silent\n\
             show-error\n\
             fail-with-body\n\
             write-out = \"\\n\"",
            self.api, self.access_token
        )
    }
}

/// Writes a file with mode 0600 atomically.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// Creates a folder with mode 0700 if it is missing: it holds the records of patients.
pub(crate) fn make_private_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))
}
