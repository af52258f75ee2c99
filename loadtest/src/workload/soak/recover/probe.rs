//! Probes: on each node a user who sends at a fixed pace, whatever the answers, and notes how each send is answered.
//! Good clients would hide what apps are not to see.

use std::collections::HashMap;
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

/// How often a probe sends. A node ends a session with more than 256 refused messages: those of some 10 s.
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

async fn probe(connection: Connection, chat: i64, mut stopped: watch::Receiver<bool>) -> Result<Findings> {
    let (mut reader, mut writer) = connection.split();
    let mut findings = Findings::default();
    let mut waiting: HashMap<u64, Instant> = HashMap::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut number = 0;
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            _ = ticks.tick() => {
                number += 1;
                waiting.insert(number, Instant::now());
                if let Err(error) = send(&mut writer, number, chat).await {
                    findings.faults.push(format!("a probe could not send: {error}"));
                    return Ok(findings);
                }
            }
            heard = hear(&mut reader, &mut waiting, &mut findings) => if !heard {
                return Ok(findings);
            }
        }
    }
    let rest = async { while !waiting.is_empty() && hear(&mut reader, &mut waiting, &mut findings).await {} };
    if timeout(REST, rest).await.is_err() {
        let unanswered = waiting.len();
        findings.faults.push(format!(
            "{unanswered} sends of a probe had no answer after {REST:?}"
        ));
    }
    Ok(findings)
}

async fn send(writer: &mut Writer, number: u64, chat: i64) -> std::io::Result<()> {
    let send = wire::Send {
        conversation_id: chat,
        client_msg_id: format!("probe-{PROBE_RUN}-{chat}-{number}"),
        mime_type: "text/plain".to_owned(),
        body: "probe".into(),
        mentions: Vec::new(),
        reply_to_seq: 0,
        ..wire::Send::default()
    };
    writer.send(&frame(number, client_frame::Body::Send(send))).await
}

/// Takes the next frame; false when the connection has ended. Dropping the future loses nothing.
async fn hear(reader: &mut Reader, waiting: &mut HashMap<u64, Instant>, findings: &mut Findings) -> bool {
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
            false
        }
        // Its own entries, and what else a session hears.
        _ => return true,
    };
    if let Some(sent) = waiting.remove(&frame.request_id) {
        findings.answers.push(Answer {
            sent,
            at: Instant::now(),
            is_ok,
        });
    }
    true
}

fn frame(request_id: u64, body: client_frame::Body) -> ClientFrame {
    ClientFrame {
        request_id,
        body: Some(body),
    }
}
