//! From a connection to a session: one function for TCP, TLS and WebSocket. Before it has succeeded nothing else can be
//! asked for; the type that could is made here.

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

/// How long a connection may take to log in, handshakes included. Bytes that dribble do not extend it.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);

/// A connection that has logged in.
pub(crate) struct Established {
    pub(crate) session: Arc<Session>,
    /// What came behind the login.
    pub(crate) rest: Vec<u8>,
    /// What has been cut off the bytes before, in WebSocket.
    pub(crate) websocket: Option<Box<websocket::Reader>>,
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
            Err(_) => Err(bye(ByeReason::NotLoggedIn, sentences::NO_LOGIN)),
            Ok(Err(refused)) => Err(refused),
            Ok(Ok((request_id, login))) => admit::admit(shared, address, login)
                .await
                .map(|admitted| (request_id, admitted, place)),
        },
    };
    match outcome {
        // The place is given back with this: whoever has logged in counts by user.
        Ok((request_id, admitted, _place)) => admit::establish(shared, newcomer, request_id, admitted).await,
        Err(refused) => {
            // Boxed: the few that are refused need a buffer, and a storm of logins should not have one each.
            Box::pin(refused::tell(newcomer, refused)).await;
            None
        }
    }
}
