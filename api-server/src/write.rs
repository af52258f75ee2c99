//! How a write runs. It stands above the domains, as it ends what their transactions ended.

use database::{Transaction, TransactionFuture};
use futures_util::FutureExt;
use journal::UserNotice;
use proto::UserId;
use telemetry::events::rest::Event;

use crate::{
    account::{lock_device, log_out},
    app::{App, Written},
    http::{
        answer::Answer,
        error::{Error, ErrorCode},
        once::{self, Once},
    },
};

/// A write, in its transaction.
type Work = Box<
    dyn for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, Written, Error> + Send + 'static,
>;

impl App {
    /// Runs a write once. One transaction holds its effect, the answer under its Idempotency-Key, and the check that the
    /// caller is still logged in; the further effects follow the commit. It completes also when the caller disconnects.
    ///
    /// # Errors
    /// Those of the write; [`ErrorCode::KeyReused`] and [`ErrorCode::KeyRunning`].
    pub async fn write<F>(&self, once: Once, work: F) -> Result<Answer, Error>
    where
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, Written, Error>
            + Send
            + 'static,
    {
        self.write_erased(once, Box::new(work)).boxed().await
    }

    /// Not generic, so that it is compiled once; boxed by its caller as the database's futures are.
    async fn write_erased(&self, once: Once, work: Work) -> Result<Answer, Error> {
        let app = self.clone();
        self.to_the_end(async move {
            let claim = once.claim();
            let user = once.user().clone();
            let outcome = app
                .database
                .transaction(move |tx| {
                    Box::pin(async move {
                        let reserved = match &claim {
                            Some(claim) => once::reserve(tx, claim).await,
                            None => Ok(()),
                        };
                        let outcome = match reserved {
                            Ok(()) => work(tx).await,
                            Err(error) => Err(error),
                        };
                        // A repetition gets the first answer, also where the work fails now.
                        if claim.is_some() && tx.is_taken().await? {
                            return Err(ErrorCode::KeyRunning.into());
                        }
                        let written = outcome?;
                        if let Some(claim) = &claim {
                            once::store(tx, claim, &written.answer).await?;
                        }
                        lock_device(tx, &user).await?;
                        Ok::<_, Error>(written)
                    })
                })
                .await;
            // Most requests come once, so only the key's own row says that it came before.
            let written = match outcome {
                Ok(written) => written,
                // Its answer exists, unless another process is rolling it back.
                Err(error) if error.code() == ErrorCode::KeyRunning => {
                    let first = once.first_answer(&app.database).await?;
                    return first.ok_or(error);
                }
                // A first answer can be read where nothing can be written.
                Err(error) if error.code() == ErrorCode::ReadOnly => {
                    let first = once.first_answer(&app.database).await;
                    return first.ok().flatten().ok_or(error);
                }
                Err(error) => return Err(error),
            };
            app.journal.publish(written.unpublished);
            if let Some(user) = written.disabled {
                end_sessions(&app, user).await;
            }
            log_out(&app, &written.logged_out).await;
            Ok(written.answer)
        })
        .await
    }
}

/// Ends the live sessions of a disabled account. The generation protects sessions that log in after it was enabled again
/// from a late or repeated notice.
async fn end_sessions(app: &App, user: UserId) {
    match app.backplane.next_generation(user).await {
        Ok(generation) => {
            let generation = generation.0;
            app.journal.notify(user, &UserNotice::Disabled { generation });
        }
        // A notice would not arrive either.
        Err(error) => Event::DisabledSessionsStay {
            user: user.get(),
            error: &error,
        }
        .emit(),
    }
}
