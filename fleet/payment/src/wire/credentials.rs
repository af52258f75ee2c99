//! Files with credentials: read once, at the start, and refused where others may read them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::address::NOT_A_URL;

/// All permissions of others, and the group's to write. The group may read: containers mount secrets this way for a user
/// that is not root.
const OPEN_BITS: u32 = 0o027;
/// The largest file of settings or of a key.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a provider's settings are refused. Its text has names of files and fields, never their content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub(crate) String);

/// The folder of a settings file: relative paths in it begin there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Reads settings, and the folder that they stand in.
    pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> Result<(Self, T), SettingsError> {
        let text = secret(file)?;
        let settings = toml::from_str(&text).map_err(|error| {
            // The whole error quotes the line, which may hold a key by mistake.
            let line = error.span().map_or(0, |span| {
                text[..span.start.min(text.len())].matches('\n').count() + 1
            });
            SettingsError(format!(
                "{}: line {line}: {}",
                file.display(),
                reason(error.message())
            ))
        })?;
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        Ok((Self(folder), settings))
    }

    pub(crate) fn path(&self, file: &Path) -> PathBuf {
        self.0.join(file)
    }

    /// Reads a file of credentials, and parses it.
    pub(crate) fn parse<T>(
        &self,
        file: &Path,
        kind: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, SettingsError> {
        let file = self.path(file);
        parse(&secret(&file)?).ok_or_else(|| SettingsError(format!("{} is not {kind}", file.display())))
    }
}

/// The reason of a parser without the value that it quotes.
fn reason(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if message.starts_with("missing field") || message == NOT_A_URL => message.to_owned(),
        None => "not TOML".to_owned(),
    }
}

/// Reads a file that others may not read.
fn secret(file: &Path) -> Result<String, SettingsError> {
    let name = file.display();
    let metadata =
        fs::metadata(file).map_err(|error| SettingsError(format!("{name} cannot be read: {error}")))?;
    if metadata.permissions().mode() & OPEN_BITS != 0 {
        return Err(SettingsError(format!(
            "{name} is open to other users of this machine: chmod 600 {name}"
        )));
    }
    if metadata.len() > MAX_BYTES {
        return Err(SettingsError(format!("{name} is longer than {MAX_BYTES} bytes")));
    }
    fs::read_to_string(file).map_err(|error| SettingsError(format!("{name} cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        #[expect(dead_code, reason = "only its type matters")]
        number: u8,
    }

    fn write(folder: &Path, text: &str, mode: u32) -> PathBuf {
        let file = folder.join("settings.toml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn files_that_others_may_read_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o400, 0o640, 0o440] {
            assert!(secret(&write(folder.path(), "x", mode)).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o660, 0o601] {
            let file = write(folder.path(), "x", mode);
            assert!(secret(&file).unwrap_err().0.contains("chmod 600"), "{mode:o}");
        }
        let long = write(folder.path(), &"x".repeat(65 * 1024), 0o600);
        assert!(secret(&long).is_err());
        assert!(secret(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn a_refusal_has_the_line_and_not_its_text() {
        let folder = tempfile::tempdir().unwrap();
        for (text, reason) in [
            ("\nnumber = \"sk-secret\"\n", "line 2: expected u8"),
            ("number = 1\nsk-secret = 2", "line 2: expected `number`"),
            ("number = sk-secret", "line 1: expected"),
            ("", "missing field `number`"),
        ] {
            let file = write(folder.path(), text, 0o600);
            let error = Folder::read::<Known>(&file).unwrap_err().0;
            assert!(error.contains(reason) && !error.contains("sk-secret"), "{error}");
        }
    }
}
