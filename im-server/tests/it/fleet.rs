//! Nodes on free ports over one database and one backplane, and apps that talk to them.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use backplane::{Backplane, hash_password};
use clap::Parser;
use database::Database;
use im_server::{Listeners, Node, Settings};
use journal::{
    Journal,
    record::{NewConversation, NewParticipant, Shown},
};
use program::address::ProxySettings;
use proto::{
    ConversationId, UserId,
    wire::{ByeReason, ConversationKind, Role, client_frame::Body as Request, server_frame::Body},
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

/// A node's addresses: of TCP, WebSocket and TLS.
#[derive(Clone, Copy)]
pub struct Ports(pub [SocketAddr; 3]);

impl Ports {
    pub fn tcp(&self) -> SocketAddr {
        self.0[0]
    }
}

pub struct Fleet {
    pub journal: Journal,
    pub backplane: Backplane,
    pub nodes: Vec<(Node, Ports)>,
    next_conversation: AtomicI64,
    _place: Place,
}

impl Fleet {
    /// Nodes with these flags.
    pub async fn start_with(flags: &[&str], nodes: usize) -> Self {
        Self::start_on(super::STORE.place(crate::migrated).await, flags, nodes).await
    }

    /// Nodes over this database.
    pub async fn start_on(place: Place, flags: &[&str], nodes: usize) -> Self {
        let database = Database::open(place.url()).await.unwrap();
        let mut fleet = Self::over(Journal::new(database, Backplane::memory()), place);
        for _ in 0..nodes {
            fleet.add_node(flags).await;
        }
        fleet
    }

    /// Without nodes.
    pub fn over(journal: Journal, place: Place) -> Self {
        Self {
            backplane: journal.backplane().clone(),
            journal,
            nodes: Vec::new(),
            next_conversation: AtomicI64::new(1),
            _place: place,
        }
    }

    pub async fn add_node(&mut self, flags: &[&str]) {
        self.add_node_over(self.journal.clone(), flags).await;
    }

    pub async fn add_node_over(&mut self, journal: Journal, flags: &[&str]) {
        let bind = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
        let (tcp, ws, tls) = (bind().await, bind().await, bind().await);
        let ports = Ports([&tcp, &ws, &tls].map(|listener| listener.local_addr().unwrap()));
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

    /// An IM password of a device.
    pub async fn password(&self, user: i64, device: &str) -> String {
        self.password_for(user, device, 3_600_000).await
    }

    pub async fn password_for(&self, user: i64, device: &str, lasts_ms: i64) -> String {
        let password = format!("{user}-{device}-{}", now_ms().saturating_add(lasts_ms));
        self.backplane
            .put_im_password(
                UserId::from_database(user),
                device,
                hash_password(&password),
                lasts_ms,
            )
            .await
            .unwrap();
        password
    }

    pub async fn log_in_on(&self, node: usize, user: i64, device: &str) -> App {
        self.log_in_at(self.nodes[node].1.tcp(), user, device).await
    }

    /// An app logged in on a node; it retries while the node is unavailable, as apps do.
    pub async fn log_in_at(&self, node: SocketAddr, user: i64, device: &str) -> App {
        let password = self.password(user, device).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut app = App::connect(node).await;
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

/// A participant who joins, and sees the entries from then on.
pub fn participant(user: i64, role: Role) -> NewParticipant {
    NewParticipant {
        history: Shown::FromNow,
        ..NewParticipant::new(UserId::from_database(user), role, format!("person {user}"))
    }
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
