//! One attempt at writing a batch on PostgreSQL (docs/decisions/0004-postgresql-append.md).
//!
//! Three round trips at most, and two when everything is known: the reads (sent together), `BEGIN` with the
//! compare-and-set, and the rows of the conversations that won with `COMMIT`. Nothing depends on a lock before the
//! compare-and-set; it decides.
//!
//! The reads go in the order version, roles, resends: what is read after the version may be newer than it, and then the
//! compare-and-set refuses. The other way round a message could be missed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use database::{
    Error as DatabaseError,
    postgres::{Postgres, Sealed},
};
use futures_util::future::try_join_all;
use proto::{ConversationId, Seq, UserId, wire};
use tokio_postgres::{
    Client, Row, Statement,
    error::{Severity, SqlState},
    types::ToSql,
};

use super::{
    Accepted, NewMessage,
    cache::{Cache, Known},
    decide::{Standing, decide, difference},
    queue::Job,
};
use crate::{
    Error,
    entry::{self, enumeration, extra, mentions},
};

const STANDING: &str = "SELECT id, open, last_seq FROM conversation WHERE id = ANY($1::BIGINT[])";

const ROLES: &str = "SELECT p.conversation_id, p.user_id, p.role
    FROM UNNEST($1::BIGINT[], $2::BIGINT[]) AS wanted (conversation_id, user_id)
    JOIN participant p ON p.conversation_id = wanted.conversation_id AND p.user_id = wanted.user_id
    WHERE p.to_seq IS NULL";

const FIRSTS: &str = "SELECT s.conversation_id, s.sender_id, s.client_msg_id, s.seq,
      e.mime_type, e.body, e.reply_to_seq, e.created_ms, e.extra
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[]) AS wanted (conversation_id, sender_id, client_msg_id)
    JOIN sent s ON s.conversation_id = wanted.conversation_id AND s.sender_id = wanted.sender_id
      AND s.client_msg_id = wanted.client_msg_id
    JOIN entry e ON e.conversation_id = s.conversation_id AND e.seq = s.seq";

const COMPARE_AND_SET: &str =
    "UPDATE conversation c SET last_seq = wanted.next, claimed_seq = wanted.next, updated_ms = $4
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS wanted (id, seen, next)
    WHERE c.id = wanted.id AND c.last_seq = wanted.seen AND c.open RETURNING c.id";

/// A resend is answered from rows that may be there without being safe: a backend that was ended while its commit waited
/// for a standby leaves them visible. A write of our own waits for the standby, and with it for them (invariant I1).
const TOUCH: &str = "UPDATE conversation SET claimed_seq = claimed_seq WHERE id = ANY($1::BIGINT[])";

const ENTRIES: &str = concat!(
    "INSERT INTO entry (",
    entry::columns!(),
    ") SELECT new.conversation_id, new.seq, new.sender_id, $9, $10, new.client_msg_id, new.mime_type, new.body,
         new.reply_to_seq, 0, new.extra, false
       FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::BYTEA[], $7::BIGINT[], $8::BYTEA[])
         AS new (conversation_id, seq, sender_id, client_msg_id, mime_type, body, reply_to_seq, extra)"
);

const SENT: &str = "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
    SELECT new.conversation_id, new.sender_id, new.client_msg_id, new.seq
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::BIGINT[]) AS new (conversation_id, sender_id, client_msg_id, seq)";

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[STANDING, ROLES, FIRSTS, COMPARE_AND_SET, TOUCH, ENTRIES, SENT];

/// Plans that hold for any number of messages and any statistics: by index, in the order of the arrays, so that the rows
/// of conversations are taken in the order of their ids. A row that somebody holds is not waited for long: the rest of
/// the batch would wait with it.
const SESSION: &str =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET lock_timeout = '500ms'";

const BEGIN: &str = "BEGIN";
const BEGIN_PROBE: &str = "BEGIN; SET LOCAL lock_timeout = '20ms'";

