//! Reads the truth past the servers: from PostgreSQL, or from the file of a server that has ended.

use std::path::Path;

use anyhow::{Context, Result};
use prost::Message;
use proto::wire::{self, EntryKind, entry};
use rusqlite::{Connection, OpenFlags, params};
use tokio_postgres::{Client, NoTls};

use super::note::hash;
use super::truth::deadline::{Kind, Record, State, Step};
use super::truth::{Change, Fact, Span, Truth};

/// Where the truth lies.
#[derive(Debug)]
pub struct Database {
    source: Source,
    /// When it was opened, by its own clock.
    opened_ms: i64,
}

#[derive(Debug)]
enum Source {
    /// A file; no server has it open.
    File(Connection),
    /// A database of PostgreSQL.
    Server(Client),
}

/// The conversations of a consult: itself and its staff room.
const CONVERSATIONS: &str = "SELECT id FROM conversation WHERE consult_id = $1 ORDER BY id";
const ENTRIES: &str = "SELECT seq, sender_id, kind, client_msg_id, body, extra, created_ms FROM entry WHERE conversation_id = $1";
const SPANS: &str =
    "SELECT user_id, from_seq, to_seq, sees_from_seq FROM participant WHERE conversation_id = $1";
/// Of a consult, whose id is that of its conversation.
const DEADLINES: &str = "SELECT kind, state, due_ms FROM consult_deadline WHERE consult_id = $1";
const NOW_OF_FILE: &str = "SELECT CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER)";
const NOW_OF_SERVER: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";

impl Database {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn file(path: &Path) -> Result<Self> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .with_context(|| format!("cannot open {}", path.display()))?;
        // In a file entries lie in the order of their coming; whole, this is one pass for each conversation.
        connection.execute_batch(
            "CREATE TEMP TABLE place AS SELECT conversation_id, id FROM entry ORDER BY conversation_id; \
             CREATE INDEX temp.place_by_conversation ON place (conversation_id);",
        )?;
        let opened_ms = connection.query_row(NOW_OF_FILE, [], |row| row.get(0))?;
        Ok(Self {
            source: Source::File(connection),
            opened_ms,
        })
    }

    /// Connects to a database by its URL.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn server(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        let opened_ms = client.query_one(NOW_OF_SERVER, &[]).await?.try_get(0)?;
        Ok(Self {
            source: Source::Server(client),
            opened_ms,
        })
    }

    /// The conversations of a consult, each as it stands.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn of_consult(&self, consult: i64) -> Result<Vec<(i64, Truth)>> {
        let ids = match &self.source {
            Source::File(connection) => ids_of_file(connection, consult)?,
            Source::Server(client) => {
                let rows = client.query(CONVERSATIONS, &[&consult]).await?;
                rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?
            }
        };
        let mut all = Vec::new();
        for id in ids {
            if let Some(truth) = self.conversation(id).await? {
                all.push((id, truth));
            }
        }
        Ok(all)
    }

    /// A conversation as it stands; none when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn conversation(&self, id: i64) -> Result<Option<Truth>> {
        let mut truth = match &self.source {
            Source::File(connection) => of_file(connection, id)?,
            Source::Server(client) => of_server(client, id).await?,
        };
        truth.read_at(self.opened_ms);
        Ok((truth.last_seq() > 0).then_some(truth))
    }
}

