//! Bounded waiting: for tests, and for the processes started here.

use std::{
    fmt::Display,
    panic::Location,
    time::{Duration, Instant},
};

use anyhow::ensure;

/// How long a test waits for an event that no limit of the product bounds: a loaded machine is slow, a hanging test must
/// end all the same.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(10);
/// Between two looks that start a program each.
const PROGRAM_POLL: Duration = Duration::from_millis(50);

/// Waits until a condition holds.
///
/// # Panics
/// When it does not hold within [`PATIENCE`]: names the condition and the caller's line.
#[track_caller]
pub fn eventually(awaited: &str, mut holds: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let wait = Wait::here(awaited, PATIENCE);
    async move {
        while !holds().await {
            wait.again("it does not hold").await;
        }
    }
}

/// Repeats an attempt until it succeeds; returns its value.
///
/// # Panics
/// When none succeeds within [`PATIENCE`]: names the attempt, its last error and the caller's line.
#[track_caller]
pub fn eventually_ok<T, E: Display>(
    awaited: &str,
    attempt: impl AsyncFnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    Wait::here(awaited, PATIENCE).until_ok(attempt)
}

/// Blocks until a condition holds; its error ends the wait.
pub(crate) fn block_until(
    awaited: &str,
    mut holds: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !holds()? {
        ensure!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {awaited}");
        std::thread::sleep(PROGRAM_POLL);
    }
    Ok(())
}

/// One bounded wait.
struct Wait<'a> {
    awaited: &'a str,
    caller: &'static Location<'static>,
    limit: Duration,
    begun: tokio::time::Instant,
}

impl<'a> Wait<'a> {
    #[track_caller]
    fn here(awaited: &'a str, limit: Duration) -> Self {
        Self {
            awaited,
            caller: Location::caller(),
            limit,
            begun: tokio::time::Instant::now(),
        }
    }

    async fn until_ok<T, E: Display>(self, mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
        loop {
            match attempt().await {
                Ok(value) => return value,
                Err(error) => self.again(&format!("{error:#}")).await,
            }
        }
    }

    /// Waits for the next look, unless the time is over.
    async fn again(&self, last: &str) {
        let Self {
            awaited,
            caller,
            limit,
            begun,
        } = self;
        assert!(
            begun.elapsed() < *limit,
            "not within {limit:?}: {awaited} (awaited at {caller}): {last}"
        );
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "not within 50ms: it opens (awaited at fleet/testkit/src/wait.rs:")]
    async fn what_never_comes_is_named_with_the_line_that_awaits_it() {
        let wait = Wait::here("it opens", Duration::from_millis(50));
        wait.until_ok(async || Err::<(), _>("the door is locked")).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the door is locked")]
    async fn the_last_error_is_named() {
        let wait = Wait::here("it opens", Duration::ZERO);
        wait.until_ok(async || Err::<(), _>("the door is locked")).await;
    }

    #[tokio::test]
    async fn a_late_success_is_enough() {
        let mut attempts = 0;
        let value = eventually_ok("the third attempt", async || {
            attempts += 1;
            if attempts == 3 {
                Ok(attempts)
            } else {
                Err("too early")
            }
        })
        .await;
        assert_eq!(value, 3);
        let mut looks = 0;
        eventually("the third look", async || {
            looks += 1;
            looks == 3
        })
        .await;
    }
}