/// A lane's connection, made when it is needed.
pub(super) struct Link {
    postgres: Postgres,
    live: Option<Live>,
}

struct Live {
    client: Client,
    standing: Statement,
    roles: Statement,
    firsts: Statement,
    compare_and_set: Statement,
    touch: Statement,
    entries: Statement,
    sent: Statement,
}

impl Link {
    pub(super) fn new(postgres: Postgres) -> Self {
        Self { postgres, live: None }
    }

    async fn live(&mut self) -> Result<Live, Trouble> {
        if let Some(live) = self.live.take().filter(|live| !live.client.is_closed()) {
            return Ok(live);
        }
        let client = match self.postgres.connect().await {
            Ok(client) => client,
            Err(error) => return Err(Trouble::Away(error.to_string())),
        };
        client
            .batch_execute(SESSION)
            .await
            .map_err(|error| trouble(&error))?;
        let statements = try_join_all(STATEMENTS.iter().map(|sql| client.prepare(sql)));
        let statements = statements.await.map_err(|error| trouble(&error))?;
        let Ok([standing, roles, firsts, compare_and_set, touch, entries, sent]) =
            <[Statement; STATEMENTS.len()]>::try_from(statements)
        else {
            return Err(Trouble::Away("statements are missing".into()));
        };
        Ok(Live {
            client,
            standing,
            roles,
            firsts,
            compare_and_set,
            touch,
            entries,
            sent,
        })
    }
}

/// What became of one send.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is a new entry.
    Added(Accepted),
    /// It is an entry by a commit whose answer was lost: new for everybody who waits for it.
    Recovered(Accepted),
    /// It was there already.
    Answered(Accepted),
    /// It is refused.
    Refused(Error),
    /// Nothing is decided: try again.
    Again,
}

/// Why sends must be tried again, when it was not just that their conversation moved.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The unique key has found a resend.
    Resent,
    /// The server chose this transaction to end a deadlock, or could not put it in order with others.
    Contended,
    /// Somebody holds the row of a conversation.
    Locked,
    /// The server does not take a statement.
    Refused(String),
    /// There is no connection, or it broke.
    Away(String),
}

pub(super) struct Done {
    pub(super) link: Link,
    /// As given, marked for the next attempt.
    pub(super) jobs: Vec<Job>,
    /// One for each job.
    pub(super) verdicts: Vec<Verdict>,
    pub(super) trouble: Option<Trouble>,
}

pub(super) struct Attempt {
    pub(super) cache: Arc<Cache>,
    pub(super) jobs: Vec<Job>,
    /// Do not wait for a conversation that somebody holds.
    pub(super) probe: bool,
    pub(super) now_ms: i64,
}

/// A conversation in this batch.
struct Touched {
    known: Option<Known>,
    /// `last_seq` before this batch.
    seen: Seq,
    /// Whether `known` was read just now.
    fresh: bool,
    /// Whether to begin again with this conversation.
    again: bool,
    /// Whether a resend was answered.
    answered: bool,
}

impl Touched {
    fn next(&self) -> Option<Seq> {
        let known = self.known.as_ref()?;
        (known.standing.last_seq > self.seen).then_some(known.standing.last_seq)
    }
}

type Key<'j> = (ConversationId, UserId, &'j str);

fn key(message: &NewMessage) -> Key<'_> {
    (
        message.conversation,
        message.sender,
        message.client_msg_id.as_str(),
    )
}

impl Attempt {
    /// Runs it to its end. What is taken from the cache is put back when the batch has been committed.
    pub(super) async fn run(mut self, mut link: Link) -> Done {
        let written = match link.live().await {
            Ok(live) => {
                let (written, keep) = self.write(&live).await;
                // After anything else than a plain refusal nobody knows what this connection still has on the way.
                link.live = keep.then_some(live);
                written
            }
            Err(trouble) => Err(trouble),
        };
        let (verdicts, trouble) = match written {
            Ok(verdicts) => (verdicts, None),
            Err(trouble) => (self.jobs.iter().map(|_| Verdict::Again).collect(), Some(trouble)),
        };
        for (job, verdict) in self.jobs.iter_mut().zip(&verdicts) {
            // Whatever the reason, the second time it is looked for first.
            job.look |= matches!(verdict, Verdict::Again);
        }
        Done {
            link,
            jobs: self.jobs,
            verdicts,
            trouble,
        }
    }

