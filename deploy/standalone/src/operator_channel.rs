//! A running server's door for `huizhen operator`: a socket in the data folder, which its owner alone may open. A SQLite
//! file belongs to one process, so the command asks that process.
//!
//! A connection carries one request and one answer, a line of JSON each.

use std::{
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use api_server::operator;
use database::Database;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const NAME: &str = "operator.sock";
/// The longest wait for a request, and for an answer: a new password is hashed meanwhile.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest line, bytes: some thousand operators.
const MAX_LINE_BYTES: u64 = 1024 * 1024;
/// The wait after an accept that failed: descriptors come back when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What to do with operators' accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Add { name: String },
    List,
    Disable { name: String },
    Reset { name: String },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Of [`Request::Add`] and [`Request::Reset`].
    Made {
        user_id: i64,
        password: String,
    },
    Listed(Vec<Account>),
    Disabled,
    /// The sentence for the operator.
    Refused(String),
}

/// An operator's account in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) user_id: i64,
    pub(crate) name: String,
    pub(crate) disabled: bool,
}

/// Carries a request out on a database that this process has open.
pub(crate) async fn carry_out(database: &Database, request: &Request) -> Answer {
    let done = match request {
        Request::Add { name } => operator::add(database, name).await.map(made),
        Request::Reset { name } => operator::reset(database, name).await.map(made),
        Request::Disable { name } => operator::disable(database, name).await.map(|()| Answer::Disabled),
        Request::List => operator::list(database).await.map(|listed| {
            let account = |operator: operator::Listed| Account {
                user_id: operator.user_id,
                name: operator.name,
                disabled: operator.disabled,
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

/// Opens the door beside a file that this process serves.
///
/// # Errors
/// As the kernel says; a path of more than some 100 bytes is too long for a socket.
pub(crate) fn open(file: &Path) -> io::Result<UnixListener> {
    let path = beside(file);
    // The file's lock is this process's, so a socket that lies there is of one that was killed.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody else may connect at any moment: it gets its name when it has its mode.
    let unnamed = path.with_extension(std::process::id().to_string());
    let _ = std::fs::remove_file(&unnamed);
    let listener = UnixListener::bind(&unnamed)?;
    std::fs::set_permissions(&unnamed, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&unnamed, &path)?;
    Ok(listener)
}

/// Answers, one after the other, until the server stops; the socket goes with it.
pub(crate) async fn serve(
    listener: UnixListener,
    path: PathBuf,
    database: Database,
    stop: CancellationToken,
) {
    let owner = std::fs::metadata(&path)
        .map(|socket| socket.uid())
        .unwrap_or_default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // The mode keeps others out; this does where a file system keeps no modes.
            Ok((stream, _)) if !is_of(&stream, owner) => tracing::warn!("another user's command is refused"),
            Ok((stream, _)) => {
                if let Ok(Err(error)) = timeout(LIMIT, answer(stream, &database)).await {
                    tracing::debug!(%error, "an operator's command was not answered");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "operators' commands cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
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

/// Asks the process that serves a file.
///
/// # Errors
/// When it has no door, with what to do, or does not answer.
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
