//! A server whose commits wait for a standby that is not there.

use std::time::{Duration, Instant};

use database::Engine;
use proto::wire::Role;

use crate::{
    broken::{Broken, PATIENCE},
    world::{is_away, status},
};

/// Whether a commit waits for a standby.
const WAIT: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
const END_WAIT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// The server takes new settings when it gets to it: commits until one has to wait, and ends that.
async fn commits_wait(broken: &Broken) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no commit waits for the standby");
        let (postgres, database) = (broken.postgres.clone(), broken.world.place.database().to_owned());
        let commit = tokio::task::spawn_blocking(move || {
            postgres.psql(&database, "CREATE TABLE trial (); DROP TABLE trial")
        });
        while !commit.is_finished() {
            if broken.psql(WAIT) == "t" {
                broken.psql(END_WAIT);
                // Ended or not, it is over.
                let _ = commit.await.unwrap();
                return broken.eventually(WAIT, "f").await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// I1, the second of the two holes: a backend that is ended while its commit waits for a standby leaves a row that is
/// visible and on one machine only. A resend must not be acknowledged before the standby has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_a_resend_waits_for_the_standby_as_well() {
    let broken = Broken::new().await;
    let id = broken.world.conversation(&[(1, Role::Patient)]).await;
    broken.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    broken.psql("SELECT pg_reload_conf()");
    commits_wait(&broken).await;
    let sending = broken.send(id, "a");
    let ending = async {
        broken.eventually(WAIT, "t").await;
        broken.psql(END_WAIT);
        // The row is there, and safe nowhere.
        let row = "SELECT count(*) FROM entry WHERE client_msg_id = 'a'";
        broken.eventually(row, "1").await;
    };
    let (first, ()) = tokio::join!(sending, ending);
    assert!(is_away(&first), "I1: {first:?}");
    let again = broken.send(id, "a").await;
    assert!(
        is_away(&again),
        "I1: acknowledged while the standby has nothing: {again:?}"
    );
    broken.psql("ALTER SYSTEM RESET synchronous_standby_names");
    broken.psql("SELECT pg_reload_conf()");
    let accepted = broken.send_until_accepted(id, "a").await;
    assert_eq!(accepted.seq.get(), 2);
    assert_eq!(broken.world.all(id).await.len(), 2);
}

/// A wait that an operator cancels: the server calls the commit done, and nothing is acknowledged on the ground of it, neither
/// the send nor its resend nor a transaction of REST.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_a_cancelled_wait_for_the_standby_acknowledges_nothing() {
    const CANCEL: &str = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let broken = Broken::new().await;
    let id = broken.world.conversation(&[(1, Role::Patient)]).await;
    broken.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    broken.psql("SELECT pg_reload_conf()");
    commits_wait(&broken).await;
    let Engine::Postgres(postgres) = broken.world.journal.database().engine() else {
        panic!("no server");
    };
    let before = postgres.unconfirmed().count();
    let sending = broken.send(id, "a");
    let cancelling = async {
        broken.eventually(WAIT, "t").await;
        broken.psql(CANCEL);
        let row = "SELECT count(*) FROM entry WHERE client_msg_id = 'a'";
        broken.eventually(row, "1").await;
        // It waits again, with a commit of its own.
        broken.eventually(WAIT, "t").await;
    };
    let (first, ()) = tokio::join!(sending, cancelling);
    assert!(is_away(&first), "I1: {first:?}");
    assert!(postgres.unconfirmed().count() > before);
    broken.psql(END_WAIT);
    broken.eventually(WAIT, "f").await;

    let recording = broken.world.record(id, status(false));
    let cancelling = async {
        broken.eventually(WAIT, "t").await;
        broken.psql(CANCEL);
    };
    let (recorded, ()) = tokio::join!(recording, cancelling);
    assert!(recorded.is_err(), "{recorded:?}");

    broken.psql("ALTER SYSTEM RESET synchronous_standby_names");
    broken.psql("SELECT pg_reload_conf()");
    let accepted = broken.send_until_accepted(id, "a").await;
    assert_eq!(accepted.seq.get(), 2);
    broken.world.all(id).await;
}