    async fn write(&mut self, live: &Live) -> (Result<Vec<Verdict>, Trouble>, bool) {
        let mut touched = self.touch();
        let firsts = match self.read(live, &mut touched).await {
            Ok(firsts) => firsts,
            Err(error) => {
                let trouble = trouble(&error);
                let keep = matches!(trouble, Trouble::Refused(_));
                return (Err(trouble), keep);
            }
        };
        let mut verdicts = self.decide(&mut touched, &firsts);
        let winners = match self.compare_and_set(live, &mut touched).await {
            Ok(winners) => winners,
            Err(error) => {
                let trouble = trouble(&error);
                let keep = !matches!(trouble, Trouble::Away(_))
                    && live.client.batch_execute("ROLLBACK").await.is_ok();
                return (Err(trouble), keep);
            }
        };
        for (job, verdict) in self.jobs.iter().zip(&mut verdicts) {
            if touched[&job.message.conversation].again {
                *verdict = Verdict::Again;
            }
        }
        if winners {
            match self.insert_and_commit(live, &verdicts).await {
                Ok(()) => {}
                Err(Fate::NotWritten(trouble)) => {
                    let keep = live.client.batch_execute("ROLLBACK").await.is_ok();
                    return (Err(trouble), keep);
                }
                Err(Fate::Unknown(told)) => {
                    for (job, verdict) in self.jobs.iter_mut().zip(&verdicts) {
                        if let Verdict::Added(accepted) = verdict {
                            job.uncertain_from.get_or_insert(accepted.seq);
                        }
                    }
                    return (Err(Trouble::Away(told)), false);
                }
            }
        }
        let known = touched.into_iter().filter(|(_, touched)| !touched.again);
        self.cache
            .put(known.filter_map(|(conversation, touched)| Some((conversation, touched.known?))));
        (Ok(verdicts), true)
    }

    fn touch(&self) -> BTreeMap<ConversationId, Touched> {
        let mut touched = BTreeMap::new();
        for job in &self.jobs {
            let conversation = job.message.conversation;
            touched.entry(conversation).or_insert_with(|| {
                let known = self.cache.take(conversation);
                Touched {
                    seen: known.as_ref().map_or(Seq::ZERO, |known| known.standing.last_seq),
                    known,
                    fresh: false,
                    again: false,
                    answered: false,
                }
            });
        }
        touched
    }

