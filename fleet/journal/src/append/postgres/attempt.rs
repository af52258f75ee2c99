//! One attempt to write a batch (docs/decisions/0004-postgresql-append.md).
//!
//! A few sends to cached conversations take one round trip: a statement advances the versions of their conversations and
//! inserts the rows of those that won. Uncached state is read before, in one more round trip. Many sends take two round
//! trips to write: `BEGIN` with the compare-and-set, and the winners' rows with `COMMIT`. No lock protects the reads; the
//! compare-and-set decides.
//!
//! The reads go in the order version, spans, resends: state that is read after the version may be newer, and then the
//! compare-and-set refuses. In the other order a resend could be missed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use database::{Part, checksum, postgres::Sealed};
use proto::{ConversationId, Seq, UserId, wire::EntryKind};
use tokio_postgres::{Row, types::ToSql};

use super::{
    super::{
        Accepted, NewMessage,
        decide::{Original, Standing, decide, difference, may_correct, mentioned},
        known::{Cache, Known, Participation, Spell},
    },
    correction::Originals,
    fate::{Fate, Trouble},
    link::{Link, Live},
    media::Media,
    queue::Job,
};
use crate::{
    Error,
    entry::{Checksums, damage, enumeration, mentions},
};

/// The result of one send.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is a new entry.
    Added(Accepted),
    /// It is the entry of a commit whose answer was lost, so it is not published yet.
    Recovered(Accepted),
    /// It is a resend.
    Answered(Accepted),
    /// It is refused.
    Refused(Error),
    /// Undecided: retry.
    Again,
}

pub(in crate::append) struct Done {
    pub(super) link: Link,
    /// As submitted, marked for the next attempt.
    pub(super) jobs: Vec<Job>,
    /// One for each job.
    pub(super) verdicts: Vec<Verdict>,
    pub(super) trouble: Option<Trouble>,
    /// Whether the coordinator was passed.
    pub(super) is_direct: bool,
}

pub(super) struct Attempt {
    pub(super) cache: Arc<Cache<Known>>,
    pub(super) jobs: Vec<Job>,
    /// Do not wait for a locked row.
    pub(super) probe: bool,
    pub(super) now_ms: i64,
}

/// The state of the connection after an attempt.
enum After {
    Keep,
    /// Its state is unknown.
    Drop,
    /// It did not answer in time.
    Silent,
}

impl After {
    const fn keeping(keep: bool) -> Self {
        if keep { Self::Keep } else { Self::Drop }
    }
}

/// A conversation of this batch.
pub(super) struct Touched {
    known: Option<Known>,
    /// `last_seq` before this batch.
    pub(super) seen: Seq,
    /// Whether `known` was read in this attempt.
    fresh: bool,
    /// Whether its sends are retried.
    pub(super) again: bool,
    /// Whether a resend was answered.
    pub(super) answered: bool,
}

impl Touched {
    pub(super) fn next(&self) -> Option<Seq> {
        let known = self.known.as_ref()?;
        (known.standing.last_seq > self.seen).then_some(known.standing.last_seq)
    }
}

/// Entries by conversation, sender and client_msg_id.
type Firsts = HashMap<(i64, i64, String), Row>;

type Key<'j> = (ConversationId, UserId, &'j str);

fn key(message: &NewMessage) -> Key<'_> {
    (
        message.conversation,
        message.sender,
        message.client_msg_id.as_str(),
    )
}

impl Attempt {
    /// Runs it to its end. Conversations taken from the cache are put back after the commit.
    pub(super) async fn run(mut self, mut link: Link) -> Done {
        let mut is_direct = false;
        let written = match link.live_for(self.direct()).await {
            Ok(live) => {
                is_direct = live.worker.is_some();
                match self.write(&live).await {
                    (written, After::Keep) => {
                        link.keep(live);
                        written
                    }
                    // Statements may still be in flight on this connection.
                    (written, After::Drop) => written,
                    (_, After::Silent) => Err(link.drop_silent(live)),
                }
            }
            Err(trouble) => Err(trouble),
        };
        let (verdicts, trouble) = match written {
            Ok(verdicts) => (verdicts, None),
            Err(trouble) => (self.jobs.iter().map(|_| Verdict::Again).collect(), Some(trouble)),
        };
        for (job, verdict) in self.jobs.iter_mut().zip(&verdicts) {
            // A retry may be a resend of the first try.
            job.look |= matches!(verdict, Verdict::Again);
        }
        Done {
            link,
            jobs: self.jobs,
            verdicts,
            trouble,
            is_direct,
        }
    }

