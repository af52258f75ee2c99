//! A turn of a job, as its work sees it.

use std::sync::{Arc, Mutex, PoisonError};

use database::{Database, Transaction, TransactionFuture};

use crate::table::{self, Lease, Taken};

/// A turn; cloning it is cheap.
#[derive(Clone)]
pub struct Turn(Arc<Parts>);

struct Parts {
    database: Database,
    lease: Lease,
    cursor: String,
    bound: i64,
    backlog: Mutex<Option<i64>>,
}

/// Why a transaction of a turn wrote nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refused<E> {
    /// The lease was lost.
    #[error("the lease was lost")]
    Lost,
    /// The work's own error.
    #[error(transparent)]
    Work(E),
}

impl<E: From<database::Error>> From<database::Error> for Refused<E> {
    fn from(error: database::Error) -> Self {
        Self::Work(error.into())
    }
}

impl Turn {
    pub(crate) fn new(database: Database, taken: &Taken, bound: i64) -> Self {
        Self(Arc::new(Parts {
            database,
            lease: taken.lease.clone(),
            cursor: taken.cursor.clone(),
            bound,
            backlog: Mutex::default(),
        }))
    }

    /// The database, for reads.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// The cursor as the last turn saved it; empty at first.
    pub fn cursor(&self) -> &str {
        &self.0.cursor
    }

    /// The most pieces of work that the turn may do.
    pub fn bound(&self) -> i64 {
        self.0.bound
    }

    /// Reports how much work waits.
    pub fn set_backlog(&self, backlog: i64) {
        *self.0.backlog.lock().unwrap_or_else(PoisonError::into_inner) = Some(backlog);
    }

    pub(crate) fn backlog(&self) -> Option<i64> {
        *self.0.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a transaction while the lease holds: as [`Database::transaction`], after a statement that locks the lease.
    ///
    /// # Errors
    /// [`Refused::Lost`] when the lease was lost: nothing is written. Else the closure's, or the commit's.
    pub async fn transaction<T, E, F>(&self, work: F) -> Result<T, Refused<E>>
    where
        T: Send + 'static,
        E: From<database::Error> + Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, T, E> + Send + 'static,
    {
        let lease = self.0.lease.clone();
        let fenced = self.0.database.transaction(move |tx| {
            Box::pin(async move {
                if !table::fence(tx, &lease).await? {
                    return Err(Refused::Lost);
                }
                work(tx).await.map_err(Refused::Work)
            })
        });
        fenced.await
    }

    /// Saves how far the job has come, in a transaction of [`Self::transaction`].
    ///
    /// # Errors
    /// The database's.
    pub async fn save_cursor(&self, tx: &mut Transaction<'_>, cursor: &str) -> Result<(), database::Error> {
        table::save_cursor(tx, self.0.lease.job, cursor).await
    }
}
