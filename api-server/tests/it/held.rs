//! A statement whose transaction has not ended, to find out whether a request waits for its row.

use std::sync::mpsc;

use database::{Engine, Value};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{scene::eventually, service::Service};

/// Its transaction holds a thread: the runtime of the test needs several.
pub struct Held {
    go: mpsc::SyncSender<()>,
    transaction: JoinHandle<()>,
}

impl Held {
    /// Lets it commit.
    pub async fn commit(self) {
        self.go.send(()).unwrap();
        self.transaction.await.unwrap();
    }
}

impl Service {
    /// Runs a statement, and commits it later.
    pub async fn hold(&self, sql: &'static str, params: Vec<Value>) -> Held {
        let ((ran, has_run), (go, may_go)) = (oneshot::channel(), mpsc::sync_channel::<()>(1));
        let database = self.database.clone();
        let transaction = tokio::spawn(async move {
            let held = database.transaction::<_, database::Error, _>(move |tx| {
                Box::pin(async move {
                    tx.execute(sql, params).await?;
                    ran.send(()).unwrap();
                    may_go.recv().unwrap();
                    Ok(())
                })
            });
            held.await.unwrap();
        });
        has_run.await.unwrap();
        Held { go, transaction }
    }

    /// Returns once a request waits for a row. SQLite runs one transaction at a time, so there each waits.
    pub async fn a_request_waits(&self) {
        if matches!(self.database.engine(), Engine::Postgres(_)) {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            eventually("a request waits for a row", async || {
                self.number(waiting).await > 0
            })
            .await;
        }
    }
}