/// The conversations of a consult in a file.
fn ids_of_file(connection: &Connection, consult: i64) -> Result<Vec<i64>> {
    let mut asked = connection.prepare_cached(CONVERSATIONS)?;
    let ids = asked.query_map([consult], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn of_file(connection: &Connection, id: i64) -> Result<Truth> {
    let mut truth = Truth::default();
    let mut entries = connection.prepare_cached(
        "SELECT e.seq, e.sender_id, e.kind, e.client_msg_id, e.body, e.extra, e.created_ms \
         FROM temp.place p JOIN entry e ON e.id = p.id WHERE p.conversation_id = ?1",
    )?;
    let mut rows = entries.query(params![id])?;
    while let Some(row) = rows.next()? {
        let (name, body): (String, Vec<u8>) = (row.get(3)?, row.get(4)?);
        let extra: Option<Vec<u8>> = row.get(5)?;
        let written = Written {
            sender: row.get(1)?,
            kind: row.get(2)?,
            created_ms: row.get(6)?,
        };
        truth.fact(row.get(0)?, fact(written, &name, &body, extra.as_deref()));
    }
    let mut deadlines = connection.prepare_cached(DEADLINES)?;
    let mut rows = deadlines.query(params![id])?;
    while let Some(row) = rows.next()? {
        let (kind, state): (String, String) = (row.get(0)?, row.get(1)?);
        truth.record(record(&kind, &state, row.get(2)?)?);
    }
    let mut spans = connection.prepare_cached(SPANS)?;
    let mut rows = spans.query(params![id])?;
    while let Some(row) = rows.next()? {
        truth.span(Span {
            user_id: row.get(0)?,
            from_seq: row.get(1)?,
            to_seq: row.get(2)?,
            sees_from_seq: row.get(3)?,
        });
    }
    Ok(truth)
}

async fn of_server(client: &Client, id: i64) -> Result<Truth> {
    let mut truth = Truth::default();
    for row in client.query(ENTRIES, &[&id]).await? {
        let (name, body): (&str, &[u8]) = (row.try_get(3)?, row.try_get(4)?);
        let written = Written {
            sender: row.try_get(1)?,
            kind: row.try_get(2)?,
            created_ms: row.try_get(6)?,
        };
        truth.fact(row.try_get(0)?, fact(written, name, body, row.try_get(5)?));
    }
    for row in client.query(DEADLINES, &[&id]).await? {
        truth.record(record(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?);
    }
    for row in client.query(SPANS, &[&id]).await? {
        truth.span(Span {
            user_id: row.try_get(0)?,
            from_seq: row.try_get(1)?,
            to_seq: row.try_get(2)?,
            sees_from_seq: row.try_get(3)?,
        });
    }
    Ok(truth)
}

/// Numbers of an entry.
struct Written {
    sender: i64,
    kind: i64,
    created_ms: i64,
}

fn fact(written: Written, client_msg_id: &str, body: &[u8], extra: Option<&[u8]>) -> Fact {
    let kind = written.kind as i32;
    let event = extra.and_then(|extra| wire::Entry::decode(extra).ok()?.event);
    Fact {
        sender: written.sender,
        kind,
        id: id_of(kind, client_msg_id),
        body: hash(body),
        change: change_of(kind, event.as_ref()),
        deadline: step_of(event.as_ref(), written.created_ms),
    }
}

fn record(kind: &str, state: &str, due_ms: Option<i64>) -> Result<Record> {
    Ok(Record {
        kind: Kind::parse(kind).with_context(|| format!("consult_deadline.kind is {kind}"))?,
        state: State::parse(state).with_context(|| format!("consult_deadline.state is {state}"))?,
        due_ms,
    })
}

/// The deadline that an entry tells of.
pub fn step_of(event: Option<&entry::Event>, created_ms: i64) -> Option<Step> {
    let Some(entry::Event::Deadline(event)) = event else {
        return None;
    };
    Some(Step {
        kind: Kind::parse(&event.kind)?,
        state: State::parse(&event.state)?,
        due_ms: event.due_ms,
        created_ms,
    })
}

/// A message's name as a number: those of this program are 16 digits, of others it is a hash; 0 for a message that the
/// server wrote, and for an entry that is not a message.
pub fn id_of(kind: i32, client_msg_id: &str) -> u64 {
    if kind != EntryKind::Message as i32 || client_msg_id.is_empty() {
        return 0;
    }
    match u64::from_str_radix(client_msg_id, 16) {
        Ok(id) if client_msg_id.len() == 16 => id,
        _ => hash(client_msg_id.as_bytes()),
    }
}

/// The participant who joined or left by an entry.
pub fn change_of(kind: i32, event: Option<&entry::Event>) -> Option<Change> {
    let joined = kind == EntryKind::ParticipantJoined as i32;
    let left = kind == EntryKind::ParticipantLeft as i32;
    match event {
        Some(entry::Event::Participant(who)) if joined || left => Some(Change {
            user_id: who.user_id,
            joined,
            sees_from: if joined { who.sees_from_seq } else { 0 },
        }),
        _ => None,
    }
}
