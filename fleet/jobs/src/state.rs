//! The state of all jobs, for operators and metrics.

use database::{Database, Error, Row, Transaction};

use crate::table;

/// The state of a job. Times are epoch milliseconds of the database's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its name.
    pub name: String,
    /// The process that works on it, by its own word.
    pub holder: Option<String>,
    /// Until when that lease holds.
    pub until_ms: i64,
    /// When it is due.
    pub due_ms: i64,
    /// Failures in a row.
    pub failures: i64,
    /// The last of them.
    pub failure: Option<String>,
    /// Whether an operator has paused it.
    pub paused: bool,
    /// How much work waits, as its last turn has counted.
    pub backlog: i64,
    /// Now.
    pub now_ms: i64,
}

impl State {
    fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.get(0)?,
            holder: row.get(1)?,
            until_ms: row.get(2)?,
            due_ms: row.get(3)?,
            failures: row.get(4)?,
            failure: row.get(5)?,
            paused: row.get(6)?,
            backlog: row.get(7)?,
            now_ms: row.get(8)?,
        })
    }

    /// Whether it may be taken now, by a lease of this length. The statement that takes it decides again.
    pub(crate) fn is_takeable(&self, lease_ms: i64, longest_wait_ms: i64) -> bool {
        let far = |at_ms: i64, most_ms: i64| at_ms > self.now_ms.saturating_add(most_ms);
        let is_free = self.holder.is_none() || self.until_ms <= self.now_ms || far(self.until_ms, lease_ms);
        let is_due = self.due_ms <= self.now_ms || far(self.due_ms, longest_wait_ms);
        !self.paused && is_free && is_due
    }

    /// For how long it has been due and nothing has begun, s.
    pub(crate) fn late_s(&self) -> f64 {
        let waits =
            !self.paused && self.due_ms > 0 && (self.holder.is_none() || self.until_ms <= self.now_ms);
        let late_ms = self.now_ms.saturating_sub(self.due_ms).max(0);
        if waits { late_ms as f64 / 1000.0 } else { 0.0 }
    }
}

/// All jobs that the database knows, by name.
///
/// # Errors
/// The database's.
pub async fn list(database: &Database) -> Result<Vec<State>, Error> {
    let rows = table::list(database).await?;
    rows.iter().map(State::of).collect()
}

/// Whether the database knows a job.
///
/// # Errors
/// The database's.
pub async fn is_known(tx: &mut Transaction<'_>, name: &str) -> Result<bool, Error> {
    table::is_known(tx, name).await
}

/// Pauses a job: after the commit no turn of it writes anything, also none that runs. `false` when none of this name goes on.
///
/// # Errors
/// The database's.
pub async fn pause(tx: &mut Transaction<'_>, name: &str) -> Result<bool, Error> {
    table::pause(tx, name).await
}

/// Lets a paused job go on, at once. `false` when none of this name is paused.
///
/// # Errors
/// The database's.
pub async fn resume(tx: &mut Transaction<'_>, name: &str) -> Result<bool, Error> {
    table::resume(tx, name).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(holder: Option<&str>, until_ms: i64, due_ms: i64) -> State {
        State {
            name: String::new(),
            holder: holder.map(str::to_owned),
            until_ms,
            due_ms,
            failures: 0,
            failure: None,
            paused: false,
            backlog: 0,
            now_ms: 100_000,
        }
    }

    #[test]
    fn a_job_is_taken_when_it_is_due_and_free() {
        for (holder, until_ms, due_ms, takeable) in [
            (None, 0, 0, true),
            (None, 0, 100_000, true),
            (None, 0, 100_001, false),
            (Some("other"), 100_001, 0, false),
            (Some("other"), 100_000, 0, true),
            // A clock was set back: no lease and no wait is that long.
            (Some("other"), 110_000, 0, false),
            (Some("other"), 110_001, 0, true),
            (None, 0, 160_000, false),
            (None, 0, 160_001, true),
        ] {
            let mut state = state(holder, until_ms, due_ms);
            assert_eq!(state.is_takeable(10_000, 60_000), takeable, "{state:?}");
            state.paused = true;
            assert!(!state.is_takeable(10_000, 60_000), "{state:?}");
        }
    }

    #[test]
    fn only_a_job_that_waits_is_late() {
        assert!((state(None, 0, 98_500).late_s() - 1.5).abs() < 1e-9);
        assert!((state(Some("silent"), 99_000, 98_500).late_s() - 1.5).abs() < 1e-9);
        for none in [state(None, 0, 100_500), state(Some("busy"), 100_001, 98_500)] {
            assert!(none.late_s().abs() < 1e-9, "{none:?}");
        }
    }
}
