//! From a connection to a session: one function for TCP, TLS and WebSocket. Only a logged-in connection becomes a
//! session, so nothing else can make requests.

mod admit;
mod first_frame;
mod forwarded;
mod handshake;
pub(crate) mod listen;
mod newcomer;
mod origin;
mod refused;

use std::{
    future::{Future, poll_fn},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use proto::wire::ByeReason;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use self::refused::{bye, bye_until};
use crate::{
    connection::{Connection, Established},
    sentences,
    settings::Door,
    shared::{Shared, spread_ms},
};

// protocol: "It must be complete within 5 s"
/// Longest login, handshakes included. Slow bytes do not extend it.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);

/// Longest handshakes of a connection beyond the limit of its address: they lead to a Bye and to nothing else.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(crate) fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: IpAddr,
    door: Door,
) -> impl Future<Output = ()> + Send {
    // Boxed, so that the memory of a login is freed at its end.
    let login = Box::pin(log_in(shared.clone(), stream, peer, door));
    async move {
        let Some(established) = login.await else {
            return;
        };
        let mut connection = Connection::new(shared, established);
        poll_fn(|cx| connection.poll(cx)).await;
        // Boxed, so that it does not enlarge every idle connection.
        Box::pin(connection.end()).await;
    }
}

// protocol: "The answer is LoginOk, or a Bye"
// protocol: "Login | LoginOk, or Bye"
/// Logs a connection in; `None` when it failed and its app has received the reason.
async fn log_in(shared: Arc<Shared>, mut stream: TcpStream, peer: IpAddr, door: Door) -> Option<Established> {
    let shared = &shared;
    let mut deadline = Instant::now() + LOGIN_LIMIT;
    let origin = timeout_at(deadline, origin::read(shared, &mut stream, peer, door)).await;
    let address = origin.ok().flatten()?;
    // Behind a proxy for WebSocket the head names the client's address.
    let mut place = None;
    let mut refusal = None;
    if !origin::is_in_head(shared, address, door) {
        place = shared.limits.connection(address);
        // Without a handshake there is nothing to wait for.
        if place.is_none() && door != Door::Tcp {
            refusal = Some(shared.limits.refusal()?);
            deadline = deadline.min(Instant::now() + REFUSAL_LIMIT);
        }
    }
    let mut newcomer = match timeout_at(deadline, newcomer::open(shared, stream, address, door)).await {
        Ok(Ok(newcomer)) => newcomer,
        _ => return None,
    };
    drop(refusal);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;

    fn future_bytes<A, B, C, D, F: Future>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// An idle connection is multiplied by a million. Beyond these sizes a task (with 104 bytes of the runtime, in
    /// steps of 128) and a session (with its counts, up to 320) reach the allocator's next size class.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(future_bytes(serve) <= 264, "{}", future_bytes(serve));
        assert!(size_of::<Session>() <= 304, "{}", size_of::<Session>());
    }
}
