//! Transactions that share one commit. A commit costs more than the statements of most transactions, and while the disk
//! syncs it, others arrive. Those run one after the other within one transaction, each in a savepoint: a refused one is
//! rolled back alone. Each is answered after the commit of all, also a refused one that saw rows of others before it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use telemetry::events::database::Event;

use crate::{
    Error,
    sqlite::transaction::{begin_again, commit, roll_back},
};

/// Transactions of one commit, at most.
const MOST: usize = 64;
/// No further transaction begins after this time: the first one waits for its commit.
const LIMIT: Duration = Duration::from_millis(5);
/// The transactions that go alone after SQLite has rolled back a whole group: one of them meets the damaged page again, and
/// must not take its neighbours along each time.
const ALONE: usize = 64;

const LOST: &str =
    "another transaction of the same commit met an error of the file, and all of them were rolled back";

/// Answers the caller of a transaction, with the outcome of its commit.
pub(super) type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A transaction before its commit.
pub(super) trait Part: Send {
    /// Runs its statements. Whether they are to be committed, and who waits for that. A refused one gets the outcome of the
    /// rows that it saw: where those were lost, its refusal says nothing.
    fn run(self: Box<Self>, connection: &mut Connection) -> (bool, Answer);

    /// Answers that it cannot begin.
    fn refuse(self: Box<Self>, error: Error);
}

/// How many transactions may share a commit now.
pub(super) struct Groups {
    alone: usize,
    limit: Duration,
}

impl Default for Groups {
    fn default() -> Self {
        Self::within(LIMIT)
    }
}

/// Statements that were run and are not committed yet.
struct Group<'c> {
    connection: &'c mut Connection,
    waiting: Vec<Answer>,
}

impl Groups {
    /// No further transaction of a group begins after this time.
    fn within(limit: Duration) -> Self {
        Self { alone: 0, limit }
    }

    /// Runs a transaction, and those that `next` finds behind it.
    pub(super) fn run(
        &mut self,
        connection: &mut Connection,
        first: Box<dyn Part>,
        mut next: impl FnMut() -> Option<Box<dyn Part>>,
    ) {
        let begun = Instant::now();
        let most = if self.alone > 0 { 1 } else { MOST };
        self.alone = self.alone.saturating_sub(1);
        let mut group = Group {
            connection,
            waiting: Vec::new(),
        };
        let mut part = Some(first);
        let mut many = 0;
        while let Some(one) = part.take() {
            many += 1;
            if !group.add(one) {
                self.alone = ALONE;
                break;
            }
            if many < most && begun.elapsed() < self.limit {
                part = next();
            }
        }
        group.end();
    }
}

impl Group<'_> {
    /// Runs one more; false when SQLite has rolled back all of them.
    fn add(&mut self, part: Box<dyn Part>) -> bool {
        let is_first = self.waiting.is_empty();
        let begun = match is_first {
            true => begin_again(self.connection),
            false => self.savepoint("SAVEPOINT part"),
        };
        if let Err(error) = begun {
            part.refuse(error);
            return true;
        }
        let ran = catch_unwind(AssertUnwindSafe(|| part.run(self.connection)));
        if let Ok((true, answer)) = ran {
            self.waiting.push(answer);
            return is_first || self.savepoint("RELEASE part").is_ok();
        }
        // It has its own error where it made SQLite roll back.
        let is_lost = self.connection.is_autocommit();
        let survives = self.roll_back(is_first);
        match ran {
            // I1: it was refused by rows that are not on the disk yet.
            Ok((_, answer)) if !is_first && !is_lost => self.waiting.push(answer),
            Ok((_, answer)) => answer(Ok(())),
            // Its caller sees that from the channel.
            Err(_) => Event::WorkPanicked.emit(),
        }
        survives
    }

    /// Rolls back the last one; false when the ones before it are lost with it.
    fn roll_back(&mut self, is_first: bool) -> bool {
        if is_first {
            if !self.connection.is_autocommit() {
                roll_back(self.connection);
            }
            return true;
        }
        // After a read or a write that failed SQLite has rolled back the whole transaction.
        if self.connection.is_autocommit() {
            return false;
        }
        let restored = self.savepoint("ROLLBACK TO part");
        let restored = restored.and_then(|()| self.savepoint("RELEASE part"));
        if restored.is_err() && !self.connection.is_autocommit() {
            roll_back(self.connection);
        }
        restored.is_ok()
    }

    fn savepoint(&self, sql: &str) -> Result<(), Error> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Commits, and answers all.
    fn end(self) {
        if self.waiting.is_empty() {
            return;
        }
        let outcome = match self.connection.is_autocommit() {
            true => Err(Error::Busy(LOST.into())),
            false => commit(self.connection),
        };
        if !self.connection.is_autocommit() {
            roll_back(self.connection);
        }
        for answer in self.waiting {
            answer(outcome.clone());
        }
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
