//! An outage of the database at a steady rate of sends, against a program: how many log lines it writes, how soon each
//! send is answered, and whether each message stands once in the journal afterwards.
//!
//!     cargo run -p im-server --example outage -- target/release/huizhen

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use backplane::{Backplane, Identity, hash_password};
use clap::Parser;
use database::Database;
use journal::{
    Journal,
    record::{NewConversation, NewParticipant},
};
use parking_lot::Mutex;
use proto::{
    ConversationId, UserId,
    client::{Address, Connection, Writer},
    wire::{
        ClientFrame, ConversationKind, ErrorCode, Login, Platform, Role, Send, ServerFrame,
        client_frame::Body as Request, server_frame::Body,
    },
};
use testkit::{
    eventually,
    fleet::apart,
    postgres::{self, Postgres},
    process::{Ports, Spawned},
    redis::{self, Redis},
};
use tokio::{task::JoinSet, time::Instant};

/// Refused messages that a session resends; with fewer it sends new ones.
const MOST_REFUSED: usize = 60;
/// How long messages are sent before the outage, and after it.
const AROUND: Duration = Duration::from_secs(5);

#[derive(Parser)]
struct Arguments {
    /// The program: `huizhen`.
    program: PathBuf,
    /// Sends a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Sessions, two to a conversation: each sends its share of the rate.
    #[arg(long, default_value_t = 200)]
    sessions: u32,
    /// How long PostgreSQL is stopped, seconds.
    #[arg(long, default_value_t = 60)]
    outage_s: u64,
}

/// The answers that all sessions saw.
#[derive(Default)]
struct Seen {
    sent: u64,
    accepted: u64,
    refused: u64,
    slowest: Duration,
}

struct Session {
    number: u32,
    conversation: i64,
    pause: Duration,
    until: Instant,
    seen: Arc<Mutex<Seen>>,
    next_message: u64,
    /// Refused messages and when each is resent.
    refused: BTreeMap<u64, Instant>,
    /// Sent messages by their request id, and when.
    under_way: BTreeMap<u64, (u64, Instant)>,
    next_request: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let postgres = Arc::new(apart(|| Postgres::start(postgres::Options::default())).await?);
    let redis = apart(|| Redis::start(redis::Options::default())).await?;
    let creator = postgres.clone();
    apart(move || creator.create_database("huizhen", None)).await?;
    let (server, ports) =
        start_server(&arguments, &postgres.url("huizhen"), &redis.url(), folder.path()).await?;
    let node = ports.im.context("no listener of apps")?;
    let database = Database::open(&postgres.url("huizhen")).await?;
    let fleet = database.fleet().await?;
    let backplane = Backplane::open(&redis.url(), &Identity::new(fleet.id, fleet.key)).await?;
    eventually("Redis is there", async || backplane.is_available().await).await;

    let journal = Journal::new(database.clone(), backplane.clone());
    let until = Instant::now() + 2 * AROUND + Duration::from_secs(arguments.outage_s);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut running = JoinSet::new();
    for number in 0..arguments.sessions {
        let user = 1 + i64::from(number);
        let conversation = (user + 1) / 2;
        if user == 2 * conversation - 1 {
            create(&journal, conversation).await?;
        }
        let session = Session {
            number,
            conversation,
            pause: Duration::from_secs(1) * arguments.sessions / arguments.rate,
            until,
            seen: seen.clone(),
            next_message: 0,
            refused: BTreeMap::new(),
            under_way: BTreeMap::new(),
            next_request: 2,
        };
        let connection = log_in(node, &backplane, user, number).await?;
        running.spawn(session.run(connection));
    }
    tokio::time::sleep(AROUND).await;
    let lines_before = lines(folder.path())?.len();
    let before = std::mem::take(&mut *seen.lock());
    let begun = Instant::now();
    let stopped = postgres.clone();
    apart(move || stopped.stop()).await?;
    tokio::time::sleep_until(begun + Duration::from_secs(arguments.outage_s)).await;
    let during = std::mem::take(&mut *seen.lock());
    let away = begun.elapsed();
    let started = postgres.clone();
    apart(move || started.start_again()).await?;
    let mut messages = 0;
    while let Some(sent) = running.join_next().await {
        messages += sent??;
    }
    let after = std::mem::take(&mut *seen.lock());
    report(
        &[("before", &before), ("outage", &during), ("after", &after)],
        away,
    );
    let found = database.query_first(
        "SELECT count(*), count(DISTINCT client_msg_id) FROM entry WHERE kind = 1",
        Vec::new(),
    );
    let found = found.await?.context("no count")?;
    let (entries, ids): (i64, i64) = (found.get(0)?, found.get(1)?);
    println!("messages {messages}, entries {entries}, of them different {ids}");
    let lines = lines(folder.path())?.split_off(lines_before);
    println!("log lines {}", lines.len());
    println!("{}", lines.join("\n"));
    server.end().await?;
    ensure!(
        entries == ids && u64::try_from(ids)? == messages,
        "not each message once"
    );
    Ok(())
}

