//! The decisions of a good client, without I/O and without a clock: frames, time and chance come in, frames and events
//! go out. `now` is the time since the client was started.

mod answers;
mod backoff;
mod copies;
mod outbox;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::Duration;

use super::directory::Password;
use super::event::Event;
use super::handle::RequestError;
use super::settings::Settings;
use crate::PROTOCOL_VERSION;
use crate::bye::{self, Advice};
use crate::wire::{self, ClientFrame, ServerFrame, client_frame, server_frame};
use outbox::Outbox;

pub use backoff::Backoff;
pub use copies::{Copy, Snapshot};
pub use outbox::Outgoing;

// protocol: "Error UNAVAILABLE or RATE_LIMITED without"
/// How long to wait where an answer asks for a pause without saying how long.
pub(super) const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
/// A password is not used for a login when it expires within this time.
pub(super) const PASSWORD_MARGIN: Duration = Duration::from_secs(10);
// protocol: "a password before it expires | renewed"
// protocol: "get a new password and send Renew on the same connection"
/// The part of a password's life after which it is renewed.
pub(super) const RENEW_AFTER: f64 = 0.8;
// protocol: "no password to be had for Renew"
/// How long a renewal waits when no password can be had for it.
pub(super) const NO_PASSWORD_PAUSE: Duration = Duration::from_secs(10);

/// Orders to the session loop.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// To be written, in this order.
    pub(super) frames: Vec<ClientFrame>,
    /// Events for the app, in this order.
    pub(super) events: Vec<Event>,
    /// Answers to what the app asked, by request id.
    pub(super) answers: Vec<(u64, Result<server_frame::Body, RequestError>)>,
    /// From now on the node's frames may be so long.
    pub(super) max_server_frame_bytes: Option<usize>,
    /// A fresh password is needed for a renewal.
    pub(super) fetch_password: bool,
    /// The connection is to be closed, and why.
    pub(super) hang_up: Option<String>,
}

/// The step after a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Connect again after this time.
    ComeBack(Duration),
    /// Never connect again.
    StayAway,
}

#[derive(Debug)]
struct KeptPassword {
    password: String,
    good_until: Duration,
    /// A node has accepted it, for a login or a renewal.
    was_accepted: bool,
}

#[derive(Debug)]
enum Link {
    Offline,
    LoggingIn { since: Duration },
    Online(Box<Online>),
}

#[derive(Debug)]
struct Online {
    heartbeat: Duration,
    max_frame_bytes: usize,
    /// The node's clock when ours was 0, epoch milliseconds.
    server_epoch_ms: i64,
    sync: Sync,
    part: Part,
    renewal: Renewal,
    pinged: Option<Duration>,
    last_sent: Duration,
    last_received: Duration,
    /// Questions of the app without an answer.
    questions: HashSet<u64>,
}

#[derive(Debug)]
enum Sync {
    Asked { request_id: u64, since: Duration },
    PutOff { until: Duration },
    Done,
}

/// The part of a Sync that is asked for: from the newest conversation down, as many in each part as a frame holds.
#[derive(Debug, Default)]
struct Part {
    /// It begins below this id; 0 for the first part.
    before: i64,
    /// It ends with this id; 0 for the last part.
    from: i64,
    /// The first part's, which is kept when the last one is complete.
    synced_ms: Option<i64>,
}

#[derive(Debug)]
enum Renewal {
    At(Duration),
    Fetching,
    Asked { request_id: u64, password: String },
}

/// One client, over all its connections.
#[derive(Debug)]
pub(super) struct Machine {
    settings: Settings,
    known: Snapshot,
    outbox: Outbox,
    link: Link,
    password: Option<KeptPassword>,
    bye: Option<wire::Bye>,
    leaving: bool,
    last_request_id: u64,
    /// Connections since the last one that came as far as a complete Sync.
    failures: u32,
    output: Output,
}

impl Machine {
    pub(super) fn new(settings: Settings, known: Snapshot) -> Self {
        Self {
            settings,
            known,
            outbox: Outbox::default(),
            link: Link::Offline,
            password: None,
            bye: None,
            leaving: false,
            last_request_id: 0,
            failures: 0,
            output: Output::default(),
        }
    }

    /// The orders since the last call.
    pub(super) fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// Whether another message may be accepted from the app.
    pub(super) fn has_capacity(&self) -> bool {
        self.outbox.has_capacity()
    }

    /// How often connecting has failed since it last went well.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether a login needs a password that is not at hand.
    pub(super) fn needs_password(&self, now: Duration) -> bool {
        self.password
            .as_ref()
            .is_none_or(|kept| kept.good_until < now + PASSWORD_MARGIN)
    }

    /// A password for the next login.
    pub(super) fn password(&mut self, now: Duration, password: Password) {
        self.password = Some(KeptPassword {
            password: password.password,
            good_until: now + Duration::from_secs(password.expire_s),
            was_accepted: false,
        });
    }

