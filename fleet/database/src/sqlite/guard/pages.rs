//! Reading every page of a file, also the free ones.

use std::path::Path;

use rusqlite::Connection;

use super::{log::Log, log_of};
use crate::{
    Error,
    sqlite::vfs::{self, Pages},
};

/// Pages of one question to the file layer.
const AT_ONCE: u32 = 1_000;
/// SQLite keeps its locks in the page with this byte, and never writes it.
const LOCK_BYTE: u64 = 1 << 30;

/// The findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The pages have no sums.
    WithoutSums,
    /// They have.
    WithSums {
        /// Pages of the file.
        pages: u32,
        /// The pages that differ from the ones that were written.
        damaged: Vec<u32>,
    },
}

/// The findings of SQLite's own check, at most `lines` of them.
pub(crate) fn integrity(connection: &Connection, lines: usize) -> Vec<String> {
    let found = || {
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({lines})"))?;
        let found = statement.query_map([], |row| row.get::<_, String>(0))?;
        found.collect::<Result<Vec<_>, rusqlite::Error>>()
    };
    // A file that cannot even be checked is damaged, too.
    let mut found = found().unwrap_or_else(|error| vec![Error::from(error).to_string()]);
    found.retain(|line| line != "ok");
    found
}

/// Verifies each page of a connection's file.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<Checked, Error> {
    // The first page is read, and says whether there are sums.
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, u32>(0));
    let pages = number("PRAGMA page_count")?;
    let page_bytes = number("PRAGMA page_size")?;
    if !vfs::has_sums(connection) {
        return Ok(Checked::WithoutSums);
    }
    let in_file = std::fs::metadata(path).map_or(0, |found| found.len()) / u64::from(page_bytes);
    let last = pages.min(u32::try_from(in_file).unwrap_or(u32::MAX));
    let mut damaged = Vec::new();
    let mut first = 1;
    while first <= last {
        let count = AT_ONCE.min(last - first + 1);
        damaged.extend(vfs::verify(
            connection,
            Pages {
                page_bytes: page_bytes as usize,
                first,
                count,
                damaged: Vec::new(),
            },
        )?);
        first += count;
    }
    damaged.retain(|page| u64::from(*page) != LOCK_BYTE / u64::from(page_bytes) + 1);
    if !damaged.is_empty() {
        // A crash may have torn what was being moved from the log; it is there still, and read from there.
        let moved = Log::pages(&log_of(path)).map_err(|error| Error::Engine(error.to_string()))?;
        damaged.retain(|page| !moved.contains(page));
    }
    Ok(Checked::WithSums { pages, damaged })
}
