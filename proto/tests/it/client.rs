//! An app's view of its client while a scripted node comes, goes and answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proto::client::{
    Address, Backoff, Client, Connection, Directory, DirectoryError, Event, Events, Password, ReceiveError,
    RequestError, Settings, Snapshot,
};
use proto::wire::{self, ByeReason, ClientFrame, Platform, client_frame, server_frame};
use testkit::PATIENCE;
use tokio::time::timeout;

use crate::node::Node;

#[derive(Clone, Default)]
struct Asked {
    passwords: Arc<AtomicUsize>,
}

struct Fixed {
    addresses: Vec<SocketAddr>,
    asked: Asked,
    refuses: bool,
}

impl Directory for Fixed {
    async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
        Ok(self.addresses.iter().copied().map(Address::tcp).collect())
    }

    async fn password(&self) -> Result<Password, DirectoryError> {
        if self.refuses {
            return Err(DirectoryError::Refused("logged out".to_owned()));
        }
        let number = self.asked.passwords.fetch_add(1, Ordering::Relaxed);
        Ok(Password {
            password: format!("password-{number}"),
            expire_s: 3600,
        })
    }
}

fn settings() -> Settings {
    let mut settings = Settings::new(7, "phone", Platform::Ios);
    settings.backoff = Backoff {
        first: Duration::from_millis(10),
        longest: Duration::from_millis(50),
    };
    settings
}

/// An address without a listener: a closed port may go to the next test.
fn gone() -> SocketAddr {
    ([127, 0, 0, 1], 1).into()
}

fn start(node: &Node, snapshot: Snapshot) -> (Client, Events, Asked) {
    let asked = Asked::default();
    let directory = Fixed {
        addresses: vec![node.address()],
        asked: asked.clone(),
        refuses: false,
    };
    let (client, events) = Client::start(directory, settings(), snapshot);
    (client, events, asked)
}

async fn next(events: &mut Events) -> Event {
    timeout(PATIENCE, events.next())
        .await
        .unwrap()
        .expect("the client ended")
}

async fn until(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = next(events).await;
        if wanted(&event) {
            return event;
        }
    }
}

#[tokio::test]
async fn logs_in_and_tells_what_comes() {
    let node = Node::start().await;
    let (_client, mut events, _) = start(&node, Snapshot::default());
    let (mut peer, _) = node.online().await;
    peer.entries(4, 1..=300).await;
    assert!(matches!(
        next(&mut events).await,
        Event::Connected { session_id: 1 }
    ));
    assert!(matches!(next(&mut events).await, Event::Synced { .. }));
    for seq in 1..=300 {
        assert!(matches!(next(&mut events).await, Event::Entry(entry) if entry.seq == seq));
    }
    assert_eq!(events.snapshot().copies[&4].have_seq, 300);
}

// protocol: "Make a client_msg_id (a UUID, at most 64 bytes)"
// protocol: "No answer to any message within 15 s, or a broken connection"
#[tokio::test]
async fn a_send_survives_the_loss_of_its_connection() {
    let node = Node::start().await;
    let (client, mut events, asked) = start(&node, Snapshot::default());
    let id = client.send(4, "text/plain", "hello").await.unwrap();
    assert!(uuid::Uuid::parse_str(&id).is_ok() && id.len() <= 64, "{id}");
    let (mut peer, _) = node.online().await;
    let (_, first) = peer.receive_send().await;
    peer.entry(4, 9).await;
    until(&mut events, |event| matches!(event, Event::Entry(_))).await;
    drop(peer);
    let (mut peer, sync) = node.online().await;
    assert_eq!((sync.items[0].conversation_id, sync.items[0].have_seq), (4, 9));
    let (request_id, second) = peer.receive_send().await;
    assert_eq!(first, second);
    assert_eq!(second.client_msg_id, id);
    let ok = wire::SendOk {
        conversation_id: 4,
        seq: 8,
        created_ms: 1,
        duplicate: true,
    };
    peer.send(request_id, server_frame::Body::SendOk(ok)).await;
    let sent = until(&mut events, |event| matches!(event, Event::Sent { .. })).await;
    assert!(
        matches!(sent, Event::Sent { client_msg_id, seq: 8, duplicate: true, .. } if client_msg_id == id)
    );
    assert_eq!(
        asked.passwords.load(Ordering::Relaxed),
        1,
        "the password was still good"
    );
}

