//! The same frames over WebSocket, judged by another implementation.

use futures_util::{SinkExt, StreamExt};
use prost::Message;
use proto::wire::{ClientFrame, ServerFrame, Sync, client_frame::Body as Request, server_frame::Body};
use testkit::{PATIENCE, eventually};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_tungstenite::{WebSocketStream, tungstenite};

use super::{
    app::{login, message},
    fleet::Fleet,
};

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

// protocol: "On WebSocket one binary message is one frame"
// protocol: "The node sends each message unfragmented"
#[tokio::test(flavor = "multi_thread")]
async fn an_independent_websocket_client_chats() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut doctor = fleet.app(2, "pad").await;
    let stream = TcpStream::connect(fleet.ports().ws()).await.unwrap();
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
    eventually("the session has ended", async || fleet.nodes[0].0.sessions() == 1).await;
}

// protocol: "Only binary messages are frames"
#[tokio::test(flavor = "multi_thread")]
async fn a_text_message_or_a_long_one_ends_a_websocket_with_a_bye() {
    let fleet = Fleet::start().await;
    for (bad, code) in [
        (tungstenite::Message::Text("hello".into()), 1003),
        (tungstenite::Message::Binary(vec![0; 2_000].into()), 1009),
    ] {
        let stream = TcpStream::connect(fleet.ports().ws()).await.unwrap();
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
        assert_eq!(closed(&mut socket).await, Some(code));
    }
}

/// The code with which the node closes; none when it names none.
async fn closed(socket: &mut WebSocketStream<TcpStream>) -> Option<u16> {
    loop {
        let next = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        match next.expect("a close frame before the end").unwrap() {
            tungstenite::Message::Close(frame) => return frame.map(|frame| frame.code.into()),
            _ => continue,
        }
    }
}

async fn websocket(fleet: &Fleet) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(fleet.ports().ws()).await.unwrap();
    let opened = tokio_tungstenite::client_async("ws://localhost/", stream).await;
    opened.unwrap().0
}

async fn log_in(fleet: &Fleet, user: i64, device: &str) -> WebSocketStream<TcpStream> {
    let mut socket = websocket(fleet).await;
    let password = fleet.password(user, device).await;
    let came = ask(&mut socket, 1, Request::Login(login(user, device, &password))).await;
    assert!(matches!(came[0].body, Some(Body::LoginOk(_))));
    socket
}

/// An app that sees nothing but the close knows whether to come back.
// protocol: "a close frame whose code is 4000 plus"
#[tokio::test(flavor = "multi_thread")]
async fn the_close_code_is_4000_and_the_reason_of_the_bye() {
    let fleet = Fleet::start().await;
    let send = async |socket: &mut WebSocketStream<TcpStream>, body| {
        let frame = ClientFrame {
            request_id: 2,
            body: Some(body),
        };
        let message = tungstenite::Message::Binary(frame.encode_to_vec().into());
        socket.send(message).await.unwrap();
    };
    for (body, code) in [
        (Request::Ping(proto::wire::Ping {}), 4204),
        (Request::Login(login(1, "phone", "wrong")), 4101),
        (Request::Login(login(1, "", "wrong")), 4206),
    ] {
        let mut socket = websocket(&fleet).await;
        send(&mut socket, body).await;
        assert_eq!(closed(&mut socket).await, Some(code));
    }
    let mut replaced = log_in(&fleet, 1, "web").await;
    let mut socket = log_in(&fleet, 1, "web").await;
    assert_eq!(closed(&mut replaced).await, Some(4200));
    send(&mut socket, Request::Logout(proto::wire::Logout {})).await;
    assert_eq!(closed(&mut socket).await, Some(4201));
    let mut socket = log_in(&fleet, 1, "web").await;
    let no_protobuf = tungstenite::Message::Binary(vec![0xff; 20].into());
    socket.send(no_protobuf).await.unwrap();
    assert_eq!(closed(&mut socket).await, Some(4205));
}

// protocol: "An app that closes gets its own code back"
#[tokio::test(flavor = "multi_thread")]
async fn a_close_of_the_app_is_answered_with_its_code_before_and_after_login() {
    use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
    let fleet = Fleet::start().await;
    for logged_in in [false, true] {
        for code in [None, Some(1000), Some(1001), Some(4321)] {
            let mut socket = match logged_in {
                true => log_in(&fleet, 1, "web").await,
                false => websocket(&fleet).await,
            };
            let frame = code.map(|code| CloseFrame {
                code: CloseCode::from(code),
                reason: "再见".into(),
            });
            socket.close(frame).await.unwrap();
            assert_eq!(closed(&mut socket).await, code);
        }
    }
    eventually("no session is left", async || fleet.nodes[0].0.sessions() == 0).await;
}