async fn start_server(
    arguments: &Arguments,
    database_url: &str,
    redis_url: &str,
    folder: &Path,
) -> Result<(Spawned, Ports)> {
    let mut flags: Vec<String> = [
        "serve",
        "--data",
        ".",
        "--database-url",
        database_url,
        "--redis-url",
        redis_url,
    ]
    .map(str::to_owned)
    .into();
    flags.extend(["im", "ws", "rest", "admin"].map(|name| format!("--{name}-addr=127.0.0.1:0")));
    Spawned::start(&arguments.program, &flags, folder, "server").await
}

async fn create(journal: &Journal, conversation: i64) -> Result<()> {
    let patient = UserId::from_database(2 * conversation - 1);
    let doctor = UserId::from_database(2 * conversation);
    let new = NewConversation {
        id: ConversationId::from_database(conversation),
        kind: ConversationKind::Consult,
        consult_id: Some(conversation),
        title: "a consult".into(),
        participants: [(patient, Role::Patient), (doctor, Role::Doctor)]
            .map(|(user, role)| NewParticipant::new(user, role, ""))
            .into(),
    };
    let creating = journal.clone();
    let created: Result<_, journal::Error> = journal
        .database()
        .transaction(move |tx| {
            Box::pin(async move { creating.create_conversation(tx, new, patient, 1).await })
        })
        .await;
    journal.publish(created?);
    Ok(())
}

async fn log_in(node: SocketAddr, backplane: &Backplane, user: i64, number: u32) -> Result<Connection> {
    let (device, password) = (format!("device {number}"), format!("password {number}"));
    const LASTS_MS: i64 = 86_400_000;
    backplane
        .put_im_password(
            UserId::from_database(user),
            &device,
            hash_password(&password),
            LASTS_MS,
        )
        .await?;
    let mut connection = Connection::connect(&Address::tcp(node)).await?;
    let login = Login {
        protocol_version: proto::PROTOCOL_VERSION,
        user_id: user,
        password,
        device_id: device,
        platform: Platform::Android as i32,
        ..Login::default()
    };
    let body = Some(Request::Login(login));
    connection.send(&ClientFrame { request_id: 1, body }).await?;
    match connection.receive().await? {
        Some(ServerFrame {
            body: Some(Body::LoginOk(_)),
            ..
        }) => Ok(connection),
        other => bail!("no LoginOk but {other:?}"),
    }
}

impl Session {
    /// Sends at its pace until all is accepted; returns the number of messages.
    async fn run(mut self, connection: Connection) -> Result<u64> {
        let (mut reader, mut writer) = connection.split();
        let phase = self.pause * self.number / 1_000;
        let mut ticks = tokio::time::interval_at(Instant::now() + phase, self.pause);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.send(&mut writer).await?,
                // Bytes of a frame that has come in part stay in the reader.
                frame = reader.receive() => {
                    self.receive(frame?.context("the node hung up")?)?;
                }
            }
            let is_over = Instant::now() > self.until;
            if is_over && self.under_way.is_empty() && self.refused.is_empty() {
                return Ok(self.next_message);
            }
        }
    }

    /// Sends the first refused message again, if its time has come, or a new one.
    async fn send(&mut self, writer: &mut Writer) -> Result<()> {
        let now = Instant::now();
        let first = self
            .refused
            .first_key_value()
            .map(|(message, due)| (*message, *due));
        let message = match first {
            Some((message, due)) if due <= now => {
                self.refused.remove(&message);
                message
            }
            _ if self.refused.len() < MOST_REFUSED && now < self.until => {
                self.next_message += 1;
                self.next_message - 1
            }
            _ => return Ok(()),
        };
        let send = Send {
            conversation_id: self.conversation,
            client_msg_id: format!("{} {message}", self.number),
            mime_type: "text/plain".into(),
            body: "a message of some forty bytes, as they come".into(),
            ..Send::default()
        };
        let request_id = self.next_request;
        self.next_request += 1;
        self.under_way.insert(request_id, (message, now));
        self.seen.lock().sent += 1;
        let body = Some(Request::Send(send));
        writer.send(&ClientFrame { request_id, body }).await?;
        Ok(())
    }

    fn receive(&mut self, frame: ServerFrame) -> Result<()> {
        if let Some(Body::Bye(bye)) = frame.body {
            bail!("{bye:?}");
        }
        let Some((message, sent)) = self.under_way.remove(&frame.request_id) else {
            return Ok(());
        };
        let mut seen = self.seen.lock();
        seen.slowest = seen.slowest.max(sent.elapsed());
        match frame.body {
            Some(Body::SendOk(_)) => seen.accepted += 1,
            Some(Body::Error(error)) if error.code() == ErrorCode::Unavailable => {
                seen.refused += 1;
                let retry = Duration::from_millis(error.retry_after_ms.into());
                self.refused.insert(message, Instant::now() + retry);
            }
            other => bail!("{other:?}"),
        }
        Ok(())
    }
}

fn report(parts: &[(&str, &Seen)], away: Duration) {
    println!("PostgreSQL was stopped for {:.1} s", away.as_secs_f64());
    for (part, seen) in parts {
        println!(
            "{part}: {} sends, {} accepted, {} refused, the slowest answer after {} ms",
            seen.sent,
            seen.accepted,
            seen.refused,
            seen.slowest.as_millis()
        );
    }
}

fn lines(folder: &Path) -> Result<Vec<String>> {
    let log = std::fs::read_to_string(folder.join("server.log"))?;
    Ok(log.lines().map(str::to_owned).collect())
}
