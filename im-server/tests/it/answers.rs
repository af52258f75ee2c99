//! Which answer comes to which request, and which frames answer none.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proto::wire::{
    CallSignal, ClientFrame, ErrorCode, History, Ping, PresenceQuery, Read, Recall, Received, Renew, Role,
    Sync, Typing, client_frame::Body as Request, server_frame::Body,
};

use super::{
    app::{App, message},
    fleet::Fleet,
};

/// The bodies of the frames up to the answer to a Ping, by their request ids; those with 0 apart.
async fn frames_to_pong(app: &mut App, awaited: usize) -> (BTreeMap<u64, Vec<Body>>, Vec<Body>) {
    let (mut answers, mut unasked) = (BTreeMap::<u64, Vec<Body>>::new(), Vec::new());
    let mut pings = Vec::new();
    loop {
        if pings.is_empty() && answers.len() == awaited {
            pings.push(app.send(Request::Ping(Ping {})).await);
        }
        let frame = app.receive().await.expect("the connection is open");
        let body = frame.body.unwrap();
        match frame.request_id {
            0 => unasked.push(body),
            id if pings.contains(&id) => return (answers, unasked),
            id => answers.entry(id).or_default().push(body),
        }
    }
}

// protocol: "Each request has one answer with its request_id"
// protocol: "CallSignal | none yet: UNSUPPORTED"
#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_answer_with_its_number() {
    let fleet = Fleet::start().await;
    let conversation_id = fleet.consult().await;
    let mut app = fleet.app(1, "phone").await;
    let seq = app.say(conversation_id, "a", "hello").await.unwrap().seq;
    let history = History {
        conversation_id,
        ..History::default()
    };
    let mut asked = Vec::new();
    for request in [
        Request::Send(message(conversation_id, "b", "hello")),
        Request::Recall(Recall { conversation_id, seq }),
        Request::Sync(Sync::default()),
        Request::History(history),
        Request::Presence(PresenceQuery::default()),
        Request::Renew(Renew::default()),
        Request::CallSignal(CallSignal::default()),
    ] {
        asked.push(app.send(request).await);
    }
    for unanswered in [
        Request::Received(Received { conversation_id, seq }),
        Request::Read(Read { conversation_id, seq }),
        Request::Typing(Typing {
            conversation_id,
            user_id: 0,
        }),
    ] {
        app.send(unanswered).await;
    }
    let (mut answers, _) = frames_to_pong(&mut app, asked.len()).await;
    assert_eq!(answers.keys().copied().collect::<Vec<_>>(), asked);
    let mut answer = |at: usize| {
        let mut bodies = answers.remove(&asked[at]).unwrap();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        bodies.remove(0)
    };
    assert!(matches!(answer(0), Body::SendOk(_)));
    assert!(matches!(answer(1), Body::RecallOk(_)));
    assert!(matches!(answer(2), Body::SyncDone(_)));
    assert!(matches!(answer(3), Body::HistoryPage(_)));
    assert!(matches!(answer(4), Body::Presence(_)));
    assert!(matches!(answer(5), Body::Error(error) if error.code() == ErrorCode::AuthFailed));
    assert!(matches!(answer(6), Body::Error(error) if error.code() == ErrorCode::Unsupported));
}

// protocol: "Frames with request_id 0 (Entry, Conversation of a live session, Marks, Hidden, Typing) answer nothing"
#[tokio::test(flavor = "multi_thread")]
async fn a_live_session_gets_frames_that_answer_nothing() {
    let fleet = Fleet::start().await;
    let conversation_id = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    fleet.conversation(&[(2, Role::Doctor)]).await;
    let seq = patient.say(conversation_id, "a", "hello").await.unwrap().seq;
    patient.send(Request::Read(Read { conversation_id, seq })).await;
    let typing = Typing {
        conversation_id,
        user_id: 0,
    };
    patient.send(Request::Typing(typing)).await;
    let mut missing = vec!["entry", "conversation", "marks", "typing"];
    while !missing.is_empty() {
        let frame = doctor.receive().await.expect("the connection is open");
        assert_eq!(frame.request_id, 0, "{frame:?}");
        let name = match frame.body {
            Some(Body::Entry(_)) => "entry",
            Some(Body::Conversation(_)) => "conversation",
            Some(Body::Marks(_)) => "marks",
            Some(Body::Typing(_)) => "typing",
            other => panic!("{other:?}"),
        };
        missing.retain(|of| *of != name);
    }
}

