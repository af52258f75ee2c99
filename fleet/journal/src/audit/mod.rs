//! Reads every entry of every conversation and names the damaged ones, for `huizhen check --deep`. A server may run
//! meanwhile: each statement sees one moment, and only what never shrinks is compared across statements.

mod postgres;
mod sqlite;

use database::{Database, Engine, Error, Row, params};

use crate::entry::damage;

/// Rows in one read: entries have up to 64 KiB.
const BATCH_ROWS: i64 = 200;
/// Damaged rows that are named; further ones are counted.
const NAMED: usize = 100;

/// Counts spans and marks that reach beyond their conversation.
macro_rules! conversations {
    ($more:literal) => {
        concat!(
            "SELECT c.id, c.last_seq,
               (SELECT count(*) FROM participant p WHERE p.conversation_id = c.id),
               (SELECT count(*) FROM participant p WHERE p.conversation_id = c.id
                  AND (p.from_seq < 1 OR p.from_seq > c.last_seq OR p.to_seq > c.last_seq OR p.to_seq < p.from_seq
                    OR p.sees_from_seq < 1 OR p.sees_from_seq > p.from_seq)),
               (SELECT count(*) FROM mark m WHERE m.conversation_id = c.id
                  AND (m.received_seq > c.last_seq OR m.read_seq > c.last_seq))",
            $more,
            " FROM conversation c WHERE c.id > $1 ORDER BY c.id LIMIT $2"
        )
    };
}
use conversations;

/// The counts of an audit, and the damage that it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Conversations read.
    pub conversations: u64,
    /// Spans of participation read.
    pub participants: u64,
    /// Entries read.
    pub entries: u64,
    /// Of those, entries without a checksum, on PostgreSQL: an earlier release wrote them, and damage would not show.
    pub unsealed: u64,
    /// The first damaged places, a line each.
    pub named: Vec<String>,
    /// The number of damaged places.
    pub damaged: u64,
}

impl Audit {
    fn add(&mut self, damage: String) {
        self.damaged += 1;
        if self.named.len() < NAMED {
            self.named.push(damage);
        }
    }

    /// One line for a run of missing entries.
    fn add_missing(&mut self, conversation: i64, low: i64, high: i64) {
        let run = match high - low {
            ..0 => return,
            0 => format!("entry {low}"),
            _ => format!("entries {low} to {high}"),
        };
        self.add(format!(
            "{run} of conversation {conversation}: {}",
            damage::MISSING
        ));
    }
}

/// Reads everything. Memory does not grow with the number of entries.
///
/// # Errors
/// When the database is away. Damage that prevents a read is a finding, not an error.
pub async fn audit(database: &Database) -> Result<Audit, Error> {
    let mut audit = Audit::default();
    match database.engine() {
        Engine::Sqlite(engine) => sqlite::audit(database, engine, &mut audit).await?,
        Engine::Postgres(_) => postgres::audit(database, &mut audit).await?,
    }
    Ok(audit)
}

/// Whether an error is damage, rather than a database that does not answer.
fn is_damage(error: &Error) -> bool {
    !matches!(
        error,
        Error::Unavailable(_) | Error::Machine(_) | Error::Closed | Error::Busy(_) | Error::Panicked
    )
}

fn place(row: &Row) -> String {
    let number = |at| {
        row.get::<i64>(at)
            .map_or_else(|_| "?".to_owned(), |at| at.to_string())
    };
    format!("entry {} of conversation {}", number(1), number(0))
}

/// A page of [`conversations!`] above an id, its spans and marks judged; `None` at the end.
async fn read_conversations(
    database: &Database,
    sql: &'static str,
    after: i64,
    audit: &mut Audit,
) -> Result<Option<(i64, Vec<Row>)>, Error> {
    let rows = match database.query(sql, params![after, BATCH_ROWS]).await {
        Err(error) if is_damage(&error) => {
            audit.add(format!("conversations after {after}: {error}"));
            return Ok(None);
        }
        rows => rows?,
    };
    let Some(last) = rows.last() else { return Ok(None) };
    let last = last.get(0)?;
    for row in &rows {
        let id: i64 = row.get(0)?;
        audit.conversations += 1;
        audit.participants += u64::try_from(row.get::<i64>(2)?).unwrap_or(0);
        if row.get::<i64>(3)? > 0 {
            audit.add(format!(
                "conversation {id}: spans of participation reach beyond its end, or end before they begin"
            ));
        }
        if row.get::<i64>(4)? > 0 {
            audit.add(format!("conversation {id}: marks reach beyond its end"));
        }
    }
    Ok(Some((last, rows)))
}
