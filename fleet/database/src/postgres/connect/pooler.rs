//! A pooler between this program and the server. In session mode it is as good as the server itself; in transaction mode
//! sessions share a server process, and settings, locks and prepared statements of one end up in another.

use std::time::Duration;

use telemetry::events::database::Event;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::{
    hosts::{Away, Connected, Hosts},
    pool::CONNECTIONS,
};
use crate::Outage;

/// How often two sessions are compared. A pooler assigns the process that was used last, or one after the other: the
/// first round shows either. The others are for a pooler that other programs use meanwhile.
const ROUNDS: usize = 4;
/// How long the second session may take: in session mode a pooler lets it wait when its pool is exhausted.
const LIMIT: Duration = Duration::from_secs(3);

const REFUSAL: &str = "a connection pooler lies before the server and lets sessions share its processes (transaction or \
    statement mode). Set pool_mode = session for this database, or connect to PostgreSQL itself; docs/operations.md, \
    PgBouncer";

/// How a pooler treats sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sessions {
    /// Each has a process of the server's own.
    Own,
    /// They share processes.
    Shared,
    /// There was no second session to compare with.
    Unknown,
}

/// The connection of a start, set up after a check: a pooler that lets sessions share processes is refused.
pub(crate) async fn first(hosts: &Hosts, session: &str) -> Result<Connected, Away> {
    let (client, driver) = hosts.connect("").await?;
    let sessions = match hosts.connect("").await {
        Ok((second, _driver)) => compare(&client, &second)
            .await
            .map_err(|error| Away::of(&error))?,
        Err(away) => {
            tracing::debug!(why = away.reason, "there is no second connection to compare with");
            Sessions::Unknown
        }
    };
    match sessions {
        Sessions::Own => {}
        Sessions::Shared => {
            return Err(Away {
                reason: REFUSAL.into(),
                for_ever: true,
                outage: Outage::Away,
            });
        }
        Sessions::Unknown => Event::OneConnection { needed: CONNECTIONS }.emit(),
    }
    client
        .batch_execute(session)
        .await
        .map_err(|error| Away::of(&error))?;
    Ok((client, driver))
}

/// Compares two sessions. Neither may have been set up yet: settings would stay with a process that others use.
async fn compare(one: &Client, other: &Client) -> Result<Sessions, Error> {
    for _ in 0..ROUNDS {
        let first = process(one).await?;
        let Ok(second) = tokio::time::timeout(LIMIT, process(other)).await else {
            return Ok(Sessions::Unknown);
        };
        if first == second? || first != process(one).await? {
            return Ok(Sessions::Shared);
        }
    }
    Ok(Sessions::Own)
}

/// The remedy when a pooler refuses a startup parameter of the URL: a retry does not help.
pub(crate) fn startup_refusal(text: &str) -> Option<String> {
    text.contains("unsupported startup parameter").then(|| {
        format!(
            "{text}. Take the parameter out of the database URL (for `options`: ALTER ROLE … SET name = value), or name it in \
             ignore_startup_parameters of PgBouncer, which then drops it"
        )
    })
}

/// The process that runs a statement of a session. A simple query: a prepared one may be looked for in another process.
async fn process(client: &Client) -> Result<Option<String>, Error> {
    let messages = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
