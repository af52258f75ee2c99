//! The generator against a relay in this process: clean runs pass, and every wrong is found.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use loadtest::generator::schedule::Pace;
use loadtest::generator::{self, Outcome, Plan};
use loadtest::report::Report;
use loadtest::server::relay::{self, Fault, RelayArguments};
use loadtest::server::usage::Watch;
use loadtest::server::{Ports, Spawned};
use loadtest::world::World;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

struct Relay {
    address: SocketAddr,
    serving: JoinHandle<anyhow::Result<()>>,
    folder: TempDir,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn start(conversations: u32, members: u32, stored: bool, fault: Option<Fault>) -> Relay {
    let folder = TempDir::new().unwrap();
    let ports_file = folder.path().join("ports.json");
    let serving = tokio::spawn(relay::run(RelayArguments {
        addr: ([127, 0, 0, 1], 0).into(),
        ports_file: ports_file.clone(),
        users: conversations * members,
        conversations,
        members,
        store: stored.then(|| folder.path().join("entries.db")),
        inserts_into: None,
        insert_connections: 1,
        fault,
    }));
    for _ in 0..6000 {
        let ports = fs::read(&ports_file)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Ports>(&bytes).ok());
        if let Some(address) = ports.and_then(|ports| ports.im) {
            return Relay {
                address,
                serving,
                folder,
            };
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the relay does not listen")
}

fn plan(address: SocketAddr, conversations: u32, members: u32, pace: Pace, threads: usize) -> Plan {
    Plan {
        addresses: vec![address],
        world: Arc::new(World::of_strangers(conversations, members)),
        pace,
        seed: 1,
        run: 1,
        warm_up: Duration::from_millis(200),
        duration: Duration::from_secs(1),
        threads,
        payload_bytes: 200,
    }
}

async fn run(relay: &Relay, conversations: u32, members: u32, pace: Pace, threads: usize) -> Outcome {
    let plan = plan(relay.address, conversations, members, pace, threads);
    Box::pin(generator::run(plan, &Watch::default())).await.unwrap()
}

fn assert_clean(outcome: &Outcome) {
    assert!(outcome.verdict.is_clean(), "{:?}", outcome.verdict);
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_sends_what_is_due_and_everybody_gets_it() {
    let relay = start(20, 5, false, None).await;
    for threads in [1, 2] {
        let outcome = run(&relay, 20, 5, Pace::Open { per_second: 500.0 }, threads).await;
        assert_clean(&outcome);
        let whole = outcome.recorder.whole;
        assert_eq!(whole.acked, whole.sent);
        assert_eq!(whole.delivered, whole.sent * 4);
        // 1.2 s at 500/s; shared out among threads, some of which may round down.
        assert!((598..=600).contains(&whole.sent), "{whole:?}");
        assert_eq!(outcome.connections, 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saturated_room_delivers_everything() {
    let relay = start(1, 50, false, None).await;
    let outcome = run(&relay, 1, 50, Pace::Outstanding { window: 8 }, 2).await;
    assert_clean(&outcome);
    let whole = outcome.recorder.whole;
    assert!(whole.sent > 8);
    assert_eq!(whole.delivered, whole.sent * 49);
    assert_eq!(
        outcome.recorder.delivery.count() / 49,
        outcome.recorder.ack.count()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_are_acknowledged_after_a_commit() {
    let relay = start(10, 2, true, None).await;
    let outcome = run(&relay, 10, 2, Pace::Windows { window: 8 }, 1).await;
    assert_clean(&outcome);
    let whole = outcome.recorder.whole;
    assert!(whole.sent > 80);
    let database = rusqlite::Connection::open(relay.folder.path().join("entries.db")).unwrap();
    let rows: i64 = database
        .query_row("SELECT count(*) FROM entry", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows as u64, whole.acked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_is_found() {
    for fault in [
        Fault::Lose,
        Fault::Double,
        Fault::Swap,
        Fault::Forge,
        Fault::Repeat,
    ] {
        let relay = start(2, 3, false, Some(fault)).await;
        let outcome = run(&relay, 2, 3, Pace::Open { per_second: 300.0 }, 1).await;
        let verdict = &outcome.verdict;
        assert!(!verdict.is_clean(), "{fault:?}");
        let found = match fault {
            Fault::Lose => verdict.lost,
            Fault::Double | Fault::Repeat => verdict.duplicated,
            Fault::Swap | Fault::Forge => verdict.reordered,
            Fault::Refuse => 0,
        };
        assert!(found > 0, "{fault:?}: {verdict:?}");
        assert!(!verdict.examples.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_refuses_every_message_fails_the_run_though_nothing_is_lost() {
    let relay = start(2, 3, false, Some(Fault::Refuse)).await;
    let outcome = run(&relay, 2, 3, Pace::Open { per_second: 300.0 }, 1).await;
    assert_clean(&outcome);
    assert!(outcome.recorder.whole.sent > 0 && outcome.recorder.whole.acked == 0);
    let report = Report::new("chat", 1).with_outcome(outcome);
    assert!(!report.is_clean(), "{:?}", report.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_that_a_node_does_not_know_end_the_run_with_an_error() {
    let relay = start(2, 3, false, None).await;
    let refused = Box::pin(generator::run(
        plan(relay.address, 3, 3, Pace::Open { per_second: 1.0 }, 1),
        &Watch::default(),
    ))
    .await
    .unwrap_err();
    assert!(format!("{refused:#}").contains("NOT_LOGGED_IN"), "{refused:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_under_load_is_a_fault() {
    let folder = TempDir::new().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_loadtest"));
    let arguments = ["relay", "--users=6", "--conversations=2", "--members=3"].map(str::to_owned);
    let (mut node, ports) = Spawned::start(program, &arguments, folder.path(), "relay")
        .await
        .unwrap();
    let plan = Plan {
        duration: Duration::from_secs(4),
        ..plan(ports.im.unwrap(), 2, 3, Pace::Open { per_second: 2000.0 }, 1)
    };
    let unwatched = Watch::default();
    let running = Box::pin(generator::run(plan, &unwatched));
    let killing = async {
        // More than logins cost: the load is on.
        let watch = Watch::process("relay", node.pid());
        let before = watch.sample().await.unwrap();
        while watch.since(&before, 1).await.unwrap()[0].cpu_s < 0.05 {
            sleep(Duration::from_millis(10)).await;
        }
        node.kill().unwrap();
    };
    let (outcome, killed) = tokio::join!(running, timeout(Duration::from_secs(60), killing));
    killed.unwrap();
    let outcome = outcome.unwrap();
    assert!(!outcome.faults.is_empty());
    assert!(outcome.recorder.whole.acked < outcome.recorder.whole.sent);
}