    /// Reads what is not known: conversations, roles, and the firsts of those that may be resends.
    async fn read(
        &self,
        live: &Live,
        touched: &mut BTreeMap<ConversationId, Touched>,
    ) -> Result<HashMap<(i64, i64, String), Row>, tokio_postgres::Error> {
        let unknown: Vec<i64> = touched
            .iter()
            .filter(|(_, touched)| touched.known.is_none())
            .map(|(conversation, _)| conversation.get())
            .collect();
        let mut senders = HashSet::new();
        for job in &self.jobs {
            let (conversation, sender) = (job.message.conversation, job.message.sender);
            let known = touched[&conversation].known.as_ref();
            if known.is_none_or(|known| known.role(sender).is_none()) {
                senders.insert((conversation, sender));
            }
        }
        let senders: Vec<(ConversationId, UserId)> = senders.into_iter().collect();
        let of_conversation: Vec<i64> = senders
            .iter()
            .map(|(conversation, _)| conversation.get())
            .collect();
        let users: Vec<i64> = senders.iter().map(|(_, user)| user.get()).collect();
        let looked: Vec<&NewMessage> = self
            .jobs
            .iter()
            .filter(|job| job.look)
            .map(|job| &job.message)
            .collect();
        let looked_in: Vec<i64> = looked.iter().map(|message| message.conversation.get()).collect();
        let looked_by: Vec<i64> = looked.iter().map(|message| message.sender.get()).collect();
        let looked_for: Vec<&str> = looked
            .iter()
            .map(|message| message.client_msg_id.as_str())
            .collect();
        let looked_for = Sealed(looked_for);
        // Sent together, in this order; an empty one costs nothing.
        let (standings, roles, firsts) = tokio::try_join!(
            biased;
            async { query_unless(unknown.is_empty(), live, &live.standing, &[&unknown]).await },
            async { query_unless(senders.is_empty(), live, &live.roles, &[&of_conversation, &users]).await },
            async {
                let params: [&(dyn ToSql + Sync); 3] = [&looked_in, &looked_by, &looked_for];
                query_unless(looked.is_empty(), live, &live.firsts, &params).await
            },
        )?;
        for row in standings {
            let conversation = ConversationId::from_database(row.get(0));
            let Some(touched) = touched.get_mut(&conversation) else {
                continue;
            };
            let standing = Standing {
                open: row.get(1),
                last_seq: Seq::from_database(row.get(2)),
            };
            touched.seen = standing.last_seq;
            touched.known = Some(Known {
                standing,
                roles: Vec::new(),
                claimed_seq: standing.last_seq,
                unclaimed: Vec::new(),
            });
        }
        for conversation in unknown {
            if let Some(touched) = touched.get_mut(&ConversationId::from_database(conversation)) {
                touched.fresh = true;
            }
        }
        let roles: HashMap<(i64, i64), i64> = roles
            .iter()
            .map(|row| ((row.get(0), row.get(1)), row.get(2)))
            .collect();
        for (conversation, user) in senders {
            let role = roles.get(&(conversation.get(), user.get()));
            let role: Option<wire::Role> = role.map(|role| enumeration(*role));
            if let Some(known) = touched
                .get_mut(&conversation)
                .and_then(|touched| touched.known.as_mut())
            {
                known.remember(user, role);
            }
        }
        Ok(firsts
            .into_iter()
            .map(|row| ((row.get(0), row.get(1), row.get(2)), row))
            .collect())
    }

    /// Decides about each send in order, as if all conversations won.
    fn decide(
        &self,
        touched: &mut BTreeMap<ConversationId, Touched>,
        firsts: &HashMap<(i64, i64, String), Row>,
    ) -> Vec<Verdict> {
        let mut added: HashMap<Key<'_>, (&NewMessage, Accepted)> = HashMap::new();
        let mut verdicts = Vec::with_capacity(self.jobs.len());
        for job in &self.jobs {
            let message = &job.message;
            let Some(touched) = touched.get_mut(&message.conversation) else {
                verdicts.push(Verdict::Again);
                continue;
            };
            if let Some((first, accepted)) = added.get(&key(message)) {
                verdicts.push(repeated(message, first, *accepted));
                continue;
            }
            let (conversation, sender, id) = key(message);
            let first = job
                .look
                .then(|| firsts.get(&(conversation.get(), sender.get(), id.to_owned())));
            if let Some(row) = first.flatten() {
                touched.answered = true;
                verdicts.push(resent(job, row));
                continue;
            }
            let standing = touched.known.as_ref().map(|known| known.standing);
            let role = touched
                .known
                .as_ref()
                .and_then(|known| known.role(sender))
                .flatten();
            match (decide(message, standing, role), &mut touched.known) {
                (Ok(seq), Some(known)) => {
                    known.standing.last_seq = seq;
                    let accepted = Accepted {
                        seq,
                        created_ms: self.now_ms,
                        duplicate: false,
                    };
                    added.insert(key(message), (message, accepted));
                    verdicts.push(Verdict::Added(accepted));
                }
                (Err(error), _) if touched.fresh && job.look => verdicts.push(Verdict::Refused(error)),
                // Nobody may be kept out by what the cache remembers, and a resend is answered whatever is so now.
                _ => {
                    touched.again = true;
                    verdicts.push(Verdict::Again);
                }
            }
        }
        verdicts
    }

