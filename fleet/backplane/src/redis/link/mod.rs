//! One connection that is kept: reconnected for ever, pinged each second, given up at once when it does not answer.

mod kept;
mod live;
mod outage;
mod source;

use std::{sync::Arc, time::Duration};

use ::redis::{PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use telemetry::{
    events::backplane::CONNECTIONS,
    task::{self, Name, Stopped},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{kept::Kept, live::Live, outage::Outage, source::Source};
use crate::Unavailable;

/// How long a command waits for a connection that is being made.
const LINK_WAIT: Duration = Duration::from_millis(300);
const BACKOFF: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
];
/// The wait before a server that was a replica is connected to again.
const REPLICA_PAUSE: Duration = Duration::from_millis(500);

/// Takes pushes; it must only hand over.
pub(crate) type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// A connection that is kept.
pub(crate) struct Link {
    current: watch::Receiver<Option<Arc<Live>>>,
}

impl Link {
    /// Keeps a connection until `stop`.
    pub(crate) fn keep(
        kept: Kept,
        source: Source,
        outage: Arc<Outage>,
        on_push: OnPush,
        stop: CancellationToken,
    ) -> Self {
        let (sender, current) = watch::channel(None);
        task::vital(Name::RedisLink, async move {
            let keeping = keep(&kept, &source, &outage, on_push, &sender);
            tokio::select! {
                () = stop.cancelled() => {}
                () = keeping => {}
            }
            sender.send_replace(None);
            Stopped
        });
        Self { current }
    }

    /// The connection, now.
    pub(crate) fn now(&self) -> Option<Arc<Live>> {
        self.current.borrow().clone().filter(|live| !live.is_broken())
    }

    /// The connection; waits a moment for one that is being made.
    pub(crate) async fn live(&self) -> Result<Arc<Live>, Unavailable> {
        if let Some(live) = self.now() {
            return Ok(live);
        }
        let mut current = self.current.clone();
        let found = timeout(
            LINK_WAIT,
            current.wait_for(|live| live.as_ref().is_some_and(|live| !live.is_broken())),
        )
        .await;
        match found {
            Ok(Ok(live)) => live.clone().ok_or(Unavailable),
            _ => Err(Unavailable),
        }
    }

    /// Changes with the connection.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Arc<Live>>> {
        self.current.clone()
    }
}

async fn keep(
    kept: &Kept,
    source: &Source,
    outage: &Outage,
    on_push: OnPush,
    sender: &watch::Sender<Option<Arc<Live>>>,
) {
    let name = kept.name;
    let _wanted = kept.count(&kept.wanted);
    let (mut number, mut failures) = (0, 0);
    loop {
        let ended = Arc::new(Notify::new());
        let (ends, hands_on) = (ended.clone(), on_push.clone());
        let connection = source
            .connect(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    ends.notify_one();
                } else {
                    hands_on(push);
                }
            })
            .await;
        match usable(connection).await {
            Ok((connection, place)) => {
                if failures > 0 {
                    outage.ends();
                }
                (number, failures) = (number + 1, 0);
                CONNECTIONS.increment(name);
                let live = Arc::new(Live::new(connection, number));
                let standing = kept.count(&kept.standing);
                sender.send_replace(Some(live.clone()));
                tokio::select! {
                    () = live.until_broken(&ended) => {}
                    () = source.until_moved(place.as_ref()) => {}
                }
                live.give_up();
                drop(standing);
                sender.send_replace(None);
                if live.is_to_replica() {
                    // The next connection may reach its master.
                    tokio::time::sleep(REPLICA_PAUSE).await;
                } else {
                    tracing::debug!(link = name, "a connection to Redis is gone");
                }
            }
            Err(error) => {
                if failures == 0 {
                    outage.begins(&error);
                }
                tokio::time::sleep(BACKOFF[failures.min(BACKOFF.len() - 1)]).await;
                failures += 1;
            }
        }
    }
}

/// Checks a connection: a server that is loading, or is cut off from its master, accepts connections and no commands.
async fn usable<P>(
    connection: Result<(MultiplexedConnection, P), RedisError>,
) -> Result<(MultiplexedConnection, P), RedisError> {
    let (mut connection, place) = connection?;
    ::redis::cmd("PING").query_async::<Value>(&mut connection).await?;
    Ok((connection, place))
}
