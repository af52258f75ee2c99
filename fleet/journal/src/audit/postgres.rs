//! The audit of a server: entries in the order of their key, so that each gap shows.

use database::{Database, Error, params};

use super::{Audit, BATCH_ROWS, conversations, is_damage, place, read_conversations};
use crate::entry::{Checksums, Entry, columns_of_e};

const ENTRIES: &str = concat!(
    "SELECT ",
    columns_of_e!("e.seq"),
    ", c.last_seq
     FROM entry e LEFT JOIN conversation c ON c.id = e.conversation_id
     WHERE (e.conversation_id, e.seq) > ($1, $2) ORDER BY e.conversation_id, e.seq LIMIT $3"
);

/// A conversation whose entries are all missing has none to compare, so its first one is looked up.
const CONVERSATIONS: &str = conversations!(
    ", c.last_seq = 0 OR EXISTS (SELECT 1 FROM entry e WHERE e.conversation_id = c.id AND e.seq = 1)"
);

pub(super) async fn audit(database: &Database, audit: &mut Audit) -> Result<(), Error> {
    read_entries(database, audit).await?;
    let mut after = i64::MIN;
    while let Some((last, rows)) = read_conversations(database, CONVERSATIONS, after, audit).await? {
        for row in &rows {
            if !row.get::<bool>(5)? {
                audit.add_missing(row.get(0)?, 1, 1);
            }
        }
        after = last;
    }
    Ok(())
}

async fn read_entries(database: &Database, audit: &mut Audit) -> Result<(), Error> {
    // The previous entry: its conversation, its seq, and the end of the conversation at that time.
    let mut before = (0, 0, 0);
    loop {
        let params = params![before.0, before.1, BATCH_ROWS];
        let rows = match database.query(ENTRIES, params).await {
            Err(error) if is_damage(&error) => {
                let (conversation, seq, _) = before;
                audit.add(format!(
                    "entries after {seq} of conversation {conversation}: {error}"
                ));
                return Ok(());
            }
            rows => rows?,
        };
        if rows.is_empty() {
            end_of(before, audit);
            return Ok(());
        }
        for row in &rows {
            audit.entries += 1;
            if row.get::<Option<i64>>(12)?.is_none() {
                audit.unsealed += 1;
            }
            if let Err(reason) = Entry::read(row, Checksums::OfNewEntries) {
                audit.add(format!("{}: {reason}", place(row)));
            }
            let (conversation, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
            let Some(last) = row.get::<Option<i64>>(13)? else {
                audit.add(format!("{}: its conversation is missing", place(row)));
                before = (conversation, seq, seq);
                continue;
            };
            if conversation != before.0 {
                end_of(before, audit);
                before = (conversation, 0, last);
            }
            audit.add_missing(conversation, before.1 + 1, seq - 1);
            if seq > last {
                audit.add(format!(
                    "{}: it lies beyond the end of its conversation",
                    place(row)
                ));
            }
            before = (conversation, seq, last);
        }
    }
}

/// Names the entries missing at the end of a conversation.
fn end_of((conversation, seq, last): (i64, i64, i64), audit: &mut Audit) {
    audit.add_missing(conversation, seq + 1, last);
}
