//! Unfinished copies, and those that killed backups have left.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::files::{Created, folder_of};
use crate::sqlite::guard::beside;

/// The end of the name of an unfinished copy; before it stands the process.
const PART: &str = ".part";
/// The begin of a copy, once it is written to.
const BEGIN: &[u8; 16] = b"SQLite format 3\0";

/// The name of a copy that this process makes for `to`.
pub(super) fn name(to: &Path) -> PathBuf {
    beside(to, &format!(".{}{PART}", std::process::id()))
}

/// Removes the unfinished copies of killed backups from the folder of `to`.
pub(super) fn remove_abandoned(to: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(folder_of(to)).into_iter().flatten().flatten();
    let abandoned: Vec<PathBuf> = names
        .map(|entry| entry.path())
        .filter(|path| is_abandoned(path).unwrap_or(false))
        .collect();
    for path in &abandoned {
        tracing::warn!(file = %path.display(), "a backup that was killed had left this; it is removed");
        Created::remove(path);
    }
    abandoned
}

/// Whether a file is named `….{pid}.part`, is a database or empty, and its process is gone.
fn is_abandoned(path: &Path) -> io::Result<bool> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let pid = name
        .as_deref()
        .and_then(|name| name.strip_suffix(PART)?.rsplit_once('.'))
        .map(|(_, pid)| pid)
        .filter(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(pid) = pid else { return Ok(false) };
    if Path::new("/proc").join(pid).exists() || !fs::symlink_metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut begin = Vec::new();
    File::open(path)?
        .take(BEGIN.len() as u64)
        .read_to_end(&mut begin)?;
    Ok(begin.is_empty() || begin == BEGIN)
}
