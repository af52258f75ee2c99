//! A batch of messages on SQLite, run on the writer's thread within one transaction.
//!
//! Row by row: that is the fastest way there (docs/decisions/), since a statement costs no round trip. What is taken
//! from the cache is put back when the batch has been committed; of a batch that was not, nothing stays.

use std::collections::HashMap;

use database::Error as DatabaseError;
use proto::{ConversationId, Seq, UserId, wire};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::{
    Accepted, NewMessage,
    cache::{Cache, Known, Participation},
    decide::{Standing, decide, mentioned},
    entry,
    sent::Sent,
};
use crate::{
    Entry, Error,
    entry::{INSERT_IN_BATCH, checksum_of_message, enumeration, extra},
    unclaimed::CLAIM_AT,
};

const LOAD: &str = "SELECT open, last_seq, claimed_seq FROM conversation WHERE id = ?1";

const LOAD_SPANS: &str =
    "SELECT role, from_seq, to_seq FROM participant WHERE conversation_id = ?1 AND user_id = ?2";

const COMPARE_AND_SET: &str = "UPDATE conversation
    SET last_seq = ?1, updated_ms = ?2, claimed_seq = ?3, unclaimed_entry_id = ?4
    WHERE id = ?5 AND last_seq = ?6 AND open";

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[LOAD, LOAD_SPANS, COMPARE_AND_SET, INSERT_IN_BATCH];

/// One for each message, in order.
type Outcomes = Vec<Result<Accepted, Error>>;
/// What is known of conversations.
type Conversations = Vec<(ConversationId, Known)>;

/// What a batch did.
pub(super) struct Written {
    /// One for each message, in order.
    pub(super) outcomes: Outcomes,
    /// The new entries, in the order of their seqs within each conversation.
    pub(super) entries: Vec<Entry>,
    /// What is known of the conversations once this is committed.
    known: Conversations,
}

impl Written {
    /// Lets the cache know, on the writer's thread right after the commit: so it is never ahead of the file.
    pub(super) fn committed(mut self, cache: &Cache) -> Self {
        cache.put(std::mem::take(&mut self.known));
        self
    }
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
            database::sqlite::begin_again(connection)?;
            try_append(connection, cache, &messages, now_ms)
        }
        outcome => outcome,
    };
    let (outcomes, known) = outcomes.map_err(|failure| match failure {
        Failure::Stale => {
            DatabaseError::Engine("a conversation moves faster than a batch can be written".into())
        }
        Failure::Database(error) => error,
    })?;
    let entries = messages
        .into_iter()
        .zip(&outcomes)
        .filter_map(|(message, outcome)| match outcome {
            Ok(accepted) if !accepted.duplicate => Some(entry(message, accepted.seq, accepted.created_ms)),
            _ => None,
        })
        .collect();
    Ok(Written {
        outcomes,
        entries,
        known,
    })
}

/// Why a whole batch was not written.
enum Failure {
    /// The database holds another `last_seq` than the cache.
    Stale,
    Database(DatabaseError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

fn try_append(
    connection: &Connection,
    cache: &Cache,
    messages: &[NewMessage],
    now_ms: i64,
) -> Result<(Outcomes, Conversations), Failure> {
    let mut batch = Batch {
        cache,
        now_ms,
        touched: HashMap::with_capacity(messages.len().min(256)),
        load: connection.prepare_cached(LOAD)?,
        load_spans: connection.prepare_cached(LOAD_SPANS)?,
        insert: connection.prepare_cached(INSERT_IN_BATCH)?,
        sent: Sent::prepare(connection, cache)?,
    };
    let mut outcomes = Vec::with_capacity(messages.len());
    for message in messages {
        match batch.append(message) {
            // That one conversation cannot be written to must not keep everybody from sending.
            Err(Error::Database(
                error @ (DatabaseError::Damaged(_) | DatabaseError::DamagedEntry { .. }),
            )) => {
                tracing::error!(conversation_id = message.conversation.get(), %error, "a message was refused");
                outcomes.push(Err(Error::Database(error)));
            }
            Err(Error::Database(error)) => return Err(Failure::Database(error)),
            outcome => outcomes.push(outcome),
        }
    }
    batch.compare_and_set(connection)?;
    let known = batch
        .touched
        .into_iter()
        .filter_map(|(conversation, touched)| Some((conversation, touched.known?)));
    Ok((outcomes, known.collect()))
}

/// A batch in the making.
struct Batch<'c> {
    cache: &'c Cache,
    now_ms: i64,
    touched: HashMap<ConversationId, Touched>,
    load: CachedStatement<'c>,
    load_spans: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    sent: Sent<'c>,
}

impl Batch<'_> {
    fn append(&mut self, message: &NewMessage) -> Result<Accepted, Error> {
        let mut touched = match self.touched.remove(&message.conversation) {
            Some(touched) => touched,
            None => self.touch(message.conversation)?,
        };
        let outcome = self.append_to(&mut touched, message);
        self.touched.insert(message.conversation, touched);
        outcome
    }

