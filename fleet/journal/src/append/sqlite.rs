//! A batch of messages on SQLite, run on the writer's thread within one transaction.
//!
//! Row by row: that is the fastest way there (docs/decisions/), since a statement costs no round trip. What is taken
//! from the cache is put back when the batch is ready to be committed. Should the commit fail, the cache knows of seqs
//! that are not there, and the next batch finds that out by its compare-and-set.

use std::collections::HashMap;

use database::Error as DatabaseError;
use proto::{ConversationId, Seq, UserId, wire};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Accepted, NewMessage,
    cache::{Cache, Known},
    decide::{Standing, decide, difference},
};
use crate::{
    Entry, Error,
    entry::{INSERT_SQLITE, enumeration, extra, mentions},
};

const LOAD: &str = "SELECT open, last_seq FROM conversation WHERE id = ?1";

const LOAD_ROLE: &str =
    "SELECT role FROM participant WHERE conversation_id = ?1 AND user_id = ?2 AND to_seq IS NULL";

const CLAIM: &str =
    "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO NOTHING";

const FIND_SENT: &str =
    "SELECT seq FROM sent WHERE conversation_id = ?1 AND sender_id = ?2 AND client_msg_id = ?3";

const READ_FIRST: &str = "SELECT mime_type, body, reply_to_seq, created_ms, extra FROM entry
    WHERE conversation_id = ?1 AND seq = ?2";

const COMPARE_AND_SET: &str =
    "UPDATE conversation SET last_seq = ?1, updated_ms = ?2 WHERE id = ?3 AND last_seq = ?4 AND open";

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[
    LOAD,
    LOAD_ROLE,
    CLAIM,
    FIND_SENT,
    READ_FIRST,
    COMPARE_AND_SET,
    INSERT_SQLITE,
];

/// What a batch did.
pub(super) struct Written {
    /// One for each message, in order.
    pub(super) outcomes: Vec<Result<Accepted, Error>>,
    /// The new entries, in the order of their seqs within each conversation.
    pub(super) entries: Vec<Entry>,
}

/// A conversation in this batch.
struct Touched {
    known: Option<Known>,
    /// `last_seq` before this batch.
    seen: Seq,
    /// Whether `known` was in the cache.
    cached: bool,
    /// Whether somebody was refused on the ground of `known`.
    refused: bool,
}

type Batch = HashMap<ConversationId, Touched>;

/// Appends a batch; to be committed by the caller.
pub(super) fn append(
    connection: &mut Connection,
    cache: &Cache,
    messages: Vec<NewMessage>,
    now_ms: i64,
) -> Result<Written, DatabaseError> {
    let outcomes = match try_append(connection, cache, &messages, now_ms) {
        Err(Failure::Stale) => {
            // Somebody wrote to this file behind the cache's back. Nothing of the batch is left; ask for everything.
            metrics::counter!("huizhen_journal_stale_batches_total").increment(1);
            cache.forget_all();
            connection.execute_batch("ROLLBACK; BEGIN IMMEDIATE")?;
            try_append(connection, cache, &messages, now_ms)
        }
        outcome => outcome,
    };
    let outcomes = outcomes.map_err(|failure| match failure {
        Failure::Stale => {
            DatabaseError::Engine("a conversation moves faster than a batch can be written".into())
        }
        Failure::Database(error) => error,
    })?;
    let entries = messages
        .into_iter()
        .zip(&outcomes)
        .filter_map(|(message, outcome)| match outcome {
            Ok(accepted) if !accepted.duplicate => Some(entry(message, *accepted)),
            _ => None,
        })
        .collect();
    Ok(Written { outcomes, entries })
}

/// Why a whole batch was not written.
enum Failure {
    /// The database holds another `last_seq` than the cache.
    Stale,
    Database(DatabaseError),
}

fn try_append(
    connection: &Connection,
    cache: &Cache,
    messages: &[NewMessage],
    now_ms: i64,
) -> Result<Vec<Result<Accepted, Error>>, Failure> {
    let mut batch = Batch::with_capacity(messages.len().min(256));
    let mut outcomes = Vec::with_capacity(messages.len());
    for message in messages {
        match append_one(connection, cache, &mut batch, message, now_ms) {
            Err(Error::Database(error)) if error.constraint() == Some("entry_pkey") => {
                return Err(Failure::Stale);
            }
            Err(Error::Database(error)) => return Err(Failure::Database(error)),
            outcome => outcomes.push(outcome),
        }
    }
    compare_and_set(connection, &batch, now_ms)?;
    cache.put(
        batch
            .into_iter()
            .filter_map(|(conversation, touched)| Some((conversation, touched.known?))),
    );
    Ok(outcomes)
}

/// Moves the versions of the conversations that got entries; refuses when one is not what the batch was decided on. A
/// refusal writes nothing, so what it was decided on is looked up: nobody may be kept out by what the cache remembers.
fn compare_and_set(connection: &Connection, batch: &Batch, now_ms: i64) -> Result<(), Failure> {
    let mut update = connection
        .prepare_cached(COMPARE_AND_SET)
        .map_err(|error| Failure::Database(error.into()))?;
    for (conversation, touched) in batch {
        let Some(known) = &touched.known else { continue };
        let last_seq = known.standing.last_seq;
        if last_seq == touched.seen {
            if touched.cached && touched.refused {
                let now = load(connection, *conversation).map_err(Failure::Database)?;
                if now.map(|now| now.standing.last_seq) != Some(touched.seen) {
                    return Err(Failure::Stale);
                }
            }
            continue;
        }
        let rows = update
            .execute(params![
                last_seq.get(),
                now_ms,
                conversation.get(),
                touched.seen.get()
            ])
            .map_err(|error| Failure::Database(error.into()))?;
        if rows != 1 {
            return Err(Failure::Stale);
        }
    }
    Ok(())
}

