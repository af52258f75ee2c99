//! The work of a transaction without its types, so that the engines' code around it is compiled once and not for each
//! of a hundred callers.

use std::sync::Arc;

use parking_lot::Mutex;

use super::transaction::{Transaction, TransactionFuture};
use crate::Error;

/// Work that leaves its outcome in an [`Outcome`].
pub(super) type Work =
    Box<dyn for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, (), Failed> + Send>;

/// Why a transaction was rolled back.
#[derive(Debug)]
pub(super) enum Failed {
    /// The work returned an error, which lies in the outcome.
    Work,
    /// The engine failed.
    Engine(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

/// The work's result.
pub(super) struct Outcome<T, E>(Arc<Mutex<Option<Result<T, E>>>>);

/// Erases the types of a transaction's work.
pub(super) fn erase<T, E, F>(work: F) -> (Work, Outcome<T, E>)
where
    T: Send + 'static,
    E: Send + 'static,
    F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, T, E> + Send + 'static,
{
    let outcome = Arc::new(Mutex::new(None));
    let slot = outcome.clone();
    let erased: Work = Box::new(move |transaction| {
        let work = work(transaction);
        Box::pin(async move {
            let result = work.await;
            let ended = match &result {
                Ok(_) => Ok(()),
                Err(_) => Err(Failed::Work),
            };
            *slot.lock() = Some(result);
            ended
        })
    });
    (erased, Outcome(outcome))
}

impl<T, E: From<Error>> Outcome<T, E> {
    /// The result, once the engine has committed or rolled back.
    pub(super) fn after(self, ran: Result<(), Failed>) -> Result<T, E> {
        match ran {
            Err(Failed::Engine(error)) => Err(error.into()),
            // The work has ended, so its result is there.
            Ok(()) | Err(Failed::Work) => {
                let result = self.0.lock().take();
                result.unwrap_or_else(|| Err(Error::Panicked.into()))
            }
        }
    }
}
