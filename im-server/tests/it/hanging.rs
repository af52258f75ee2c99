//! A database that hangs: it holds up marks and messages, and nothing else. A statement of SQLite has no limit, so the one
//! that hangs here does so until the test ends; on PostgreSQL each ends within 5 s.

use std::{sync::mpsc::sync_channel, time::Duration};

use database::Engine;
use proto::wire::{ByeReason, ClientFrame, Ping, Read, client_frame::Body as Request, server_frame::Body};
use testkit::{PATIENCE, eventually};
use tokio::time::timeout;

use super::{app::App, fleet::Fleet};

/// Sessions that are silent, slow or expired end while a statement hangs.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_while_the_database_hangs() {
    let fleet = Fleet::start_with(&["--heartbeat-s", "2", "--slow-limit-s", "1"], 1).await;
    let consult = fleet.consult().await;
    let mut marking = fleet.app(1, "phone").await;
    let Engine::Sqlite(sqlite) = fleet.journal.database().engine() else {
        panic!("on SQLite only");
    };
    let sqlite = sqlite.clone();
    let (hangs, is_hanging) = sync_channel::<()>(1);
    let (release, released) = sync_channel::<()>(1);
    let statement = tokio::spawn(async move {
        let hang = move |_: &mut _| {
            let _ = hangs.send(());
            let _ = released.recv();
            Ok::<(), database::Error>(())
        };
        sqlite.write(hang).await
    });
    tokio::task::spawn_blocking(move || is_hanging.recv_timeout(PATIENCE))
        .await
        .unwrap()
        .unwrap();
    // A mark that waits to be saved: from the next second on its task hangs too.
    let mark = Read {
        conversation_id: consult,
        seq: 1,
    };
    marking.send(Request::Read(mark)).await;
    assert!(matches!(marking.ask(Request::Ping(Ping {})).await, Body::Pong(_)));

    let silent = async {
        assert_eq!(marking.bye().await.reason(), ByeReason::Idle);
    };
    let expired = async {
        let mut app = fleet.connect().await;
        let password = fleet.password_for(2, "pad", 5_000).await;
        app.log_in(2, "pad", &password).await;
        loop {
            match app.ask(Request::Ping(Ping {})).await {
                Body::Pong(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                Body::Bye(bye) => break assert_eq!(bye.reason(), ByeReason::Expired),
                other => panic!("{other:?}"),
            }
        }
    };
    let slow = async {
        let mut app = App::connect_narrow(fleet.ports().tcp()).await;
        app.log_in(3, "tablet", &fleet.password(3, "tablet").await).await;
        let reason = flood(app).await;
        // It may end with a reset, since the Bye found no way.
        assert!(
            reason.is_none_or(|reason| reason == ByeReason::Slow),
            "{reason:?}"
        );
    };
    timeout(PATIENCE, async { tokio::join!(silent, expired, slow) })
        .await
        .expect("each session ends");
    eventually("no session is left", async || fleet.nodes[0].0.sessions() == 0).await;
    assert!(!statement.is_finished(), "the statement still hangs");
    release.send(()).unwrap();
    statement.await.unwrap().unwrap();
}

/// Asks and reads nothing until the node hangs up. Returns the reason, if it arrived.
async fn flood(app: App) -> Option<ByeReason> {
    let (mut reader, mut writer) = app.connection.split();
    for request_id in 1.. {
        writer.queue(&ClientFrame {
            request_id,
            body: Some(Request::Ping(Ping {})),
        });
        if request_id % 1_000 == 0 && writer.flush().await.is_err() {
            break;
        }
    }
    while let Ok(Some(frame)) = reader.receive().await {
        if let Some(Body::Bye(bye)) = frame.body {
            return Some(bye.reason());
        }
    }
    None
}
