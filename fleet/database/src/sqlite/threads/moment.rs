//! One moment of the file, read on a connection of its own: however long it is kept, the readers serve everybody else.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{State, Threads, blocking};
use crate::{
    Error, Row, Sql, Value,
    sqlite::{guard::Lock, open, statement},
};

/// The caller awaits each answer before it asks again.
const WAITING_QUESTIONS: usize = 1;

struct Question {
    sql: Sql,
    params: Vec<Value>,
    answer: oneshot::Sender<Result<Vec<Row>, Error>>,
}

/// A read transaction that has begun, and its thread, which ends with the handle.
pub(crate) struct Moment {
    questions: mpsc::Sender<Question>,
    thread: JoinHandle<()>,
}

impl Moment {
    pub(crate) async fn query(&self, sql: Sql, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let (answer, answered) = oneshot::channel();
        let question = Question { sql, params, answer };
        self.questions.send(question).await.map_err(|_| Error::Panicked)?;
        answered.await.map_err(|_| Error::Panicked)?
    }

    /// Ends it. Afterwards the file is as free as before.
    pub(crate) async fn end(self) {
        drop(self.questions);
        let _ = self.thread.await;
    }
}

impl Threads {
    /// Begins to read one moment.
    pub(in super::super) async fn moment(&self) -> Result<Moment, Error> {
        match &*self.state.borrow() {
            State::Served { .. } | State::ReadOnly { .. } => {}
            State::Starved { .. } | State::Reopening => return Err(super::starved::no_room()),
            State::Closed => return Err(Error::Closed),
        }
        // No other process may have the file before the last connection is closed.
        let lock = self.lock.upgrade();
        let (path, layer) = (self.path.clone(), self.layer);
        let connection = blocking(move || {
            let mut connection = open::reader(&path, layer)?;
            connection.execute_batch("BEGIN")?;
            // The first read fixes the moment.
            statement::query(
                &mut connection,
                "SELECT count(*) FROM sequence WHERE name = ''",
                &[],
            )?;
            Ok(connection)
        });
        let connection = connection.await?;
        let (questions, asked) = mpsc::channel(WAITING_QUESTIONS);
        let thread = tokio::task::spawn_blocking(move || answer(connection, lock, asked));
        Ok(Moment { questions, thread })
    }
}

fn answer(mut connection: Connection, lock: Option<Arc<Lock>>, mut asked: mpsc::Receiver<Question>) {
    while let Some(question) = asked.blocking_recv() {
        let rows = statement::query(&mut connection, &question.sql, &question.params);
        let _ = question.answer.send(rows);
    }
    drop(connection);
    drop(lock);
}
