//! The audit of a file: entries in the order of arrival, then the indexes and the chain of each conversation.

use database::{Database, Error, Row, params, sqlite::Sqlite};

use super::{Audit, BATCH_ROWS, NAMED, conversations, is_damage, place, read_conversations};
use crate::{
    entry::{Checksums, Entry, columns_of_e, damage},
    sql::sqlite::chain::with_unindexed,
};

/// The entry of `entry_index` is read with each entry, so that one statement sees both.
const ENTRIES: &str = concat!(
    "SELECT ",
    columns_of_e!("e.seq"),
    ", e.id, i.entry_id, c.claimed_seq, c.last_seq
     FROM entry e LEFT JOIN conversation c ON c.id = e.conversation_id
     LEFT JOIN entry_index i ON i.conversation_id = e.conversation_id AND i.seq = e.seq
     WHERE e.id > $1 ORDER BY e.id LIMIT $2"
);

const NEXT_ID: &str = "SELECT id FROM entry WHERE id > $1 ORDER BY id LIMIT 1";

const CONVERSATIONS: &str = conversations!("");

/// The sizes of a conversation's indexes and chain, and what they must be.
const INDEXES: &str = concat!(
    with_unindexed!(),
    "SELECT c.last_seq, c.claimed_seq,
       (SELECT count(*) FROM unindexed),
       (SELECT count(*) FROM entry_index i WHERE i.conversation_id = $1),
       (SELECT count(*) FROM entry_index i JOIN entry e ON e.id = i.entry_id
          WHERE i.conversation_id = $1 AND e.conversation_id = $1 AND e.seq = i.seq AND e.seq <= c.claimed_seq)
     FROM conversation c WHERE c.id = $1"
);

pub(super) async fn audit(database: &Database, sqlite: &Sqlite, audit: &mut Audit) -> Result<(), Error> {
    for line in sqlite.integrity(NAMED).await? {
        audit.add(format!("the file: {line}"));
    }
    read_entries(database, audit).await?;
    let mut after = i64::MIN;
    while let Some((last, rows)) = read_conversations(database, CONVERSATIONS, after, audit).await? {
        for row in &rows {
            read_indexes(database, row.get(0)?, audit).await?;
        }
        after = last;
    }
    Ok(())
}

async fn read_entries(database: &Database, audit: &mut Audit) -> Result<(), Error> {
    let (mut after, mut rows_at_once) = (i64::MIN, BATCH_ROWS);
    loop {
        let rows = match database.query(ENTRIES, params![after, rows_at_once]).await {
            Ok(rows) => rows,
            Err(error) if is_damage(&error) && rows_at_once > 1 => {
                // Find the row that cannot be read.
                rows_at_once = 1;
                continue;
            }
            Err(error) if is_damage(&error) => match next_id(database, after).await {
                Some(id) => {
                    audit.add(format!("the entry with id {id}: {error}"));
                    (after, rows_at_once) = (id, BATCH_ROWS);
                    continue;
                }
                None => {
                    audit.add(format!("entries after id {after}: {error}"));
                    return Ok(());
                }
            },
            Err(error) => return Err(error),
        };
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.get(13)?;
        rows_at_once = BATCH_ROWS;
        for row in &rows {
            audit.entries += 1;
            if let Err(reason) = judge(row) {
                audit.add(format!("{} (id {}): {reason}", place(row), row.get::<i64>(13)?));
            }
        }
    }
}

/// The id of the row that cannot be read, if its key can.
async fn next_id(database: &Database, after: i64) -> Option<i64> {
    let row = database.query_first(NEXT_ID, params![after]).await.ok()??;
    row.get(0).ok()
}

fn judge(row: &Row) -> Result<(), &'static str> {
    let typed = |_| damage::NO_VALUE;
    let entry = Entry::read(row, Checksums::OfAllEntries)?;
    let indexed: Option<i64> = row.get(14).map_err(typed)?;
    let indexed_seq: Option<i64> = row.get(15).map_err(typed)?;
    let last: Option<i64> = row.get(16).map_err(typed)?;
    let (Some(indexed_seq), Some(last)) = (indexed_seq, last) else {
        return Err("its conversation is missing");
    };
    let seq = entry.seq.get();
    if seq < 1 || seq > last {
        return Err("it lies beyond the end of its conversation");
    }
    match indexed {
        Some(id) if id != row.get::<i64>(13).map_err(typed)? => {
            Err("the index by seq leads to another entry")
        }
        Some(_) if seq > indexed_seq => Err("it is in the index by seq too early"),
        None if seq <= indexed_seq => Err("it is not in the index by seq"),
        _ => Ok(()),
    }
}

async fn read_indexes(database: &Database, id: i64, audit: &mut Audit) -> Result<(), Error> {
    let indexes = match database.query_first(INDEXES, params![id]).await {
        Ok(Some(indexes)) => indexes,
        Ok(None) => return Ok(()),
        Err(error) if is_damage(&error) => {
            audit.add(format!("conversation {id}: {error}"));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let number = |at| indexes.get::<i64>(at);
    let (last, indexed_seq, chain, indexed, right) =
        (number(0)?, number(1)?, number(2)?, number(3)?, number(4)?);
    if chain != last - indexed_seq {
        audit.add(format!(
            "conversation {id}: {} entries are not indexed yet, and {chain} of them are found",
            last - indexed_seq
        ));
    }
    if indexed != indexed_seq || right != indexed_seq {
        audit.add(format!(
            "conversation {id}: {indexed_seq} entries are indexed by seq; the index has {indexed} and leads to {right} of them"
        ));
    }
    Ok(())
}
