//! Probes: on each node a user who sends at a fixed pace, whatever the answers, and notes how each send is answered.
//! Good clients would hide what apps are not to see. Like them a probe resends what was refused before anything new;
//! unlike them it never waits before it does.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proto::PROTOCOL_VERSION;
use proto::client::{Address, Connection, Reader, Writer};
use proto::wire::{self, ByeReason, ClientFrame, Platform, client_frame, server_frame};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::PROBE_RUN;
use crate::world::rest::Rest;
use crate::world::{User, World};

/// How often a probe sends.
const EVERY: Duration = Duration::from_millis(40);
/// How long the last answers are waited for.
const REST: Duration = Duration::from_secs(30);
/// How long a login may take.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);
/// The pause of a probe that is asked to come back later.
const LOGIN_PAUSE: Duration = Duration::from_millis(200);

/// One send and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) sent: Instant,
    pub(super) at: Instant,
    /// Acknowledged; else UNAVAILABLE.
    pub(super) is_ok: bool,
}

impl Answer {
    pub(super) fn took(&self) -> Duration {
        self.at - self.sent
    }
}

/// The findings of probes.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) answers: Vec<Answer>,
    /// Answers of another kind, connections that ended, sends without an answer.
    pub(super) faults: Vec<String>,
}

/// Probes that are sending.
pub(super) struct Probes {
    stop: watch::Sender<bool>,
    running: JoinSet<Result<Findings>>,
}

impl Probes {
    /// Starts one on each node.
    pub(super) async fn start(rest: &Rest, addresses: Vec<SocketAddr>, pairs: &World) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        for (address, chat) in addresses.into_iter().zip(&pairs.conversations) {
            let user = &pairs.users[chat.members[0] as usize];
            // Redis may have been emptied since the first one was given out.
            let password = rest.im_password(&user.access_token).await?;
            let connection = timeout(LOGIN_LIMIT, log_in(address, user, password))
                .await
                .context("a probe was not logged in in time")??;
            running.spawn(probe(connection, chat.id, stopped.clone()));
        }
        Ok(Self { stop, running })
    }

    /// Stops sending, waits for the last answers; returns all of them.
    pub(super) async fn end(mut self) -> Result<Findings> {
        self.stop.send_replace(true);
        let mut all = Findings::default();
        while let Some(one) = self.running.join_next().await {
            let one = one.context("a probe panicked")??;
            all.answers.extend(one.answers);
            all.faults.extend(one.faults);
        }
        Ok(all)
    }
}

/// Logs in; a node that is only finding its way back says UNAVAILABLE, and is asked again.
async fn log_in(address: SocketAddr, user: &User, password: String) -> Result<Connection> {
    loop {
        if let Some(connection) = try_to_log_in(address, user, &password).await? {
            return Ok(connection);
        }
        sleep(LOGIN_PAUSE).await;
    }
}

async fn try_to_log_in(address: SocketAddr, user: &User, password: &str) -> Result<Option<Connection>> {
    let mut connection = Connection::connect(&Address::tcp(address)).await?;
    let login = wire::Login {
        protocol_version: PROTOCOL_VERSION,
        user_id: user.user_id,
        password: password.to_owned(),
        device_id: user.device_id.clone(),
        platform: Platform::Android as i32,
        app_version: "loadtest".to_owned(),
        ..wire::Login::default()
    };
    connection
        .send(&frame(0, client_frame::Body::Login(login)))
        .await?;
    match connection.receive().await?.and_then(|frame| frame.body) {
        Some(server_frame::Body::LoginOk(_)) => Ok(Some(connection)),
        Some(server_frame::Body::Bye(bye)) if bye.reason() == ByeReason::Unavailable => Ok(None),
        other => bail!("a probe's login was answered with {other:?}"),
    }
}

/// A message that waits for its answer.
struct Attempt {
    message: u64,
    sent: Instant,
}

/// The messages of a probe, by the number in their `client_msg_id`, and their attempts.
#[derive(Default)]
struct Sends {
    /// The number of the newest message.
    newest: u64,
    /// The number of the newest attempt, which is its request.
    attempts: u64,
    waiting: HashMap<u64, Attempt>,
    /// Refused messages in the order of their first attempts. A node accepts nothing newer until the oldest has come
    /// again, and ends a session with more than 256 of them; so they go before anything new.
    refused: BTreeSet<u64>,
}

