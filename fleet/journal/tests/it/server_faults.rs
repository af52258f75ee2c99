//! A server that dies, hangs or loses connections: every send is answered in time (I7), an acknowledged message is durable
//! (I1), and a message that is resent until it is acknowledged is one entry (I4), in order (I2).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use journal::{Error, append::Appender};
use proto::{ConversationId, wire::Role};
use testkit::{
    postgres::{Options, Postgres},
    store::Place,
};
use tokio::sync::oneshot;

use crate::{
    broken::{ANSWER, Broken, PATIENCE},
    world::{Answer, World, distributed, migrated, text},
};

/// Fewer acknowledged messages say nothing.
const ENOUGH: usize = 100;

/// The acknowledged seq of each message of one app.
type Acknowledged = BTreeMap<String, i64>;

/// The progress of all apps.
#[derive(Default)]
struct Course {
    apps: AtomicUsize,
    stop: AtomicBool,
    /// The longest wait for an answer.
    slowest: parking_lot::Mutex<Duration>,
    /// Messages that were acknowledged.
    acknowledged: AtomicUsize,
    /// Senders that were refused since this was last cleared.
    refused: parking_lot::Mutex<BTreeSet<i64>>,
}

impl Course {
    /// Waits until each app was refused.
    async fn all_are_refused(&self) {
        self.refused.lock().clear();
        let deadline = Instant::now() + PATIENCE;
        while self.refused.lock().len() < self.apps.load(Ordering::Relaxed) {
            assert!(
                Instant::now() < deadline,
                "I7: an app waits for a server that hangs"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// An app that sends messages one after another, each until it is acknowledged, and now and then an acknowledged one again.
async fn app(
    appender: Appender<Answer>,
    conversation: ConversationId,
    sender: i64,
    course: Arc<Course>,
) -> Acknowledged {
    let mut acked = Acknowledged::new();
    for at in 0.. {
        if course.stop.load(Ordering::Relaxed) {
            break;
        }
        let again = at % 5 == 4;
        let id = if again {
            format!("m{}", at - 2)
        } else {
            format!("m{at}")
        };
        loop {
            let asked = Instant::now();
            let (answer, answered) = oneshot::channel();
            appender
                .submit(text(conversation, sender, &id, &id), answer)
                .await
                .unwrap();
            let outcome = answered.await.unwrap();
            {
                let mut slowest = course.slowest.lock();
                *slowest = (*slowest).max(asked.elapsed());
            }
            match outcome {
                Ok(accepted) => {
                    assert!(!again || accepted.duplicate);
                    let first = acked.insert(id.clone(), accepted.seq.get());
                    assert!(first.is_none_or(|first| first == accepted.seq.get()), "I4");
                    if first.is_none() {
                        course.acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                    break;
                }
                Err(Error::Database(_)) => {
                    course.refused.lock().insert(sender);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    acked
}

/// Runs apps while something is done to the server, and judges what became of their messages.
async fn survives(broken: &Broken, harm: impl AsyncFn(&Broken, &Course)) {
    let mut ids = Vec::new();
    for at in 0..6 {
        let participants: Vec<_> = (0..3)
            .map(|person| (10 * at + person, Role::Doctor))
            .filter(|(id, _)| *id > 0)
            .collect();
        ids.push((broken.world.conversation(&participants).await, participants));
    }
    let course = Arc::new(Course::default());
    let mut apps = Vec::new();
    for (id, participants) in &ids {
        for (person, _) in participants {
            let app = app(broken.world.appender.clone(), *id, *person, course.clone());
            apps.push((*id, *person, tokio::spawn(app)));
        }
    }
    course.apps.store(apps.len(), Ordering::Relaxed);
    harm(broken, &course).await;
    // Every app gets on after the last harm.
    for (at, (id, _)) in ids.iter().enumerate() {
        let sender = if at == 0 { 1 } else { 10 * at as i64 };
        let deadline = Instant::now() + PATIENCE;
        let last = format!("after {at}");
        while broken.world.send(text(*id, sender, &last, &last)).await.is_err() {
            assert!(Instant::now() < deadline, "it does not recover");
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while course.acknowledged.load(Ordering::Relaxed) <= ENOUGH {
        assert!(Instant::now() < deadline, "hardly anything is acknowledged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    course.stop.store(true, Ordering::Relaxed);
    let mut acked = BTreeMap::new();
    for (id, person, app) in apps {
        let of_one = tokio::time::timeout(PATIENCE, app).await.unwrap().unwrap();
        acked.insert((id, person), of_one);
    }
    for (id, _) in &ids {
        // Gap-free (I2).
        let entries = broken.world.all(*id).await;
        let mut found: BTreeMap<i64, Acknowledged> = BTreeMap::new();
        for entry in entries
            .iter()
            .filter(|entry| entry.client_msg_id.starts_with('m'))
        {
            let first = found
                .entry(entry.sender.get())
                .or_default()
                .insert(entry.client_msg_id.clone(), entry.seq.get());
            assert_eq!(first, None, "I4: {} stands twice", entry.client_msg_id);
        }
        for ((of, person), acked) in acked.iter().filter(|((of, _), _)| of == id) {
            assert_eq!(found.get(person), Some(acked), "I1, I4: {of} {person}");
            // In the order of sending.
            let number = |id: &str| id[1..].parse::<u64>().unwrap();
            let mut in_order: Vec<_> = acked.iter().map(|(id, seq)| (*seq, number(id))).collect();
            in_order.sort();
            assert!(in_order.is_sorted_by_key(|(_, number)| *number), "I2");
        }
    }
    let slowest = *course.slowest.lock();
    assert!(slowest < ANSWER, "an answer took {slowest:?}");
}

async fn survives_kills(broken: &Broken) {
    survives(broken, async |broken, _| {
        for round in 0..6u64 {
            tokio::time::sleep(Duration::from_millis(200 + 90 * round)).await;
            tokio::task::block_in_place(|| {
                broken.postgres.kill().unwrap();
                broken.postgres.start_again().unwrap();
            });
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_i4_a_server_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    survives_kills(&Broken::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_i4_the_same_where_no_batch_is_written_by_one_statement() {
    survives_kills(&Broken::on(distributed).await).await;
}

async fn survives_lost_connections(broken: &Broken) {
    survives(broken, async |broken, _| {
        for round in 0..40u64 {
            tokio::time::sleep(Duration::from_millis(20 + round * 7 % 50)).await;
            broken.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'huizhen' AND random() < 0.7",
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_i4_lanes_whose_connections_are_ended_lose_and_double_nothing() {
    survives_lost_connections(&Broken::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_i4_lanes_that_write_in_parts_and_whose_connections_are_ended_lose_and_double_nothing() {
    survives_lost_connections(&Broken::on(distributed).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_i4_a_server_that_hangs_for_a_while_loses_and_doubles_nothing() {
    let broken = Broken::new().await;
    survives(&broken, async |broken, course| {
        // The second time for longer than anybody waits.
        for pause_ms in [Some(300), None, Some(1_000)] {
            tokio::time::sleep(Duration::from_millis(150)).await;
            broken.postgres.pause();
            match pause_ms {
                Some(pause_ms) => tokio::time::sleep(Duration::from_millis(pause_ms)).await,
                None => course.all_are_refused().await,
            }
            broken.postgres.resume();
        }
    })
    .await;
}

/// The primary dies, its standby is promoted, and the old primary comes back as a standby that stands first in the URL; then
/// the same the other way round. The standby confirms each commit, so nothing that was acknowledged is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_i4_sends_follow_the_server_that_takes_writes() {
    let confirmed = |server: &Postgres, by: &str| {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{by}'");
        server.psql("postgres", &set).unwrap();
        server.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    };
    let one = Arc::new(Postgres::start(Options::default()).unwrap());
    one.create_database("huizhen", None).unwrap();
    migrated(one.url("huizhen")).await.unwrap();
    let other = tokio::task::block_in_place(|| Postgres::standby_of(&one)).unwrap();
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/huizhen?sslmode=disable",
        one.port(),
        other.port()
    );
    let world = World::on(Place::on_server(url)).await;
    let broken = Broken {
        postgres: one.clone(),
        world,
    };
    survives(&broken, async |_, course| {
        for (primary, standby) in [(&*one, &other), (&other, &*one)] {
            tokio::task::block_in_place(|| {
                primary.await_standby_to_stream().unwrap();
                confirmed(primary, "*");
            });
            tokio::time::sleep(Duration::from_millis(300)).await;
            tokio::task::block_in_place(|| primary.kill().unwrap());
            course.all_are_refused().await;
            tokio::task::block_in_place(|| {
                standby.promote().unwrap();
                confirmed(standby, "");
                primary.follow(standby).unwrap();
            });
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    broken.world.journal.database().is_ready().await.unwrap();
}
