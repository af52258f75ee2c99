//! Why a request of a race was answered 503. Nothing is disturbed, so that a deadlock would be a fault of ours.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use testkit::store::Store;

use super::super::{
    scene::Scene,
    service::{Reply, Service},
};
use crate::captured;

/// A lock, a connection or an answer came too late: on a machine that stands still for four seconds.
const LATE: [&str; 3] = [
    "(55P03)",
    "no connection within some seconds",
    "it does not answer; what was begun goes on",
];
/// Late answers of one request that are excused. A deadlock that the database cannot see, as between its rows and our pool,
/// would repeat itself.
const LATE_MAX: usize = 2;

/// The 503 that were excused.
#[derive(Clone)]
pub(super) struct Excused(Arc<AtomicUsize>);

impl Default for Excused {
    fn default() -> Self {
        captured::outages();
        Self(Arc::default())
    }
}

impl Excused {
    /// Counts a 503 that came late.
    #[track_caller]
    pub(super) fn excuse(&self, reply: &Reply, late: &mut usize) {
        let cause = captured::outage(reply.header("x-request-id"));
        let cause = cause.as_deref().unwrap_or("no outage");
        *late += 1;
        assert!(
            is_excused(cause, *late),
            "a 503 of an undisturbed service: {cause}, time {late}: {}",
            reply.text
        );
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows how many there were.
    pub(super) fn show(&self) {
        let excused = self.0.load(Ordering::Relaxed);
        if excused > 0 {
            eprintln!("{excused} requests were answered 503 after a wait, and succeeded later");
        }
    }
}

fn is_excused(cause: &str, late: usize) -> bool {
    late <= LATE_MAX && LATE.iter().any(|known| cause.contains(known))
}

/// Background work is no request: what PostgreSQL itself counts covers it too.
pub(super) async fn no_deadlock(service: &Service) {
    if super::super::STORE == Store::Postgres {
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(service.number(sql).await, 0, "deadlocks");
    }
}

#[test]
fn a_deadlock_and_a_repeated_wait_are_no_excuse() {
    let lock = "the database is busy: canceling statement due to lock timeout (55P03)";
    assert!(is_excused(lock, 1) && is_excused(lock, LATE_MAX) && !is_excused(lock, LATE_MAX + 1));
    for cause in [
        "the database is busy: deadlock detected (40P01)",
        "the database is busy: could not serialize access (40001)",
        "the database cannot be reached: connection closed",
        "the database is closed",
        "no outage",
    ] {
        assert!(!is_excused(cause, 1), "{cause}");
    }
}

#[tokio::test]
async fn the_log_says_why_a_request_was_answered_503() {
    captured::outages();
    let scene = Scene::charging().await;
    scene.service.database.close().await;
    let reply = scene.get(&scene.patient, "/wallet".into()).await;
    reply.refused(503, "server.unavailable");
    let cause = captured::outage(reply.header("x-request-id")).unwrap();
    assert_eq!(cause, "the database is closed");
}
