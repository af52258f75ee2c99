//! Nodes on free ports over one database and one backplane, and apps that talk to them.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use backplane::{Backplane, Identity, hash_password};
use clap::Parser;
use database::Database;
use im_server::{Listeners, Node, Settings};
use journal::{
    Journal,
    record::{Event, NewConversation, NewParticipant, Unpublished},
};
use program::address::ProxySettings;
use proto::{
    ConversationId, UserId,
    wire::{
        ByeReason, ConversationKind, Role, StatusEvent, client_frame::Body as Request, server_frame::Body,
    },
};
use testkit::{PATIENCE, store::Place};
use tokio::net::TcpListener;

use super::app::{App, login};

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    proxies: ProxySettings,
}

/// Settings as flags make them.
pub fn settings(flags: &[&str]) -> Settings {
    let Flags { settings, proxies } = Flags::parse_from(["test"].iter().chain(flags));
    Settings {
        trusted_proxies: proxies.trusted_proxies,
        ..settings
    }
}

/// A node's addresses.
#[derive(Clone, Copy)]
pub struct Ports {
    pub tcp: SocketAddr,
    pub ws: SocketAddr,
    pub tls: SocketAddr,
}

/// Of nodes that share a Redis.
const IDENTITY: Identity = Identity::new(1, [1; 32]);

/// The name of a key or channel in Redis.
#[allow(dead_code, reason = "a database in a file is one process's")]
pub fn named(name: &str) -> String {
    format!("huizhen:{}:{name}", IDENTITY.id())
}

pub struct Fleet {
    pub journal: Journal,
    pub backplane: Backplane,
    pub nodes: Vec<(Node, Ports)>,
    next_conversation: AtomicI64,
    place: Place,
}

impl Fleet {
    pub async fn start() -> Self {
        Self::start_with(&[], 1).await
    }

    /// Nodes with these flags.
    pub async fn start_with(flags: &[&str], nodes: usize) -> Self {
        Self::start_on(super::STORE.place(crate::migrated).await, flags, nodes).await
    }

    /// Nodes over this database.
    pub async fn start_on(place: Place, flags: &[&str], nodes: usize) -> Self {
        let backplane = Backplane::memory();
        let journal = Journal::new(Database::open(place.url()).await.unwrap(), backplane.clone());
        let mut fleet = Self {
            journal,
            backplane,
            nodes: Vec::new(),
            next_conversation: AtomicI64::new(1),
            place,
        };
        for _ in 0..nodes {
            fleet.add_node(flags).await;
        }
        fleet
    }

    /// Nodes that share a database and a Redis and nothing else; the fleet's own handles stand for an api-server.
    #[allow(dead_code, reason = "a database in a file is one process's")]
    pub async fn start_apart(redis_url: &str, nodes: usize) -> Self {
        let place = super::STORE.place(crate::migrated).await;
        let open = async || {
            let backplane = Backplane::open(redis_url, &IDENTITY).await.unwrap();
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while !backplane.is_available().await {
                assert!(tokio::time::Instant::now() < deadline, "Redis is there");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Journal::new(Database::open(place.url()).await.unwrap(), backplane)
        };
        let journal = open().await;
        let mut journals = Vec::new();
        for _ in 0..nodes {
            journals.push(open().await);
        }
        let mut fleet = Self {
            backplane: journal.backplane().clone(),
            journal,
            nodes: Vec::new(),
            next_conversation: AtomicI64::new(1),
            place,
        };
        for journal in journals {
            fleet.add_node_over(journal, &[]).await;
        }
        fleet
    }

    pub async fn add_node(&mut self, flags: &[&str]) {
        self.add_node_over(self.journal.clone(), flags).await;
    }

    async fn add_node_over(&mut self, journal: Journal, flags: &[&str]) {
        let bind = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
        let (tcp, ws, tls) = (bind().await, bind().await, bind().await);
        let ports = Ports {
            tcp: tcp.local_addr().unwrap(),
            ws: ws.local_addr().unwrap(),
            tls: tls.local_addr().unwrap(),
        };
        let listeners = Listeners {
            tcp,
            ws: Some(ws),
            tls: Some(tls),
        };
        let node = Node::start_with(&settings(flags), journal, listeners)
            .await
            .unwrap();
        self.nodes.push((node, ports));
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
                let database = self.place.database().to_owned();
                let psql = move || testkit::postgres::Postgres::shared().psql(&database, on_postgres);
                tokio::task::spawn_blocking(psql).await.unwrap().unwrap();
            }
        }
    }

    pub fn ports(&self) -> Ports {
        self.nodes[0].1
    }

    /// Creates a consult conversation with these participants.
    pub async fn conversation(&self, people: &[(i64, Role)]) -> i64 {
        let id = ConversationId::from_database(self.next_conversation.fetch_add(1, Ordering::Relaxed));
        let by = UserId::from_database(people[0].0);
        let new = NewConversation {
            id,
            kind: ConversationKind::Consult,
            consult_id: Some(id.get()),
            title: "a consult".into(),
            participants: people
                .iter()
                .map(|(user, role)| participant(*user, *role))
                .collect(),
        };
        let journal = self.journal.clone();
        let unpublished = self
            .journal
            .database()
            .transaction(move |tx| {
                Box::pin(async move { journal.create_conversation(tx, new, by, 1_000).await })
            })
            .await
            .unwrap();
        self.journal.publish(unpublished);
        id.get()
    }

    /// With two participants: patient 1 and doctor 2.
    pub async fn consult(&self) -> i64 {
        self.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await
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
        };
        self.record(conversation, Event::Status(status)).await
    }

    /// An IM password of a device.
    pub async fn password(&self, user: i64, device: &str) -> String {
        self.password_until(user, device, now_ms() + 3_600_000).await
    }

    pub async fn password_until(&self, user: i64, device: &str, expires_at_ms: i64) -> String {
        let password = format!("{user}-{device}-{expires_at_ms}");
        self.backplane
            .put_im_password(
                UserId::from_database(user),
                device,
                hash_password(&password),
                expires_at_ms,
            )
            .await
            .unwrap();
        password
    }

    /// An app that has connected to the first node.
    pub async fn connect(&self) -> App {
        App::connect(self.ports().tcp).await
    }

    /// An app logged in on a node; it retries while the node is unavailable, as apps do.
    pub async fn log_in_on(&self, node: usize, user: i64, device: &str) -> App {
        let password = self.password(user, device).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut app = App::connect(self.nodes[node].1.tcp).await;
            match app.ask(Request::Login(login(user, device, &password))).await {
                Body::LoginOk(_) => return app,
                Body::Bye(bye) if bye.reason() == ByeReason::Unavailable => {
                    assert!(tokio::time::Instant::now() < deadline, "{}", bye.detail);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => panic!("no LoginOk but {other:?}"),
            }
        }
    }

    pub async fn log_in(&self, user: i64, device: &str) -> App {
        self.log_in_on(0, user, device).await
    }

    /// An app that has logged in and synced.
    pub async fn app(&self, user: i64, device: &str) -> App {
        self.app_on(0, user, device).await
    }

    pub async fn app_on(&self, node: usize, user: i64, device: &str) -> App {
        let mut app = self.log_in_on(node, user, device).await;
        app.sync_all().await;
        app
    }
}

pub fn participant(user: i64, role: Role) -> NewParticipant {
    NewParticipant {
        user: UserId::from_database(user),
        role,
        name: format!("person {user}"),
    }
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
