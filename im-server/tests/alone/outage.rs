//! The log of a database outage.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::wire::{ErrorCode, client_frame::Body as Request, server_frame::Body};
use testkit::{
    eventually,
    postgres::{Options, Postgres},
    store::Place,
};
use tokio::task::{JoinSet, spawn_blocking};

use super::{
    app::{App, message},
    fleet::Fleet,
};
use crate::{ALONE, captured};

const SENDERS: i64 = 16;
/// Messages of each sender, sent without waiting for answers.
const MESSAGES: usize = 32;
/// Sends that are refused before the database is back: each message more than twice.
const REFUSED: usize = 1_200;
/// Log lines of an outage, however long it lasts and however many sends it refuses.
const MOST_LINES: usize = 20;
/// The pause of an app between two attempts.
const RETRY_AFTER: Duration = Duration::from_millis(500);

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
    let mut senders = JoinSet::new();
    for (number, app) in apps.into_iter().enumerate() {
        senders.spawn(send_until_accepted(app, consult, number, refused.clone()));
    }
    eventually("more than a thousand sends are refused", async || {
        refused.load(Ordering::Relaxed) >= REFUSED
    })
    .await;
    let server = postgres.clone();
    spawn_blocking(move || server.start_again().unwrap())
        .await
        .unwrap();
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

/// Sends messages again and again until all are accepted, as an app does after each retry time.
async fn send_until_accepted(mut app: App, consult: i64, sender: usize, refused: Arc<AtomicUsize>) {
    let mut unsent: Vec<usize> = (0..MESSAGES).collect();
    while !unsent.is_empty() {
        let mut under_way = BTreeMap::new();
        for number in std::mem::take(&mut unsent) {
            let id = format!("{sender} {number}");
            let request_id = app.send(Request::Send(message(consult, &id, "hello"))).await;
            under_way.insert(request_id, number);
        }
        while !under_way.is_empty() {
            let frame = app.next().await;
            let Some(number) = under_way.remove(&frame.request_id) else {
                continue;
            };
            match frame.body {
                Some(Body::SendOk(_)) => {}
                Some(Body::Error(error)) if error.code() == ErrorCode::Unavailable => {
                    refused.fetch_add(1, Ordering::Relaxed);
                    unsent.push(number);
                }
                other => panic!("{other:?}"),
            }
        }
        unsent.sort_unstable();
        if !unsent.is_empty() {
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}
