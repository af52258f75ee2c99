//! How fast messages are appended, beside a bare table with nothing but its (conversation, seq) key, in one run.
//!
//! `cargo run --release -p journal --example append_rate -- [SECONDS] [BATCH …]`: both are written in turns of SECONDS
//! (default 1), three turns each, into files of their own in the folder for temporary files. The journal's figure holds
//! everything that an append does: participants, resends, open or closed, the encoded frame for the apps.

#![allow(clippy::unwrap_used, reason = "a measurement that fails says where")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backplane::Backplane;
use bytes::Bytes;
use database::{Database, Engine};
use journal::{
    Error, Journal, Published,
    append::{Appender, NewMessage, Outlet, Settled},
    record::{NewConversation, NewParticipant},
};
use proto::{
    ConversationId, Seq, UserId,
    wire::{ConversationKind, Role},
};
use tokio::sync::Semaphore;

const TURNS: usize = 3;
const BODY_BYTES: usize = 200;
/// Conversations, and participants in each.
const SHAPES: [(i64, i64); 2] = [(200, 2), (1_000, 5)];

/// Counts what was settled.
struct Counter(Arc<Semaphore>);

impl Outlet<()> for Counter {
    async fn settle(&self, answers: Vec<Settled<()>>, _: Vec<Published>) {
        for settled in &answers {
            let accepted = settled.outcome.as_ref().unwrap();
            assert!(!accepted.duplicate);
        }
        self.0.add_permits(answers.len());
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as i64
    }
}

struct Target {
    conversations: i64,
    participants: i64,
    random: Random,
    body: Bytes,
    _folder: tempfile::TempDir,
    database: Database,
    kind: Kind,
}

enum Kind {
    Journal(Appender<()>, Arc<Semaphore>),
    /// The newest seq of each conversation.
    Bare(Vec<i64>),
}

const INSERT_BARE: &str =
    "INSERT INTO bare (conversation_id, seq, sender_id, created_ms, client_msg_id, mime_type, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

impl Target {
    async fn open(conversations: i64, participants: i64, is_bare: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/rate.db", folder.path().display());
        let database = Database::open(&url).await.unwrap();
        let kind = if is_bare {
            Self::make_bare(&database).await;
            Kind::Bare(vec![0; conversations as usize])
        } else {
            let journal = Journal::new(database.clone(), Backplane::memory());
            Self::make_conversations(&journal, conversations, participants).await;
            let settled = Arc::new(Semaphore::new(0));
            Kind::Journal(Appender::start(&journal, Counter(settled.clone())), settled)
        };
        Self {
            conversations,
            participants,
            random: Random(7),
            body: vec![b'x'; BODY_BYTES].into(),
            _folder: folder,
            database,
            kind,
        }
    }

