//! The work of a transaction without its types, so that what the engines do around it is compiled once and not for each
//! of a hundred callers.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Error, Transaction, TransactionFuture};

/// Work whose outcome lies in an [`Outcome`].
pub(crate) type Work =
    Box<dyn for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, (), Failed> + Send>;

/// Why a transaction was rolled back.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The work gave an error, which lies in the outcome.
    Refused,
    /// The engine did.
    Engine(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

/// What the work gave.
pub(crate) struct Outcome<T, E>(Arc<Mutex<Option<Result<T, E>>>>);

/// Takes the types from a transaction's work.
pub(crate) fn erase<T, E, F>(work: F) -> (Work, Outcome<T, E>)
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
            let given = work.await;
            let ended = if given.is_ok() {
                Ok(())
            } else {
                Err(Failed::Refused)
            };
            *slot.lock() = Some(given);
            ended
        })
    });
    (erased, Outcome(outcome))
}

impl<T, E: From<Error>> Outcome<T, E> {
    /// The outcome, once the engine has committed or rolled back.
    pub(crate) fn after(self, ran: Result<(), Failed>) -> Result<T, E> {
        match ran {
            Err(Failed::Engine(error)) => Err(error.into()),
            // The work has ended, so that it has given something.
            Ok(()) | Err(Failed::Refused) => {
                let given = self.0.lock().take();
                given.unwrap_or_else(|| Err(Error::Panicked.into()))
            }
        }
    }
}
