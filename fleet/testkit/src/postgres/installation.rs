//! Where the system has PostgreSQL's programs, and as whom they run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Where Debian keeps the programs, by version.
pub(crate) const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
/// The oldest version that Huizhen runs on.
const OLDEST_VERSION: u32 = 15;

/// PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The folder of the newest installed version's programs.
pub(crate) fn programs(debian: &Path) -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir(debian).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|version| version.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| debian.join(version.to_string()).join("bin/initdb").exists())
        .max();
    if let Some(version) = newest.filter(|version| *version >= OLDEST_VERSION) {
        return Ok(debian.join(version.to_string()).join("bin"));
    }
    // Other systems have them where all programs are.
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .with_context(|| {
            format!(
                "PostgreSQL {OLDEST_VERSION} or newer is not installed: neither in {} nor in the PATH; \
                 on Debian: apt-get install --no-install-recommends postgresql",
                debian.display()
            )
        })
}

/// As whom to run; none when it is ourselves.
pub(crate) fn owner() -> anyhow::Result<Option<Owner>> {
    if fs::metadata("/proc/self").map(|me| std::os::unix::fs::MetadataExt::uid(&me))? != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    let find = |wanted: &str| {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(wanted))?;
        let mut numbers = line.split(':').skip(2);
        Some(Owner {
            uid: numbers.next()?.parse().ok()?,
            gid: numbers.next()?.parse().ok()?,
        })
    };
    let owner = find("postgres").or_else(|| find("nobody"));
    Ok(Some(owner.context(
        "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody",
    )?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    #[test]
    fn a_missing_installation_names_the_package() {
        let empty = tempfile::tempdir().unwrap();
        match programs(empty.path()) {
            // It may be in the PATH.
            Ok(programs) => assert!(programs.join("initdb").exists()),
            Err(error) => assert!(error.to_string().contains("apt-get install"), "{error}"),
        }
    }
}