    /// Moves the versions of the conversations that get entries, in a transaction that is left open when some did; marks
    /// those that were refused. When there is nothing to insert, the transaction is ended. Gives whether it is open.
    async fn compare_and_set(
        &self,
        live: &Live,
        touched: &mut BTreeMap<ConversationId, Touched>,
    ) -> Result<bool, tokio_postgres::Error> {
        let moving = || {
            let all = touched.iter().filter(|(_, touched)| !touched.again);
            all.filter_map(|(conversation, touched)| Some((*conversation, touched.seen, touched.next()?)))
        };
        let ids: Vec<i64> = moving().map(|(conversation, ..)| conversation.get()).collect();
        let seen: Vec<i64> = moving().map(|(_, seen, _)| seen.get()).collect();
        let next: Vec<i64> = moving().map(|(.., next)| next.get()).collect();
        let still: Vec<i64> = touched
            .iter()
            .filter(|(_, touched)| touched.answered && !touched.again && touched.next().is_none())
            .map(|(conversation, _)| conversation.get())
            .collect();
        if ids.is_empty() && still.is_empty() {
            return Ok(false);
        }
        let begin = if self.probe { BEGIN_PROBE } else { BEGIN };
        let (_, winners, ()) = tokio::try_join!(
            biased;
            live.client.batch_execute(begin),
            async {
                let params: [&(dyn ToSql + Sync); 4] = [&ids, &seen, &next, &self.now_ms];
                query_unless(ids.is_empty(), live, &live.compare_and_set, &params).await
            },
            async {
                if !still.is_empty() {
                    live.client.execute(&live.touch, &[&still]).await?;
                }
                if ids.is_empty() {
                    live.client.batch_execute("COMMIT").await?;
                }
                Ok(())
            },
        )?;
        let winners: HashSet<i64> = winners.iter().map(|row| row.get(0)).collect();
        for id in &ids {
            if !winners.contains(id)
                && let Some(touched) = touched.get_mut(&ConversationId::from_database(*id))
            {
                metrics::counter!("huizhen_journal_stale_conversations_total").increment(1);
                touched.again = true;
            }
        }
        if winners.is_empty() && !ids.is_empty() {
            live.client.batch_execute("COMMIT").await?;
        }
        Ok(!winners.is_empty())
    }