// protocol: "A former participant may not send, recall or mark anything"
#[tokio::test(flavor = "multi_thread")]
async fn a_former_participant_changes_nothing_and_is_not_shown_as_present() {
    let fleet = Fleet::start().await;
    let conversation_id = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    let seq = doctor.say(conversation_id, "a", "hello").await.unwrap().seq;
    let present = async |app: &mut App| {
        let query = PresenceQuery { user_ids: vec![2] };
        let Body::Presence(state) = app.ask(Request::Presence(query)).await else {
            panic!("no Presence");
        };
        state.users.len()
    };
    assert_eq!(present(&mut patient).await, 1);
    fleet.leave(conversation_id, 2).await;
    for request in [
        Request::Send(message(conversation_id, "b", "hello")),
        Request::Recall(Recall { conversation_id, seq }),
        Request::Received(Received { conversation_id, seq }),
        Request::Read(Read { conversation_id, seq }),
    ] {
        let (code, field) = doctor.refused(request).await;
        assert_eq!((code, &*field), (ErrorCode::NoAccess, "conversation_id"));
    }
    assert_eq!(present(&mut patient).await, 0);
}

// protocol: "A request that the database cannot serve now fails with UNAVAILABLE"
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_database_cannot_serve_is_put_off() {
    let fleet = Fleet::start().await;
    let conversation_id = fleet.consult().await;
    let mut app = fleet.log_in(1, "phone").await;
    let away = "ALTER TABLE participant RENAME TO away";
    fleet.execute(away, away).await;
    let history = History {
        conversation_id,
        ..History::default()
    };
    for request in [Request::History(history), Request::Sync(Sync::default())] {
        let Body::Error(error) = app.ask(request).await else {
            panic!("served without its table");
        };
        assert_eq!((error.code(), &*error.field), (ErrorCode::Unavailable, ""));
        assert!(error.retry_after_ms > 0);
    }
}

// protocol: "other requests of a session | 50 a second, 250 at once"
#[tokio::test(flavor = "multi_thread")]
async fn over_the_rate_other_requests_wait_and_are_not_refused() {
    const AT_ONCE: u32 = 250;
    const OVER: u32 = 60;
    let fleet = Fleet::start().await;
    let mut app = fleet.app(1, "phone").await;
    let began = Instant::now();
    let mut asked = Vec::new();
    for _ in 0..AT_ONCE + OVER {
        asked.push(app.send(Request::Presence(PresenceQuery::default())).await);
    }
    for request_id in asked {
        let frame = app.next().await;
        assert_eq!(frame.request_id, request_id, "in the order of asking");
        assert!(matches!(frame.body, Some(Body::Presence(_))), "{frame:?}");
    }
    // On a slow machine it takes longer, never shorter.
    let least = Duration::from_secs((OVER - 5).into()) / 50;
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}

// protocol: "requests that the node does not know | 500 a second, 2,500 at once"
// protocol: "it answers an unknown body with Error UNSUPPORTED"
#[tokio::test(flavor = "multi_thread")]
async fn over_their_rate_pings_and_unknown_requests_wait_and_are_not_refused() {
    const AT_ONCE: u64 = 2_500;
    const OVER: u64 = 500;
    /// Fewer than the answers that may be owed.
    const CHUNK: u64 = 50;
    let fleet = Fleet::start().await;
    let mut app = fleet.log_in(1, "phone").await;
    let began = Instant::now();
    for first in (0..AT_ONCE + OVER).step_by(CHUNK as usize) {
        for request_id in 1_000 + first..1_000 + first + CHUNK {
            let body = (request_id % 2 == 0).then_some(Request::Ping(Ping {}));
            app.connection.queue(&ClientFrame { request_id, body });
        }
        app.connection.flush().await.unwrap();
        for request_id in 1_000 + first..1_000 + first + CHUNK {
            let frame = app.next().await;
            assert_eq!(frame.request_id, request_id, "in the order of asking");
            match frame.body {
                Some(Body::Pong(_)) => assert_eq!(request_id % 2, 0),
                Some(Body::Error(error)) => assert_eq!(error.code(), ErrorCode::Unsupported),
                other => panic!("{other:?}"),
            }
        }
    }
    let least = Duration::from_millis((OVER - 50) * 2);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}
