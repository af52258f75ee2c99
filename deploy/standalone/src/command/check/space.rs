//! Checks free space.

use std::path::{Path, PathBuf};

use program::machine::free_space;

use super::Finding;
use crate::settings::Settings;

const ABOUT: &str = "free space";
const MIB: u64 = 1024 * 1024;
/// Below this, bytes, sends fail soon: one large log of SQLite needs as much.
const NEARLY_FULL: u64 = 256 * MIB;
/// Below this, bytes, a busy day may fill the disk.
const LITTLE: u64 = 2 * 1024 * MIB;
/// SQLite's log is checkpointed after some MiB; a reader that does not end holds a larger one.
const LARGE_LOG: u64 = 1024 * MIB;
/// Below this number of free inodes a backup or a log may fail.
const FEW_FILES: u64 = 1000;

/// One line for each file system in use, and one for a log that grows.
pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let file = settings.database_file();
    let mut folders = vec![settings.data.clone()];
    if let Some(folder) = file.as_deref().and_then(Path::parent) {
        let is_another = std::fs::canonicalize(folder).ok() != std::fs::canonicalize(&settings.data).ok();
        if is_another && folder.is_dir() {
            folders.push(folder.to_owned());
        }
    }
    let mut findings: Vec<Finding> = folders
        .iter()
        .map(|folder| of_folder(folder, file.as_deref()))
        .collect();
    findings.extend(file.as_deref().and_then(log));
    findings
}

fn of_folder(folder: &Path, file: Option<&Path>) -> Finding {
    let there = existing(folder);
    let free = match free_space::of(&there) {
        Ok(free) => free,
        Err(error) => {
            return Finding::warn(
                ABOUT,
                format!("that of {} is not known: {error}", there.display()),
                format!("df -h {}", there.display()),
            );
        }
    };
    let database = file.map_or(0, size);
    judge(&there, free.bytes, free.files, database)
}

fn judge(folder: &Path, free: u64, files: Option<u64>, database: u64) -> Finding {
    let folder = folder.display();
    let text = format!(
        "{} under {folder}; the database has {}",
        shown(free),
        shown(database)
    );
    let mend =
        format!("free space under {folder}, or move the data to a larger disk (huizhen backup, restore)");
    if let Some(files) = files.filter(|files| *files < FEW_FILES) {
        return Finding::fail(
            ABOUT,
            format!("{text}; only {files} more files can be made"),
            mend,
        );
    }
    if free < NEARLY_FULL {
        return Finding::fail(ABOUT, format!("{text}; a full disk stops sends"), mend);
    }
    if free < LITTLE.max(database) {
        // A backup needs the size of the database, a migration may need it twice.
        return Finding::warn(
            ABOUT,
            format!("{text}; a backup needs as much as the database"),
            mend,
        );
    }
    Finding::ok(ABOUT, text)
}

/// Reports a log of SQLite over its bound.
fn log(file: &Path) -> Option<Finding> {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    let bytes = size(&PathBuf::from(name));
    (bytes > LARGE_LOG).then(|| {
        Finding::warn(
            ABOUT,
            format!(
                "SQLite's log has {}: a reader keeps it from being moved into the file",
                shown(bytes)
            ),
            "end backups and other programs that read the file; a restart moves it, too",
        )
    })
}

/// The folder, or its nearest existing ancestor.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute
        .ancestors()
        .find(|folder| folder.is_dir())
        .map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

fn shown(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "shown rounded")]
    let mib = bytes as f64 / MIB as f64;
    if mib < 1024.0 {
        format!("{mib:.1} MiB")
    } else {
        format!("{:.1} GiB", mib / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::check::Verdict;

    #[test]
    fn little_room_is_warned_of_and_none_fails() {
        let verdict = |free, files, database| judge(Path::new("/data"), free, files, database).verdict;
        let gib = 1024 * MIB;
        assert_eq!(verdict(10 * gib, None, gib), Verdict::Ok);
        assert_eq!(verdict(10 * gib, None, 11 * gib), Verdict::Warn);
        assert_eq!(verdict(gib, Some(1_000_000), 0), Verdict::Warn);
        assert_eq!(verdict(200 * MIB, None, 0), Verdict::Fail);
        assert_eq!(verdict(10 * gib, Some(3), 0), Verdict::Fail);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_measured_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
    }

    #[test]
    fn sizes_are_rounded() {
        assert_eq!(shown(0), "0.0 MiB");
        assert_eq!(shown(1536 * MIB), "1.5 GiB");
    }
}
