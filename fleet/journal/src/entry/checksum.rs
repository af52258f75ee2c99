//! The checksum of an entry (docs/decisions/0007-damage.md): of its columns as the database holds them, inverted while the
//! entry is recalled, so that no single bit brings back what was withheld.

use database::{Part, checksum};
use proto::{Seq, wire};

use super::damage;
use crate::append::NewMessage;

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

/// The checksum of a new message, as its columns will hold it.
pub(crate) fn checksum_of_message(
    message: &NewMessage,
    seq: Seq,
    created_ms: i64,
    extra: Option<&[u8]>,
) -> i64 {
    checksum([
        Part::Integer(message.conversation.get()),
        Part::Integer(seq.get()),
        Part::Integer(message.sender.get()),
        Part::Integer(i64::from(wire::EntryKind::Message as i32)),
        Part::Integer(created_ms),
        Part::Text(message.client_msg_id.as_bytes()),
        Part::Text(message.mime_type.as_bytes()),
        Part::Bytes(&message.body),
        Part::Integer(message.reply_to_seq.get()),
        Part::Integer(0),
        extra.into(),
    ])
}