/// As on TCP: an app that says goodbye right behind its messages learns what became of them.
// protocol: "Its earlier requests are answered first"
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_a_close_is_answered() {
    const MESSAGES: u64 = 20;
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut socket = log_in(&fleet, 1, "web").await;
    for number in 0..MESSAGES {
        let frame = ClientFrame {
            request_id: 100 + number,
            body: Some(Request::Send(message(consult, &format!("{number}"), "hello"))),
        };
        let binary = tungstenite::Message::Binary(frame.encode_to_vec().into());
        socket.feed(binary).await.unwrap();
    }
    socket.feed(tungstenite::Message::Close(None)).await.unwrap();
    socket.flush().await.unwrap();
    let mut answered = Vec::new();
    while let Some(next) = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap() {
        match next.unwrap() {
            tungstenite::Message::Binary(bytes) => {
                let frame = ServerFrame::decode(&bytes[..]).unwrap();
                assert!(matches!(frame.body, Some(Body::SendOk(_))), "{frame:?}");
                answered.push(frame.request_id);
            }
            tungstenite::Message::Close(close) => {
                assert_eq!(close, None);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answered, (100..100 + MESSAGES).collect::<Vec<_>>());
}

// protocol: "A ping is answered with a pong, before login as well"
#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_before_login_too() {
    let fleet = Fleet::start().await;
    let mut socket = websocket(&fleet).await;
    socket
        .send(tungstenite::Message::Ping("hello".into()))
        .await
        .unwrap();
    let pong = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    assert_eq!(pong.unwrap().unwrap(), tungstenite::Message::Pong("hello".into()));
}

/// The node waits for signs of life and asks for none; an app that answers what was never asked is not disturbed.
// protocol: "The node sends no pings"
// protocol: "A pong is ignored"
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_websocket_gets_no_ping_before_its_bye() {
    let fleet = Fleet::start_with(&["--heartbeat-s", "1"], 1).await;
    let mut socket = log_in(&fleet, 1, "web").await;
    socket
        .send(tungstenite::Message::Pong("hello".into()))
        .await
        .unwrap();
    let next = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    let bye = ServerFrame::decode(&next.unwrap().unwrap().into_data()[..]).unwrap();
    assert!(matches!(bye.body, Some(Body::Bye(bye)) if bye.reason() == proto::wire::ByeReason::Idle));
    assert_eq!(closed(&mut socket).await, Some(4005));
}

// protocol: "The node does not check Origin"
// protocol: "An app may ask for the sub-protocol"
// protocol: "An app that asks for none gets none"
// protocol: "No extension is ever agreed on"
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_the_sub_protocol_that_it_asks_for() {
    use tungstenite::client::IntoClientRequest;
    let fleet = Fleet::start().await;
    for (asked, chosen) in [
        ("huizhen.v1", Some("huizhen.v1")),
        ("chat, huizhen.v1", Some("huizhen.v1")),
    ] {
        let mut request = "ws://localhost/any/path".into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", asked.parse().unwrap());
        headers.insert("Origin", "https://app.example.com".parse().unwrap());
        headers.insert("Sec-WebSocket-Extensions", "permessage-deflate".parse().unwrap());
        let stream = TcpStream::connect(fleet.ports().ws()).await.unwrap();
        let (_, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        let name = response.headers().get("Sec-WebSocket-Protocol");
        assert_eq!(name.map(|name| name.to_str().unwrap()), chosen);
        assert_eq!(response.headers().get("Sec-WebSocket-Extensions"), None);
    }
}

/// RFC 6455: violations by a client, byte by byte. The Bye is the same, the close code names the rule.
// protocol: "A breach of the rules above gets Bye BAD_FRAME"
// protocol: "An app masks its fragments"
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_rules_of_websocket_is_closed_with_their_codes() {
    let fleet = Fleet::start().await;
    const MASK: [u8; 4] = [0; 4];
    for (about, bytes, code) in [
        ("unmasked", vec![0x82, 1, b'x'], 1002),
        ("a reserved bit", [&[0xc2, 0x81][..], &MASK, b"x"].concat(), 1002),
        (
            "an unknown opcode",
            [&[0x83, 0x81][..], &MASK, b"x"].concat(),
            1002,
        ),
        (
            "a long ping",
            [&[0x89, 0xfe, 0, 126][..], &MASK, &[0; 126]].concat(),
            1002,
        ),
        ("half a ping", [&[0x09, 0x80][..], &MASK].concat(), 1002),
        (
            "nothing is continued",
            [&[0x80, 0x81][..], &MASK, b"x"].concat(),
            1002,
        ),
        (
            "a message within a message",
            [&[0x02, 0x81][..], &MASK, b"x", &[0x82, 0x81], &MASK, b"x"].concat(),
            1002,
        ),
        (
            "a length in too many bytes",
            [&[0x82, 0xfe, 0, 1][..], &MASK, b"x"].concat(),
            1002,
        ),
        ("text", [&[0x81, 0x81][..], &MASK, b"x"].concat(), 1003),
        (
            "a length over the limit",
            [&[0x82, 0xfe, 4, 1][..], &MASK].concat(),
            1009,
        ),
        (
            "an enormous length",
            [
                &[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
                &MASK,
            ]
            .concat(),
            1009,
        ),
        (
            "parts over the limit",
            [
                &[0x02, 0xfe, 4, 0][..],
                &MASK,
                &[0; 1024],
                &[0x80, 0x81],
                &MASK,
                b"x",
            ]
            .concat(),
            1009,
        ),
    ] {
        let mut socket = websocket(&fleet).await;
        tokio::io::AsyncWriteExt::write_all(socket.get_mut(), &bytes)
            .await
            .unwrap();
        let next = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        let bye = ServerFrame::decode(&next.unwrap().unwrap().into_data()[..]).unwrap();
        let is_bad_frame =
            matches!(&bye.body, Some(Body::Bye(bye)) if bye.reason() == proto::wire::ByeReason::BadFrame);
        assert!(is_bad_frame, "{about}: {bye:?}");
        assert_eq!(closed(&mut socket).await, Some(code), "{about}");
    }
}

/// A message in parts, with a ping between them, is one frame.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_in_parts_is_a_login() {
    let fleet = Fleet::start().await;
    let password = fleet.password(1, "web").await;
    let login = ClientFrame {
        request_id: 7,
        body: Some(Request::Login(login(1, "web", &password))),
    }
    .encode_to_vec();
    let mut bytes = Vec::new();
    for (at, part) in login.chunks(20).enumerate() {
        let last = (at + 1) * 20 >= login.len();
        let first = if at == 0 { 0x02 } else { 0x00 } | if last { 0x80 } else { 0 };
        let mask = [7, 8, 9, at as u8];
        bytes.extend([first, 0x80 | part.len() as u8]);
        bytes.extend(mask);
        bytes.extend(part.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
        if !last {
            bytes.extend([0x89, 0x80, 0, 0, 0, 0]);
        }
    }
    let mut socket = websocket(&fleet).await;
    tokio::io::AsyncWriteExt::write_all(socket.get_mut(), &bytes)
        .await
        .unwrap();
    let frame = loop {
        let next = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        if let tungstenite::Message::Binary(bytes) = next.unwrap().unwrap() {
            break ServerFrame::decode(&bytes[..]).unwrap();
        }
    };
    assert_eq!(frame.request_id, 7);
    assert!(matches!(frame.body, Some(Body::LoginOk(_))), "{frame:?}");
}

// protocol: "is answered with 426"
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_upgrade_is_told_so() {
    let fleet = Fleet::start().await;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(fleet.ports().ws()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}

// protocol: "pings of a session, also of its WebSocket, and requests that the node does not know | 500 a second, 2,500 at once"
#[tokio::test(flavor = "multi_thread")]
async fn pings_of_a_websocket_over_their_rate_wait_and_are_answered() {
    const AT_ONCE: u32 = 2_500;
    const OVER: u32 = 500;
    const CHUNK: u32 = 50;
    let fleet = Fleet::start().await;
    let mut socket = log_in(&fleet, 1, "web").await;
    let began = tokio::time::Instant::now();
    for first in (0..AT_ONCE + OVER).step_by(CHUNK as usize) {
        let payloads = (first..first + CHUNK).map(|at| at.to_be_bytes().to_vec());
        for payload in payloads.clone() {
            let ping = tungstenite::Message::Ping(payload.into());
            socket.feed(ping).await.unwrap();
        }
        socket.flush().await.unwrap();
        for payload in payloads {
            let next = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
            let pong = tungstenite::Message::Pong(payload.into());
            assert_eq!(next.unwrap().unwrap(), pong, "in the order of the pings");
        }
    }
    let least = std::time::Duration::from_millis(u64::from(OVER - 50) * 2);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}

/// Connections beyond the limit of their address hold little, for a moment: their handshakes lead to a Bye only.
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_beyond_the_limit_of_their_address_end_soon_or_at_once() {
    const REFUSED_AT_ONCE: usize = 256;
    let fleet = Fleet::start_with(&["--connections-per-address", "1"], 1).await;
    let connect = || TcpStream::connect(fleet.ports().0[1]);
    let is_open = |stream: &TcpStream| {
        let read = stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    // A slow machine, or another order of accepting, may need another round.
    eventually("a round in the time of a login", async || {
        let holds_the_place = connect().await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..REFUSED_AT_ONCE {
            silent.push(connect().await.unwrap());
        }
        let (mut beyond, mut bytes) = (connect().await.unwrap(), Vec::new());
        let _ = beyond.read_to_end(&mut bytes).await;
        let is_at_once = silent.iter().all(is_open);
        for stream in &mut silent {
            let _ = stream.read_to_end(&mut bytes).await;
        }
        assert_eq!(bytes, b"", "no Bye before the handshake");
        let is_soon = is_open(&holds_the_place);
        let next = tokio::time::timeout(PATIENCE, websocket(&fleet).await.next()).await;
        let bytes = next.unwrap().unwrap().unwrap().into_data();
        let Some(Body::Bye(bye)) = ServerFrame::decode(&bytes[..]).unwrap().body else {
            panic!("no Bye")
        };
        is_at_once && is_soon && bye.reason() == proto::wire::ByeReason::Overloaded
    })
    .await;
}
