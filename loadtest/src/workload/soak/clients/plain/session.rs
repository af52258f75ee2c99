//! One connection of the plain client: one request at a time.

use std::time::Duration;

use prost::Message;
use proto::PROTOCOL_VERSION;
use proto::client::{Connection, Outgoing, Reader, Writer};
use proto::wire::{self, ClientFrame, ErrorCode, ServerFrame, client_frame, server_frame};
use tokio::time::{Instant, sleep_until};

use super::{App, PLATFORM};

/// How long an answer may take; then the connection is dead.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long one stays at the most before it is away again, where it ever is.
const LONGEST_STAY: Duration = Duration::from_secs(8);
/// How often one that wanders goes in the midst of catching up, of a hundred pauses.
const LEAVES_MIDWAY_PERCENT: usize = 5;

/// How a connection ended.
pub(super) enum Over {
    /// The app wants no more.
    Closed,
    /// The app goes away for a while.
    Absent,
    /// Bye: come back after a while.
    Dismissed { wait: Duration, new_password: bool },
    /// Bye: stay away.
    SentAway,
    /// The connection broke.
    Broken { was_in: bool },
}

/// The request.
enum Request {
    Login,
    Sync,
    Send(Box<Outgoing>),
    Ping,
}

pub(super) struct Session<'a> {
    app: &'a mut App,
    reader: Reader,
    writer: Writer,
    password: String,
    next_request: u64,
    /// The one request without an answer.
    asked: Option<(u64, Request, Instant)>,
    is_in: bool,
    /// When the next Sync is due.
    sync_at: Option<Instant>,
    /// Not before then is the first of the outbox sent.
    send_at: Instant,
    ping_every: Duration,
    last_write: Instant,
    leave_at: Option<Instant>,
}

impl<'a> Session<'a> {
    pub(super) fn new(app: &'a mut App, connection: Connection, password: String) -> Self {
        let (reader, writer) = connection.split();
        let now = Instant::now();
        Self {
            app,
            reader,
            writer,
            password,
            next_request: 1,
            asked: None,
            is_in: false,
            sync_at: None,
            send_at: now,
            ping_every: Duration::from_secs(10),
            last_write: now,
            leave_at: None,
        }
    }

    pub(super) async fn live(mut self) -> Over {
        if self.ask(Request::Login).await.is_err() {
            return Over::Broken { was_in: false };
        }
        loop {
            if self.is_in && self.asked.is_none() && self.ask_next().await.is_err() {
                return Over::Broken { was_in: true };
            }
            let wake = self.wake();
            let mut frames: Vec<Option<ServerFrame>> = Vec::new();
            let was_in = self.is_in;
            tokio::select! {
                read = self.reader.receive_with(|bytes| frames.push(ServerFrame::decode(bytes).ok())) => match read {
                    Ok(true) => {}
                    Ok(false) | Err(_) => return Over::Broken { was_in },
                },
                order = self.app.orders.recv(), if self.is_in => match order {
                    Some(message) => self.app.outbox.push_back(message),
                    None => return Over::Closed,
                },
                () = sleep_until(wake) => {}
            }
            for frame in frames {
                let Some(frame) = frame else {
                    self.app
                        .scribe
                        .notes
                        .fault("a node sent something that is no frame".to_owned());
                    return Over::Broken { was_in };
                };
                self.app.scribe.came(&frame);
                if let Some(over) = self.hear(frame) {
                    return over;
                }
            }
            self.app.scribe.notes.reading().await;
            let now = Instant::now();
            if self
                .asked
                .as_ref()
                .is_some_and(|(_, _, since)| now > *since + ANSWER_LIMIT)
            {
                return Over::Broken { was_in };
            }
            if self.leaves_at().is_some_and(|at| now >= at) {
                return Over::Absent;
            }
        }
    }

    /// When there is something to do although nothing comes.
    fn wake(&self) -> Instant {
        let mut wake = self.last_write + self.ping_every;
        match &self.asked {
            Some((_, _, since)) => wake = *since + ANSWER_LIMIT + Duration::from_millis(1),
            None => {
                wake = wake.min(self.sync_at.unwrap_or(wake));
                if !self.app.outbox.is_empty() {
                    wake = wake.min(self.send_at);
                }
            }
        }
        wake.min(self.leaves_at().unwrap_or(wake))
    }

    /// When it leaves; nobody does while everything is to be quiet.
    fn leaves_at(&self) -> Option<Instant> {
        self.leave_at.filter(|_| !self.app.scribe.notes.is_quiet())
    }

    /// Sends what is due next, if anything is.
    async fn ask_next(&mut self) -> std::io::Result<()> {
        let now = Instant::now();
        if self.sync_at.is_some_and(|at| now >= at) {
            self.sync_at = None;
            return self.ask(Request::Sync).await;
        }
        if now >= self.send_at
            && let Some(message) = self.app.outbox.front().cloned()
        {
            return self.ask(Request::Send(Box::new(message))).await;
        }
        if now >= self.last_write + self.ping_every {
            return self.ask(Request::Ping).await;
        }
        Ok(())
    }

