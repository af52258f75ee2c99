//! I1: what was acknowledged is there after the process was killed at any sync, and stays there after a power loss.
//!
//! This test binary starts itself again as the process that is killed ([`child`]), under `strace`, which kills it at its
//! n-th sync of a thread.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use journal::append::Accepted;
use proto::{ConversationId, wire::Role};
use testkit::store::{Place, Store};

use crate::world::{World, text};

/// Where the child's folder is, how it sends, and a word that makes its client_msg_ids new.
const FOLDER: &str = "HUIZHEN_CHILD_FOLDER";
const MODE: &str = "HUIZHEN_CHILD_MODE";
const ROUND: &str = "HUIZHEN_CHILD_ROUND";

const SINGLE_SENDS: i64 = 30;
const BATCHES: i64 = 20;
const SENDS_IN_A_BATCH: i64 = 16;

/// Not a test of its own: does nothing unless it was started by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Ok(folder), Ok(mode), Ok(round)) =
        (std::env::var(FOLDER), std::env::var(MODE), std::env::var(ROUND))
    else {
        return;
    };
    let world = World::on(Place::in_folder(Path::new(&folder))).await;
    let id = ConversationId::from_database(1);
    match mode.as_str() {
        "create" => {
            world.conversation(&[(1, Role::Patient)]).await;
        }
        "single" => {
            for at in 0..SINGLE_SENDS {
                let client_msg_id = format!("{round}-{at}");
                let accepted = world
                    .send(text(id, 1, &client_msg_id, &client_msg_id))
                    .await
                    .unwrap();
                acknowledge(&client_msg_id, accepted);
            }
        }
        "batches" => {
            for batch in 0..BATCHES {
                let ids =
                    (0..SENDS_IN_A_BATCH).map(|at| format!("{round}-{}", batch * SENDS_IN_A_BATCH + at));
                let ids: Vec<String> = ids.collect();
                let messages = ids
                    .iter()
                    .map(|client_msg_id| text(id, 1, client_msg_id, client_msg_id));
                let outcomes = world.send_all(messages.collect()).await;
                for (client_msg_id, outcome) in ids.iter().zip(outcomes) {
                    acknowledge(client_msg_id, outcome.unwrap());
                }
            }
        }
        // Everything that this round may have sent, once more.
        "resend" => {
            let last = world.last_seq(id).await;
            for entry in world.all(id).await {
                if entry.client_msg_id.starts_with(&format!("{round}-")) {
                    let body = entry.client_msg_id.as_str();
                    let accepted = world.send(text(id, 1, body, body)).await.unwrap();
                    acknowledge(body, accepted);
                }
            }
            assert_eq!(world.last_seq(id).await, last);
        }
        other => panic!("no such mode: {other}"),
    }
}

/// One write, so that a kill leaves all of it or nothing.
fn acknowledge(client_msg_id: &str, accepted: Accepted) {
    let line = format!("ack {client_msg_id} {} {}\n", accepted.seq, accepted.duplicate);
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ack {
    client_msg_id: String,
    seq: i64,
    duplicate: bool,
}

struct Ended {
    acks: Vec<Ack>,
    /// Whether it came to its end, rather than being killed.
    finished: bool,
    /// The trace of strace.
    trace: String,
}

/// Runs the child under strace with these arguments.
fn run_child(folder: &Path, mode: &str, round: &str, strace: &[String]) -> Ended {
    let trace = folder.join("trace");
    let output = Command::new("strace")
        .args(["-f", "-y", "-s", "64", "-o"])
        .arg(&trace)
        .args(strace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "durability::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(MODE, mode)
        .env(ROUND, round)
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("strace is needed to test what survives a crash ({error}): apt-get install strace")
    });
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    for refused in ["ptrace", "PTRACE", "Operation not permitted"] {
        assert!(
            !complaints.contains(refused),
            "strace may not trace here; allow ptrace (in a container: --cap-add SYS_PTRACE):\n{complaints}"
        );
    }
    let finished = output.status.success();
    let killed = !finished && !complaints.contains("panicked");
    assert!(finished || killed, "{said}\n{complaints}");
    Ended {
        acks: said.lines().filter_map(ack).collect(),
        finished,
        trace: std::fs::read_to_string(trace).unwrap_or_default(),
    }
}

