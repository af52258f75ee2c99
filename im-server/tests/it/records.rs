//! A fleet on which records change as REST changes them, or behind the nodes' backs.

use std::net::SocketAddr;

use journal::record::{Event, NewParticipant, Shown, Unpublished};
use proto::{
    ConversationId, UserId,
    wire::{Role, StatusEvent},
};

use super::{
    app::App,
    fleet::{Fleet, Ports, now_ms, participant},
};

impl Ports {
    pub fn ws(&self) -> SocketAddr {
        self.0[1]
    }

    pub fn tls(&self) -> SocketAddr {
        self.0[2]
    }
}

impl Fleet {
    pub async fn start() -> Self {
        Self::start_with(&[], 1).await
    }

    /// Runs statements past the nodes.
    pub async fn execute(&self, on_sqlite: &'static str, on_postgres: &'static str) {
        match self.journal.database().engine() {
            database::Engine::Sqlite(sqlite) => {
                let outcome: Result<(), database::Error> = sqlite
                    .write(move |connection| Ok(connection.execute_batch(on_sqlite)?))
                    .await;
                outcome.unwrap();
            }
            database::Engine::Postgres(_) => {
                let row = self
                    .journal
                    .database()
                    .query_first("SELECT current_database()::text", Vec::new());
                let database = row.await.unwrap().unwrap().get::<String>(0).unwrap();
                let psql = move || testkit::postgres::Postgres::shared().psql(&database, on_postgres);
                tokio::task::spawn_blocking(psql).await.unwrap().unwrap();
            }
        }
    }

    /// Records what happened, as REST does.
    pub async fn record(&self, conversation: i64, event: Event) -> i64 {
        let unpublished = self.record_unheard(conversation, event).await;
        let seq = unpublished.last_seq().unwrap().get();
        self.journal.publish(unpublished);
        seq
    }

    /// Records it, and no node hears of it, as when the backplane loses what is published.
    pub async fn record_unheard(&self, conversation: i64, event: Event) -> Unpublished {
        let journal = self.journal.clone();
        let id = ConversationId::from_database(conversation);
        let now_ms = now_ms();
        let recorded = self.journal.database().transaction(move |tx| {
            Box::pin(async move {
                journal
                    .record(tx, id, UserId::from_database(1), event, now_ms)
                    .await
            })
        });
        recorded.await.unwrap()
    }

    pub async fn join(&self, conversation: i64, user: i64, role: Role) -> i64 {
        self.record(conversation, Event::Joined(participant(user, role)))
            .await
    }

    /// A doctor is brought in, who sees everything.
    pub async fn bring_in(&self, conversation: i64, user: i64) -> i64 {
        let doctor = NewParticipant {
            title: "主治医师".into(),
            photo: "media:57".into(),
            history: Shown::All,
            ..participant(user, Role::Doctor)
        };
        self.record(conversation, Event::Joined(doctor)).await
    }

    pub async fn leave(&self, conversation: i64, user: i64) -> i64 {
        self.record(conversation, Event::Left(UserId::from_database(user)))
            .await
    }

    pub async fn join_unheard(&self, conversation: i64, user: i64) -> i64 {
        let joined = Event::Joined(participant(user, Role::Assistant));
        let unpublished = self.record_unheard(conversation, joined).await;
        unpublished.last_seq().unwrap().get()
    }

    pub async fn leave_unheard(&self, conversation: i64, user: i64) -> i64 {
        let left = Event::Left(UserId::from_database(user));
        let unpublished = self.record_unheard(conversation, left).await;
        unpublished.last_seq().unwrap().get()
    }

    pub async fn close(&self, conversation: i64) -> i64 {
        let status = StatusEvent {
            status: "finished".into(),
            open: false,
            ..StatusEvent::default()
        };
        self.record(conversation, Event::Status(status)).await
    }

    /// An app that has connected to the first node.
    pub async fn connect(&self) -> App {
        App::connect(self.ports().tcp()).await
    }

    pub async fn log_in(&self, user: i64, device: &str) -> App {
        self.log_in_on(0, user, device).await
    }
}
