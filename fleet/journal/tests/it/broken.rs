//! A world on a PostgreSQL instance of its own, which the test breaks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use journal::Error;
use proto::ConversationId;
use testkit::{
    postgres::{Options, Postgres},
    store::Place,
};

use crate::world::{World, migrated, text};

/// The wire promises an answer within 5 s. The rest is for a busy machine; without our limit a send
/// would wait for as long as the server hangs.
pub(crate) const ANSWER: Duration = Duration::from_secs(20);
/// How long anything awaited may take, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// A world on an instance of its own, which the test breaks.
pub(crate) struct Broken {
    pub(crate) postgres: Arc<Postgres>,
    pub(crate) world: World,
}

impl Broken {
    pub(crate) async fn new() -> Self {
        Self::on(|url| Place::on_server(url.to_owned())).await
    }

    pub(crate) async fn on(place: impl FnOnce(&str) -> Place) -> Self {
        let postgres = Arc::new(Postgres::start(Options::default()).unwrap());
        let url = postgres.empty_database().unwrap();
        migrated(url.clone()).await.unwrap();
        let world = World::on(place(&url)).await;
        Self { postgres, world }
    }

    /// Waits until a query returns this.
    pub(crate) async fn eventually(&self, sql: &str, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.psql(sql) != wanted {
            assert!(Instant::now() < deadline, "{sql} never gives {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn psql(&self, sql: &str) -> String {
        tokio::task::block_in_place(|| self.postgres.psql(self.world.place.database(), sql).unwrap())
    }

    pub(crate) async fn send(
        &self,
        conversation: ConversationId,
        id: &str,
    ) -> Result<journal::append::Accepted, Error> {
        let asked = Instant::now();
        let outcome = self.world.send(text(conversation, 1, id, id)).await;
        assert!(asked.elapsed() < ANSWER, "answered after {:?}", asked.elapsed());
        outcome
    }

    pub(crate) async fn send_until_accepted(
        &self,
        conversation: ConversationId,
        id: &str,
    ) -> journal::append::Accepted {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.send(conversation, id).await {
                Ok(accepted) => return accepted,
                Err(Error::Database(_)) => assert!(Instant::now() < deadline),
                Err(error) => panic!("{error}"),
            }
        }
    }
}