#[tokio::test]
async fn a_stored_snapshot_spares_what_the_app_has() {
    let node = Node::start().await;
    let (client, mut events, _) = start(&node, Snapshot::default());
    let (mut peer, _) = node.online().await;
    peer.entries(4, 1..=3).await;
    until(
        &mut events,
        |event| matches!(event, Event::Entry(entry) if entry.seq == 2),
    )
    .await;
    let stored = events.snapshot().clone();
    client.close().await.unwrap();
    assert!(peer.try_receive().await.is_none());

    let (_client, mut events, _) = start(&node, stored);
    let (mut peer, sync) = node.online().await;
    assert_eq!(
        sync.items[0].have_seq, 2,
        "the third was not handed to the app yet"
    );
    peer.entries(4, 2..=3).await;
    let entry = until(&mut events, |event| matches!(event, Event::Entry(_))).await;
    assert!(matches!(entry, Event::Entry(entry) if entry.seq == 3));
}

#[tokio::test]
async fn stays_away_when_told_to() {
    let node = Node::start().await;
    let (client, mut events, _) = start(&node, Snapshot::default());
    let (mut peer, _) = node.online().await;
    let bye = wire::Bye {
        reason: ByeReason::Replaced as i32,
        retry_after_ms: 0,
        detail: "elsewhere".to_owned(),
        ..wire::Bye::default()
    };
    peer.send(0, server_frame::Body::Bye(bye)).await;
    until(&mut events, |event| {
        matches!(event, Event::Disconnected { retry_in: None, .. })
    })
    .await;
    assert!(timeout(PATIENCE, events.next()).await.unwrap().is_none());
    timeout(PATIENCE, async {
        while client.send(4, "text/plain", "too late").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a client that has ended takes nothing");
}

#[tokio::test]
async fn gets_a_new_password_when_the_old_one_is_refused() {
    let node = Node::start().await;
    let (_client, _events, _) = start(&node, Snapshot::default());
    let mut peer = node.accept().await;
    peer.receive().await;
    let bye = wire::Bye {
        reason: ByeReason::AuthFailed as i32,
        ..wire::Bye::default()
    };
    peer.send(0, server_frame::Body::Bye(bye)).await;
    let (_, login) = node.log_in().await;
    assert_eq!(login.password, "password-1");
}

// protocol: "Open a connection to the first node"
#[tokio::test]
async fn tries_the_next_node_when_one_is_gone() {
    let node = Node::start().await;
    let gone = gone();
    let directory = Fixed {
        addresses: vec![gone, node.address()],
        asked: Asked::default(),
        refuses: false,
    };
    let (_client, mut events) = Client::start(directory, settings(), Snapshot::default());
    let (_peer, _) = node.online().await;
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected {
            retry_in: Some(_),
            ..
        }
    ));
    assert!(matches!(next(&mut events).await, Event::Connected { .. }));
}

/// A directory that puts the nodes in another order each time, as one does that spreads load.
struct Turning {
    addresses: [SocketAddr; 2],
    asked: AtomicUsize,
}

impl Directory for Turning {
    async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
        let [one, other] = self.addresses.map(Address::tcp);
        let turned = self.asked.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        Ok(if turned {
            vec![other, one]
        } else {
            vec![one, other]
        })
    }

    async fn password(&self) -> Result<Password, DirectoryError> {
        Ok(Password {
            password: "password".to_owned(),
            expire_s: 3600,
        })
    }
}

// protocol: "After a broken connection, or a Bye 1–99, wait and continue at 2"
#[tokio::test]
async fn a_node_that_is_gone_is_not_tried_again_before_the_others() {
    let node = Node::start().await;
    let gone = gone();
    let directory = Turning {
        addresses: [gone, node.address()],
        asked: AtomicUsize::new(0),
    };
    let (_client, mut events) = Client::start(directory, settings(), Snapshot::default());
    let (_peer, _) = node.online().await;
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    assert!(matches!(next(&mut events).await, Event::Connected { .. }));
}

