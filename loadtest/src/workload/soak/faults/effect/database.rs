//! Faults of a fleet's PostgreSQL: of the server that all processes ask, and of the workers that conversations lie on. It
//! waits for other processes, so it runs on a thread of its own.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::fleet::DATABASE;
use testkit::postgres::Postgres;

use crate::arguments::fault::Fault;

/// How many conversations a lock is held on.
const LOCKED_CONVERSATIONS: usize = 5;
/// How often connections are ended again while that fault lasts.
const END_AGAIN: Duration = Duration::from_millis(700);

/// Does one thing to a server and undoes it after `length`; `target` says to which of several.
pub(in crate::workload::soak::faults) fn disturb(
    first: &Postgres,
    workers: &[Arc<Postgres>],
    fault: Fault,
    target: usize,
    length: Duration,
) -> Result<()> {
    match fault {
        Fault::KillPostgres => kill(first, length),
        Fault::PausePostgres => {
            pause(first, length);
            Ok(())
        }
        Fault::EndJournalConnections => end_connections(first, length),
        Fault::LockConversation => lock_conversations(first, target, length),
        Fault::KillWorker => kill(worker(workers, target)?, length),
        Fault::PauseWorker => {
            pause(worker(workers, target)?, length);
            Ok(())
        }
        Fault::MoveShard => move_shard(first, workers, target),
        _ => bail!("{fault} is nothing that happens to PostgreSQL"),
    }
}

fn worker(workers: &[Arc<Postgres>], target: usize) -> Result<&Postgres> {
    ensure!(!workers.is_empty(), "this database has no workers");
    Ok(&workers[target % workers.len()])
}

fn kill(server: &Postgres, length: Duration) -> Result<()> {
    server.kill()?;
    sleep(length);
    server.start_again()
}

fn pause(server: &Postgres, length: Duration) {
    server.pause();
    sleep(length);
    server.resume();
}

/// Ends the connections that processes have to it, again and again.
fn end_connections(server: &Postgres, length: Duration) -> Result<()> {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let begun = Instant::now();
    while begun.elapsed() < length {
        server.psql(DATABASE, END)?;
        sleep(END_AGAIN);
    }
    Ok(())
}

/// Holds a lock on the rows of some conversations. Each has a statement of its own: a machine locks only what is named.
fn lock_conversations(server: &Postgres, from: usize, length: Duration) -> Result<()> {
    let count = server.psql(DATABASE, "SELECT count(*) FROM conversation")?;
    let from = from % count.parse::<usize>()?.max(1);
    let some = format!("SELECT id FROM conversation ORDER BY id OFFSET {from} LIMIT {LOCKED_CONVERSATIONS}");
    let mut script = "BEGIN;".to_owned();
    for id in server.psql(DATABASE, &some)?.lines() {
        script += &format!("SELECT id FROM conversation WHERE id = {id} FOR UPDATE;");
    }
    let seconds = length.as_secs_f64();
    script += &format!("SELECT pg_sleep({seconds}); ROLLBACK");
    server.psql(DATABASE, &script).map(drop)
}

/// Moves some conversations from one worker to another, while they are written to or with their writers held up.
fn move_shard(coordinator: &Postgres, workers: &[Arc<Postgres>], target: usize) -> Result<()> {
    let of = "FROM citus_shards WHERE table_name = 'conversation'::regclass";
    let count = coordinator.psql(DATABASE, &format!("SELECT count(*) {of}"))?;
    let at = target % count.parse::<usize>()?.max(1);
    let found = coordinator.psql(
        DATABASE,
        &format!("SELECT shardid, nodeport {of} ORDER BY shardid OFFSET {at} LIMIT 1"),
    )?;
    let (shard, from) = found.split_once('|').context("there is no shard")?;
    let from: u16 = from.parse()?;
    let to = workers
        .iter()
        .map(|worker| worker.port())
        .find(|port| *port != from);
    let to = to.context("a shard moves from one worker to another")?;
    let mode = match target.is_multiple_of(2) {
        true => "force_logical",
        false => "block_writes",
    };
    let sql = format!(
        "SELECT citus_move_shard_placement({shard}, '127.0.0.1', {from}, '127.0.0.1', {to}, '{mode}')"
    );
    coordinator.psql(DATABASE, &sql).map(drop)
}
