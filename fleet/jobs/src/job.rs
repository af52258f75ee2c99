//! A job, and the outcome of its turns.

use std::{fmt, time::Duration};

use database::Kind;
use futures_util::future::BoxFuture;

use crate::{Refused, Turn};

/// The longest turn, unless a job says otherwise.
const LONGEST: Duration = Duration::from_secs(5 * 60);

type Run = Box<dyn Fn(Turn) -> BoxFuture<'static, Result<Next, Failure>> + Send + Sync>;

/// Work that comes again and again.
pub struct Job {
    pub(crate) name: &'static str,
    pub(crate) every: Duration,
    pub(crate) bound: i64,
    pub(crate) longest: Duration,
    pub(crate) run: Run,
}

impl Job {
    /// A job of this name, which is its key in the database. From the end of one turn to the next: `every`, unless the turn
    /// says less. A turn does at most `bound` pieces of work.
    pub fn new<F>(
        name: &'static str,
        every: Duration,
        bound: i64,
        run: impl Fn(Turn) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Next, Failure>> + Send + 'static,
    {
        Self {
            name,
            every,
            bound,
            longest: LONGEST,
            run: Box::new(move |turn| Box::pin(run(turn))),
        }
    }

    /// A turn that takes longer is ended, and is a failure.
    #[must_use]
    pub fn at_longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }
}

/// When a job is due again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// After its interval.
    Usual,
    /// At once: the turn reached its bound.
    AtOnce,
    /// After this time, or after its interval when that is shorter.
    After(Duration),
}

impl Next {
    pub(crate) fn delay(self, every: Duration) -> Duration {
        match self {
            Self::Usual => every,
            Self::AtOnce => Duration::ZERO,
            Self::After(delay) => delay.min(every),
        }
    }
}

/// Why a turn failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The lease was lost: another process does the work, or an operator has paused the job.
    #[error("the lease was lost")]
    Lost,
    /// The database does not serve. It logs that itself.
    #[error("{0}")]
    Outage(String),
    /// A fault of the program or the database, whose text may hold values: it goes to the log alone.
    #[error("{0}")]
    Fault(String),
    /// Anything else, in words that operators may read.
    #[error("{0}")]
    Work(String),
}

impl Failure {
    /// A failure of the work.
    pub fn work(error: impl fmt::Display) -> Self {
        Self::Work(error.to_string())
    }

    /// For the row of the job, which operators read.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Lost | Self::Work(_) => self.to_string(),
            Self::Outage(_) => "the database does not serve".to_owned(),
            Self::Fault(_) => "an internal error, which the log has".to_owned(),
        }
    }
}

impl From<database::Error> for Failure {
    fn from(error: database::Error) -> Self {
        match error.kind() {
            Kind::Outage(_) => Self::Outage(error.to_string()),
            _ => Self::Fault(error.to_string()),
        }
    }
}

impl<E: Into<Self>> From<Refused<E>> for Failure {
    fn from(refused: Refused<E>) -> Self {
        match refused {
            Refused::Lost => Self::Lost,
            Refused::Work(error) => error.into(),
        }
    }
}
