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
    client::{Address, Connection},
    wire::{
        Bye, ByeReason, ClientFrame, ConversationKind, Entry, ErrorCode, Login, LoginOk, Platform, Role,
        Send, SendOk, ServerFrame, StatusEvent, Sync, SyncDone, client_frame::Body as Request,
        server_frame::Body,
    },
};
use testkit::store::Place;
use tokio::net::TcpListener;

/// How long anything awaited may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

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
        let place = super::STORE.place(crate::migrated).await;
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

    /// Makes a consult conversation with these people.
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

    /// Two people: patient 1 and doctor 2.
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

    /// An app that has logged in on a node; as apps do, it comes back when it is told that something is away just now.
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

pub fn login(user: i64, device: &str, password: &str) -> Login {
    Login {
        protocol_version: proto::PROTOCOL_VERSION,
        user_id: user,
        password: password.into(),
        device_id: device.into(),
        platform: Platform::Android as i32,
        app_version: "test 1".into(),
        ..Login::default()
    }
}

/// One connection of an app, frame by frame.
pub struct App {
    pub connection: Connection,
    next_request: u64,
    /// Entries that came while something else was awaited.
    pub entries: Vec<Entry>,
}

impl App {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(Connection::connect(&Address::tcp(address)).await.unwrap())
    }

    pub fn over(connection: Connection) -> Self {
        Self {
            connection,
            next_request: 1,
            entries: Vec::new(),
        }
    }

    pub async fn send(&mut self, body: Request) -> u64 {
        let request_id = self.next_request;
        self.next_request += 1;
        // A node that has said Bye may have hung up; what it said is still read.
        let _ = self
            .connection
            .send(&ClientFrame {
                request_id,
                body: Some(body),
            })
            .await;
        request_id
    }

    /// The next frame; none at the end of the connection.
    pub async fn receive(&mut self) -> Option<ServerFrame> {
        let frame = tokio::time::timeout(PATIENCE, self.connection.receive()).await;
        frame.expect("a frame within the time").ok().flatten()
    }

    /// The next frame that is no entry; entries are kept.
    pub async fn next(&mut self) -> ServerFrame {
        loop {
            match self.receive().await.expect("the connection is open") {
                ServerFrame {
                    body: Some(Body::Entry(entry)),
                    ..
                } => self.entries.push(entry),
                frame => return frame,
            }
        }
    }

    /// Sends a request and gives its answer, or the Bye that comes instead; entries are kept, other frames passed over.
    pub async fn ask(&mut self, body: Request) -> Body {
        let request_id = self.send(body).await;
        loop {
            let frame = self.next().await;
            if frame.request_id == request_id || matches!(frame.body, Some(Body::Bye(_))) {
                return frame.body.unwrap();
            }
        }
    }

    pub async fn log_in(&mut self, user: i64, device: &str, password: &str) -> LoginOk {
        match self.ask(Request::Login(login(user, device, password))).await {
            Body::LoginOk(ok) => ok,
            other => panic!("no LoginOk but {other:?}"),
        }
    }

    /// Syncs with nothing, and gives the frames before SyncDone that are no entries.
    pub async fn sync_all(&mut self) -> SyncDone {
        self.sync(Sync::default()).await.1
    }

    pub async fn sync(&mut self, sync: Sync) -> (Vec<proto::wire::Conversation>, SyncDone) {
        let request_id = self.send(Request::Sync(sync)).await;
        let mut conversations = Vec::new();
        loop {
            match self.next().await {
                ServerFrame {
                    body: Some(Body::Conversation(conversation)),
                    ..
                } => conversations.push(conversation),
                ServerFrame {
                    request_id: answered,
                    body: Some(Body::SyncDone(done)),
                } if answered == request_id => {
                    return (conversations, done);
                }
                ServerFrame {
                    body: Some(Body::Error(error)),
                    ..
                } => panic!("{error:?}"),
                _ => {}
            }
        }
    }

    pub async fn say(&mut self, conversation: i64, id: &str, text: &str) -> Result<SendOk, ErrorCode> {
        self.say_as(message(conversation, id, text)).await
    }

    pub async fn say_as(&mut self, send: Send) -> Result<SendOk, ErrorCode> {
        match self.ask(Request::Send(send)).await {
            Body::SendOk(ok) => Ok(ok),
            Body::Error(error) => Err(error.code()),
            other => panic!("no answer to Send but {other:?}"),
        }
    }

    /// The code of the error that answers a request.
    pub async fn refused(&mut self, body: Request) -> (ErrorCode, String) {
        match self.ask(body).await {
            Body::Error(error) => (error.code(), error.field),
            other => panic!("not refused but {other:?}"),
        }
    }

    /// The next entry.
    pub async fn entry(&mut self) -> Entry {
        while self.entries.is_empty() {
            if let Some(Body::Entry(entry)) = self.receive().await.expect("the connection is open").body {
                self.entries.push(entry);
            }
        }
        self.entries.remove(0)
    }

    /// The seqs of the next entries.
    pub async fn seqs(&mut self, count: usize) -> Vec<i64> {
        let mut seqs = Vec::new();
        for _ in 0..count {
            seqs.push(self.entry().await.seq);
        }
        seqs
    }

    /// The Bye that ends the connection, and nothing after it.
    pub async fn bye(&mut self) -> Bye {
        loop {
            match self.receive().await.expect("a Bye before the end").body {
                Some(Body::Bye(bye)) => {
                    assert!(self.receive().await.is_none(), "nothing after Bye");
                    return bye;
                }
                _ => continue,
            }
        }
    }

    /// Proves that nothing came: whatever was on its way stands before the answer to a Ping.
    pub async fn nothing_came(&mut self) {
        let pong = self.ask(Request::Ping(proto::wire::Ping {})).await;
        assert!(matches!(pong, Body::Pong(_)));
        assert_eq!(self.entries, [], "nothing was to come");
    }
}

pub fn message(conversation: i64, id: &str, text: &str) -> Send {
    Send {
        conversation_id: conversation,
        client_msg_id: id.into(),
        mime_type: "text/plain".into(),
        body: text.to_owned().into(),
        ..Default::default()
    }
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what}: not within {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
