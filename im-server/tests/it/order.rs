//! One sender's messages keep their order, whatever is refused, paused or cut off.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use proto::{
    client::{Reader, Writer},
    wire::{
        ByeReason, ClientFrame, EntryKind, ErrorCode, Logout, Ping, Send, SendOk, ServerFrame, Typing,
        client_frame::Body as Request, server_frame::Body,
    },
};
use testkit::PATIENCE;
use tokio::time::Instant;

use super::{
    app::{App, message},
    fleet::Fleet,
};

/// An app that reads and writes at the same time.
struct Pipelined {
    reader: Reader,
    writer: Writer,
}

impl Pipelined {
    fn of(app: App) -> Self {
        let (reader, writer) = app.connection.split();
        Self { reader, writer }
    }

    fn queue(&mut self, request_id: u64, body: Request) {
        self.writer.queue(&ClientFrame {
            request_id,
            body: Some(body),
        });
    }

    /// Writes queued frames, as far as the node reads, and returns the next frame.
    async fn next(&mut self) -> Option<ServerFrame> {
        let next = async {
            loop {
                tokio::select! {
                    frame = self.reader.receive() => return frame.unwrap(),
                    flushed = self.writer.flush(), if !self.writer.is_flushed() => flushed.unwrap(),
                }
            }
        };
        tokio::time::timeout(PATIENCE, next)
            .await
            .expect("a frame within the time")
    }

    /// The next answer to a message; other frames are passed over.
    async fn answer(&mut self) -> (u64, Result<SendOk, proto::wire::Error>) {
        loop {
            let frame = self.next().await.expect("the connection is open");
            match frame.body {
                Some(Body::SendOk(ok)) => return (frame.request_id, Ok(ok)),
                Some(Body::Error(error)) => return (frame.request_id, Err(error)),
                Some(Body::Bye(bye)) => panic!("{bye:?}"),
                _ => {}
            }
        }
    }
}

/// Sends messages with a window of outstanding ones, and resends each refused one after its retry time.
async fn send_all(app: &mut Pipelined, conversation: i64, messages: usize, window: usize) -> usize {
    let (mut next, mut acknowledged, mut refused, mut request_id) = (0, 0, 0, 100);
    let mut under_way: HashMap<u64, usize> = HashMap::new();
    let mut later: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    while acknowledged < messages {
        let mut send = |app: &mut Pipelined, number: usize, under_way: &mut HashMap<u64, usize>| {
            request_id += 1;
            under_way.insert(request_id, number);
            app.queue(
                request_id,
                Request::Send(message(conversation, &format!("m{number}"), "hello")),
            );
        };
        while next < messages && under_way.len() + later.len() < window {
            send(app, next, &mut under_way);
            next += 1;
        }
        while let Some(Reverse((at, number))) = later.peek().copied()
            && at <= Instant::now()
        {
            later.pop();
            send(app, number, &mut under_way);
        }
        let due = later
            .peek()
            .map_or(Instant::now() + PATIENCE, |Reverse((at, _))| *at);
        let Ok((answered, outcome)) = tokio::time::timeout_at(due, app.answer()).await else {
            continue;
        };
        let number = under_way.remove(&answered).unwrap();
        match outcome {
            Ok(_) => acknowledged += 1,
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Unavailable, "{error:?}");
                assert!(error.retry_after_ms > 0);
                refused += 1;
                let wait = Duration::from_millis(error.retry_after_ms.into());
                later.push(Reverse((Instant::now() + wait, number)));
            }
        }
    }
    refused
}

/// The numbers of the messages that a conversation holds, in its order.
async fn written(fleet: &Fleet, user: i64, conversation: i64) -> Vec<usize> {
    let mut app = fleet.log_in(user, "judge").await;
    let (mut numbers, mut after) = (Vec::new(), 0);
    loop {
        let history = proto::wire::History {
            conversation_id: conversation,
            after_seq: after,
            limit: 200,
            ..Default::default()
        };
        let Body::HistoryPage(page) = app.ask(Request::History(history)).await else {
            panic!()
        };
        for entry in &page.entries {
            after = entry.seq;
            if entry.kind() == EntryKind::Message {
                numbers.push(entry.client_msg_id[1..].parse().unwrap());
            }
        }
        if !page.has_more {
            return numbers;
        }
    }
}

fn in_order(messages: usize) -> Vec<usize> {
    (0..messages).collect()
}