fn ack(line: &str) -> Option<Ack> {
    // The test harness may have begun a line of its own before it.
    let (_, ack) = line.split_once("ack ")?;
    let mut words = ack.split(' ');
    Some(Ack {
        client_msg_id: words.next()?.to_owned(),
        seq: words.next()?.parse().ok()?,
        duplicate: words.next()?.parse().ok()?,
    })
}

fn kill_at(nth: usize) -> Vec<String> {
    let inject = format!("inject=fdatasync,fsync:signal=SIGKILL:when={nth}");
    ["-e", "trace=fdatasync,fsync", "-e", &inject]
        .map(str::to_owned)
        .into()
}

fn watch() -> Vec<String> {
    ["-e", "trace=fdatasync,fsync,write"].map(str::to_owned).into()
}

/// A file with one conversation in it.
async fn prepared() -> (World, PathBuf) {
    let world = World::new(Store::Sqlite).await;
    world.conversation(&[(1, Role::Patient)]).await;
    let path = world.place.folder().to_owned();
    (world, path)
}

/// Looks at what a killed process has left: everything that it had acknowledged is there under its seq, in order, without
/// gaps, and is a duplicate when it is resent. Returns the number of unacknowledged rows.
async fn assert_acknowledged(world: &World, round: &str, acks: &[Ack]) -> usize {
    let id = ConversationId::from_database(1);
    let entries = world.all(id).await;
    let held: BTreeMap<&str, i64> = entries
        .iter()
        .map(|entry| (entry.client_msg_id.as_str(), entry.seq.get()))
        .collect();
    for ack in acks {
        assert!(!ack.duplicate, "{ack:?}");
        assert_eq!(
            held.get(ack.client_msg_id.as_str()),
            Some(&ack.seq),
            "I1: {ack:?}"
        );
        let body = ack.client_msg_id.as_str();
        let again = world.send(text(id, 1, body, body)).await.unwrap();
        assert_eq!((again.seq.get(), again.duplicate), (ack.seq, true), "I4");
    }
    assert!(acks.is_sorted_by_key(|ack| ack.seq));
    let of_round = held
        .keys()
        .filter(|held| held.starts_with(&format!("{round}-")))
        .count();
    of_round - acks.len()
}

/// The same file is killed again and again, at later and later syncs, while one message at a time or batches go in.
async fn killed_at_every_sync(mode: &str, syncs: impl Iterator<Item = usize>) {
    let (mut world, folder) = prepared().await;
    let (mut kills, mut unacknowledged) = (0, 0);
    for nth in syncs {
        let keep = world.end().await;
        let round = format!("{mode}{nth}");
        let ended = run_child(&folder, mode, &round, &kill_at(nth));
        kills += usize::from(!ended.finished);
        world = World::on(keep).await;
        unacknowledged += assert_acknowledged(&world, &round, &ended.acks).await;
        let id = ConversationId::from_database(1);
        let next = world.last_seq(id).await + 1;
        let accepted = world
            .send(text(id, 1, &format!("{round}+"), "goes on"))
            .await
            .unwrap();
        assert_eq!(accepted.seq.get(), next, "I2");
    }
    assert!(kills >= 8, "only {kills} were killed");
    // Else no kill has hit a commit, and nothing was tested.
    assert!(unacknowledged > 0, "no commit was hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_i4_single_sends_survive_a_kill_at_any_sync() {
    killed_at_every_sync("single", (1..=12).chain([15, 19, 25])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_i2_i4_batches_survive_a_kill_at_any_sync() {
    killed_at_every_sync("batches", (1..=10).chain([13, 17])).await;
}

/// From an empty folder on: whenever the process dies while it makes its file, the next one makes do with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_being_made_when_the_process_died_can_be_opened() {
    for nth in 1..=8 {
        let folder = tempfile::tempdir().unwrap();
        run_child(folder.path(), "create", "", &kill_at(nth));
        let world = World::on(Place::in_temporary(folder)).await;
        let id = world.conversation(&[(1, Role::Patient)]).await;
        world.send(text(id, 1, "a", "x")).await.unwrap();
        assert_eq!(world.all(id).await.len(), 2);
    }
}

/// The events of a trace, in order.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The log, the database or its folder was synced: its name.
    Synced(String),
    Ack(Ack),
}

fn seen(trace: &str) -> Vec<Seen> {
    let mut seen = Vec::new();
    // A call that another thread interrupted is two lines; it has synced when it returns.
    let mut unfinished: BTreeMap<&str, String> = BTreeMap::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap_or_default();
        let call = call.trim_start();
        if call.starts_with("fsync(") || call.starts_with("fdatasync(") {
            let path = call.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            let path = path.map_or("", |(path, _)| path);
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            if call.ends_with("= 0") {
                seen.push(Seen::Synced(name));
            } else {
                unfinished.insert(thread, name);
            }
        } else if call.contains("sync resumed>") && call.ends_with("= 0") {
            seen.extend(unfinished.remove(thread).map(Seen::Synced));
        } else if call.starts_with("write(1<")
            && let Some((_, said)) = call.split_once("\"ack ")
        {
            let said = format!("ack {}", said.split("\\n").next().unwrap_or_default());
            seen.extend(ack(&said).map(Seen::Ack));
        }
    }
    seen
}