    async fn insert_and_commit(&self, live: &Live, verdicts: &[Verdict]) -> Result<(), Fate> {
        let added = || {
            let all = self.jobs.iter().zip(verdicts);
            all.filter_map(|(job, verdict)| match verdict {
                Verdict::Added(accepted) => Some((&job.message, accepted)),
                _ => None,
            })
        };
        let conversations: Vec<i64> = added().map(|(message, _)| message.conversation.get()).collect();
        let seqs: Vec<i64> = added().map(|(_, accepted)| accepted.seq.get()).collect();
        let senders: Vec<i64> = added().map(|(message, _)| message.sender.get()).collect();
        let ids: Vec<&str> = added()
            .map(|(message, _)| message.client_msg_id.as_str())
            .collect();
        let mime_types: Vec<&str> = added().map(|(message, _)| message.mime_type.as_str()).collect();
        let bodies: Vec<&[u8]> = added().map(|(message, _)| &message.body[..]).collect();
        let replies: Vec<i64> = added().map(|(message, _)| message.reply_to_seq.get()).collect();
        let extras: Vec<_> = added()
            .map(|(message, _)| extra(&message.mentions, None))
            .collect();
        let extras: Vec<Option<&[u8]>> = extras.iter().map(Option::as_deref).collect();
        let (ids, mime_types) = (Sealed(ids), Sealed(mime_types));
        let (bodies, extras) = (Sealed(bodies), Sealed(extras));
        let kind = i64::from(wire::EntryKind::Message as i32);
        let (entries, sent, commit) = tokio::join!(
            biased;
            async {
                let params: [&(dyn ToSql + Sync); 10] = [
                    &conversations,
                    &seqs,
                    &senders,
                    &ids,
                    &mime_types,
                    &bodies,
                    &replies,
                    &extras,
                    &kind,
                    &self.now_ms,
                ];
                live.client.execute(&live.entries, &params).await
            },
            async { live.client.execute(&live.sent, &[&conversations, &senders, &ids, &seqs]).await },
            live.client.batch_execute("COMMIT"),
        );
        for inserted in [&entries, &sent] {
            match inserted {
                Ok(_) => {}
                // The server has seen to it that the commit was none.
                Err(error) if is_refusal(error) => return Err(Fate::NotWritten(trouble(error))),
                Err(error) => return Err(Fate::Unknown(told(error))),
            }
        }
        match commit {
            Ok(()) => Ok(()),
            Err(error) if matches!(trouble(&error), Trouble::Contended) => {
                Err(Fate::NotWritten(Trouble::Contended))
            }
            Err(error) => Err(Fate::Unknown(told(&error))),
        }
    }
}

async fn query_unless(
    skip: bool,
    live: &Live,
    statement: &Statement,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if skip {
        return Ok(Vec::new());
    }
    live.client.query(statement, params).await
}

/// Whether the rows of a batch are there.
enum Fate {
    NotWritten(Trouble),
    /// The answer to the commit was lost.
    Unknown(String),
}

/// A message whose client_msg_id stands for one earlier in the same batch.
fn repeated(message: &NewMessage, first: &NewMessage, accepted: Accepted) -> Verdict {
    let reply_to = first.reply_to_seq.get();
    match difference(message, &first.mime_type, &first.body, reply_to, &first.mentions) {
        Some(field) => Verdict::Refused(Error::Conflict { field }),
        None => Verdict::Answered(Accepted {
            duplicate: true,
            ..accepted
        }),
    }
}

/// A message whose client_msg_id stands for an entry, a row of [`FIRSTS`].
fn resent(job: &Job, row: &Row) -> Verdict {
    let (mime_type, body, reply_to): (&str, &[u8], i64) = (row.get(4), row.get(5), row.get(6));
    let seq = Seq::from_database(row.get(3));
    let is_own = job.uncertain_from.is_some_and(|from| seq >= from);
    let accepted = Accepted {
        seq,
        created_ms: row.get(7),
        duplicate: !is_own,
    };
    match difference(&job.message, mime_type, body, reply_to, &mentions(row.get(8))) {
        Some(field) => Verdict::Refused(Error::Conflict { field }),
        None if is_own => Verdict::Recovered(accepted),
        None => Verdict::Answered(accepted),
    }
}

/// Whether the server has refused the statement and lives: then its transaction is none.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|refusal| refusal.parsed_severity() == Some(Severity::Error))
}

fn trouble(error: &tokio_postgres::Error) -> Trouble {
    let Some(refusal) = error.as_db_error().filter(|_| is_refusal(error)) else {
        return Trouble::Away(told(error));
    };
    let code = refusal.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        return Trouble::Resent;
    }
    if *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE {
        return Trouble::Contended;
    }
    if *code == SqlState::LOCK_NOT_AVAILABLE {
        return Trouble::Locked;
    }
    let class = code.code().get(..2).unwrap_or_default();
    // No resources, an operator, a standby: another connection or another moment may do.
    if ["08", "53", "57", "25"].contains(&class) {
        return Trouble::Away(told(error));
    }
    Trouble::Refused(told(error))
}

/// Without values, which stand in the detail.
fn told(error: &tokio_postgres::Error) -> String {
    DatabaseError::describe(error)
}