// protocol: "send those of one conversation in order"
// protocol: "The node keeps that order:"
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_now_and_then_turns_nothing_round() {
    const MESSAGES: usize = 260;
    let fleet = Fleet::start_with(&["--sends-per-s", "10000"], 1).await;
    let consult = fleet.consult().await;
    fleet
        .execute(
            "CREATE TRIGGER fickle BEFORE INSERT ON entry WHEN abs(random()) % 60 = 0
             BEGIN SELECT RAISE(ABORT, 'not now'); END",
            "CREATE FUNCTION fickle() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF random() < 1.0 / 60 THEN RAISE EXCEPTION 'not now'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER fickle BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION fickle()",
        )
        .await;
    let mut refused = 0;
    // By chance nothing may be refused.
    for user in [1, 2] {
        let mut app = Pipelined::of(fleet.app(user, "phone").await);
        refused += send_all(&mut app, consult, MESSAGES, 24).await;
    }
    assert!(refused > 0, "nothing was tested");
    let both = written(&fleet, 1, consult).await;
    assert_eq!(both, [in_order(MESSAGES), in_order(MESSAGES)].concat());
}

/// Nothing later passes until the refused message has come again; another conversation goes on, and a new login begins
/// anew.
// protocol: "After UNAVAILABLE the node refuses later messages of this session"
#[tokio::test(flavor = "multi_thread")]
async fn after_a_refusal_nothing_later_of_the_conversation_is_taken() {
    let fleet = Fleet::start().await;
    let (consult, other) = (fleet.consult().await, fleet.consult().await);
    fleet
        .execute(
            "CREATE TRIGGER poison BEFORE INSERT ON entry WHEN NEW.client_msg_id = 'm0'
             BEGIN SELECT RAISE(ABORT, 'not now'); END",
            "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
             CREATE TRIGGER poison BEFORE INSERT ON entry FOR EACH ROW WHEN (NEW.client_msg_id = 'm0')
               EXECUTE FUNCTION poison()",
        )
        .await;
    let mut app = fleet.app(1, "phone").await;
    for id in ["m0", "m1", "m0", "m2", "m1"] {
        assert_eq!(
            app.say(consult, id, "hello").await,
            Err(ErrorCode::Unavailable),
            "{id}"
        );
    }
    app.say(other, "m1", "hello").await.unwrap();
    // A final refusal holds up no other message.
    assert_eq!(app.say(other, "m2", "").await, Err(ErrorCode::Invalid));
    app.say(other, "m3", "hello").await.unwrap();
    fleet
        .execute("DROP TRIGGER poison", "DROP TRIGGER poison ON entry")
        .await;
    for (id, outcome) in [
        ("m2", false),
        ("m1", false),
        ("m0", true),
        ("m2", false),
        ("m1", true),
        ("m2", true),
    ] {
        assert_eq!(app.say(consult, id, "hello").await.is_ok(), outcome, "{id}");
    }
    assert_eq!(written(&fleet, 1, consult).await, [0, 1, 2]);
    // A new session does not wait for a message that was given up.
    fleet
        .execute(
            "CREATE TRIGGER poison BEFORE INSERT ON entry WHEN NEW.client_msg_id = 'm3'
             BEGIN SELECT RAISE(ABORT, 'not now'); END",
            "CREATE TRIGGER poison BEFORE INSERT ON entry FOR EACH ROW WHEN (NEW.client_msg_id = 'm3')
               EXECUTE FUNCTION poison()",
        )
        .await;
    assert_eq!(app.say(consult, "m3", "hello").await, Err(ErrorCode::Unavailable));
    assert_eq!(app.say(consult, "m4", "hello").await, Err(ErrorCode::Unavailable));
    let mut again = fleet.app(1, "phone").await;
    again.say(consult, "m4", "hello").await.unwrap();
}

