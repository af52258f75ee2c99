//! From a connection to a session: one function for TCP, TLS and WebSocket. Before it has succeeded nothing else can be
//! asked for; the type that could is made here.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use backplane::{Unavailable, hash_password};
use bytes::Bytes;
use journal::UserNotice;
use prost::Message;
use proto::{
    Language, PROTOCOL_VERSION, Sentence, UserId,
    frame::{self, FrameReader, MAX_BEFORE_LOGIN_BYTES},
    ids::MAX_DEVICE_ID_BYTES,
    wire::{Bye, ByeReason, ClientFrame, Login, LoginOk, Platform, client_frame, server_frame::Body},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::{
    clock,
    limits::Failed,
    listen::Door,
    node::{Shared, spread_ms},
    origin,
    outbox::{Dress, Outbox},
    sentences,
    session::Session,
    transport::{
        Transport, forwarded,
        websocket::{self, CloseCode, Handshake, Incoming},
    },
};

/// How long a connection may take to log in, handshakes included. Bytes that dribble do not extend it.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);
/// How long a Bye before login may take to leave.
const BYE_LIMIT: Duration = Duration::from_secs(1);
/// The longest `device_id`, bytes.
/// The longest `password`, bytes; ours have 32.
const MAX_PASSWORD_BYTES: usize = 128;
/// The longest `app_version`, bytes.
const MAX_APP_VERSION_BYTES: usize = 32;

/// A connection that has logged in.
pub(crate) struct Established {
    pub(crate) session: Arc<Session>,
    /// What came behind the login.
    pub(crate) rest: Vec<u8>,
    /// What has been cut off the bytes before, in WebSocket.
    pub(crate) websocket: Option<Box<websocket::Reader>>,
}

/// Why a connection did not become a session.
enum Refused {
    /// The peer is gone, or speaks something else; nothing can be said to it.
    Silent,
    /// The peer closes its WebSocket.
    Closed(Option<CloseCode>),
    Bye {
        reason: ByeReason,
        retry_after_ms: u32,
        detail: Sentence,
        /// The field of Login that is at fault.
        field: &'static str,
        close: CloseCode,
    },
}

impl From<io::Error> for Refused {
    fn from(_: io::Error) -> Self {
        Self::Silent
    }
}

fn bye(reason: ByeReason, detail: Sentence) -> Refused {
    bye_until(reason, 0, detail)
}

fn bye_until(reason: ByeReason, retry_after_ms: u32, detail: Sentence) -> Refused {
    Refused::Bye {
        reason,
        retry_after_ms,
        detail,
        field: "",
        close: CloseCode::of(reason),
    }
}

/// A Login that no password could make good. It is no guess.
fn invalid(field: &'static str, detail: Sentence) -> Refused {
    let reason = ByeReason::InvalidLogin;
    Refused::Bye {
        reason,
        retry_after_ms: 0,
        detail,
        field,
        close: CloseCode::of(reason),
    }
}

impl From<websocket::Error> for Refused {
    fn from(error: websocket::Error) -> Self {
        Self::Bye {
            reason: ByeReason::BadFrame,
            retry_after_ms: 0,
            detail: error.sentence(),
            field: "",
            close: error.close_code(),
        }
    }
}

/// A connection that has not logged in.
struct Newcomer {
    transport: Transport,
    door: Door,
    /// Whom limits count until it has logged in.
    address: IpAddr,
    dress: Dress,
    websocket: Option<Box<websocket::Reader>>,
    /// What came and was not used yet.
    input: Vec<u8>,
    /// What its Login asks for; English before it.
    language: Language,
}

/// Takes a connection through its login; none when it did not succeed (the peer has been told why, if it can be told).
pub(crate) async fn log_in(
    shared: Arc<Shared>,
    mut stream: TcpStream,
    peer: IpAddr,
    door: Door,
) -> Option<Established> {
    let shared = &shared;
    let deadline = Instant::now() + LOGIN_LIMIT;
    let origin = timeout_at(deadline, origin::read(shared, &mut stream, peer, door)).await;
    let address = origin.ok().flatten()?;
    // Behind a proxy for WebSocket it is the head that says whose place it is.
    let mut place = None;
    if !origin::is_in_head(shared, address, door) {
        place = shared.limits.connection(address);
    }
    let mut newcomer = match timeout_at(deadline, open(shared, stream, address, door)).await {
        Ok(Ok(newcomer)) => newcomer,
        _ => return None,
    };
    if origin::is_in_head(shared, address, door) {
        place = shared.limits.connection(newcomer.address);
    }
    let address = newcomer.address;
    let outcome = match place {
        None => Err(bye_until(
            ByeReason::Overloaded,
            spread_ms(5_000, 15_000),
            sentences::TOO_MANY_CONNECTIONS,
        )),
        Some(place) => match timeout_at(deadline, first_frame(shared, &mut newcomer)).await {
            Err(_) => Err(bye(ByeReason::NotLoggedIn, sentences::NO_LOGIN)),
            Ok(Err(refused)) => Err(refused),
            Ok(Ok((request_id, login))) => admit(shared, address, login)
                .await
                .map(|admitted| (request_id, admitted, place)),
        },
    };
    match outcome {
        // The place is given back with this: whoever has logged in counts by user.
        Ok((request_id, admitted, _place)) => establish(shared, newcomer, request_id, admitted).await,
        Err(refused) => {
            // Boxed: the few that are refused need a buffer, and a storm of logins should not have one each.
            Box::pin(tell(newcomer, refused)).await;
            None
        }
    }
}

/// Does the handshakes that come before the first frame.
async fn open(shared: &Shared, stream: TcpStream, address: IpAddr, door: Door) -> io::Result<Newcomer> {
    let transport = match (door, &shared.tls) {
        (Door::Tls, Some(acceptor)) => {
            origin::look_before_tls(shared, &stream, address).await?;
            let (stream, tls) = acceptor.accept(stream).await?.into_inner();
            Transport::tls(stream, tls)
        }
        (Door::Tls, None) => return Err(io::ErrorKind::Unsupported.into()),
        _ => Transport::plain(stream),
    };
    let mut newcomer = Newcomer {
        transport,
        door,
        address,
        dress: Dress::Length,
        websocket: None,
        input: Vec::new(),
        language: Language::default(),
    };
    if door == Door::Tls {
        newcomer.read().await?;
    }
    // Behind TLS both are spoken: a frame's length begins with 0, an HTTP request with its method.
    let is_http = newcomer.input.first().is_some_and(u8::is_ascii_uppercase);
    if door == Door::WebSocket || (door == Door::Tls && is_http) {
        newcomer.upgrade(shared).await?;
    }
    Ok(newcomer)
}

impl Newcomer {
    /// Reads what comes next.
    async fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 512];
        loop {
            match self.transport.try_read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.transport.readable().await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn upgrade(&mut self, shared: &Shared) -> io::Result<()> {
        loop {
            match websocket::handshake(&self.input) {
                Handshake::Partial => self.read().await?,
                Handshake::Upgrade { head_bytes, response } => {
                    let head = &self.input[..head_bytes];
                    self.address = forwarded::client(self.address, head, shared.gate.proxies());
                    self.input.drain(..head_bytes);
                    self.write(&response).await?;
                    self.dress = Dress::WebSocket;
                    self.websocket = Some(Box::default());
                    return Ok(());
                }
                Handshake::Refused(response) => {
                    origin::look_for_header(shared, &self.input, self.address, self.door);
                    self.write(&response).await?;
                    self.transport.end_writing();
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.transport.try_write(&[io::IoSlice::new(bytes)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.transport.writable().await?,
                Err(error) => return Err(error),
            }
        }
        while let Err(error) = self.transport.try_flush() {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            self.transport.writable().await?;
        }
        Ok(())
    }
}

/// The first frame, which must be a Login of our version.
async fn first_frame(shared: &Shared, newcomer: &mut Newcomer) -> Result<(u64, Login), Refused> {
    let mut reader = FrameReader::default();
    loop {
        let taken = std::mem::take(&mut newcomer.input);
        let mut input = taken.as_slice();
        let message = match &mut newcomer.websocket {
            None => match reader.next(&mut input, MAX_BEFORE_LOGIN_BYTES) {
                Ok(message) => message.map(Bytes::copy_from_slice),
                Err(long) => {
                    origin::look_for_header(shared, &taken, newcomer.address, newcomer.door);
                    return Err(bye(ByeReason::BadFrame, sentences::frame_too_long(long)));
                }
            },
            Some(reader) => match reader.next(&mut input, MAX_BEFORE_LOGIN_BYTES)? {
                Some(Incoming::Message(message)) => Some(Bytes::copy_from_slice(message)),
                Some(Incoming::Ping(payload)) => {
                    let pong = websocket::pong(payload);
                    newcomer.input = input.to_vec();
                    newcomer.write(&pong).await?;
                    continue;
                }
                Some(Incoming::Close(code)) => return Err(Refused::Closed(code)),
                None => None,
            },
        };
        newcomer.input = input.to_vec();
        match message {
            None => newcomer.read().await?,
            Some(message) => return check_login(shared, newcomer, &message),
        }
    }
}

fn check_login(shared: &Shared, newcomer: &mut Newcomer, message: &[u8]) -> Result<(u64, Login), Refused> {
    let Ok(frame) = ClientFrame::decode(message) else {
        return Err(bye(ByeReason::BadFrame, sentences::NOT_PROTOBUF));
    };
    let Some(client_frame::Body::Login(login)) = frame.body else {
        return Err(bye(ByeReason::NotLoggedIn, sentences::LOGIN_FIRST));
    };
    newcomer.language = Language::of(&login.language);
    if login.protocol_version != PROTOCOL_VERSION {
        return Err(bye(
            ByeReason::UnsupportedVersion,
            sentences::other_version(PROTOCOL_VERSION, login.protocol_version),
        ));
    }
    check_shape(&login)?;
    if shared.is_draining() {
        return Err(bye_until(
            ByeReason::Draining,
            spread_ms(500, 3_000),
            sentences::STOPPING,
        ));
    }
    if !shared.limits.login() {
        return Err(bye_until(
            ByeReason::Overloaded,
            spread_ms(1_000, 10_000),
            sentences::TOO_MANY_LOGINS,
        ));
    }
    Ok((frame.request_id, login))
}

/// Whether the fields are what a login could have: no password is looked up for others.
fn check_shape(login: &Login) -> Result<(), Refused> {
    if UserId::new(login.user_id).is_none() {
        return Err(invalid("user_id", sentences::LOGIN_USER_ID));
    }
    for (field, text, least, most) in [
        ("password", &login.password, 1, MAX_PASSWORD_BYTES),
        ("device_id", &login.device_id, 1, MAX_DEVICE_ID_BYTES),
        ("app_version", &login.app_version, 0, MAX_APP_VERSION_BYTES),
    ] {
        if !(least..=most).contains(&text.len()) {
            let detail = sentences::bytes_of_login(field, least, most, text.len());
            return Err(invalid(field, detail));
        }
    }
    Ok(())
}

/// A login that has been checked and counted as a session.
struct Admitted {
    login: Login,
    user: UserId,
    platform: Platform,
    expires_at_ms: i64,
}

async fn admit(shared: &Shared, address: IpAddr, login: Login) -> Result<Admitted, Refused> {
    if shared.limits.is_blocked(address) {
        return Err(too_many_attempts());
    }
    // A wrong user, a wrong password and another user's password look and take the same: one look-up, one answer.
    let wrong = || {
        metrics::counter!("huizhen_im_login_failures_total").increment(1);
        if shared.limits.failed(address, login.user_id) == Failed::TooMany {
            return too_many_attempts();
        }
        bye(ByeReason::AuthFailed, sentences::WRONG_PASSWORD)
    };
    let user = UserId::new(login.user_id);
    let expires_at_ms = check_password(shared, user, &login).await?;
    let (Some(user), Some(expires_at_ms)) = (user, expires_at_ms) else {
        return Err(wrong());
    };
    if has_too_many_sessions(shared, user, &login.device_id) {
        return Err(bye_until(
            ByeReason::Overloaded,
            spread_ms(5_000, 15_000),
            sentences::TOO_MANY_SESSIONS,
        ));
    }
    if !shared.limits.begin_session() {
        return Err(bye_until(
            ByeReason::Overloaded,
            spread_ms(2_000, 20_000),
            sentences::FULL,
        ));
    }
    let platform = login.platform();
    Ok(Admitted {
        login,
        user,
        platform,
        expires_at_ms,
    })
}

/// Whether a user's other devices have as many sessions here as may be. Logins that run at the same moment may pass
/// together: there are at most as many as an address may have.
fn has_too_many_sessions(shared: &Shared, user: UserId, device_id: &str) -> bool {
    let sessions = shared.users.of(user);
    let others = sessions.iter().filter(|session| *session.device_id != *device_id);
    others.count() >= shared.settings.sessions_per_user as usize
}

fn too_many_attempts() -> Refused {
    bye_until(
        ByeReason::TooManyAttempts,
        spread_ms(60_000, 90_000),
        sentences::TOO_MANY_ATTEMPTS,
    )
}

async fn check_password(
    shared: &Shared,
    user: Option<UserId>,
    login: &Login,
) -> Result<Option<i64>, Refused> {
    let hash = hash_password(&login.password);
    let user = user.unwrap_or(UserId::from_database(0));
    shared
        .backplane
        .check_im_password(user, &login.device_id, &hash, clock::now_ms())
        .await
        .map_err(|Unavailable| unavailable())
}

fn unavailable() -> Refused {
    bye_until(
        ByeReason::Unavailable,
        spread_ms(1_000, 5_000),
        sentences::CANNOT_CHECK,
    )
}

/// Makes the session known, then answers. In this order: whatever ends the device's logins from now on finds it.
async fn establish(
    shared: &Arc<Shared>,
    newcomer: Newcomer,
    request_id: u64,
    admitted: Admitted,
) -> Option<Established> {
    let Admitted {
        login,
        user,
        platform,
        expires_at_ms,
    } = admitted;
    let backplane = &shared.backplane;
    let Ok(generation) = backplane.claim_session(user, &login.device_id, platform).await else {
        shared.limits.end_session();
        Box::pin(tell(newcomer, unavailable())).await;
        return None;
    };
    let session = Session::new(
        shared.next_session_id(),
        user,
        login.device_id.as_str().into(),
        generation,
        platform,
        newcomer.transport,
        Outbox::new(newcomer.dress),
        expires_at_ms,
    );
    let session = Arc::new(session.speaking(newcomer.language));
    let added = shared.users.add(&session, backplane, shared.subscriber).await;
    // The device may have been logged out between the check and now; from now on a notice would reach the session.
    let checked = check_password(shared, Some(user), &login).await;
    if added.is_err() || !matches!(checked, Ok(Some(_))) {
        // A new password helps only where this one was found to be bad.
        let reason = if added.is_err() || checked.is_err() {
            ByeReason::Unavailable
        } else {
            ByeReason::AuthFailed
        };
        session.end(reason, spread_ms(1_000, 5_000), &sentences::NOT_COMPLETED);
    } else {
        shared.journal.notify(
            user,
            &UserNotice::Replaced {
                device_id: login.device_id,
                generation: generation.0,
            },
        );
        let max_frame_bytes = shared.settings.max_frame_bytes;
        session.answer(
            request_id,
            Body::LoginOk(LoginOk {
                session_id: session.id,
                server_time_ms: clock::now_ms(),
                expires_at_ms,
                heartbeat_s: shared.settings.heartbeat_s,
                max_frame_bytes,
            }),
        );
        tracing::debug!(
            session = session.id,
            user = user.get(),
            app_version = login.app_version,
            "logged in"
        );
    }
    Some(Established {
        session,
        rest: newcomer.input,
        websocket: newcomer.websocket,
    })
}

/// Says Bye on a connection that has no session.
async fn tell(newcomer: Newcomer, refused: Refused) {
    let (bye, close) = match refused {
        Refused::Silent => return,
        Refused::Closed(close) => (None, close),
        Refused::Bye {
            reason,
            retry_after_ms,
            detail,
            field,
            close,
        } => {
            metrics::counter!("huizhen_im_byes_total", "reason" => reason.as_str_name()).increment(1);
            let bye = Bye {
                reason: reason as i32,
                retry_after_ms,
                detail: detail.text(newcomer.language).into(),
                field: field.into(),
            };
            (Some(frame::server(0, Body::Bye(bye))), Some(close))
        }
    };
    let outbox = Outbox::new(newcomer.dress);
    outbox.end(bye, false, close);
    let _ = tokio::time::timeout(BYE_LIMIT, finish(&newcomer.transport, &outbox)).await;
}

/// Writes what an ended outbox still holds, then waits for the peer to hang up: closing a socket with unread bytes in it
/// would take back what has been written.
pub(crate) async fn finish(transport: &Transport, outbox: &Outbox) {
    while !outbox.flush(transport) {
        if outbox.is_broken() || transport.writable().await.is_err() {
            return;
        }
    }
    transport.end_writing();
    let mut buffer = [0; 2048];
    loop {
        match transport.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if transport.readable().await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}