impl Sends {
    /// The next attempt: the oldest refused message, else a new one. Returns its request and its message.
    fn next(&mut self) -> (u64, u64) {
        let message = self.refused.pop_first().unwrap_or_else(|| {
            self.newest += 1;
            self.newest
        });
        self.attempts += 1;
        let attempt = Attempt {
            message,
            sent: Instant::now(),
        };
        self.waiting.insert(self.attempts, attempt);
        (self.attempts, message)
    }

    /// An attempt was answered, `is_ok` or UNAVAILABLE, which is sent again.
    fn answered(&mut self, request_id: u64, is_ok: bool) -> Option<Answer> {
        let attempt = self.waiting.remove(&request_id)?;
        if !is_ok {
            self.refused.insert(attempt.message);
        }
        Some(Answer {
            sent: attempt.sent,
            at: Instant::now(),
            is_ok,
        })
    }

    /// An attempt met an error that no resend mends.
    fn failed(&mut self, request_id: u64) {
        self.waiting.remove(&request_id);
    }
}

async fn probe(connection: Connection, chat: i64, mut stopped: watch::Receiver<bool>) -> Result<Findings> {
    let (mut reader, mut writer) = connection.split();
    let mut findings = Findings::default();
    let mut sends = Sends::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            _ = ticks.tick() => {
                let (request_id, message) = sends.next();
                if let Err(error) = send(&mut writer, request_id, chat, message).await {
                    findings.faults.push(format!("a probe could not send: {error}"));
                    return Ok(findings);
                }
            }
            heard = hear(&mut reader, &mut sends, &mut findings) => if !heard {
                return Ok(findings);
            }
        }
    }
    let rest =
        async { while !sends.waiting.is_empty() && hear(&mut reader, &mut sends, &mut findings).await {} };
    if timeout(REST, rest).await.is_err() {
        let unanswered = sends.waiting.len();
        findings.faults.push(format!(
            "{unanswered} sends of a probe had no answer after {REST:?}"
        ));
    }
    Ok(findings)
}

async fn send(writer: &mut Writer, request_id: u64, chat: i64, message: u64) -> std::io::Result<()> {
    let send = wire::Send {
        conversation_id: chat,
        client_msg_id: format!("probe-{PROBE_RUN}-{chat}-{message}"),
        mime_type: "text/plain".to_owned(),
        body: "probe".into(),
        mentions: Vec::new(),
        reply_to_seq: 0,
        ..wire::Send::default()
    };
    writer
        .send(&frame(request_id, client_frame::Body::Send(send)))
        .await
}

/// Takes the next frame; false when the connection has ended. Dropping the future loses nothing.
async fn hear(reader: &mut Reader, sends: &mut Sends, findings: &mut Findings) -> bool {
    let frame = match reader.receive().await {
        Ok(Some(frame)) => frame,
        Ok(None) => {
            findings
                .faults
                .push("the node closed a probe's connection".to_owned());
            return false;
        }
        Err(error) => {
            findings
                .faults
                .push(format!("a probe's connection failed: {error}"));
            return false;
        }
    };
    let is_ok = match frame.body {
        Some(server_frame::Body::SendOk(_)) => true,
        Some(server_frame::Body::Error(error)) if error.code() == wire::ErrorCode::Unavailable => false,
        Some(server_frame::Body::Error(error)) => {
            findings.faults.push(format!(
                "a probe was answered {}: {}",
                error.code().as_str_name(),
                error.message
            ));
            sends.failed(frame.request_id);
            return true;
        }
        Some(server_frame::Body::Bye(bye)) => {
            findings.faults.push(format!(
                "a probe was sent away, {}: {}",
                bye.reason().as_str_name(),
                bye.detail
            ));
            return false;
        }
        // Its own entries, and what else a session hears.
        _ => return true,
    };
    findings.answers.extend(sends.answered(frame.request_id, is_ok));
    true
}

fn frame(request_id: u64, body: client_frame::Body) -> ClientFrame {
    ClientFrame {
        request_id,
        body: Some(body),
    }
}
