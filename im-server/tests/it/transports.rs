//! The same frames over WebSocket and TLS, judged by other implementations.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use prost::Message;
use proto::{
    client::{Address, Connection, Tls},
    wire::{ClientFrame, ServerFrame, Sync, client_frame::Body as Request, server_frame::Body},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, tungstenite};

use super::fleet::{App, Fleet, PATIENCE, login, message};

async fn ask(socket: &mut WebSocketStream<TcpStream>, request_id: u64, body: Request) -> Vec<ServerFrame> {
    let frame = ClientFrame {
        request_id,
        body: Some(body),
    }
    .encode_to_vec();
    socket
        .send(tungstenite::Message::Binary(frame.into()))
        .await
        .unwrap();
    let mut came = Vec::new();
    loop {
        let next = tokio::time::timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let tungstenite::Message::Binary(bytes) = next else {
            continue;
        };
        let frame = ServerFrame::decode(&bytes[..]).unwrap();
        let last = frame.request_id == request_id;
        came.push(frame);
        if last {
            return came;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_websocket_client_chats() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut doctor = fleet.app(2, "pad").await;
    let stream = TcpStream::connect(fleet.ports().ws).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://localhost/", stream)
        .await
        .unwrap();
    let password = fleet.password(1, "web").await;
    let came = ask(&mut socket, 1, Request::Login(login(1, "web", &password))).await;
    assert!(matches!(came[0].body, Some(Body::LoginOk(_))));
    socket
        .send(tungstenite::Message::Ping("are you there".into()))
        .await
        .unwrap();
    let pong = tokio::time::timeout(PATIENCE, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(pong, tungstenite::Message::Pong("are you there".into()));
    ask(&mut socket, 2, Request::Sync(Sync::default())).await;
    // Lengths that are written in 1, 2 and 8 bytes.
    for (at, length) in [1, 125, 126, 65_000].into_iter().enumerate() {
        let text = "x".repeat(length);
        let came = ask(
            &mut socket,
            3,
            Request::Send(message(consult, &format!("{at}"), &text)),
        )
        .await;
        assert!(
            came.iter()
                .any(|frame| matches!(frame.body, Some(Body::SendOk(_))))
        );
        let mut entry = doctor.entry().await;
        if entry.seq == 2 {
            entry = doctor.entry().await;
        }
        assert_eq!(entry.body.len(), length);
    }
    doctor.say(consult, "d", &"y".repeat(65_400)).await.unwrap();
    let entry = loop {
        let next = tokio::time::timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        if let Some(Body::Entry(entry)) = ServerFrame::decode(&next.into_data()[..]).unwrap().body
            && entry.sender_id == 2
        {
            break entry;
        }
    };
    assert_eq!(entry.body.len(), 65_400);
    socket.close(None).await.unwrap();
    super::fleet::eventually("the session has ended", async || fleet.nodes[0].0.sessions() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_message_or_a_long_one_ends_a_websocket_with_a_bye() {
    let fleet = Fleet::start().await;
    for bad in [
        tungstenite::Message::Text("hello".into()),
        tungstenite::Message::Binary(vec![0; 2_000].into()),
    ] {
        let stream = TcpStream::connect(fleet.ports().ws).await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async("ws://localhost/", stream)
            .await
            .unwrap();
        socket.send(bad).await.unwrap();
        let next = tokio::time::timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let frame = ServerFrame::decode(&next.into_data()[..]).unwrap();
        assert!(
            matches!(frame.body, Some(Body::Bye(bye)) if bye.reason() == proto::wire::ByeReason::BadFrame)
        );
        let end = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        assert!(matches!(end, Some(Ok(tungstenite::Message::Close(_)))), "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_upgrade_is_told_so() {
    let fleet = Fleet::start().await;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(fleet.ports().ws).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_and_websocket_travel_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (chain, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let flags = [
        "--tls-cert",
        chain.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let fleet = Fleet::start_with(&flags, 1).await;
    let consult = fleet.consult().await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = Tls {
        config: Arc::new(config),
        server_name: "localhost".try_into().unwrap(),
    };
    let address = Address {
        address: fleet.ports().tls,
        tls: Some(tls.clone()),
    };
    let mut patient = App::over(Connection::connect(&address).await.unwrap());
    let password = fleet.password(1, "phone").await;
    patient.log_in(1, "phone", &password).await;
    patient.sync_all().await;
    let long = "x".repeat(65_000);
    for at in 0..20 {
        patient.say(consult, &format!("{at}"), &long).await.unwrap();
    }
    assert_eq!(patient.seqs(22).await, (1..=22).collect::<Vec<_>>());

    let stream = TcpStream::connect(fleet.ports().tls).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(tls.config);
    let stream = connector.connect(tls.server_name, stream).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("wss://localhost/", stream)
        .await
        .unwrap();
    let password = fleet.password(2, "web").await;
    let login = ClientFrame {
        request_id: 1,
        body: Some(Request::Login(login(2, "web", &password))),
    };
    socket
        .send(tungstenite::Message::Binary(login.encode_to_vec().into()))
        .await
        .unwrap();
    let next = tokio::time::timeout(PATIENCE, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(matches!(
        ServerFrame::decode(&next.into_data()[..]).unwrap().body,
        Some(Body::LoginOk(_))
    ));
}