/// I1, the first of the two holes: a process that is killed in the sync of a commit leaves a row that is visible and not
/// durable. A resend of it must not be acknowledged before the log was synced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_a_visible_row_is_synced_before_its_resend_is_acknowledged() {
    let (world, folder) = prepared().await;
    let keep = world.end().await;
    let mut tested = 0;
    for nth in 3..=9 {
        let round = format!("hole{nth}");
        let killed = run_child(&folder, "single", &round, &kill_at(nth));
        let resent = run_child(&folder, "resend", &round, &watch());
        assert!(resent.finished);
        let seen = seen(&resent.trace);
        assert!(resent.acks.iter().all(|ack| ack.duplicate));
        assert!(resent.acks.len() >= killed.acks.len());
        // An unacknowledged row: it was written and not synced.
        if resent.acks.len() == killed.acks.len() {
            continue;
        }
        tested += 1;
        let first_ack = seen.iter().position(|seen| matches!(seen, Seen::Ack(_)));
        let first_ack = first_ack.expect("strace has seen no acknowledgement");
        let synced = seen[..first_ack]
            .iter()
            .any(|seen| matches!(seen, Seen::Synced(name) if name.ends_with("-wal")));
        assert!(synced, "acknowledged before any sync of the log: {seen:?}");
    }
    assert!(tested > 0, "no kill has hit a commit");
    drop(keep);
}

/// I1: between any two acknowledgements of messages that were sent one by one lies a sync of the log; before the first
/// one of a new file also one of its folder, or the file itself might be gone.
// protocol: "An acknowledged message is durable"
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_every_acknowledgement_comes_after_a_sync_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let created = run_child(folder.path(), "create", "", &watch());
    assert!(created.finished);
    let name = folder.path().file_name().unwrap().to_string_lossy().into_owned();
    let created = seen(&created.trace);
    assert!(created.contains(&Seen::Synced(name)), "{created:?}");
    let ended = run_child(folder.path(), "single", "once", &watch());
    assert_eq!(ended.acks.len() as i64, SINGLE_SENDS);
    let seen = seen(&ended.trace);
    let mut synced = false;
    let mut acknowledged = 0;
    for seen in &seen {
        match seen {
            Seen::Synced(name) => synced |= name.ends_with("-wal"),
            Seen::Ack(ack) => {
                assert!(synced, "{ack:?} came without a sync: {seen:?}");
                synced = false;
                acknowledged += 1;
            }
        }
    }
    assert_eq!(acknowledged, SINGLE_SENDS);
}
