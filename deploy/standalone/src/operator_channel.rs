//! The socket of a running server for `huizhen operator`, in the data folder, with mode 0600. One process owns a SQLite
//! file, so the command asks that process.
//!
//! A connection carries one request and one answer, each a line of JSON.

use std::{
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use api_server::operator;
use database::Database;
use program::accept::{self, Door};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NAME: &str = "operator.sock";
/// The longest wait for a request, and for an answer: a new password is hashed meanwhile.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest line, bytes: enough for some thousand operators.
const MAX_LINE_BYTES: u64 = 1024 * 1024;
/// Connections at once: one owner types the commands.
const MAX_CONNECTIONS: usize = 8;

/// A request about operators' accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Add { name: String },
    List,
    Disable { name: String },
    Reset { name: String },
    Enrol { name: String },
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The outcome of [`Request::Add`] and [`Request::Reset`].
    Made {
        user_id: i64,
        password: String,
    },
    Listed(Vec<Account>),
    Disabled,
    /// The address of a new second factor, for an authenticator app.
    Enrolled(String),
    /// The sentence for the operator.
    Refused(String),
}

/// An operator's account in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) user_id: i64,
    pub(crate) name: String,
    pub(crate) disabled: bool,
    #[serde(default)]
    pub(crate) has_second_factor: bool,
}

/// Carries out a request on an open database.
pub(crate) async fn carry_out(database: &Database, request: &Request) -> Answer {
    let done = match request {
        Request::Add { name } => operator::add(database, name).await.map(made),
        Request::Reset { name } => operator::reset(database, name).await.map(made),
        Request::Disable { name } => operator::disable(database, name).await.map(|()| Answer::Disabled),
        Request::Enrol { name } => operator::enrol(database, name).await.map(Answer::Enrolled),
        Request::List => operator::list(database).await.map(|listed| {
            let account = |operator: operator::Listed| Account {
                user_id: operator.user_id,
                name: operator.name,
                disabled: operator.disabled,
                has_second_factor: operator.has_second_factor,
            };
            Answer::Listed(listed.into_iter().map(account).collect())
        }),
    };
    done.unwrap_or_else(|error| Answer::Refused(format!("{error:#}")))
}

fn made(made: operator::Made) -> Answer {
    Answer::Made {
        user_id: made.user_id,
        password: made.password,
    }
}

/// The socket beside a database file.
pub(crate) fn beside(file: &Path) -> PathBuf {
    file.with_file_name(NAME)
}

/// Opens the socket beside a file that this process serves.
///
/// # Errors
/// Those of bind(2); a path of more than some 100 bytes is too long.
pub(crate) fn open(file: &Path) -> io::Result<UnixListener> {
    let path = beside(file);
    // This process holds the lock of the file, so that an existing socket is one of a killed process.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The socket gets its name after its mode, so that no other user can connect at any moment.
    let unnamed = path.with_extension(std::process::id().to_string());
    let _ = std::fs::remove_file(&unnamed);
    let listener = UnixListener::bind(&unnamed)?;
    std::fs::set_permissions(&unnamed, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&unnamed, &path)?;
    Ok(listener)
}

/// Answers requests until `stop`, then removes the socket.
pub(crate) async fn serve(
    listener: UnixListener,
    path: PathBuf,
    database: Database,
    stop: CancellationToken,
) {
    let owner = std::fs::metadata(&path)
        .map(|socket| socket.uid())
        .unwrap_or_default();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let door = Door {
        name: "operator",
        remedy: "raise the open-file limit",
        failures: None,
    };
    let take = move |stream, _| {
        // The mode excludes other users, except on a file system without modes.
        if !is_of(&stream, owner) {
            return tracing::warn!("another user's command is refused");
        }
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            return;
        };
        let database = database.clone();
        connections.spawn(async move {
            if let Ok(Err(error)) = timeout(LIMIT, answer(stream, &database)).await {
                tracing::debug!(%error, "an operator's command was not answered");
            }
            drop(slot);
        });
    };
    accept::run(listener, door, stop, take).await;
    let _ = std::fs::remove_file(path);
}

fn is_of(stream: &UnixStream, owner: u32) -> bool {
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0)
}

async fn answer(stream: UnixStream, database: &Database) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream.take(MAX_LINE_BYTES));
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => carry_out(database, &request).await,
        Err(error) => Answer::Refused(format!("the server does not know this command: {error}")),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    stream.get_mut().get_mut().write_all(text.as_bytes()).await?;
    Ok(())
}

/// Sends a request to the process that serves a file.
///
/// # Errors
/// When it has no socket (with the remedy), or does not answer.
pub(crate) async fn ask(file: &Path, request: &Request) -> anyhow::Result<Answer> {
    let path = beside(file);
    let mut stream = UnixStream::connect(&path).await.with_context(|| {
        format!(
            "{} is served by a running process, which cannot be asked by {}; run this as the same user, or stop the server \
             first",
            file.display(),
            path.display()
        )
    })?;
    let asking = async {
        let mut text = serde_json::to_string(request)?;
        text.push('\n');
        stream.write_all(text.as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(stream.take(MAX_LINE_BYTES))
            .read_line(&mut answer)
            .await?;
        if answer.is_empty() {
            bail!("it ended the connection");
        }
        Ok(serde_json::from_str(&answer)?)
    };
    timeout(LIMIT, asking)
        .await
        .context("the running server does not answer")?
        .context("the running server's answer")
}
