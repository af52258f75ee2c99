//! A server that hangs, is away, or holds a row: every send is answered in time (I7).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proto::wire::Role;
use tokio::sync::oneshot;

use crate::{
    broken::{ANSWER, Broken},
    world::{World, is_away, text},
};

/// The queue behind a batch that is stuck is answered in time as well, and so is what comes while the server hangs or is
/// away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_every_send_is_answered_in_time_while_the_server_hangs_or_is_away() {
    let broken = Broken::new().await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(broken.world.conversation(&[(1, Role::Patient)]).await);
    }
    for (word, harm) in [("hangs", true), ("away", false)] {
        if harm {
            broken.postgres.pause();
        } else {
            broken.postgres.stop().unwrap();
        }
        let sends = (0..40u64).map(|at| {
            let id = ids[at as usize % ids.len()];
            let broken = &broken;
            async move {
                tokio::time::sleep(Duration::from_millis(at * 100)).await;
                broken.send(id, &format!("{word} {at}")).await
            }
        });
        let outcomes = futures_util::future::join_all(sends).await;
        assert!(outcomes.iter().all(is_away), "{outcomes:?}");
        if harm {
            broken.postgres.resume();
        } else {
            broken.postgres.start_again().unwrap();
        }
        for (at, id) in ids.iter().cycle().take(40).enumerate() {
            broken.send_until_accepted(*id, &format!("{word} {at}")).await;
        }
    }
    for id in ids {
        assert_eq!(broken.world.all(id).await.len(), 1 + 10);
    }
}

/// Another transaction holds the row of one conversation: its senders are answered in time, and no others wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_a_locked_conversation_delays_no_other() {
    let broken = Broken::new().await;
    let mut ids = Vec::new();
    // All on one lane.
    while ids.len() < 3 {
        let id = broken.world.conversation(&[(1, Role::Patient)]).await;
        if id.get() % 4 == 0 {
            ids.push(id);
        }
    }
    let url = broken.postgres.url(broken.world.place.database());
    let (holder, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let hold = format!(
        "BEGIN; UPDATE conversation SET title = title WHERE id = {}",
        ids[0]
    );
    holder.batch_execute(&hold).await.unwrap();
    let is_answered = AtomicBool::new(false);
    let held = async {
        let held = broken.send(ids[0], "held").await;
        is_answered.store(true, Ordering::Relaxed);
        held
    };
    let free = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut rounds = 0;
        while !is_answered.load(Ordering::Relaxed) {
            for id in &ids[1..] {
                broken.send(*id, &format!("free {rounds}")).await.unwrap();
            }
            rounds += 1;
        }
        rounds
    };
    let (held, free) = tokio::join!(held, free);
    assert!(is_away(&held), "{held:?}");
    // A batch that waits for the row takes half a second: behind it there would be a handful of rounds.
    assert!(free > 20, "{free} rounds of the others while one waited");
    // A resend is refused while the row is held, and accepted after its release.
    let again = async { broken.send(ids[0], "held").await };
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (again, ()) = tokio::join!(again, release);
    assert_eq!(again.unwrap().seq.get(), 2);
    assert_eq!(broken.world.all(ids[0]).await.len(), 2);
}

/// An appender that ends while the server hangs does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_an_appender_ends_while_the_server_hangs() {
    let Broken { postgres, world } = Broken::new().await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    postgres.pause();
    let (answer, answered) = oneshot::channel();
    world
        .appender
        .submit(text(id, 1, "a", "x"), answer)
        .await
        .unwrap();
    tokio::time::timeout(ANSWER, world.appender.end()).await.unwrap();
    assert!(is_away(&answered.await.unwrap()));
}

/// Sends beyond the capacity of the queue are answered in time as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_a_flood_while_the_server_is_away_is_answered_in_time() {
    let broken = Broken::new().await;
    let id = broken.world.conversation(&[(1, Role::Patient)]).await;
    broken.postgres.stop().unwrap();
    let sends = (0..5_000).map(|at| {
        let broken = &broken;
        async move { broken.send(id, &format!("m{at}")).await }
    });
    let outcomes = futures_util::future::join_all(sends).await;
    assert!(outcomes.iter().all(is_away));
}

/// No message content is in a log at any level: tokio-postgres logs the parameters of each statement.
#[test]
fn message_content_is_in_no_log() {
    #[derive(Clone, Default)]
    struct Log(Arc<parking_lot::Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(testkit::store::Store::Postgres).await;
        let id = world.conversation(&[(1, Role::Patient)]).await;
        for _ in 0..2 {
            let mut message = text(id, 1, "marker-id-2718", "marker-body-2718");
            message.mentions = vec![1];
            world.send(message).await.unwrap();
        }
        let conflict = world
            .send(text(id, 1, "marker-id-2718", "marker-other-2718"))
            .await;
        conflict.unwrap_err();
        assert_eq!(world.seen_by(id, 1).await, [1, 2]);
        world.end().await;
    });
    let text = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(
        text.contains("tokio_postgres"),
        "the log holds nothing of the driver"
    );
    let line = text.lines().find(|line| line.contains("marker-"));
    assert!(line.is_none(), "{line:?}");
}
