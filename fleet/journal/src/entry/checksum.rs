//! The checksum of an entry (docs/decisions/0007-damage.md): of its columns as the database holds them, inverted while the
//! entry is recalled, so that no single bit brings back what was withheld.

use super::damage;

/// Which entries carry a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksums {
    /// All, on SQLite: the migration added those of earlier entries, and one program writes.
    OfAllEntries,
    /// Those written by this release or a later one, on PostgreSQL: programs of an earlier release may write beside this
    /// one, and recall without inverting.
    OfNewEntries,
}

impl Checksums {
    /// Compares the checksum of a row's columns with the stored one.
    ///
    /// # Errors
    /// Why the row is damaged.
    pub(crate) fn verify(self, sum: i64, recalled: bool, stored: Option<i64>) -> Result<(), &'static str> {
        let wanted = if recalled { !sum } else { sum };
        match (self, stored) {
            (_, Some(stored)) if stored == wanted => Ok(()),
            (Self::OfNewEntries, None) => Ok(()),
            (Self::OfNewEntries, Some(stored)) if recalled && stored == sum => Ok(()),
            (Self::OfAllEntries, None) => Err(damage::NO_CHECKSUM),
            _ => Err(damage::CHECKSUM),
        }
    }
}
