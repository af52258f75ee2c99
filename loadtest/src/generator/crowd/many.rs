//! The run's side: the processes and their reports.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{Account, Kind, Order, Orders, Ready, State};
use crate::world::User;

/// How long a process may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Processes full of clients; killed when dropped.
#[derive(Debug)]
pub struct Crowd {
    processes: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Crowd {
    /// Starts as many processes as are needed, `per_process` users in each.
    ///
    /// # Errors
    /// When one cannot be started.
    pub async fn start(
        kind: Kind,
        accounts: &[User],
        rest: &[String],
        addresses: &[SocketAddr],
        per_process: usize,
    ) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find out where this program lies")?;
        let mut processes = Vec::new();
        for accounts in accounts.chunks(per_process.max(1)) {
            let mut child = Command::new(&program)
                .arg("crowd")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .context("cannot start another process of this program")?;
            let pipes = child.stdin.take().zip(child.stdout.take());
            let (input, output) = pipes.context("the process has no pipes")?;
            let mut process = Process {
                child,
                input,
                output: BufReader::new(output).lines(),
            };
            let orders = Orders {
                kind,
                accounts: accounts
                    .iter()
                    .map(|user| Account {
                        user_id: user.user_id,
                        device_id: user.device_id.clone(),
                        access_token: user.access_token.clone(),
                    })
                    .collect(),
                rest: rest.to_vec(),
                addresses: addresses.to_vec(),
            };
            process.say(&orders).await?;
            processes.push(process);
        }
        Ok(Self { processes })
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.processes.len()
    }

    /// Waits until all clients are logged in; `limit` for all of them together.
    ///
    /// # Errors
    /// When a client cannot log in, or it takes too long.
    pub async fn ready(&mut self, limit: Duration) -> Result<Ready> {
        let all = async {
            let mut sum = Ready::default();
            for process in &mut self.processes {
                let ready: Ready = process.hear().await?;
                sum.clients += ready.clients;
                sum.took_s = sum.took_s.max(ready.took_s);
                sum.sent_away += ready.sent_away;
            }
            Ok(sum)
        };
        match timeout(limit, all).await {
            Ok(ready) => ready,
            Err(_) => bail!("not all clients were logged in within {limit:?}"),
        }
    }

    /// Notes from `since_us` (Unix time) on what becomes of the clients.
    ///
    /// # Errors
    /// When a process has ended.
    pub async fn mark(&mut self, since_us: u64) -> Result<()> {
        for process in &mut self.processes {
            process.say(&Order::Mark(since_us)).await?;
        }
        Ok(())
    }

    /// The clients' state since the mark.
    ///
    /// # Errors
    /// When a process has ended or does not answer.
    pub async fn report(&mut self) -> Result<State> {
        for process in &mut self.processes {
            process.say(&Order::Report).await?;
        }
        let mut state = State::default();
        for process in &mut self.processes {
            let one = timeout(ANSWER_LIMIT, process.hear())
                .await
                .context("a process of clients does not answer")??;
            state = state.and(one);
        }
        Ok(state)
    }

    /// Ends the clients.
    pub async fn end(self) {
        let (mut ending, mut children) = (Vec::new(), Vec::new());
        for process in self.processes {
            ending.push((process.input, process.output));
            children.push(process.child);
        }
        // The end of its input ends a process.
        drop(ending);
        for mut child in children {
            // A process that does not end is killed with its handle.
            let _ = timeout(END_LIMIT, child.wait()).await;
        }
    }
}

impl Process {
    async fn say(&mut self, what: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.input
            .write_all(&line)
            .await
            .context("a process of clients has ended")?;
        Ok(())
    }

    async fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.output.next_line().await?;
        let line = line.context("a process of clients has ended; see above why")?;
        serde_json::from_str(&line).with_context(|| format!("a process of clients said `{line}`"))
    }
}
