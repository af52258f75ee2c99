//! Reads every entry of every conversation and says which are not what was written, for `huizhen check --deep`. A server may
//! run meanwhile: each statement is one moment, and nothing holds from one to the next but what only grows.

use database::{Database, Engine, Error, Row, params};

use crate::{
    damage,
    entry::{self, Entry, Seals},
    unclaimed::with_unclaimed,
};

/// Rows that are read at a time: entries have up to 64 KiB.
const BATCH_ROWS: i64 = 200;
/// Damaged rows that are named; the rest is counted.
const NAMED: usize = 100;

/// The index by seq is looked up with each entry, so that one statement sees both.
const ENTRIES_IN_FILE: &str = concat!(
    "SELECT ",
    entry::columns_of_e!("e.seq"),
    ", e.id, i.entry_id, c.claimed_seq, c.last_seq
     FROM entry e LEFT JOIN conversation c ON c.id = e.conversation_id
     LEFT JOIN entry_index i ON i.conversation_id = e.conversation_id AND i.seq = e.seq
     WHERE e.id > $1 ORDER BY e.id LIMIT $2"
);

const NEXT_ID: &str = "SELECT id FROM entry WHERE id > $1 ORDER BY id LIMIT 1";

const ENTRIES: &str = concat!(
    "SELECT ",
    entry::columns_of_e!("e.seq"),
    ", c.last_seq
     FROM entry e LEFT JOIN conversation c ON c.id = e.conversation_id
     WHERE (e.conversation_id, e.seq) > ($1, $2) ORDER BY e.conversation_id, e.seq LIMIT $3"
);

/// Spans and marks that reach beyond their conversation.
macro_rules! conversations {
    ($more:literal) => {
        concat!(
            "SELECT c.id, c.last_seq,
               (SELECT count(*) FROM participant p WHERE p.conversation_id = c.id),
               (SELECT count(*) FROM participant p WHERE p.conversation_id = c.id
                  AND (p.from_seq < 1 OR p.from_seq > c.last_seq OR p.to_seq > c.last_seq OR p.to_seq < p.from_seq)),
               (SELECT count(*) FROM mark m WHERE m.conversation_id = c.id
                  AND (m.received_seq > c.last_seq OR m.read_seq > c.last_seq))",
            $more,
            " FROM conversation c WHERE c.id > $1 ORDER BY c.id LIMIT $2"
        )
    };
}

/// Whether a conversation that has moved has a first entry; the others are compared one with the next.
const CONVERSATIONS: &str = conversations!(
    ", c.last_seq = 0 OR EXISTS (SELECT 1 FROM entry e WHERE e.conversation_id = c.id AND e.seq = 1)"
);
const CONVERSATIONS_IN_FILE: &str = conversations!("");

/// What the indexes and the chain of a conversation hold, and what they should.
const INDEXES: &str = concat!(
    with_unclaimed!(),
    "SELECT c.last_seq, c.claimed_seq,
       (SELECT count(*) FROM unclaimed),
       (SELECT count(*) FROM entry_index i WHERE i.conversation_id = $1),
       (SELECT count(*) FROM entry_index i JOIN entry e ON e.id = i.entry_id
          WHERE i.conversation_id = $1 AND e.conversation_id = $1 AND e.seq = i.seq AND e.seq <= c.claimed_seq)
     FROM conversation c WHERE c.id = $1"
);

/// What was read, and what is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Conversations that were read.
    pub conversations: u64,
    /// Spans of participation that were read.
    pub participants: u64,
    /// Entries that were read.
    pub entries: u64,
    /// Of those, entries that a program wrote that knew no checksums, on a server: nothing tells whether they are whole.
    pub unsealed: u64,
    /// What is damaged, a line each with its place; the first of them.
    pub named: Vec<String>,
    /// How much is damaged.
    pub damaged: u64,
}

impl Audit {
    fn add(&mut self, what: String) {
        self.damaged += 1;
        if self.named.len() < NAMED {
            self.named.push(what);
        }
    }
}

/// Reads everything. Memory does not grow with the number of entries.
///
/// # Errors
/// When the database is away. What cannot be read since it is damaged is no error but a finding.
pub async fn audit(database: &Database) -> Result<Audit, Error> {
    let mut audit = Audit::default();
    match database.engine() {
        Engine::Sqlite(sqlite) => {
            for line in sqlite.integrity(NAMED).await? {
                audit.add(format!("the file: {line}"));
            }
            read_file(database, &mut audit).await?;
        }
        Engine::Postgres(_) => read_server(database, &mut audit).await?,
    }
    read_conversations(database, &mut audit).await?;
    Ok(audit)
}