    /// A connection stands.
    pub(super) fn connected(&mut self, now: Duration) {
        let password = self.password.as_ref().map(|kept| kept.password.clone());
        self.link = Link::LoggingIn { since: now };
        self.bye = None;
        self.frame(
            0,
            client_frame::Body::Login(wire::Login {
                protocol_version: PROTOCOL_VERSION,
                user_id: self.settings.user_id,
                password: password.unwrap_or_default(),
                device_id: self.settings.device_id.clone(),
                platform: self.settings.platform as i32,
                app_version: self.settings.app_version.clone(),
                language: self.settings.language.clone(),
            }),
        );
    }

    /// The app sends a message.
    pub(super) fn submit(&mut self, now: Duration, message: Outgoing) {
        self.outbox.push(message);
        self.send_due(now);
    }

    /// The app asks something; the answer comes under the number returned. Not asked again on another connection.
    pub(super) fn ask(&mut self, now: Duration, body: client_frame::Body) -> Option<u64> {
        let request_id = self.next_request_id();
        let Link::Online(online) = &mut self.link else {
            return None;
        };
        online.questions.insert(request_id);
        online.last_sent = now;
        self.frame(request_id, body);
        Some(request_id)
    }

    /// A frame of the app without an answer; dropped when there is no connection.
    pub(super) fn report(&mut self, now: Duration, body: client_frame::Body) {
        if let Link::Online(online) = &mut self.link {
            online.last_sent = now;
            self.frame(0, body);
        }
    }

    /// The app logs out; true when a Logout must be sent first.
    pub(super) fn leave(&mut self) -> bool {
        self.leaving = true;
        let is_online = matches!(self.link, Link::Online(_));
        if is_online {
            self.frame(0, client_frame::Body::Logout(wire::Logout {}));
        }
        is_online
    }

    /// A fresh password for the session that is running, or none to be had.
    pub(super) fn renewed_password(&mut self, now: Duration, password: Option<Password>) {
        let request_id = self.next_request_id();
        let Link::Online(online) = &mut self.link else {
            return;
        };
        let Some(password) = password else {
            online.renewal = Renewal::At(now + NO_PASSWORD_PAUSE);
            return;
        };
        online.renewal = Renewal::Asked {
            request_id,
            password: password.password.clone(),
        };
        online.last_sent = now;
        self.frame(
            request_id,
            client_frame::Body::Renew(wire::Renew {
                password: password.password,
            }),
        );
    }

    /// A frame came from the node.
    pub(super) fn received(&mut self, now: Duration, frame: ServerFrame) {
        use server_frame::Body;
        if let Link::Online(online) = &mut self.link {
            online.last_received = now;
            online.pinged = None;
            if online.questions.remove(&frame.request_id) {
                let answer = match frame.body {
                    Some(Body::Error(error)) => Err(RequestError::Refused(error)),
                    Some(body) => Ok(body),
                    None => Err(RequestError::Unknown),
                };
                self.output.answers.push((frame.request_id, answer));
                return;
            }
        }
        match frame.body {
            Some(Body::LoginOk(ok)) => self.logged_in(now, &ok),
            Some(Body::Bye(bye)) => self.goodbye(bye),
            Some(Body::RenewOk(ok)) => self.renewed(now, frame.request_id, ok.expires_at_ms),
            Some(Body::SendOk(ok)) => self.sent(now, frame.request_id, ok),
            Some(Body::SyncDone(done)) => self.synced(now, frame.request_id, done),
            Some(Body::Error(error)) => self.refused(now, frame.request_id, error),
            Some(Body::Entry(entry)) => {
                if self.known.entry(&entry) {
                    self.event(Event::Entry(Box::new(entry)));
                }
            }
            Some(Body::Conversation(mut conversation)) => {
                conversation.reset = self.known.conversation(&conversation);
                self.event(Event::Conversation(Box::new(conversation)));
            }
            Some(Body::Marks(marks)) => self.event(Event::Marks(marks)),
            Some(Body::Typing(typing)) => self.event(Event::Typing(typing)),
            Some(Body::Hidden(hidden)) => self.event(Event::Hidden(hidden)),
            Some(Body::CallSignal(signal)) => self.event(Event::CallSignal(signal)),
            // protocol: "Ignore a ServerFrame whose body you do not know"
            // A Pong is a sign of life, recorded above. The rest answers questions that were given up, or is
            // newer than this client.
            Some(Body::Pong(_) | Body::RecallOk(_) | Body::HistoryPage(_) | Body::Presence(_)) | None => {}
        }
    }

