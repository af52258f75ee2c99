//! Files of credentials that settings name.

use std::{fs, io::Read, os::unix::fs::MetadataExt, path::Path};

use anyhow::{Context, bail};

/// All permissions of others, and the group's to write. The group may read: containers mount secrets this way for a user
/// that is not root.
const OPEN_BITS: u32 = 0o027;
/// The largest file of credentials.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads a file of credentials.
///
/// # Errors
/// When it is missing, open to others, or longer than 64 KiB. No text quotes its content.
pub fn read_secret(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let file = fs::File::open(path).with_context(|| format!("{name} cannot be read"))?;
    if file.metadata()?.mode() & OPEN_BITS != 0 {
        bail!("{name} is open to other users of this machine: chmod 600 {name}");
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("{name} cannot be read"))?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{name} is longer than {MAX_BYTES} bytes");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_open_or_endless_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s3.toml");
        let refusal = |content: &str, mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_secret(&path).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(refusal("key", 0o600), Ok("key".to_owned()));
        assert_eq!(refusal("key", 0o640), Ok("key".to_owned()));
        for mode in [0o644, 0o660, 0o601] {
            assert!(
                refusal("key", mode).unwrap_err().contains("chmod 600"),
                "{mode:o}"
            );
        }
        assert!(
            refusal(&"x".repeat(64 * 1024 + 1), 0o600)
                .unwrap_err()
                .contains("longer")
        );
        assert!(read_secret(&folder.path().join("none")).is_err());
    }
}