fn append_one(
    connection: &Connection,
    cache: &Cache,
    batch: &mut Batch,
    message: &NewMessage,
    now_ms: i64,
) -> Result<Accepted, Error> {
    let touched = match batch.entry(message.conversation) {
        std::collections::hash_map::Entry::Occupied(occupied) => occupied.into_mut(),
        std::collections::hash_map::Entry::Vacant(vacant) => {
            let cached = cache.take(message.conversation);
            let is_cached = cached.is_some();
            let known = match cached {
                Some(known) => Some(known),
                None => load(connection, message.conversation)?,
            };
            let seen = known.as_ref().map_or(Seq::ZERO, |known| known.standing.last_seq);
            vacant.insert(Touched {
                known,
                seen,
                cached: is_cached,
                refused: false,
            })
        }
    };
    let role = match &mut touched.known {
        Some(known) => match known.role(message.sender) {
            Some(role) => role,
            None => {
                let role = load_role(connection, message.conversation, message.sender)?;
                known.remember(message.sender, role);
                role
            }
        },
        None => None,
    };
    let standing = touched.known.as_ref().map(|known| known.standing);
    match decide(message, standing, role) {
        Ok(seq) => {
            if !claim(connection, message, seq)? {
                return resend(connection, message)?.ok_or(Error::NoAccess);
            }
            insert(connection, message, seq, now_ms)?;
            if let Some(known) = &mut touched.known {
                known.standing.last_seq = seq;
            }
            Ok(Accepted {
                seq,
                created_ms: now_ms,
                duplicate: false,
            })
        }
        // A resend of what was accepted while it was allowed is still answered with its seq.
        Err(refused) => match resend(connection, message)? {
            Some(first) => Ok(first),
            None => {
                touched.refused = true;
                Err(refused)
            }
        },
    }
}

fn load(connection: &Connection, conversation: ConversationId) -> Result<Option<Known>, DatabaseError> {
    let standing = connection
        .prepare_cached(LOAD)?
        .query_row([conversation.get()], |row| {
            Ok(Standing {
                open: row.get(0)?,
                last_seq: Seq::from_database(row.get(1)?),
            })
        })
        .optional()?;
    Ok(standing.map(|standing| Known {
        standing,
        roles: Vec::new(),
    }))
}

fn load_role(
    connection: &Connection,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<wire::Role>, DatabaseError> {
    let role: Option<i64> = connection
        .prepare_cached(LOAD_ROLE)?
        .query_row([conversation.get(), user.get()], |row| row.get(0))
        .optional()?;
    Ok(role.map(enumeration))
}

/// Takes the client_msg_id for a seq; false when it stands for an entry already.
fn claim(connection: &Connection, message: &NewMessage, seq: Seq) -> Result<bool, DatabaseError> {
    let rows = connection.prepare_cached(CLAIM)?.execute(params![
        message.conversation.get(),
        message.sender.get(),
        message.client_msg_id,
        seq.get()
    ])?;
    Ok(rows == 1)
}

fn insert(connection: &Connection, message: &NewMessage, seq: Seq, now_ms: i64) -> Result<(), DatabaseError> {
    let mut insert = connection.prepare_cached(INSERT_SQLITE)?;
    insert.execute(params![
        message.conversation.get(),
        seq.get(),
        message.sender.get(),
        wire::EntryKind::Message as i32,
        now_ms,
        message.client_msg_id,
        message.mime_type,
        &message.body[..],
        message.reply_to_seq.get(),
        0,
        extra(&message.mentions, None).as_deref(),
        false,
    ])?;
    Ok(())
}

/// The answer to a message whose client_msg_id is taken; none when it is not.
fn resend(connection: &Connection, message: &NewMessage) -> Result<Option<Accepted>, Error> {
    let seq: Option<i64> = connection
        .prepare_cached(FIND_SENT)
        .map_err(DatabaseError::from)?
        .query_row(
            params![
                message.conversation.get(),
                message.sender.get(),
                message.client_msg_id
            ],
            |row| row.get(0),
        )
        .optional()
        .map_err(DatabaseError::from)?;
    let Some(seq) = seq else { return Ok(None) };
    let first = connection
        .prepare_cached(READ_FIRST)
        .map_err(DatabaseError::from)?
        .query_row([message.conversation.get(), seq], |row| {
            let (mime_type, body) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_blob()?);
            let mentions = mentions(row.get_ref(4)?.as_blob_or_null()?);
            let difference = difference(message, mime_type, body, row.get(2)?, &mentions);
            Ok((difference, row.get(3)?))
        })
        .optional()
        .map_err(DatabaseError::from)?;
    match first {
        Some((Some(field), _)) => Err(Error::Conflict { field }),
        Some((None, created_ms)) => Ok(Some(Accepted {
            seq: Seq::from_database(seq),
            created_ms,
            duplicate: true,
        })),
        None => Err(Error::Database(DatabaseError::Engine(
            "sent points to no entry".into(),
        ))),
    }
}

fn entry(message: NewMessage, accepted: Accepted) -> Entry {
    Entry {
        conversation: message.conversation,
        seq: accepted.seq,
        sender: message.sender,
        kind: wire::EntryKind::Message,
        created_ms: accepted.created_ms,
        client_msg_id: message.client_msg_id,
        mime_type: message.mime_type,
        body: message.body,
        reply_to_seq: message.reply_to_seq,
        corrects_seq: Seq::ZERO,
        mentions: message.mentions,
        event: None,
        recalled: false,
    }
}
