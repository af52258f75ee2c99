//! One attempt at writing a batch on PostgreSQL (docs/decisions/0004-postgresql-append.md).
//!
//! A few sends of which everything is known take one round trip: a statement moves the versions of their conversations
//! and adds the rows of those that won. What is not known is read before, in one round trip more. Many sends take two
//! to write: `BEGIN` with the compare-and-set, and the rows of the conversations that won with `COMMIT`. Nothing depends
//! on a lock before the compare-and-set; it decides.
//!
//! The reads go in the order version, spans, resends: what is read after the version may be newer than it, and then the
//! compare-and-set refuses. The other way round a message could be missed.

mod link;
mod trouble;
mod write;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use database::{Part, checksum, postgres::Sealed};
use proto::{ConversationId, Seq, UserId};
use tokio_postgres::{Row, types::ToSql};

pub(crate) use self::link::STATEMENTS;
pub(super) use self::{link::Link, trouble::Trouble};
use self::{link::Live, trouble::Fate};
use super::{
    Accepted, NewMessage,
    cache::{Cache, Known, Participation, Spell},
    decide::{Standing, decide, difference, mentioned},
    queue::Job,
};
use crate::{
    Error, damage,
    entry::{Seals, enumeration, mentions},
};

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
                if keep {
                    link.keep(live);
                }
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
                let trouble = Trouble::from(&error);
                let keep = matches!(trouble, Trouble::Refused(_));
                return (Err(trouble), keep);
            }
        };
        let mut verdicts = self.decide(&mut touched, &firsts);
        match self.commit(live, &mut touched, &mut verdicts).await {
            Ok(()) => {}
            Err(Fate::NotWritten(trouble)) => {
                let keep = !matches!(trouble, Trouble::Away(_)) && live.roll_back().await;
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

    /// Reads what is not known: conversations, participants, and the firsts of those that may be resends.
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
        let (of_conversation, users) = self.unknown_people(touched);
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
        let (standings, spans, firsts) = tokio::try_join!(
            biased;
            async { live.query_unless(unknown.is_empty(), &live.standing, &[&unknown]).await },
            async { live.query_unless(users.is_empty(), &live.spans, &[&of_conversation, &users]).await },
            async {
                let params: [&(dyn ToSql + Sync); 3] = [&looked_in, &looked_by, &looked_for];
                live.query_unless(looked.is_empty(), &live.firsts, &params).await
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
            touched.known = Some(Known::new(standing));
        }
        for conversation in unknown {
            if let Some(touched) = touched.get_mut(&ConversationId::from_database(conversation)) {
                touched.fresh = true;
            }
        }
        remember(touched, &spans);
        Ok(firsts
            .into_iter()
            .map(|row| ((row.get(0), row.get(1), row.get(2)), row))
            .collect())
    }

    /// Senders and those whom they mention, as far as they are not known: conversations and users, in two columns.
    fn unknown_people(&self, touched: &BTreeMap<ConversationId, Touched>) -> (Vec<i64>, Vec<i64>) {
        let mut unknown = HashSet::new();
        for job in &self.jobs {
            let message = &job.message;
            let known = touched[&message.conversation].known.as_ref();
            for user in std::iter::once(message.sender).chain(mentioned(message)) {
                if known.is_none_or(|known| known.participant(user).is_none()) {
                    unknown.insert((message.conversation.get(), user.get()));
                }
            }
        }
        unknown.into_iter().unzip()
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
            match (decide(message, touched.known.as_ref()), &mut touched.known) {
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
}

/// Adds the people to whom these spans belong, as far as they are in.
fn remember(touched: &mut BTreeMap<ConversationId, Touched>, spans: &[Row]) {
    let mut people: HashMap<(i64, i64), Vec<Spell>> = HashMap::new();
    for row in spans {
        let to: Option<i64> = row.get(4);
        people.entry((row.get(0), row.get(1))).or_default().push((
            enumeration(row.get(2)),
            Seq::from_database(row.get(3)),
            to.map(Seq::from_database),
        ));
    }
    for ((conversation, user), spans) in people {
        let known = touched
            .get_mut(&ConversationId::from_database(conversation))
            .and_then(|touched| touched.known.as_mut());
        if let (Some(known), Some(participation)) = (known, Participation::of(spans)) {
            known.remember(UserId::from_database(user), participation);
        }
    }
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

/// A message whose client_msg_id stands for an entry, a row of the look-up for firsts.
fn resent(job: &Job, row: &Row) -> Verdict {
    let (mime_type, body, reply_to): (&str, &[u8], i64) = (row.get(4), row.get(5), row.get(6));
    let seq = Seq::from_database(row.get(3));
    // A damaged one answers nothing: neither that it is this message nor that it is another.
    if let Err(told) = verify(row) {
        let damaged = damage::tell(job.message.conversation, seq, told);
        return Verdict::Refused(Error::Database(damaged));
    }
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

/// # Errors
/// What is wrong with a row of the look-up for firsts.
fn verify(row: &Row) -> Result<(), &'static str> {
    let integer = |at| row.get::<_, i64>(at);
    let (client_msg_id, mime_type, body): (&str, &str, &[u8]) = (row.get(2), row.get(4), row.get(5));
    let sum = checksum([
        Part::Integer(integer(0)),
        Part::Integer(integer(3)),
        Part::Integer(integer(1)),
        Part::Integer(integer(9)),
        Part::Integer(integer(7)),
        Part::Text(client_msg_id.as_bytes()),
        Part::Text(mime_type.as_bytes()),
        Part::Bytes(body),
        Part::Integer(integer(6)),
        Part::Integer(integer(10)),
        row.get::<_, Option<&[u8]>>(8).into(),
    ]);
    Seals::New.verify(sum, row.get(11), row.get(12))
}