    /// When [`tick`](Self::tick) has something to do, if nothing else happens before.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.link {
            Link::Offline => None,
            Link::LoggingIn { since } => Some(*since + self.settings.login_timeout),
            Link::Online(online) => {
                let answer = self.settings.answer_timeout;
                let sync = match online.sync {
                    Sync::Asked { since, .. } => Some(since.max(online.last_received) + answer),
                    Sync::PutOff { until } => Some(until),
                    Sync::Done => None,
                };
                let renewal = match online.renewal {
                    Renewal::At(at) => Some(at),
                    Renewal::Fetching | Renewal::Asked { .. } => None,
                };
                let life = match online.pinged {
                    Some(since) => since + answer,
                    None => online.last_sent + online.heartbeat,
                };
                let unanswered = self.outbox.oldest().map(|since| since + answer);
                [Some(life), sync, renewal, unanswered, self.outbox.release()]
                    .into_iter()
                    .flatten()
                    .min()
            }
        }
    }

    // protocol: "If nothing has come from the node within 15 s of a Ping"
    /// Time has passed.
    pub(super) fn tick(&mut self, now: Duration) {
        let answer = self.settings.answer_timeout;
        match &mut self.link {
            Link::Offline => {}
            Link::LoggingIn { since } => {
                if now >= *since + self.settings.login_timeout {
                    self.hang_up("the node did not answer the login");
                }
            }
            Link::Online(online) => {
                if online.pinged.is_some_and(|since| now >= since + answer) {
                    return self.hang_up("the node gave no sign of life");
                }
                // protocol: "No answer to any message within 15 s, or a broken connection"
                if self.outbox.oldest().is_some_and(|since| now >= since + answer) {
                    return self.hang_up("the node did not answer a message");
                }
                if let Sync::Asked { since, .. } = online.sync
                    && now >= since.max(online.last_received) + answer
                {
                    return self.hang_up("the node did not answer a Sync");
                }
                if let Renewal::At(at) = online.renewal
                    && now >= at
                {
                    online.renewal = Renewal::Fetching;
                    self.output.fetch_password = true;
                }
                if online.pinged.is_none() && now >= online.last_sent + online.heartbeat {
                    online.pinged = Some(now);
                    online.last_sent = now;
                    self.frame(0, client_frame::Body::Ping(wire::Ping {}));
                }
                if let Link::Online(online) = &self.link
                    && let Sync::PutOff { until } = online.sync
                    && now >= until
                {
                    self.sync(now);
                }
                self.send_due(now);
            }
        }
    }

    /// The connection is gone, or could not be made. `random` in 0..1.
    pub(super) fn disconnected(&mut self, cause: String, random: f64) -> Next {
        if let Link::Online(online) = std::mem::replace(&mut self.link, Link::Offline) {
            for request_id in online.questions {
                self.output
                    .answers
                    .push((request_id, Err(RequestError::Disconnected)));
            }
        }
        self.outbox.connection_lost();
        let (advice, asked) = match &self.bye {
            Some(bye) => (
                bye::advice(bye.reason),
                Duration::from_millis(bye.retry_after_ms.into()),
            ),
            None => (Advice::ComeBack, Duration::ZERO),
        };
        let password_is_forgotten = self.password_is_forgotten();
        self.bye = None;
        if advice == Advice::NewPassword {
            self.password = None;
        }
        let next = if self.leaving || advice == Advice::StayAway {
            Next::StayAway
        } else if password_is_forgotten {
            Next::ComeBack(asked)
        } else {
            let delay = self.settings.backoff.delay(self.failures, asked, random);
            self.failures = self.failures.saturating_add(1);
            Next::ComeBack(delay)
        };
        let retry_in = match next {
            Next::ComeBack(delay) => Some(delay),
            Next::StayAway => None,
        };
        self.event(Event::Disconnected { cause, retry_in });
        next
    }

    // protocol: "So get a new password and try again at once"
    // protocol: "Bye AUTH_FAILED to a password that was accepted before"
    /// The node refused a password that was accepted before: its servers were restarted, and have lost the passwords
    /// that they keep in memory. Nothing is down, so that a new password is worth an attempt at once. That one was
    /// never accepted, so that the attempt after it waits.
    // protocol: "AUTH_FAILED to a password that a node has accepted before"
    fn password_is_forgotten(&self) -> bool {
        self.bye
            .as_ref()
            .is_some_and(|bye| bye.reason() == wire::ByeReason::AuthFailed)
            && self.password.as_ref().is_some_and(|kept| kept.was_accepted)
    }

    /// The directory refuses logins for good.
    pub(super) fn shut_out(&mut self, cause: String) {
        self.leaving = true;
        self.disconnected(cause, 0.0);
    }

    fn send_due(&mut self, now: Duration) {
        let Link::Online(online) = &mut self.link else {
            return;
        };
        let last = &mut self.last_request_id;
        let frames = self.outbox.due(now, || {
            *last += 1;
            *last
        });
        if !frames.is_empty() {
            online.last_sent = now;
            self.output.frames.extend(frames);
        }
    }

    fn hang_up(&mut self, cause: &str) {
        self.output.hang_up = Some(cause.to_owned());
    }

    fn event(&mut self, event: Event) {
        self.output.events.push(event);
    }

    fn frame(&mut self, request_id: u64, body: client_frame::Body) {
        self.output.frames.push(ClientFrame {
            request_id,
            body: Some(body),
        });
    }

    fn next_request_id(&mut self) -> u64 {
        self.last_request_id += 1;
        self.last_request_id
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn since_start(at_ms: i64, server_epoch_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(at_ms.saturating_sub(server_epoch_ms)).unwrap_or(0))
}

fn renew_at(now: Duration, expires: Duration) -> Duration {
    now + expires.saturating_sub(now).mul_f64(RENEW_AFTER)
}
