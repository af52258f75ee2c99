//! Where connections go: always to one address, or where the sentinels say that the master is now.

use ::redis::{Client, PushInfo, RedisError, aio::MultiplexedConnection};

use crate::redis::{
    sentinel::Sentinels,
    server::{self, Place},
};

/// Where connections go.
#[derive(Clone)]
pub(crate) enum Source {
    /// One server.
    Server(Client),
    /// The master of a Sentinel set.
    Sentinels(Sentinels),
}

impl Source {
    /// Makes one connection; with sentinels, to a server that says that it is a master.
    pub(crate) async fn connect(
        &self,
        on_push: impl Fn(PushInfo) + Clone + Send + Sync + 'static,
    ) -> Result<(MultiplexedConnection, Option<Place>), RedisError> {
        match self {
            Self::Server(client) => Ok((server::connect(client, on_push).await?, None)),
            Self::Sentinels(set) => {
                let (connection, place) = set.connect(on_push).await?;
                Ok((connection, Some(place)))
            }
        }
    }

    /// Returns when most sentinels say that the master is elsewhere; of one server never.
    pub(crate) async fn until_moved(&self, place: Option<&Place>) {
        match (self, place) {
            (Self::Sentinels(set), Some(place)) => set.until_moved(place).await,
            _ => std::future::pending().await,
        }
    }
}