/// A session with more refused messages than a node remembers ends, and the app comes back with all of them.
// protocol: "A session with more than 256 refused messages ends"
// protocol: "256; more end it with Bye UNAVAILABLE"
// protocol: "A Bye may come instead of any answer"
#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_too_many_refused_messages_ends() {
    let fleet = Fleet::start_with(&["--sends-per-s", "10000"], 1).await;
    let consult = fleet.consult().await;
    fleet
        .execute(
            "CREATE TRIGGER poison BEFORE INSERT ON entry WHEN NEW.client_msg_id = 'm0'
             BEGIN SELECT RAISE(ABORT, 'not now'); END",
            "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
             CREATE TRIGGER poison BEFORE INSERT ON entry FOR EACH ROW WHEN (NEW.client_msg_id = 'm0')
               EXECUTE FUNCTION poison()",
        )
        .await;
    let mut app = fleet.app(1, "phone").await;
    let mut refused = 0;
    let bye = loop {
        let send = Request::Send(message(consult, &format!("m{refused}"), "hello"));
        match app.ask(send).await {
            Body::Error(error) => assert_eq!(error.code(), ErrorCode::Unavailable),
            Body::Bye(bye) => break bye,
            other => panic!("{other:?}"),
        }
        refused += 1;
        assert!(refused < 1_000, "nothing is refused");
    };
    assert_eq!(bye.reason(), ByeReason::Unavailable);
    assert!(bye.retry_after_ms > 0);
    fleet
        .execute("DROP TRIGGER poison", "DROP TRIGGER poison ON entry")
        .await;
    let mut app = Pipelined::of(fleet.app(1, "phone").await);
    assert_eq!(send_all(&mut app, consult, refused, 24).await, 0);
    assert_eq!(written(&fleet, 1, consult).await, in_order(refused));
}

// protocol: "The same happens while 64 answers are owed to you"
// protocol: "64; the node reads no further until some are sent"
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_all_the_time_is_never_closed_however_much_is_sent_at_once() {
    const MESSAGES: usize = 2_000;
    let fleet = Fleet::start_with(&["--sends-per-s", "10000"], 1).await;
    let consult = fleet.consult().await;
    let mut app = Pipelined::of(fleet.app(1, "phone").await);
    for number in 0..MESSAGES {
        let send = message(consult, &format!("m{number}"), "hello");
        app.queue(100 + number as u64, Request::Send(send));
    }
    for number in 0..MESSAGES {
        let (request_id, outcome) = app.answer().await;
        assert_eq!(request_id, 100 + number as u64);
        outcome.unwrap();
    }
    // The same with requests that are answered at once.
    for number in 0..MESSAGES {
        app.queue(10_000 + number as u64, Request::Ping(Ping {}));
    }
    for number in 0..MESSAGES {
        let pong = loop {
            let frame = app.next().await.expect("the connection is open");
            match frame.body {
                Some(Body::Pong(_)) => break frame.request_id,
                Some(Body::Bye(bye)) => panic!("{bye:?}"),
                _ => {}
            }
        };
        assert_eq!(pong, 10_000 + number as u64);
    }
    assert_eq!(written(&fleet, 1, consult).await, in_order(MESSAGES));
}