    /// The conversation of a batch that writes to nothing else: media lie on the coordinator.
    fn direct(&self) -> Option<ConversationId> {
        let names_media = self.jobs.iter().any(|job| !job.named.is_empty());
        let first = self.jobs.first()?.message.conversation;
        (!names_media).then_some(first)
    }

    async fn write(&mut self, live: &Live) -> (Result<Vec<Verdict>, Trouble>, After) {
        let mut touched = self.touch();
        let (firsts, media, originals) = match live.in_time(self.read(live, &mut touched)).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                let trouble = live.trouble(&error);
                let keep = matches!(trouble, Trouble::Refused(_) | Trouble::MachineAway(_));
                return (Err(trouble), After::keeping(keep));
            }
            Err(_) => return (Ok(Vec::new()), After::Silent),
        };
        let mut verdicts = self.decide(&mut touched, &firsts, &media, originals);
        let committed = live.in_time(self.commit(live, &mut touched, &mut verdicts)).await;
        match committed {
            Ok(Ok(())) => {}
            Ok(Err(Fate::NotWritten(trouble))) => {
                let keep = !matches!(trouble, Trouble::Away(_)) && live.roll_back().await;
                return (Err(trouble), After::keeping(keep));
            }
            Ok(Err(Fate::Unknown(trouble))) => {
                self.doubt(&verdicts);
                let keep = matches!(trouble, Trouble::MachineAway(_)) && live.roll_back().await;
                return (Err(trouble), After::keeping(keep));
            }
            // Its commit may follow.
            Err(_) => {
                self.doubt(&verdicts);
                return (Ok(Vec::new()), After::Silent);
            }
        }
        let known = touched.into_iter().filter(|(_, touched)| !touched.again);
        self.cache
            .put(known.filter_map(|(conversation, touched)| Some((conversation, touched.known?))));
        (Ok(verdicts), After::Keep)
    }

    /// Marks sends that may be written: a retry that finds one has found its own.
    fn doubt(&mut self, verdicts: &[Verdict]) {
        for (job, verdict) in self.jobs.iter_mut().zip(verdicts) {
            if let Verdict::Added(accepted) = verdict {
                job.uncertain_from.get_or_insert(accepted.seq);
            }
        }
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

    /// Reads uncached conversations and participants, the first entries of possible resends, and the media and
    /// messages that are named.
    async fn read(
        &self,
        live: &Live,
        touched: &mut BTreeMap<ConversationId, Touched>,
    ) -> Result<(Firsts, Media, Originals), tokio_postgres::Error> {
        let unknown: Vec<i64> = touched
            .iter()
            .filter(|(_, touched)| touched.known.is_none())
            .map(|(conversation, _)| conversation.get())
            .collect();
        let (of_conversation, users) = self.unknown_users(touched);
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
        // Pipelined in this order.
        let (standings, spans, firsts, media, originals) = tokio::try_join!(
            biased;
            async { live.query_unless(unknown.is_empty(), &live.standing, &[&unknown]).await },
            async { live.query_unless(users.is_empty(), &live.spans, &[&of_conversation, &users]).await },
            async {
                let params: [&(dyn ToSql + Sync); 3] = [&looked_in, &looked_by, &looked_for];
                live.query_unless(looked.is_empty(), &live.firsts, &params).await
            },
            Media::read(live, &self.jobs),
            Originals::read(live, &self.jobs),
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
        let firsts = firsts
            .into_iter()
            .map(|row| ((row.get(0), row.get(1), row.get(2)), row))
            .collect();
        Ok((firsts, media, originals))
    }

    /// Uncached senders and mentioned users, as two columns: conversations and users.
    fn unknown_users(&self, touched: &BTreeMap<ConversationId, Touched>) -> (Vec<i64>, Vec<i64>) {
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

    /// Decides each send in order, on the assumption that all conversations win.
    fn decide(
        &self,
        touched: &mut BTreeMap<ConversationId, Touched>,
        firsts: &Firsts,
        media: &Media,
        mut originals: Originals,
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
            let decided = decide(message, touched.known.as_ref()).and_then(|seq| {
                may_correct(message, originals.of(message)?)?;
                media.check(job).map(|()| seq)
            });
            match (decided, &mut touched.known) {
                (Ok(seq), Some(known)) => {
                    known.standing.last_seq = seq;
                    let accepted = Accepted {
                        seq,
                        created_ms: self.now_ms,
                        duplicate: false,
                    };
                    added.insert(key(message), (message, accepted));
                    let original = Original {
                        sender: message.sender,
                        kind: EntryKind::Message,
                        recalled: false,
                    };
                    originals.add(message.conversation, seq, original);
                    verdicts.push(Verdict::Added(accepted));
                }
                (Err(error), _) if touched.fresh && job.look => verdicts.push(Verdict::Refused(error)),
                // A refusal by cached state is checked again; a resend is answered even where a new message is refused.
                _ => {
                    touched.again = true;
                    verdicts.push(Verdict::Again);
                }
            }
        }
        verdicts
    }
}

/// Caches the participants of these spans.
fn remember(touched: &mut BTreeMap<ConversationId, Touched>, spans: &[Row]) {
    let mut users: HashMap<(i64, i64), Vec<Spell>> = HashMap::new();
    for row in spans {
        let to: Option<i64> = row.get(4);
        users.entry((row.get(0), row.get(1))).or_default().push((
            enumeration(row.get(2)),
            Seq::from_database(row.get(3)),
            to.map(Seq::from_database),
        ));
    }
    for ((conversation, user), spans) in users {
        let known = touched
            .get_mut(&ConversationId::from_database(conversation))
            .and_then(|touched| touched.known.as_mut());
        if let (Some(known), Some(participation)) = (known, Participation::of(spans)) {
            known.remember(UserId::from_database(user), participation);
        }
    }
}

/// A resend of an earlier message in the same batch.
fn repeated(message: &NewMessage, first: &NewMessage, accepted: Accepted) -> Verdict {
    let seqs = (first.reply_to_seq.get(), first.corrects_seq.get());
    match difference(message, &first.mime_type, &first.body, seqs, &first.mentions) {
        Some(field) => Verdict::Refused(Error::Conflict { field }),
        None => Verdict::Answered(Accepted {
            duplicate: true,
            ..accepted
        }),
    }
}

/// A resend of the entry in a row of the look-up.
fn resent(job: &Job, row: &Row) -> Verdict {
    let (mime_type, body): (&str, &[u8]) = (row.get(4), row.get(5));
    let seqs: (i64, i64) = (row.get(6), row.get(10));
    let seq = Seq::from_database(row.get(3));
    // A damaged entry proves neither that it is this message nor that it is another one.
    if let Err(reason) = verify(row) {
        let damaged = damage::report(job.message.conversation, seq, reason);
        return Verdict::Refused(Error::Database(damaged));
    }
    let is_own = job.uncertain_from.is_some_and(|from| seq >= from);
    let accepted = Accepted {
        seq,
        created_ms: row.get(7),
        duplicate: !is_own,
    };
    match difference(&job.message, mime_type, body, seqs, &mentions(row.get(8))) {
        Some(field) => Verdict::Refused(Error::Conflict { field }),
        None if is_own => Verdict::Recovered(accepted),
        None => Verdict::Answered(accepted),
    }
}

/// # Errors
/// Why a row of the look-up is damaged.
pub(super) fn verify(row: &Row) -> Result<(), &'static str> {
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
    Checksums::OfNewEntries.verify(sum, row.get(11), row.get(12))
}
