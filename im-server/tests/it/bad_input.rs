//! Bytes that no good app sends.

use std::time::Duration;

use prost::Message;
use proto::{
    frame,
    wire::{ByeReason, ClientFrame, ErrorCode, client_frame::Body as Request, server_frame::Body},
};
use rand::RngExt;
use testkit::PATIENCE;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    app::{App, login, message},
    fleet::Fleet,
};

/// Sends bytes on a new connection and returns the reason of its Bye.
async fn bye_to_bytes(fleet: &Fleet, bytes: &[u8]) -> Option<ByeReason> {
    let mut stream = TcpStream::connect(fleet.ports().tcp()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    last_bye(&mut stream).await
}

async fn last_bye(stream: &mut TcpStream) -> Option<ByeReason> {
    let mut came = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut came))
        .await
        .expect("the node hangs up");
    let frame = proto::wire::ServerFrame::decode(came.get(4..)?).ok()?;
    match frame.body? {
        Body::Bye(bye) => Some(bye.reason()),
        _ => None,
    }
}

// protocol: "A frame before login has at most 1 KiB"
#[tokio::test(flavor = "multi_thread")]
async fn before_login_only_a_small_login_is_taken() {
    let fleet = Fleet::start().await;
    assert_eq!(
        bye_to_bytes(&fleet, &1025u32.to_be_bytes()).await,
        Some(ByeReason::BadFrame)
    );
    assert_eq!(bye_to_bytes(&fleet, &[0xff; 4]).await, Some(ByeReason::BadFrame));
    assert_eq!(
        bye_to_bytes(&fleet, &[0, 0, 0, 3, 0xff, 0xff, 0xff]).await,
        Some(ByeReason::BadFrame)
    );
    assert_eq!(
        bye_to_bytes(&fleet, b"GET / HTTP/1.1\r\n\r\n").await,
        Some(ByeReason::BadFrame)
    );
    assert_eq!(
        bye_to_bytes(&fleet, &[0, 0, 0, 0]).await,
        Some(ByeReason::NotLoggedIn)
    );
}