/// Over its rate a session is read more slowly: nothing is refused or turned round, and it does not count as silent.
// protocol: "Over its rate a session is not refused"
// protocol: "20 a second in the long run, 100 at once"
// protocol: "Everything behind a message waits with it"
#[tokio::test(flavor = "multi_thread")]
async fn over_the_rate_a_session_waits_and_is_neither_refused_nor_idle() {
    const MESSAGES: usize = 70;
    const PER_S: usize = 5;
    let fleet = Fleet::start_with(&["--sends-per-s", "5", "--heartbeat-s", "1"], 1).await;
    let consult = fleet.consult().await;
    let mut app = Pipelined::of(fleet.app(1, "phone").await);
    for number in 0..MESSAGES {
        let send = message(consult, &format!("m{number}"), "hello");
        app.queue(100 + number as u64, Request::Send(send));
    }
    app.queue(9, Request::Ping(Ping {}));
    let mut created_ms = Vec::new();
    let mut acknowledged_at_pong = None;
    while created_ms.len() < MESSAGES || acknowledged_at_pong.is_none() {
        let frame = app.next().await.expect("the connection is open");
        match frame.body {
            Some(Body::SendOk(ok)) => {
                assert_eq!(
                    frame.request_id,
                    100 + created_ms.len() as u64,
                    "in the order of sending"
                );
                created_ms.push(ok.created_ms);
            }
            Some(Body::Pong(_)) => acknowledged_at_pong = Some(created_ms.len()),
            Some(Body::Entry(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(
        acknowledged_at_pong > Some(5 * PER_S),
        "what came behind waited as well"
    );
    // Five seconds' worth at once; on a slow machine it takes longer, never shorter.
    let least_s = (MESSAGES - 5 * PER_S - 1) / PER_S - 1;
    let took_ms = created_ms[MESSAGES - 1] - created_ms[0];
    assert!(took_ms >= 1_000 * least_s as i64, "{took_ms} ms");
    assert_eq!(written(&fleet, 1, consult).await, in_order(MESSAGES));
}

/// A node answers what an app sent before it closed its side, or logged out.
// protocol: "It answers them as well when you close only your side"
#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_the_end_is_answered() {
    const MESSAGES: usize = 110;
    for logs_out in [false, true] {
        let fleet = Fleet::start_with(&["--sends-per-s", "20"], 1).await;
        let consult = fleet.consult().await;
        let mut app = Pipelined::of(fleet.app(1, "phone").await);
        for number in 0..MESSAGES {
            let send = message(consult, &format!("m{number}"), "hello");
            app.queue(100 + number as u64, Request::Send(send));
        }
        if logs_out {
            app.queue(1, Request::Logout(Logout {}));
            app.queue(2, Request::Send(message(consult, "m9999", "too late")));
        }
        app.writer.flush().await.unwrap();
        if !logs_out {
            app.writer.shutdown().await.unwrap();
        }
        for number in 0..MESSAGES {
            let (request_id, outcome) = app.answer().await;
            assert_eq!(request_id, 100 + number as u64);
            outcome.unwrap();
        }
        let mut bye = None;
        while let Some(frame) = app.next().await {
            assert!(bye.is_none(), "nothing after Bye");
            match frame.body {
                Some(Body::Bye(said)) => bye = Some(said.reason()),
                Some(Body::Entry(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bye, logs_out.then_some(ByeReason::LoggedOut));
        assert_eq!(written(&fleet, 1, consult).await.len(), MESSAGES);
    }
}

// protocol: "Only whole frames count"
#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_frame_that_dribbles_in_keeps_no_session_alive() {
    let fleet = Fleet::start_with(&["--heartbeat-s", "1"], 1).await;
    let mut app = Pipelined::of(fleet.app(1, "phone").await);
    app.writer.queue_bytes(&60_000u32.to_be_bytes());
    let reason = loop {
        tokio::select! {
            frame = app.reader.receive() => match frame.unwrap().expect("a Bye before the end").body {
                Some(Body::Bye(bye)) => break bye.reason(),
                _ => continue,
            },
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                app.writer.queue_bytes(&[0]);
                app.writer.flush().await.unwrap();
            }
        }
    };
    assert_eq!(reason, ByeReason::Idle);
}

// protocol: "passed on once a second"
#[tokio::test(flavor = "multi_thread")]
async fn typing_is_passed_on_once_a_second() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let (mut doctor, patient) = (fleet.app(2, "pad").await, fleet.app(1, "phone").await);
    let mut patient = Pipelined::of(patient);
    let began = Instant::now();
    for _ in 0..40 {
        let typing = Typing {
            conversation_id: consult,
            user_id: 0,
        };
        patient.queue(0, Request::Typing(typing));
    }
    let send: Send = message(consult, "m0", "hello");
    patient.queue(1, Request::Send(send));
    patient.answer().await.1.unwrap();
    let mut typed = 0;
    loop {
        match doctor.receive().await.unwrap().body {
            Some(Body::Typing(_)) => typed += 1,
            Some(Body::Entry(entry)) if entry.client_msg_id == "m0" => break,
            _ => {}
        }
    }
    let most = 1 + began.elapsed().as_secs();
    assert!((1..=most).contains(&typed), "{typed} of 40");
}

/// An app that does not read is not read, so little is held for it; and it is closed.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_never_reads_is_closed_slow() {
    let fleet = Fleet::start_with(&["--slow-limit-s", "1"], 1).await;
    let mut app = App::connect_narrow(fleet.ports().tcp()).await;
    app.log_in(1, "phone", &fleet.password(1, "phone").await).await;
    let mut app = Pipelined::of(app);
    let mut asked = 0;
    // Until the kernel's buffers are full in both directions, and the node has had enough.
    while fleet.nodes[0].0.sessions() == 1 {
        for _ in 0..1_000 {
            app.queue(asked, Request::Ping(Ping {}));
            asked += 1;
        }
        if app.writer.flush().await.is_err() {
            break;
        }
    }
    let mut answered = 0;
    let mut reason = None;
    while let Ok(Some(frame)) = tokio::time::timeout(PATIENCE, app.reader.receive())
        .await
        .unwrap()
    {
        match frame.body {
            Some(Body::Pong(_)) => {
                assert_eq!(frame.request_id, answered);
                answered += 1;
            }
            Some(Body::Bye(bye)) => reason = Some(bye.reason()),
            _ => {}
        }
    }
    // It may end with a reset, since the Bye found no way.
    assert!(reason.is_none_or(|reason| reason == ByeReason::Slow));
    assert!(answered < asked);
}