/// Whether an error says that something cannot be read, rather than that nobody answers.
fn is_damage(error: &Error) -> bool {
    !matches!(
        error,
        Error::Unavailable(_) | Error::Closed | Error::Busy(_) | Error::Panicked
    )
}

async fn read_file(database: &Database, audit: &mut Audit) -> Result<(), Error> {
    let (mut after, mut rows_at_once) = (i64::MIN, BATCH_ROWS);
    loop {
        let rows = match database
            .query(ENTRIES_IN_FILE, params![after, rows_at_once])
            .await
        {
            Ok(rows) => rows,
            Err(error) if is_damage(&error) && rows_at_once > 1 => {
                // One of them cannot be read: which one?
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
            if let Err(told) = in_file(row) {
                audit.add(format!("{} (id {}): {told}", place(row), row.get::<i64>(13)?));
            }
        }
    }
}

/// The id of the row that cannot be read, if that much can be.
async fn next_id(database: &Database, after: i64) -> Option<i64> {
    let row = database.query_first(NEXT_ID, params![after]).await.ok()??;
    row.get(0).ok()
}

fn in_file(row: &Row) -> Result<(), &'static str> {
    let typed = |_| damage::NO_VALUE;
    let entry = Entry::read(row, Seals::All)?;
    let indexed: Option<i64> = row.get(14).map_err(typed)?;
    let claimed: Option<i64> = row.get(15).map_err(typed)?;
    let last: Option<i64> = row.get(16).map_err(typed)?;
    let (Some(claimed), Some(last)) = (claimed, last) else {
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
        Some(_) if seq > claimed => Err("it is in the index by seq too early"),
        None if seq <= claimed => Err("it is not in the index by seq"),
        _ => Ok(()),
    }
}

async fn read_server(database: &Database, audit: &mut Audit) -> Result<(), Error> {
    // The entry before: conversation, seq, and where the conversation ended then.
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
            if let Err(told) = Entry::read(row, Seals::New) {
                audit.add(format!("{}: {told}", place(row)));
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
            missing(conversation, before.1 + 1, seq - 1, audit);
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

/// Whether the last entry that was found of a conversation is its last.
fn end_of((conversation, seq, last): (i64, i64, i64), audit: &mut Audit) {
    missing(conversation, seq + 1, last, audit);
}

/// One line for all that are missing between two others.
fn missing(conversation: i64, low: i64, high: i64, audit: &mut Audit) {
    let which = match high - low {
        ..0 => return,
        0 => format!("entry {low}"),
        _ => format!("entries {low} to {high}"),
    };
    audit.add(format!(
        "{which} of conversation {conversation}: {}",
        damage::MISSING
    ));
}

fn place(row: &Row) -> String {
    let number = |at| {
        row.get::<i64>(at)
            .map_or_else(|_| "?".to_owned(), |at| at.to_string())
    };
    format!("entry {} of conversation {}", number(1), number(0))
}

async fn read_conversations(database: &Database, audit: &mut Audit) -> Result<(), Error> {
    let mut after = i64::MIN;
    let sql = database.text(CONVERSATIONS_IN_FILE, CONVERSATIONS);
    loop {
        let rows = match database.query(sql, params![after, BATCH_ROWS]).await {
            Err(error) if is_damage(&error) => {
                audit.add(format!("conversations after {after}: {error}"));
                return Ok(());
            }
            rows => rows?,
        };
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.get(0)?;
        for row in &rows {
            audit.conversations += 1;
            read_conversation(database, row, audit).await?;
        }
    }
}

async fn read_conversation(database: &Database, row: &Row, audit: &mut Audit) -> Result<(), Error> {
    let id: i64 = row.get(0)?;
    audit.participants += u64::try_from(row.get::<i64>(2)?).unwrap_or(0);
    if row.get::<i64>(3)? > 0 {
        audit.add(format!(
            "conversation {id}: spans of participation reach beyond its end, or end before they begin"
        ));
    }
    if row.get::<i64>(4)? > 0 {
        audit.add(format!("conversation {id}: marks reach beyond its end"));
    }
    if let Engine::Postgres(_) = database.engine() {
        if !row.get::<bool>(5)? {
            missing(id, 1, 1, audit);
        }
        return Ok(());
    }
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
    let (last, claimed, chain, indexed, right) = (number(0)?, number(1)?, number(2)?, number(3)?, number(4)?);
    if chain != last - claimed {
        audit.add(format!(
            "conversation {id}: {} entries are not indexed yet, and {chain} of them are found",
            last - claimed
        ));
    }
    if indexed != claimed || right != claimed {
        audit.add(format!(
            "conversation {id}: {claimed} entries are indexed by seq; the index has {indexed} and leads to {right} of them"
        ));
    }
    Ok(())
}