// protocol: "It must be complete within 5 s"
#[tokio::test(flavor = "multi_thread")]
async fn dribbled_bytes_do_not_extend_the_time_to_log_in() {
    let fleet = Fleet::start().await;
    let password = fleet.password(1, "phone").await;
    let whole = frame::encode(&ClientFrame {
        request_id: 1,
        body: Some(Request::Login(login(1, "phone", &password))),
    });
    let (mut read, mut write) = TcpStream::connect(fleet.ports().tcp())
        .await
        .unwrap()
        .into_split();
    let began = std::time::Instant::now();
    let dribble = tokio::spawn(async move {
        for byte in whole.iter().take(whole.len() - 1) {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let mut came = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, read.read_to_end(&mut came))
        .await
        .expect("the node hangs up");
    assert!(began.elapsed() >= Duration::from_secs(4), "not before the limit");
    let frame = proto::wire::ServerFrame::decode(&came[4..]).unwrap();
    assert!(matches!(frame.body, Some(Body::Bye(bye)) if bye.reason() == ByeReason::NotLoggedIn));
    dribble.abort();
}

// protocol: "it answers an unknown body with Error UNSUPPORTED"
// protocol: "Its answer, or its Error, carries the same number"
#[tokio::test(flavor = "multi_thread")]
async fn after_login_an_unknown_request_is_answered_under_its_number_and_the_session_lives() {
    let fleet = Fleet::start().await;
    let mut app = raw(&fleet).await;
    // request_id 77 and the unknown field 1000; then an empty frame.
    for bytes in [&[0x08, 77, 0xc2, 0x3e, 1, 9][..], &[]] {
        app.frame(bytes).await;
        let answer = app.next().await;
        assert_eq!(answer.request_id, if bytes.is_empty() { 0 } else { 77 });
        let Some(Body::Error(error)) = answer.body else {
            panic!()
        };
        assert_eq!(error.code(), ErrorCode::Unsupported);
    }
    // An unknown field beside a known request is skipped.
    let mut ping = ClientFrame {
        request_id: 5,
        body: Some(Request::Ping(proto::wire::Ping {})),
    }
    .encode_to_vec();
    ping.extend_from_slice(&[0xc2, 0x3e, 1, 9]);
    app.frame(&ping).await;
    assert!(matches!(app.next().await.body, Some(Body::Pong(_))));
}

// protocol: "Bytes that are not protobuf end the connection with Bye BAD_FRAME"
// protocol: "A longer length closes the connection"
#[tokio::test(flavor = "multi_thread")]
async fn after_login_what_is_no_frame_ends_the_session() {
    let fleet = Fleet::start().await;
    let mut too_long = raw(&fleet).await;
    too_long.stream.write_all(&65_537u32.to_be_bytes()).await.unwrap();
    assert_eq!(too_long.bye().await, ByeReason::BadFrame);
    let mut no_protobuf = raw(&fleet).await;
    no_protobuf.frame(&[0xff; 20]).await;
    assert_eq!(no_protobuf.bye().await, ByeReason::BadFrame);
    // Groups within groups, deeper than any message of ours.
    let mut nested = raw(&fleet).await;
    nested.frame(&[0xc3, 0x3e].repeat(20_000)).await;
    assert_eq!(nested.bye().await, ByeReason::BadFrame);
    // A string that is not UTF-8.
    let mut bad_string = raw(&fleet).await;
    let mut send = message(1, "ab", "hello").encode_to_vec();
    let at = send.windows(2).position(|pair| pair == b"ab").unwrap();
    send[at] = 0xff;
    let mut bytes = vec![0x32, u8::try_from(send.len()).unwrap()];
    bytes.extend_from_slice(&send);
    bad_string.frame(&bytes).await;
    assert_eq!(bad_string.bye().await, ByeReason::BadFrame);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_cut_anywhere_are_put_together_and_random_bytes_end_only_themselves() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut witness = fleet.app(2, "pad").await;
    for _ in 0..60 {
        let length = rand::rng().random_range(1..3_000);
        let bytes: Vec<u8> = (0..length).map(|_| rand::rng().random()).collect();
        let mut stream = TcpStream::connect(fleet.ports().tcp()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut app = raw(&fleet).await;
        let _ = app.stream.write_all(&bytes).await;
    }
    let mut app = raw(&fleet).await;
    let send = ClientFrame {
        request_id: 9,
        body: Some(Request::Send(message(consult, "a", &"长".repeat(500)))),
    };
    for byte in frame::encode(&send) {
        app.stream.write_all(&[byte]).await.unwrap();
    }
    assert!(matches!(app.next().await.body, Some(Body::SendOk(ok)) if ok.seq == 3));
    assert_eq!(witness.seqs(2).await, [2, 3]);
}

// protocol: "After login yours have at most max_frame_bytes of LoginOk"
#[tokio::test(flavor = "multi_thread")]
async fn a_message_may_be_as_long_as_a_frame_and_no_longer() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    let longest = "x".repeat(65_400);
    patient.say(consult, "a", &longest).await.unwrap();
    assert_eq!(doctor.seqs(1).await, [2]);
    assert_eq!(doctor.entry().await.body, longest.as_bytes());
    patient
        .send(Request::Send(message(consult, "b", &"x".repeat(66_000))))
        .await;
    assert_eq!(patient.bye().await.reason(), ByeReason::BadFrame);
}

/// I7: who stops reading is closed SLOW; the others do not notice.
// protocol: "A session that stops reading is closed with Bye SLOW"
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_is_closed_and_the_others_get_everything() {
    let fleet = Fleet::start_with(&["--slow-limit-s", "1", "--sends-per-s", "10000"], 1).await;
    let consult = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    let mut stuck = fleet.app(2, "stuck").await;
    let body = "x".repeat(60_000);
    let mut said = 0;
    // Enough to fill what the kernel holds for the one that does not read.
    while fleet.nodes[0].0.sessions() == 3 {
        said += 1;
        assert!(said < 2_000, "the stuck session is ended");
        assert_eq!(
            patient.say(consult, &format!("{said}"), &body).await.unwrap().seq,
            2 + said
        );
        let mut came = doctor.entry().await.seq;
        if came == 2 {
            came = doctor.entry().await.seq;
        }
        assert_eq!(came, 2 + said);
    }
    // Frames read now are in order and gap-free up to the end.
    let mut last = 2;
    while let Some(frame) = tokio::time::timeout(PATIENCE, stuck.connection.receive())
        .await
        .unwrap()
        .ok()
        .flatten()
    {
        if let Some(Body::Entry(entry)) = frame.body {
            assert_eq!(entry.seq, last + 1);
            last = entry.seq;
        }
    }
    assert!(last < 2 + said);
}

/// Node and kernel together hold some dozen KiB for a reader that stops, however many messages arrive.
#[tokio::test(flavor = "multi_thread")]
async fn little_is_held_for_a_reader_that_stops() {
    const RECEIVED: usize = 4 * 1024;
    const HELD: usize = 64 * 1024;
    let fleet = Fleet::start_with(&["--slow-limit-s", "1", "--sends-per-s", "10000"], 1).await;
    let consult = fleet.consult().await;
    let mut doctor = fleet.app(2, "pad").await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket
        .set_recv_buffer_size(u32::try_from(RECEIVED).unwrap())
        .unwrap();
    let stream = socket.connect(fleet.ports().tcp()).await.unwrap();
    let mut stuck = raw_over(&fleet, stream).await;
    let sync = ClientFrame {
        request_id: 2,
        body: Some(Request::Sync(proto::wire::Sync::default())),
    };
    stuck.frame(&sync.encode_to_vec()).await;
    while !matches!(stuck.next().await.body, Some(Body::SyncDone(_))) {}
    let body = "x".repeat(2_000);
    let mut said = 0;
    while fleet.nodes[0].0.sessions() == 2 {
        said += 1;
        assert!(said < 20_000, "the stuck session is ended");
        doctor.say(consult, &format!("{said}"), &body).await.unwrap();
        doctor.entries.clear();
    }
    assert!(said * body.len() > 2 * HELD, "nothing was tested: {said}");
    let mut left = Vec::new();
    // It may end with a reset, since the Bye found no way.
    let _ = tokio::time::timeout(PATIENCE, stuck.stream.read_to_end(&mut left))
        .await
        .unwrap();
    assert!(left.len() < 2 * RECEIVED + HELD, "{} bytes were held", left.len());
}

/// A reader that pauses is fed from the journal when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pauses_misses_nothing() {
    let fleet = Fleet::start_with(&["--slow-limit-s", "60", "--sends-per-s", "10000"], 1).await;
    let consult = fleet.consult().await;
    let (mut patient, mut pausing) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    let body = "x".repeat(60_000);
    for at in 0..250 {
        patient.say(consult, &format!("{at}"), &body).await.unwrap();
        patient.entries.clear();
    }
    assert_eq!(pausing.seqs(251).await, (2..=252).collect::<Vec<_>>());
    patient.say(consult, "live again", "hello").await.unwrap();
    assert_eq!(pausing.entry().await.seq, 253);
    pausing.nothing_came().await;
}

/// A connection that has logged in and can write any bytes.
struct Raw {
    stream: TcpStream,
    came: Vec<u8>,
}

async fn raw(fleet: &Fleet) -> Raw {
    raw_over(fleet, TcpStream::connect(fleet.ports().tcp()).await.unwrap()).await
}

async fn raw_over(fleet: &Fleet, stream: TcpStream) -> Raw {
    let password = fleet.password(1, "raw").await;
    let mut raw = Raw {
        stream,
        came: Vec::new(),
    };
    let login = ClientFrame {
        request_id: 1,
        body: Some(Request::Login(login(1, "raw", &password))),
    };
    raw.frame(&login.encode_to_vec()).await;
    assert!(matches!(raw.next().await.body, Some(Body::LoginOk(_))));
    raw
}

impl Raw {
    async fn frame(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        self.stream
            .write_all(&[&length[..], bytes].concat())
            .await
            .unwrap();
    }

    async fn next(&mut self) -> proto::wire::ServerFrame {
        loop {
            if self.came.len() >= 4 {
                let length = u32::from_be_bytes(self.came[..4].try_into().unwrap()) as usize;
                if self.came.len() >= 4 + length {
                    let frame: Vec<u8> = self.came.drain(..4 + length).skip(4).collect();
                    return proto::wire::ServerFrame::decode(&frame[..]).unwrap();
                }
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.came)).await;
            assert!(
                read.expect("a frame within the time").unwrap() > 0,
                "the connection is open"
            );
        }
    }

    async fn bye(&mut self) -> ByeReason {
        match self.next().await.body {
            Some(Body::Bye(bye)) => bye.reason(),
            other => panic!("no Bye but {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_header_is_demanded_when_switched_on() {
    let fleet = Fleet::start_with(&["--proxy-protocol"], 1).await;
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend_from_slice(&[
        0x21, 0x11, 0, 12, 192, 168, 3, 1, 10, 0, 0, 1, 0x1f, 0x90, 0x25, 0x1d,
    ]);
    let mut stream = TcpStream::connect(fleet.ports().tcp()).await.unwrap();
    stream.write_all(&header).await.unwrap();
    let password = fleet.password(1, "phone").await;
    let mut app = App::over(proto::client::Connection::over_tcp(stream));
    app.log_in(1, "phone", &password).await;
    let mut without = TcpStream::connect(fleet.ports().tcp()).await.unwrap();
    without.write_all(&[0; 16]).await.unwrap();
    assert_eq!(last_bye(&mut without).await, None, "hung up without a word");
}
