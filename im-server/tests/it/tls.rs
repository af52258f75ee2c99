//! The same frames over TLS, and WebSocket behind it.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use prost::Message;
use proto::{
    client::{Address, Connection, Tls},
    wire::{ClientFrame, ServerFrame, client_frame::Body as Request, server_frame::Body},
};
use testkit::PATIENCE;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

use super::{
    app::{App, login},
    fleet::Fleet,
};

// protocol: "tls_port speaks both kinds behind TLS"
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
        address: fleet.ports().tls(),
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

    // Plain HTTP is refused in HTTP, whatever its method.
    let connector = tokio_rustls::TlsConnector::from(tls.config);
    for head in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let stream = TcpStream::connect(fleet.ports().tls()).await.unwrap();
        let mut stream = connector.connect(tls.server_name.clone(), stream).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 13];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 426 ", "{head}");
    }

    let stream = TcpStream::connect(fleet.ports().tls()).await.unwrap();
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
