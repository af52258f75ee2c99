//! Batches on SQLite: one after another on the writer's thread.

use std::time::Instant;

use database::{Error as DatabaseError, sqlite::Sqlite};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    Accepted, BATCH_SENDS, Batch, NewMessage, SEND_LIMIT, Settled, Waiting, now_ms, order::Turn, sqlite,
};
use crate::{Entry, Error, Journal};

pub(super) async fn commit_batches<C: Send>(
    sqlite: Sqlite,
    journal: Journal,
    mut waiting: mpsc::Receiver<Waiting<C>>,
    settling: mpsc::Sender<Batch<C>>,
) {
    let mut sends = Vec::with_capacity(BATCH_SENDS);
    while waiting.recv_many(&mut sends, BATCH_SENDS).await > 0 {
        let Taken {
            messages,
            held,
            mut answers,
            shares,
        } = take(&mut sends, Instant::now());
        let mut entries = Vec::new();
        if !messages.is_empty() {
            metrics::histogram!("huizhen_journal_batch_sends").record(messages.len() as f64);
            let (outcomes, written) = write(&sqlite, &journal, messages).await;
            let now = Instant::now();
            let settled = held.into_iter().zip(outcomes);
            answers
                .extend(settled.map(|((turn, context), outcome)| Settled::new(context, &turn, outcome, now)));
            entries = written;
        }
        drop(shares);
        if settling.send(Batch { answers, entries }).await.is_err() {
            return;
        }
    }
}

/// The next batch.
struct Taken<C> {
    messages: Vec<NewMessage>,
    held: Vec<(Turn, C)>,
    /// Sends behind a refused one, which are refused as well.
    answers: Vec<Settled<C>>,
    shares: Vec<OwnedSemaphorePermit>,
}

fn take<C>(sends: &mut Vec<Waiting<C>>, now: Instant) -> Taken<C> {
    let mut taken = Taken {
        messages: Vec::with_capacity(sends.len()),
        held: Vec::with_capacity(sends.len()),
        answers: Vec::new(),
        shares: Vec::with_capacity(sends.len()),
    };
    for Waiting {
        message,
        context,
        mut turn,
        share,
        ..
    } in sends.drain(..)
    {
        taken.shares.push(share);
        if turn.passes(now) {
            taken.messages.push(message);
            taken.held.push((turn, context));
        } else {
            taken.answers.push(Settled::out_of_turn(context, &turn, now));
        }
    }
    taken
}

/// Writes a batch: what became of each message, and the new entries.
async fn write(
    sqlite: &Sqlite,
    journal: &Journal,
    messages: Vec<NewMessage>,
) -> (Vec<Result<Accepted, Error>>, Vec<Entry>) {
    let (started, now_ms, sends) = (Instant::now(), now_ms(), messages.len());
    let (cache, put) = (journal.cache.clone(), journal.cache.clone());
    let write = sqlite.write_then(
        move |connection| sqlite::append(connection, &cache, messages, now_ms),
        move |written: sqlite::Written| written.committed(&put),
    );
    let written = match tokio::time::timeout(SEND_LIMIT, write).await {
        Ok(written) => written,
        // It may still be written; a resend tells.
        Err(_) => Err(DatabaseError::Busy("a batch of messages took too long".into())),
    };
    metrics::histogram!("huizhen_journal_commit_seconds").record(started.elapsed().as_secs_f64());
    match written {
        Ok(sqlite::Written {
            outcomes, entries, ..
        }) => (outcomes, entries),
        Err(error) => {
            sqlite.report(&error);
            // An outage has one line for all that it refuses.
            if error.outage().is_some() {
                tracing::debug!(%error, sends, "a batch of messages was not written");
            } else {
                tracing::error!(%error, sends, "a batch of messages was not written");
            }
            // Whatever the database says now, look again before the next batch.
            journal.cache.forget_all();
            let refused = || Err(Error::Database(error.clone()));
            ((0..sends).map(|_| refused()).collect(), Vec::new())
        }
    }
}