    async fn ask(&mut self, request: Request) -> std::io::Result<()> {
        let request_id = self.next_request;
        self.next_request += 1;
        let body = match &request {
            Request::Login => client_frame::Body::Login(wire::Login {
                protocol_version: PROTOCOL_VERSION,
                user_id: self.app.user_id,
                password: self.password.clone(),
                device_id: self.app.device_id.clone(),
                platform: PLATFORM.into(),
                app_version: "plain".to_owned(),
                ..wire::Login::default()
            }),
            Request::Sync => {
                let most = self.app.manner().limit;
                let limit = if most >= 500 {
                    most
                } else {
                    1 + self.app.chance.below(most as usize) as u32
                };
                client_frame::Body::Sync(self.app.copies.sync(limit))
            }
            Request::Send(message) => client_frame::Body::Send(wire::Send {
                conversation_id: message.conversation_id,
                client_msg_id: message.client_msg_id.clone(),
                mime_type: message.mime_type.clone(),
                body: message.body.clone(),
                mentions: Vec::new(),
                reply_to_seq: 0,
                ..wire::Send::default()
            }),
            Request::Ping => client_frame::Body::Ping(wire::Ping {}),
        };
        let frame = ClientFrame {
            request_id,
            body: Some(body),
        };
        self.app.scribe.asks(&frame);
        let now = Instant::now();
        self.asked = Some((request_id, request, now));
        self.last_write = now;
        self.writer.send(&frame).await
    }

    fn hear(&mut self, frame: ServerFrame) -> Option<Over> {
        let answered = self
            .asked
            .take_if(|(request_id, ..)| *request_id == frame.request_id);
        match frame.body? {
            server_frame::Body::LoginOk(login) => self.logged_in(&login),
            server_frame::Body::Conversation(announced) => self.app.copies.conversation(&announced),
            server_frame::Body::Entry(entry) => self.app.copies.entry(&entry),
            server_frame::Body::SyncDone(done) if done.more => return self.sync_again(Duration::ZERO),
            server_frame::Body::SyncDone(done) => self.app.copies.synced_ms = done.synced_ms,
            server_frame::Body::SendOk(_) => {
                if let Some((_, Request::Send(_), _)) = answered {
                    self.app.outbox.pop_front();
                }
            }
            server_frame::Body::Error(error) => {
                return self.failed(answered.map(|(_, request, _)| request), &error);
            }
            server_frame::Body::Bye(bye) => {
                return Some(match bye.reason {
                    200.. => Over::SentAway,
                    reason => Over::Dismissed {
                        wait: Duration::from_millis(bye.retry_after_ms.into()).min(Duration::from_secs(10)),
                        new_password: reason >= 100,
                    },
                });
            }
            _ => {}
        }
        None
    }

    fn logged_in(&mut self, login: &wire::LoginOk) {
        let now = Instant::now();
        self.is_in = true;
        self.reader.set_limit(2 * login.max_frame_bytes as usize);
        self.ping_every = Duration::from_secs(u64::from(login.heartbeat_s) / 2).max(Duration::from_secs(1));
        self.sync_at = Some(now);
        if self.app.manner().absence.is_some() {
            let stay = self.app.chance.below(LONGEST_STAY.as_millis() as usize) as u64;
            self.leave_at = Some(now + Duration::from_millis(stay));
        }
    }

    /// Sync again after `wait` and a pause; now and then the app goes away in the midst of it.
    fn sync_again(&mut self, wait: Duration) -> Option<Over> {
        let manner = self.app.manner();
        let pause = self.app.chance.below(manner.pause.as_millis() as usize + 1) as u64;
        self.sync_at = Some(Instant::now() + wait + Duration::from_millis(pause));
        if manner.absence.is_some() {
            if self.app.chance.below(100) < LEAVES_MIDWAY_PERCENT {
                return Some(Over::Absent);
            }
            // Else it catches up to the end.
            self.leave_at = self.leave_at.map(|at| at + Duration::from_millis(pause));
        }
        None
    }

    fn failed(&mut self, request: Option<Request>, error: &wire::Error) -> Option<Over> {
        let wait = Duration::from_millis(error.retry_after_ms.into());
        let is_later = matches!(error.code(), ErrorCode::RateLimited | ErrorCode::Unavailable);
        match request {
            Some(Request::Sync) if is_later => return self.sync_again(wait),
            Some(Request::Sync) => {
                let user_id = self.app.user_id;
                self.app
                    .scribe
                    .notes
                    .fault(format!("user {user_id}: Sync was refused: {}", error.message));
            }
            Some(Request::Send(_)) if is_later => self.send_at = Instant::now() + wait,
            Some(Request::Send(_)) => drop(self.app.outbox.pop_front()),
            _ => {}
        }
        None
    }
}
