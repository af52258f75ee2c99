//! A connection, and the commands that run on it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ::redis::{Cmd, FromRedisValue, Pipeline, RedisError, Value, aio::MultiplexedConnection};
use telemetry::events::backplane::Event;
use tokio::{sync::Notify, time::timeout};

use crate::redis::server::{ANSWER_LIMIT, refusal::takes_no_writes};

/// How often an idle connection is pinged; with the limit of an answer a frozen server is noticed within 3 s.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A connection that lives, as far as is known.
pub(crate) struct Live {
    connection: MultiplexedConnection,
    /// Counts connections.
    pub(crate) number: u64,
    is_broken: AtomicBool,
    /// It leads to a replica, which is logged for the server and not for each connection.
    is_to_replica: AtomicBool,
    broken: Notify,
}

impl Live {
    pub(super) fn new(connection: MultiplexedConnection, number: u64) -> Self {
        Self {
            connection,
            number,
            is_broken: AtomicBool::new(false),
            is_to_replica: AtomicBool::new(false),
            broken: Notify::new(),
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    pub(super) fn is_to_replica(&self) -> bool {
        self.is_to_replica.load(Ordering::Acquire)
    }

    /// Returns when the connection is broken or given up, or when `ended` is notified.
    pub(super) async fn until_broken(&self, ended: &Notify) {
        let ping = ::redis::cmd("PING");
        loop {
            tokio::select! {
                () = ended.notified() => return,
                () = self.broken.notified() => return,
                () = tokio::time::sleep(PING_EVERY) => {}
            }
            if self.run::<()>(&ping).await.is_err() {
                return;
            }
        }
    }

    /// Gives the connection up.
    pub(crate) fn give_up(&self) {
        self.is_broken.store(true, Ordering::Release);
        self.broken.notify_one();
    }

    /// Runs a command.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_LIMIT, command.query_async(&mut connection)).await;
        self.judge(answer)
    }

    /// Runs several commands together.
    pub(crate) async fn run_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, RedisError> {
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_LIMIT, commands.query_async(&mut connection)).await;
        self.judge(answer)
    }

    /// Runs several commands together; each has an answer or an error of its own.
    pub(crate) async fn run_each(
        &self,
        mut commands: Pipeline,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        commands.ignore_errors();
        let answers: Vec<Result<Value, RedisError>> = self.run_all(&commands).await?;
        if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
            self.note(error);
        }
        Ok(answers)
    }

    /// Subscribes to channels of a cluster, and waits until Redis has confirmed it or said which are elsewhere.
    pub(crate) async fn subscribe_sharded(&self, channels: &[Vec<u8>]) -> Result<Vec<bool>, RedisError> {
        let answers = self.run_each(one_by_one("SSUBSCRIBE", channels)).await?;
        Ok(answers.iter().map(Result::is_ok).collect())
    }

    /// Ends subscriptions to channels of a cluster.
    pub(crate) async fn unsubscribe_sharded(&self, channels: &[Vec<u8>]) -> Result<(), RedisError> {
        // A channel that has moved away has ended by that.
        self.run_each(one_by_one("SUNSUBSCRIBE", channels))
            .await
            .map(drop)
    }

    /// Subscribes and waits until Redis has confirmed it.
    pub(crate) async fn subscribe(&self, channels: &[Vec<u8>]) -> Result<(), RedisError> {
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_LIMIT, connection.subscribe(channels)).await;
        self.judge(answer)
    }

    /// Ends subscriptions.
    pub(crate) async fn unsubscribe(&self, channels: &[Vec<u8>]) -> Result<(), RedisError> {
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_LIMIT, connection.unsubscribe(channels)).await;
        self.judge(answer)
    }

    fn judge<T>(
        &self,
        answer: Result<Result<T, RedisError>, tokio::time::error::Elapsed>,
    ) -> Result<T, RedisError> {
        let answer = answer.unwrap_or_else(|_| {
            Err(RedisError::from(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "Redis does not answer",
            )))
        });
        if let Err(error) = &answer {
            self.note(error);
        }
        answer
    }

    fn note(&self, error: &RedisError) {
        // A server that has become a replica or is starting will not do for a while; another may by then.
        let has_changed = matches!(
            error.code(),
            Some("READONLY" | "LOADING" | "MASTERDOWN" | "NOAUTH")
        );
        if error.code() == Some("READONLY") {
            self.is_to_replica.store(true, Ordering::Release);
        }
        if error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() || has_changed {
            self.give_up();
        } else if !error.is_cluster_error() {
            // The shard logs once that its server takes no writes.
            let error = (!takes_no_writes(error)).then_some(error as &dyn std::fmt::Display);
            Event::Refused { error }.emit();
        }
    }
}

/// The same command for each channel: those of a cluster fall to different slots, of which a command takes one only.
fn one_by_one(command: &str, channels: &[Vec<u8>]) -> Pipeline {
    let mut together = Pipeline::with_capacity(channels.len());
    for channel in channels {
        together.cmd(command).arg(channel);
    }
    together
}
