//! The log of a database outage.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::wire::ErrorCode;
use testkit::{
    eventually,
    postgres::{Options, Postgres},
    store::Place,
};
use tokio::task::{JoinSet, spawn_blocking};

use super::{app::App, fleet::Fleet};
use crate::{ALONE, captured};

const SENDERS: i64 = 16;
/// Sends that are refused before the database is back.
const REFUSED: usize = 5_000;
/// Log lines of an outage, however long it lasts and however many sends it refuses.
const MOST_LINES: usize = 20;

/// An outage is a line where it begins and a line where it ends, beside some lines of whatever waits for the database.
/// Refused sends are counted.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_writes_few_lines_however_many_sends_it_refuses() {
    let _alone = ALONE.lock().await;
    let postgres = spawn_blocking(|| Postgres::start(Options::default()).unwrap());
    let postgres = Arc::new(postgres.await.unwrap());
    let url = postgres.prepared_database(crate::migrated).await.unwrap();
    let fleet = Fleet::start_on(Place::on_server(url), &["--sends-per-s", "100000"], 1).await;
    let consult = fleet.consult().await;
    let mut apps = Vec::new();
    for sender in 0..SENDERS {
        apps.push(fleet.app(1 + sender % 2, &format!("device {sender}")).await);
    }
    let log = captured::log();
    let before = log.lines(&[]).len();

    stop(&postgres).await;
    let refused = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut senders = JoinSet::new();
    for (number, app) in apps.into_iter().enumerate() {
        let message = format!("during the outage {number}");
        senders.spawn(send_until_accepted(
            app,
            consult,
            message,
            refused.clone(),
            is_over.clone(),
        ));
    }
    eventually("thousands of sends are refused", async || {
        refused.load(Ordering::Relaxed) >= REFUSED
    })
    .await;
    // Comparisons, marks and renewals meet the outage too.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let server = postgres.clone();
    spawn_blocking(move || server.start_again().unwrap())
        .await
        .unwrap();
    is_over.store(true, Ordering::Relaxed);
    while let Some(accepted) = senders.join_next().await {
        accepted.unwrap();
    }

    let lines = log.lines(&[]).split_off(before);
    let refused = refused.load(Ordering::Relaxed);
    assert!(
        lines.len() <= MOST_LINES,
        "{refused} refused: {}",
        lines.join("\n")
    );
    for words in [
        "the database cannot be written",
        "the database can be written again",
    ] {
        let said = lines.iter().filter(|line| line.contains(words)).count();
        assert_eq!(said, 1, "{words}: {}", lines.join("\n"));
    }
}

async fn stop(postgres: &Arc<Postgres>) {
    let postgres = postgres.clone();
    spawn_blocking(move || postgres.stop().unwrap()).await.unwrap();
}

/// Sends one message again and again, as an app with an impatient user does.
async fn send_until_accepted(
    mut app: App,
    consult: i64,
    message: String,
    refused: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
) {
    loop {
        match app.say(consult, &message, "hello").await {
            Ok(_) => return,
            Err(ErrorCode::Unavailable) => {
                refused.fetch_add(1, Ordering::Relaxed);
                if is_over.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}