    fn append_to(&mut self, touched: &mut Touched, message: &NewMessage) -> Result<Accepted, Error> {
        // A resend of what was accepted while it was allowed is answered with its seq, whatever is so now.
        if let Some(first) = self.sent.answer(touched.known.as_ref(), message)? {
            return Ok(first);
        }
        let Some(known) = &mut touched.known else {
            return Err(Error::NoAccess);
        };
        // The first who is not in it decides, so nobody after them is asked for.
        for user in std::iter::once(message.sender).chain(mentioned(message)) {
            if known.participant(user).is_none() {
                match participation(&mut self.load_spans, message.conversation, user)? {
                    Some(participation) => known.remember(user, participation),
                    None => break,
                }
            }
        }
        let seq = decide(message, Some(known)).inspect_err(|_| touched.refused = true)?;
        let previous = known.unclaimed.last().map(|last| last.id);
        let id = insert(&mut self.insert, message, seq, self.now_ms, previous)?;
        known.standing.last_seq = seq;
        self.sent.remember(known, message, seq, id);
        Ok(Accepted {
            seq,
            created_ms: self.now_ms,
            duplicate: false,
        })
    }

    fn touch(&mut self, conversation: ConversationId) -> Result<Touched, DatabaseError> {
        let cached = self.cache.take(conversation);
        let is_cached = cached.is_some();
        let known = match cached {
            Some(known) => Some(known),
            None => self.load(conversation)?,
        };
        let seen = known.as_ref().map_or(Seq::ZERO, |known| known.standing.last_seq);
        Ok(Touched {
            known,
            seen,
            cached: is_cached,
            refused: false,
        })
    }

    fn load(&mut self, conversation: ConversationId) -> Result<Option<Known>, DatabaseError> {
        let Some((standing, claimed_seq)) = standing(&mut self.load, conversation)? else {
            return Ok(None);
        };
        Ok(Some(Known {
            claimed_seq,
            unclaimed: self.sent.load(conversation, claimed_seq, standing.last_seq)?,
            ..Known::new(standing)
        }))
    }

    /// Moves the versions of the conversations that got entries; refuses when one is not what the batch was decided on.
    /// A refusal writes nothing, so what it was decided on is looked up: nobody may be kept out by what the cache
    /// remembers.
    fn compare_and_set(&mut self, connection: &Connection) -> Result<(), Failure> {
        let mut update = connection.prepare_cached(COMPARE_AND_SET)?;
        for (conversation, touched) in &mut self.touched {
            let Some(known) = &mut touched.known else { continue };
            let last_seq = known.standing.last_seq;
            if last_seq == touched.seen {
                if touched.cached && touched.refused {
                    let now = standing(&mut self.load, *conversation)?;
                    if now.map(|(now, _)| now.last_seq) != Some(touched.seen) {
                        return Err(Failure::Stale);
                    }
                }
                continue;
            }
            let is_due = known.unclaimed.len() >= CLAIM_AT;
            let (claimed_seq, unclaimed) = match is_due {
                true => (last_seq, None),
                false => (known.claimed_seq, known.unclaimed.last().map(|last| last.id)),
            };
            let rows = update.execute(params![
                last_seq.get(),
                self.now_ms,
                claimed_seq.get(),
                unclaimed,
                conversation.get(),
                touched.seen.get()
            ])?;
            if rows != 1 {
                return Err(Failure::Stale);
            }
            if is_due {
                self.sent.claim(*conversation, known)?;
            }
        }
        Ok(())
    }
}

fn standing(
    load: &mut CachedStatement<'_>,
    conversation: ConversationId,
) -> Result<Option<(Standing, Seq)>, DatabaseError> {
    let row = load.query_row([conversation.get()], |row| {
        let standing = Standing {
            open: row.get(0)?,
            last_seq: Seq::from_database(row.get(1)?),
        };
        Ok((standing, Seq::from_database(row.get(2)?)))
    });
    Ok(row.optional()?)
}

fn participation(
    load_spans: &mut CachedStatement<'_>,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<Participation>, DatabaseError> {
    let spans = load_spans.query_map([conversation.get(), user.get()], |row| {
        let to: Option<i64> = row.get(2)?;
        Ok((
            enumeration(row.get(0)?),
            Seq::from_database(row.get(1)?),
            to.map(Seq::from_database),
        ))
    })?;
    Ok(Participation::of(spans.collect::<Result<Vec<_>, _>>()?))
}

/// Adds an entry and gives its id.
fn insert(
    insert: &mut CachedStatement<'_>,
    message: &NewMessage,
    seq: Seq,
    now_ms: i64,
    previous: Option<i64>,
) -> Result<i64, DatabaseError> {
    let extra = extra(&message.mentions, None);
    let sum = checksum_of_message(message, seq, now_ms, extra.as_deref());
    Ok(insert.insert(params![
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
        extra.as_deref(),
        false,
        sum,
        previous,
    ])?)
}