    async fn make_bare(database: &Database) {
        let Engine::Sqlite(sqlite) = database.engine() else {
            panic!("no file");
        };
        let made: Result<(), database::Error> = sqlite
            .write(|connection| {
                let sql = "CREATE TABLE bare (conversation_id BIGINT NOT NULL, seq BIGINT NOT NULL,
                     sender_id BIGINT NOT NULL, created_ms BIGINT NOT NULL, client_msg_id TEXT NOT NULL,
                     mime_type TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (conversation_id, seq))";
                Ok(connection.execute_batch(sql)?)
            })
            .await;
        made.unwrap();
    }

    async fn make_conversations(journal: &Journal, conversations: i64, participants: i64) {
        let inner = journal.clone();
        let made: Result<(), Error> = journal
            .database()
            .transaction(move |tx| {
                Box::pin(async move {
                    for id in 1..=conversations {
                        let participants = (1..=participants)
                            .map(|user| NewParticipant::new(UserId::from_database(user), Role::Doctor, ""));
                        let new = NewConversation {
                            id: ConversationId::from_database(id),
                            kind: ConversationKind::Consult,
                            consult_id: Some(id),
                            title: "a consult about something".into(),
                            participants: participants.collect(),
                        };
                        let by = UserId::from_database(1);
                        let unpublished = inner.create_conversation(tx, new, by, 0).await?;
                        inner.publish(unpublished);
                    }
                    Ok(())
                })
            })
            .await;
        made.unwrap();
    }

    /// Writes batches for so long; how long each took.
    async fn run(&mut self, batch: usize, time: Duration) -> Vec<Duration> {
        let started = Instant::now();
        let mut took = Vec::new();
        while started.elapsed() < time {
            let messages: Vec<NewMessage> = (0..batch)
                .map(|_| NewMessage {
                    conversation: ConversationId::from_database(1 + self.random.below(self.conversations)),
                    sender: UserId::from_database(1 + self.random.below(self.participants)),
                    client_msg_id: uuid::Uuid::now_v7().to_string(),
                    mime_type: "text/plain".into(),
                    body: self.body.clone(),
                    mentions: Vec::new(),
                    reply_to_seq: Seq::ZERO,
                    corrects_seq: Seq::ZERO,
                    stream: None,
                })
                .collect();
            let begun = Instant::now();
            match &mut self.kind {
                Kind::Journal(appender, settled) => {
                    for message in messages {
                        appender.try_submit(message, ()).map_err(drop).unwrap();
                    }
                    let all = u32::try_from(batch).unwrap();
                    settled.acquire_many(all).await.unwrap().forget();
                }
                Kind::Bare(seqs) => {
                    let Engine::Sqlite(sqlite) = self.database.engine() else {
                        panic!("no file");
                    };
                    let mut moved = std::mem::take(seqs);
                    let written: Result<Vec<i64>, database::Error> = sqlite
                        .write(move |connection| {
                            let mut insert = connection.prepare_cached(INSERT_BARE)?;
                            for message in messages {
                                let seq = &mut moved[(message.conversation.get() - 1) as usize];
                                *seq += 1;
                                insert.execute(rusqlite::params![
                                    message.conversation.get(),
                                    *seq,
                                    message.sender.get(),
                                    1_700_000_000_000i64,
                                    message.client_msg_id,
                                    message.mime_type,
                                    &message.body[..]
                                ])?;
                            }
                            Ok(moved)
                        })
                        .await;
                    *seqs = written.unwrap();
                }
            }
            took.push(begun.elapsed());
        }
        took
    }
}

/// Processor time of this process so far, all threads. The kernel tells it in hundredths of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The results of one target's turns.
#[derive(Default)]
struct Turns {
    took: Vec<Duration>,
    processor: Duration,
}

impl Turns {
    async fn add(&mut self, target: &mut Target, batch: usize, time: Duration) {
        let before = processor_time();
        self.took.extend(target.run(batch, time).await);
        self.processor += processor_time() - before;
    }

    fn microseconds_each(&self, batch: usize) -> f64 {
        self.processor.as_secs_f64() * 1e6 / (batch * self.took.len()) as f64
    }
}

fn rate(batch: usize, took: &[Duration]) -> f64 {
    (batch * took.len()) as f64 / took.iter().sum::<Duration>().as_secs_f64()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let time = arguments.next().map_or(1.0, |seconds| seconds.parse().unwrap());
    let time = Duration::from_secs_f64(time);
    let mut batches: Vec<usize> = arguments.map(|batch| batch.parse().unwrap()).collect();
    if batches.is_empty() {
        batches = vec![1, 32, 256, 1024];
    }
    // One thread, so that a batch is submitted whole before the appender looks.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!(
        "                       messages/s              CPU µs/message          batches of the journal, ms"
    );
    println!("conversations  batch  journal    bare  ratio   journal    bare  ratio     p50    p99    max");
    runtime.block_on(async {
        for (conversations, participants) in SHAPES {
            let mut journal = Target::open(conversations, participants, false).await;
            let mut bare = Target::open(conversations, participants, true).await;
            for batch in batches.iter().copied() {
                let (mut ours, mut theirs) = (Turns::default(), Turns::default());
                for _ in 0..TURNS {
                    ours.add(&mut journal, batch, time).await;
                    theirs.add(&mut bare, batch, time).await;
                }
                let (ours_rate, theirs_rate) = (rate(batch, &ours.took), rate(batch, &theirs.took));
                let (ours_cpu, theirs_cpu) = (ours.microseconds_each(batch), theirs.microseconds_each(batch));
                ours.took.sort();
                let last = (ours.took.len() - 1) as f64;
                let at = |share: f64| ours.took[(last * share) as usize].as_secs_f64() * 1e3;
                println!(
                    "{conversations:>13} {batch:>6} {ours_rate:>8.0} {theirs_rate:>7.0} {:>6.2} {ours_cpu:>9.1} {theirs_cpu:>7.1} {:>6.2} {:>7.2} {:>6.2} {:>6.1}",
                    ours_rate / theirs_rate,
                    ours_cpu / theirs_cpu,
                    at(0.5),
                    at(0.99),
                    at(1.0),
                );
            }
        }
    });
}
