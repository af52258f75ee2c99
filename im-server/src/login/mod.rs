//! From a connection to a session: one function for TCP, TLS and WebSocket. Only a logged-in connection becomes a
//! [`Session`], so nothing else can make requests.

mod admit;
mod first_frame;
mod forwarded;
pub(crate) mod listen;
mod newcomer;
mod origin;
mod refused;

use std::{net::IpAddr, sync::Arc, time::Duration};

use proto::wire::ByeReason;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use self::refused::{bye, bye_until};
use crate::{
    node::{
        sentences,
        shared::{Shared, spread_ms},
    },
    session::Session,
    settings::Door,
    transport::websocket,
};

/// Longest login, handshakes included. Slow bytes do not extend it.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Established {
    pub(crate) session: Arc<Session>,
    /// Bytes behind the login.
    pub(crate) rest: Vec<u8>,
    /// The state of WebSocket framing.
    pub(crate) websocket: Option<Box<websocket::Reader>>,
}

/// Logs a connection in; `None` when it failed and its app has received the reason.
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
    // Behind a proxy for WebSocket the head names the client's address.
    let mut place = None;
    if !origin::is_in_head(shared, address, door) {
        place = shared.limits.connection(address);
    }
    let mut newcomer = match timeout_at(deadline, newcomer::open(shared, stream, address, door)).await {
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
        Some(place) => match timeout_at(deadline, first_frame::first_frame(shared, &mut newcomer)).await {
            Err(_) => Err(bye(ByeReason::NotLoggedIn, sentences::no_login(LOGIN_LIMIT))),
            Ok(Err(refused)) => Err(refused),
            Ok(Ok((request_id, login))) => admit::admit(shared, address, login)
                .await
                .map(|admitted| (request_id, admitted, place)),
        },
    };
    match outcome {
        // Dropping the place frees it: a session counts by user.
        Ok((request_id, admitted, _place)) => admit::establish(shared, newcomer, request_id, admitted).await,
        Err(refused) => {
            // Boxed: only refused logins need the buffer, and a login storm should not hold one each.
            Box::pin(refused::send_bye(newcomer, refused)).await;
            None
        }
    }
}
