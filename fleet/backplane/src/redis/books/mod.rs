//! IM passwords, logins and the directory of nodes in Redis. Each key is touched by one command alone, so that a cluster
//! may place it anywhere. Records are made here, each with its authenticator ([`super::seal`]), since Redis does not have the
//! key: a script compares the stored record with the one that was read, and then replaces it.

mod logins;
mod nodes;
mod passwords;
mod user;

use ::redis::{Cmd, FromRedisValue, Value, from_redis_value};

use super::{cluster::Routes, seal::Records};
use crate::Unavailable;

/// Names keys and makes commands.
pub(super) struct Books {
    /// Of every key: the prefix and the fleet's id.
    pub(super) prefix: String,
    pub(super) records: Records,
}

/// The fields of a hash with their values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn script(text: &str, key: &str) -> Cmd {
    let mut command = ::redis::cmd("EVAL");
    command.arg(text).arg(1).arg(key);
    command
}

/// All of a hash, and the clock of the server that has it, epoch µs.
async fn look(routes: &Routes, key: &str) -> Result<(u64, Fields), Unavailable> {
    let mut all = ::redis::cmd("HGETALL");
    all.arg(key);
    ask_with_time(routes, key, all).await
}

/// The answer to a command, and the clock of the server that has its key, epoch µs.
async fn ask_with_time<T: FromRedisValue>(
    routes: &Routes,
    key: &str,
    command: Cmd,
) -> Result<(u64, T), Unavailable> {
    let together = vec![(key.to_owned(), ::redis::cmd("TIME")), (key.to_owned(), command)];
    let [time, answer] =
        <[Value; 2]>::try_from(routes.ask_each::<Value>(together).await?).map_err(|_| Unavailable)?;
    let (seconds, micros): (u64, u64) = from_redis_value(time).map_err(|_| Unavailable)?;
    let answer = from_redis_value(answer).map_err(|_| Unavailable)?;
    Ok((seconds.saturating_mul(1_000_000).saturating_add(micros), answer))
}

/// The clock of the server that has a key, epoch milliseconds.
pub(super) async fn time_ms(routes: &Routes, key: &str) -> Result<i64, Unavailable> {
    let (seconds, micros): (i64, i64) = routes.ask(key, &::redis::cmd("TIME")).await?;
    Ok(seconds * 1_000 + micros / 1_000)
}
