//! One batch, within one transaction on the writer's thread.
//!
//! Row by row: a statement costs no round trip here (docs/decisions/0003-sqlite-append.md). Conversations taken from the
//! cache are put back after the commit; a failed batch leaves them out.

use std::collections::HashMap;

use database::Error as DatabaseError;
use proto::{ConversationId, Seq, UserId, wire};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use telemetry::events::journal::Event;

use super::{
    super::{
        Accepted, NewMessage, checksum_of_message,
        decide::{Standing, decide, may_correct, mentioned},
        entry,
        known::{Known, Participation},
    },
    Cache, Tracked,
    index::Indexer,
    media::Media,
    resend::Resends,
};
use crate::{
    Entry, Error,
    entry::{self as entries, enumeration, extra},
    sql::sqlite::chain::INDEX_AT,
};

const LOAD: &str = "SELECT open, last_seq, claimed_seq FROM conversation WHERE id = ?1";

const LOAD_SPANS: &str = "SELECT role, COALESCE(sees_from_seq, from_seq), to_seq FROM participant WHERE conversation_id = ?1 AND user_id = ?2";

const INSERT: &str = concat!(
    "INSERT INTO entry (",
    entries::columns!(),
    ", previous_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
);

const COMPARE_AND_SET: &str = "UPDATE conversation
    SET last_seq = ?1, updated_ms = ?2, claimed_seq = ?3, unclaimed_entry_id = ?4
    WHERE id = ?5 AND last_seq = ?6 AND open";

/// Every statement here.
pub(super) const STATEMENTS: &[&str] = &[LOAD, LOAD_SPANS, COMPARE_AND_SET, INSERT];

/// One for each message, in order.
type Outcomes = Vec<Result<Accepted, Error>>;
type Conversations = Vec<(ConversationId, Tracked)>;
/// Conversations whose pages cannot be read.
type Damaged = HashMap<ConversationId, DatabaseError>;

/// The result of a batch.
pub(in crate::append) struct Written {
    /// One for each message, in order.
    pub(super) outcomes: Outcomes,
    /// The new entries, in the order of their seqs within each conversation.
    pub(super) entries: Vec<Entry>,
    /// The conversations as of this batch.
    conversations: Conversations,
}

impl Written {
    /// Updates the cache on the writer's thread right after the commit, so that it is never ahead of the file.
    pub(super) fn committed(mut self, cache: &Cache) -> Self {
        cache.conversations.put(std::mem::take(&mut self.conversations));
        self
    }
}

/// A conversation of this batch.
struct Touched {
    tracked: Option<Tracked>,
    /// `last_seq` before this batch.
    seen: Seq,
    /// Whether the state came from the cache.
    cached: bool,
    /// Whether a message was refused by this state.
    refused: bool,
}

/// Why a batch is rolled back as a whole.
enum Failure {
    /// The database holds another `last_seq` than the cache.
    Stale,
    /// A page of a conversation cannot be read.
    DamagedPage(ConversationId, DatabaseError),
    Database(DatabaseError),
}

impl Failure {
    /// An error while a conversation was read or written.
    fn of(conversation: ConversationId, error: DatabaseError) -> Self {
        match error {
            DatabaseError::DamagedPage(_) => Self::DamagedPage(conversation, error),
            error => Self::Database(error),
        }
    }
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

/// Appends a batch; the caller commits it. After a damaged page the batch is written without the conversation that it
/// belongs to: SQLite has rolled back the transaction, and the other conversations are whole.
pub(super) fn append(
    connection: &mut Connection,
    cache: &Cache,
    checks_media: bool,
    messages: Vec<NewMessage>,
    now_ms: i64,
) -> Result<Written, DatabaseError> {
    let (mut damaged, mut was_stale) = (Damaged::new(), false);
    let (outcomes, conversations) = loop {
        match try_append(connection, cache, checks_media, &messages, &damaged, now_ms) {
            Ok(appended) => break appended,
            // Another handle wrote to the file.
            Err(Failure::Stale) if !was_stale => {
                Event::StaleBatch.emit();
                cache.conversations.forget_all();
                was_stale = true;
            }
            Err(Failure::Stale) => {
                return Err(DatabaseError::Engine(
                    "a conversation advances faster than a batch can be written".into(),
                ));
            }
            Err(Failure::DamagedPage(conversation, error)) => {
                log_refused(conversation, &error);
                damaged.insert(conversation, error);
            }
            Err(Failure::Database(error)) => return Err(error),
        }
        database::sqlite::begin_again(connection)?;
    };
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
        conversations,
    })
}

fn log_refused(conversation: ConversationId, error: &DatabaseError) {
    let conversation_id = conversation.get();
    Event::RefusedMessage {
        conversation_id,
        error,
    }
    .emit();
}

fn try_append(
    connection: &Connection,
    cache: &Cache,
    checks_media: bool,
    messages: &[NewMessage],
    damaged: &Damaged,
    now_ms: i64,
) -> Result<(Outcomes, Conversations), Failure> {
    let mut batch = Batch {
        cache,
        now_ms,
        touched: HashMap::with_capacity(messages.len().min(256)),
        load: connection.prepare_cached(LOAD)?,
        load_spans: connection.prepare_cached(LOAD_SPANS)?,
        insert: connection.prepare_cached(INSERT)?,
        resends: Resends::prepare(connection, cache)?,
        indexer: Indexer::prepare(connection, cache)?,
        media: checks_media.then_some(Media { connection, now_ms }),
    };
    let mut outcomes = Vec::with_capacity(messages.len());
    for message in messages {
        let conversation = message.conversation;
        if let Some(error) = damaged.get(&conversation) {
            outcomes.push(Err(Error::Database(error.clone())));
            continue;
        }
        match batch.append(message) {
            // One damaged conversation must not keep others from being written.
            Err(Error::Database(
                error @ (DatabaseError::Damaged(_) | DatabaseError::DamagedEntry { .. }),
            )) => {
                log_refused(conversation, &error);
                outcomes.push(Err(Error::Database(error)));
            }
            Err(Error::Database(error)) => return Err(Failure::of(conversation, error)),
            outcome => outcomes.push(outcome),
        }
    }
    batch.compare_and_set(connection)?;
    let conversations = batch
        .touched
        .into_iter()
        .filter_map(|(conversation, touched)| Some((conversation, touched.tracked?)));
    Ok((outcomes, conversations.collect()))
}

