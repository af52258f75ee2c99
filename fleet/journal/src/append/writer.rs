//! Batches on SQLite: one after another on the writer's thread.

use std::time::Instant;

use database::{Error as DatabaseError, sqlite::Sqlite};
use tokio::sync::mpsc;

use super::{BATCH_SENDS, Batch, SEND_LIMIT, Settled, Waiting, now_ms, sqlite};
use crate::{Error, Journal};

pub(super) async fn commit_batches<C: Send>(
    sqlite: Sqlite,
    journal: Journal,
    mut waiting: mpsc::Receiver<Waiting<C>>,
    settling: mpsc::Sender<Batch<C>>,
) {
    let mut sends = Vec::with_capacity(BATCH_SENDS);
    while waiting.recv_many(&mut sends, BATCH_SENDS).await > 0 {
        metrics::histogram!("huizhen_journal_batch_sends").record(sends.len() as f64);
        let mut contexts = Vec::with_capacity(sends.len());
        let mut messages = Vec::with_capacity(sends.len());
        let mut shares = Vec::with_capacity(sends.len());
        for Waiting {
            message,
            context,
            share,
            ..
        } in sends.drain(..)
        {
            contexts.push((message.conversation, context));
            messages.push(message);
            shares.push(share);
        }
        let started = Instant::now();
        let now_ms = now_ms();
        let (cache, put) = (journal.cache.clone(), journal.cache.clone());
        let write = sqlite.write_then(
            move |connection| sqlite::append(connection, &cache, messages, now_ms),
            move |written: sqlite::Written| written.committed(&put),
        );
        let written = match tokio::time::timeout(SEND_LIMIT, write).await {
            Ok(written) => written,
            Err(_) => Err(DatabaseError::Engine("a batch of messages took too long".into())),
        };
        metrics::histogram!("huizhen_journal_commit_seconds").record(started.elapsed().as_secs_f64());
        drop(shares);
        let (outcomes, entries) = match written {
            Ok(sqlite::Written {
                outcomes, entries, ..
            }) => (outcomes, entries),
            Err(error) => {
                tracing::error!(%error, sends = contexts.len(), "a batch of messages was not written");
                // Whatever the database says now, look again before the next batch.
                journal.cache.forget_all();
                let told = error.to_string();
                let refused = || Err(Error::Database(DatabaseError::Engine(told.clone())));
                (contexts.iter().map(|_| refused()).collect(), Vec::new())
            }
        };
        let answers = contexts
            .into_iter()
            .zip(outcomes)
            .map(|((conversation, context), outcome)| Settled {
                context,
                conversation,
                outcome,
            })
            .collect();
        if settling.send(Batch { answers, entries }).await.is_err() {
            return;
        }
    }
}
