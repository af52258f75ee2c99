//! A server that dies, hangs, loses connections or holds rows: every send is answered in time (I7), what was acknowledged
//! is durable (I1), and a message that is sent until it is acknowledged is one entry (I4), in order (I2).

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

use crate::world::{Answer, World, distributed, migrated, text};

/// The wire promises an answer within 5 s. What a busy machine adds is no fault of ours; without a limit there would be
/// none at all for as long as the server hangs.
const ANSWER: Duration = Duration::from_secs(20);
/// How long anything awaited may take, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Fewer acknowledged messages say nothing.
const ENOUGH: usize = 100;

/// A world on an instance of its own, which the test breaks.
pub(crate) struct Broken {
    pub(crate) postgres: Arc<Postgres>,
    pub(crate) world: World,
}

impl Broken {
    pub(crate) async fn new() -> Self {
        Self::on(|url| Place::on_server(url.to_owned())).await
    }

    async fn on(place: impl FnOnce(&str) -> Place) -> Self {
        let postgres = Arc::new(Postgres::start(Options::default()).unwrap());
        let url = postgres.empty_database().unwrap();
        migrated(url.clone()).await.unwrap();
        let world = World::on(place(&url)).await;
        Self { postgres, world }
    }

    /// Waits until a query past the appender gives this.
    pub(crate) async fn eventually(&self, sql: &str, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.psql(sql) != wanted {
            assert!(Instant::now() < deadline, "{sql} never gives {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn psql(&self, sql: &str) -> String {
        tokio::task::block_in_place(|| self.postgres.psql(self.world.place.database(), sql).unwrap())
    }

    pub(crate) async fn send(
        &self,
        conversation: ConversationId,
        id: &str,
    ) -> Result<journal::append::Accepted, Error> {
        let asked = Instant::now();
        let outcome = self.world.send(text(conversation, 1, id, id)).await;
        assert!(asked.elapsed() < ANSWER, "answered after {:?}", asked.elapsed());
        outcome
    }

    pub(crate) async fn send_until_accepted(
        &self,
        conversation: ConversationId,
        id: &str,
    ) -> journal::append::Accepted {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.send(conversation, id).await {
                Ok(accepted) => return accepted,
                Err(Error::Database(_)) => assert!(Instant::now() < deadline),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

pub(crate) fn is_away(outcome: &Result<journal::append::Accepted, Error>) -> bool {
    matches!(outcome, Err(Error::Database(database::Error::Unavailable(_))))
}

/// What one app has been told: the seq of each of its messages.
type Told = BTreeMap<String, i64>;

/// What all apps have met so far.
#[derive(Default)]
struct Course {
    apps: AtomicUsize,
    stop: AtomicBool,
    /// The longest wait for an answer.
    slowest: parking_lot::Mutex<Duration>,
    /// Messages that were acknowledged.
    acknowledged: AtomicUsize,
    /// Who was told that the server is away, since this was last emptied.
    refused: parking_lot::Mutex<BTreeSet<i64>>,
}

impl Course {
    /// Waits until each app was told that the server is away.
    async fn all_are_refused(&self) {
        self.refused.lock().clear();
        let deadline = Instant::now() + PATIENCE;
        while self.refused.lock().len() < self.apps.load(Ordering::Relaxed) {
            assert!(
                Instant::now() < deadline,
                "I7: somebody waits for a server that hangs"
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
) -> Told {
    let mut told = Told::new();
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
                    let first = told.insert(id.clone(), accepted.seq.get());
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
    told
}

/// Runs apps while something is done to the server, and judges what became of their messages.
async fn survives(broken: &Broken, harm: impl AsyncFn(&Broken, &Course)) {
    let mut ids = Vec::new();
    for at in 0..6 {
        let people: Vec<_> = (0..3)
            .map(|person| (10 * at + person, Role::Doctor))
            .filter(|(id, _)| *id > 0)
            .collect();
        ids.push((broken.world.conversation(&people).await, people));
    }
    let course = Arc::new(Course::default());
    let mut apps = Vec::new();
    for (id, people) in &ids {
        for (person, _) in people {
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
    let mut told = BTreeMap::new();
    for (id, person, app) in apps {
        let of_one = tokio::time::timeout(PATIENCE, app).await.unwrap().unwrap();
        told.insert((id, person), of_one);
    }
    for (id, _) in &ids {
        // Gap-free (I2).
        let entries = broken.world.all(*id).await;
        let mut found: BTreeMap<i64, Told> = BTreeMap::new();
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
        for ((of, person), told) in told.iter().filter(|((of, _), _)| of == id) {
            assert_eq!(found.get(person), Some(told), "I1, I4: {of} {person}");
            // In the order of sending.
            let number = |id: &str| id[1..].parse::<u64>().unwrap();
            let mut in_order: Vec<_> = told.iter().map(|(id, seq)| (*seq, number(id))).collect();
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

/// Somebody holds the row of one conversation: those who send to it are told in time, and nobody else waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_a_conversation_that_somebody_holds_holds_up_nobody_else() {
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
    // Each of those who wait for the row waits half a second: behind them there would be a handful at the most.
    assert!(free > 20, "{free} rounds of the others while one waited");
    // Those who come back while it is held are told again; let go, they get through.
    let again = async { broken.send(ids[0], "held").await };
    let let_go = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (again, ()) = tokio::join!(again, let_go);
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

/// Sends of a client that asks for more than there is room for wait at the door, and are answered in time all the same.
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

/// Nothing of what people write is in a log, at whatever level: tokio-postgres tells the parameters of each statement.
#[test]
fn what_people_write_is_in_no_log() {
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