/// A batch in progress, with its statements.
struct Batch<'c> {
    cache: &'c Cache,
    now_ms: i64,
    touched: HashMap<ConversationId, Touched>,
    load: CachedStatement<'c>,
    load_spans: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    resends: Resends<'c>,
    indexer: Indexer<'c>,
    /// `None` where media are not checked.
    media: Option<Media<'c>>,
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
        let Some(tracked) = &mut touched.tracked else {
            return Err(Error::NoAccess);
        };
        // Before the decision: the resend of an accepted message gets its seq even where a new one would be refused.
        if let Some(first) = self.resends.answer(tracked, message)? {
            return Ok(first);
        }
        let known = &mut tracked.known;
        // The first user who is no participant decides, so later ones are not read.
        for user in std::iter::once(message.sender).chain(mentioned(message)) {
            if known.participant(user).is_none() {
                match participation(&mut self.load_spans, message.conversation, user)? {
                    Some(participation) => known.remember(user, participation),
                    None => break,
                }
            }
        }
        let seq = decide(message, Some(known)).inspect_err(|_| touched.refused = true)?;
        let original = self.resends.original(tracked, message)?;
        may_correct(message, original).inspect_err(|_| touched.refused = true)?;
        let named = match &self.media {
            Some(media) => media.check(message).inspect_err(|_| touched.refused = true)?,
            None => Vec::new(),
        };
        let previous = tracked.unindexed.last().map(|last| last.id);
        let id = insert(&mut self.insert, message, seq, self.now_ms, previous)?;
        if let Some(media) = &self.media {
            media.write(message.conversation, seq, &named)?;
        }
        if message.corrects_seq > Seq::ZERO {
            self.resends
                .correct(message.conversation, message.corrects_seq, seq)?;
        }
        tracked.known.standing.last_seq = seq;
        tracked.unindexed.push(self.resends.unindexed(message, seq, id));
        Ok(Accepted {
            seq,
            created_ms: self.now_ms,
            duplicate: false,
        })
    }

    fn touch(&mut self, conversation: ConversationId) -> Result<Touched, DatabaseError> {
        let cached = self.cache.conversations.take(conversation);
        let is_cached = cached.is_some();
        let tracked = match cached {
            Some(tracked) => Some(tracked),
            None => self.load(conversation)?,
        };
        let seen = tracked
            .as_ref()
            .map_or(Seq::ZERO, |tracked| tracked.known.standing.last_seq);
        Ok(Touched {
            tracked,
            seen,
            cached: is_cached,
            refused: false,
        })
    }

    fn load(&mut self, conversation: ConversationId) -> Result<Option<Tracked>, DatabaseError> {
        let Some((standing, indexed_seq)) = standing(&mut self.load, conversation)? else {
            return Ok(None);
        };
        let unindexed = self.indexer.load(conversation, indexed_seq, standing.last_seq)?;
        Ok(Some(Tracked {
            known: Known::new(standing),
            indexed_seq,
            unindexed,
            filter: None,
        }))
    }

    /// Advances the versions of the conversations that got entries. Fails when a version differs from the one that decided
    /// the batch. A refusal writes nothing, so the version that decided it is read again: no user is refused by stale state.
    fn compare_and_set(&mut self, connection: &Connection) -> Result<(), Failure> {
        let mut update = connection.prepare_cached(COMPARE_AND_SET)?;
        for (conversation, touched) in &mut self.touched {
            let conversation = *conversation;
            let failure = |error: DatabaseError| Failure::of(conversation, error);
            let Some(tracked) = &mut touched.tracked else {
                continue;
            };
            let last_seq = tracked.known.standing.last_seq;
            if last_seq == touched.seen {
                if touched.cached && touched.refused {
                    let now = standing(&mut self.load, conversation).map_err(failure)?;
                    if now.map(|(now, _)| now.last_seq) != Some(touched.seen) {
                        return Err(Failure::Stale);
                    }
                }
                continue;
            }
            let is_due = tracked.unindexed.len() >= INDEX_AT;
            let (indexed_seq, unindexed) = match is_due {
                true => (last_seq, None),
                false => (tracked.indexed_seq, tracked.unindexed.last().map(|last| last.id)),
            };
            let rows = update.execute(params![
                last_seq.get(),
                self.now_ms,
                indexed_seq.get(),
                unindexed,
                conversation.get(),
                touched.seen.get()
            ]);
            if rows.map_err(|error| failure(error.into()))? != 1 {
                return Err(Failure::Stale);
            }
            if is_due {
                self.indexer.index(conversation, tracked).map_err(failure)?;
            }
        }
        Ok(())
    }
}

/// The state of a conversation, and the seq through which its entries are indexed.
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

/// Inserts an entry and returns its id.
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
        message.corrects_seq.get(),
        extra.as_deref(),
        false,
        sum,
        previous,
    ])?)
}
