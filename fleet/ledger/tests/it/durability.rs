//! I6: after a kill at any sync all of a transfer is there or nothing, what was acknowledged is there, and a resend completes
//! the rest.
//!
//! This test binary starts itself again as the process that is killed ([`child`]), under `strace`, which kills it at its n-th
//! sync.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use database::{Database, params};
use ledger::reconcile::reconcile;
use testkit::store::Place;

use crate::{
    books::{Act, Stored},
    place::first,
};

/// The child's folder, and the round that makes its causes new.
const FOLDER: &str = "HUIZHEN_CHILD_FOLDER";
const ROUND: &str = "HUIZHEN_CHILD_ROUND";

const ACTS: i64 = 24;
const NOW_MS: i64 = 1_796_000_000_000;

/// The acts of a round. Each commits the rows of its cause with its transfer.
fn acts(round: i64) -> Vec<Act> {
    let id = |at: i64| round * 100 + at;
    let one = |at: i64| match at % 4 {
        0 => Act::TopUp {
            order: id(at),
            member: 12,
            amount: 1000,
        },
        1 => Act::Vas {
            vas: id(at),
            team: 4,
            member: 12,
            price: 300,
            per_mille: 100,
        },
        2 => Act::Begin {
            consult: id(at),
            team: 4,
            member: 12,
            price: 200,
            per_mille: 100,
        },
        _ => Act::Finish { consult: id(at - 1) },
    };
    (0..ACTS).map(one).collect()
}

async fn open(folder: &Path) -> Stored {
    let database = Database::open(Place::in_folder(folder).url()).await.unwrap();
    let mut stored = Stored::new(database);
    stored.at(NOW_MS);
    stored
}

/// Not a test of its own: does nothing unless it was started by one.
#[tokio::test]
async fn child() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else {
        return;
    };
    let stored = open(Path::new(&folder)).await;
    for (at, act) in acts(round.parse().unwrap()).iter().enumerate() {
        stored.act(act).await.unwrap();
        // One write, so that a kill leaves all of it or nothing.
        std::io::stdout()
            .write_all(format!("ack {at}\n").as_bytes())
            .unwrap();
        std::io::stdout().flush().unwrap();
    }
}

/// Runs the child, killed at its n-th sync; how many acts it acknowledged, and whether it was killed.
fn killed_at(folder: &Path, round: i64, nth: usize) -> (usize, bool) {
    let inject = format!("inject=fdatasync,fsync:signal=SIGKILL:when={nth}");
    let output = Command::new("strace")
        .args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            &inject,
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "durability::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("strace is needed to test what survives a crash ({error}): apt-get install strace")
    });
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    let killed = !output.status.success();
    assert!(
        !killed || !complaints.contains("panicked"),
        "{said}\n{complaints}"
    );
    (said.matches("ack ").count(), killed)
}

#[tokio::test]
async fn i6_a_transfer_survives_a_kill_at_any_sync_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let stored = open(folder.path()).await;
    stored.database.close().await;
    let (mut kills, mut unacknowledged) = (0, 0);
    let syncs = (1..=14).chain([17, 20, 23, 26]);
    for (round, nth) in (1..).zip(syncs) {
        let (acknowledged, killed) = killed_at(folder.path(), round, nth);
        kills += usize::from(killed);
        let stored = open(folder.path()).await;
        let report = reconcile(&stored.database, None, |_| ()).await.unwrap();
        assert!(report.is_balanced(), "killed at sync {nth}: {:?}", report.faults);
        let sql = "SELECT count(*) FROM transfer";
        let there: i64 = first(&stored.database, sql, params![]).await.get(0).unwrap();
        let there = usize::try_from(there - (round - 1) * ACTS).unwrap();
        assert!(
            there >= acknowledged,
            "I6: {acknowledged} acknowledged, {there} there after sync {nth}"
        );
        unacknowledged += there - acknowledged;
        // All of the round again: those that are there move nothing, the rest completes it.
        let mut moved = 0;
        for act in acts(round) {
            match stored.act(&act).await {
                Ok(lines) => moved += usize::from(!lines.is_empty()),
                // A consult that is finished is not finished again.
                Err(why) => assert_eq!(why, "earned"),
            }
        }
        assert_eq!(moved + there, usize::try_from(ACTS).unwrap(), "after sync {nth}");
        let report = reconcile(&stored.database, None, |_| ()).await.unwrap();
        assert!(report.is_balanced(), "{:?}", report.faults);
        assert_eq!(report.counts.transfers, u64::try_from(round * ACTS).unwrap());
        stored.database.close().await;
    }
    assert!(kills >= 12, "only {kills} were killed");
    // Else no kill has hit a commit, and nothing was tested.
    assert!(unacknowledged > 0, "no commit was hit");
}