#[tokio::test]
async fn ends_when_the_directory_refuses() {
    let directory = Fixed {
        addresses: vec![gone()],
        asked: Asked::default(),
        refuses: true,
    };
    let (_client, mut events) = Client::start(directory, settings(), Snapshot::default());
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected { retry_in: None, .. }
    ));
    assert!(timeout(PATIENCE, events.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn questions_are_answered() {
    let node = Node::start().await;
    let (client, mut events, _) = start(&node, Snapshot::default());
    let (mut peer, _) = node.online().await;
    until(&mut events, |event| matches!(event, Event::Synced { .. })).await;
    let question = client_frame::Body::History(wire::History {
        conversation_id: 4,
        before_seq: 10,
        ..wire::History::default()
    });
    let (answer, ()) = tokio::join!(client.ask(question.clone()), async {
        let asked = peer.receive().await;
        let page = wire::HistoryPage {
            conversation_id: 4,
            ..wire::HistoryPage::default()
        };
        peer.send(asked.request_id, server_frame::Body::HistoryPage(page))
            .await;
    });
    assert!(matches!(answer, Ok(server_frame::Body::HistoryPage(page)) if page.conversation_id == 4));
    let (answer, ()) = tokio::join!(client.ask(question), async {
        peer.receive().await;
        drop(peer);
    });
    assert_eq!(answer, Err(RequestError::Disconnected));
}

#[tokio::test]
async fn an_app_that_does_not_listen_still_can_send() {
    let node = Node::start().await;
    let (client, mut events, _) = start(&node, Snapshot::default());
    let (mut peer, _) = node.online().await;
    peer.entries(4, 1..=1000).await;
    client.send(4, "text/plain", "hello").await.unwrap();
    peer.receive_send().await;
    for seq in 1..=1000 {
        let entry = until(&mut events, |event| matches!(event, Event::Entry(_))).await;
        assert!(matches!(entry, Event::Entry(entry) if entry.seq == seq));
    }
}

#[tokio::test]
async fn logging_out_waits_for_the_node() {
    let node = Node::start().await;
    let (client, mut events, _) = start(&node, Snapshot::default());
    let (mut peer, _) = node.online().await;
    until(&mut events, |event| matches!(event, Event::Synced { .. })).await;
    client.logout().await.unwrap();
    assert!(matches!(
        peer.receive().await.body,
        Some(client_frame::Body::Logout(_))
    ));
    drop(peer);
    until(&mut events, |event| {
        matches!(event, Event::Disconnected { retry_in: None, .. })
    })
    .await;
}

#[tokio::test]
async fn a_bare_connection_refuses_what_no_node_may_send() {
    for bytes in [
        &[0x7f, 0xff, 0xff, 0xff][..],
        &[0, 0, 0, 2, 0xff, 0xff][..],
        &[0, 0][..],
    ] {
        let node = Node::start().await;
        let mut connection = Connection::connect(&Address::tcp(node.address())).await.unwrap();
        let mut peer = node.accept().await;
        peer.send_bytes(bytes).await;
        drop(peer);
        let error = timeout(PATIENCE, connection.receive())
            .await
            .unwrap()
            .unwrap_err();
        match bytes.len() {
            4 => assert!(matches!(error, ReceiveError::TooLong(_))),
            6 => assert!(matches!(error, ReceiveError::NotAFrame(_))),
            _ => assert!(matches!(error, ReceiveError::Io(_))),
        }
    }
}

#[tokio::test]
async fn a_bare_connection_sends_what_is_queued_in_order() {
    let node = Node::start().await;
    let mut connection = Connection::connect(&Address::tcp(node.address())).await.unwrap();
    let mut peer = node.accept().await;
    for request_id in 1..=3 {
        connection.queue(&ClientFrame {
            request_id,
            body: Some(client_frame::Body::Ping(wire::Ping {})),
        });
    }
    connection.flush().await.unwrap();
    for request_id in 1..=3 {
        assert_eq!(peer.receive().await.request_id, request_id);
    }
    drop(peer);
    assert!(
        timeout(PATIENCE, connection.receive())
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
}

// protocol: "Ignore a ServerFrame whose body you do not know"
// protocol: "Skip unknown fields."
// protocol: "Show an Entry of a kind that you do not know"
#[tokio::test]
async fn a_frame_of_a_newer_node_disturbs_nothing() {
    let node = Node::start().await;
    let (_client, mut events, _) = start(&node, Snapshot::default());
    let (mut peer, _) = node.online().await;
    until(&mut events, |event| matches!(event, Event::Synced { .. })).await;
    // Field 500: a body that no release has; field 501 beside an entry: a field that none has.
    let (body, field) = ([0xa2, 0x1f, 0x01, b'x'], [0xaa, 0x1f, 0x01, b'x']);
    peer.send_bytes(&[&[0, 0, 0, 4][..], &body].concat()).await;
    let entry = wire::ServerFrame {
        request_id: 0,
        body: Some(server_frame::Body::Entry(wire::Entry {
            conversation_id: 4,
            seq: 1,
            kind: 500,
            ..wire::Entry::default()
        })),
    };
    let bytes = [prost::Message::encode_to_vec(&entry), field.to_vec()].concat();
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    peer.send_bytes(&[&length[..], &bytes].concat()).await;
    assert!(matches!(next(&mut events).await, Event::Entry(entry) if entry.seq == 1));
    assert_eq!(events.snapshot().copies[&4].have_seq, 1);
}
