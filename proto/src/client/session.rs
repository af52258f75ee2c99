//! The loop that moves bytes for the state machine: connect, write what it says, hand it what comes.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{Connection, Reader, Writer};
use super::directory::{Address, Directory, DirectoryError, Password};
use super::event::Event;
use super::handle::{Answer, Command, RequestError};
use super::settings::Settings;
use super::state::{Machine, Next};

type Renewal = Pin<Box<dyn Future<Output = Result<Password, DirectoryError>> + Send>>;

pub(super) struct Session<D> {
    directory: Arc<D>,
    settings: Settings,
    machine: Machine,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
    /// Events beyond the channel's capacity; while there are any, nothing is read from the node, so that it holds
    /// no more than one frame or one lost connection brings.
    backlog: VecDeque<Event>,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    servers: Vec<Address>,
    /// Where no session has come to stand since the last one stood, and where that one ended: another node is tried
    /// first.
    avoided: Vec<SocketAddr>,
    started: Instant,
}

/// The app wants no more.
struct Stopped;

/// The node that was chosen.
#[derive(Clone, Copy)]
struct Choice {
    address: SocketAddr,
    /// All were tried before.
    is_again: bool,
}

struct Established {
    connection: Connection,
    choice: Choice,
    servers: Vec<Address>,
    password: Option<Password>,
}

/// An attempt that led nowhere.
struct Failed {
    /// The node that could not be reached, when it came so far.
    choice: Option<Choice>,
    error: DirectoryError,
}

impl From<DirectoryError> for Failed {
    fn from(error: DirectoryError) -> Self {
        Self { choice: None, error }
    }
}

impl<D: Directory> Session<D> {
    pub(super) fn new(
        directory: D,
        settings: Settings,
        machine: Machine,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            directory: Arc::new(directory),
            settings,
            machine,
            commands,
            events,
            backlog: VecDeque::new(),
            waiting: HashMap::new(),
            servers: Vec::new(),
            avoided: Vec::new(),
            started: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        // Also after Stopped the app gets the events that are queued.
        let _ = self.until_sent_away().await;
        while let Some(event) = self.backlog.pop_front() {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }

    async fn until_sent_away(&mut self) -> Result<(), Stopped> {
        loop {
            let attempt = Box::pin(establish(
                self.directory.clone(),
                self.servers.clone(),
                self.avoided.clone(),
                self.settings.connect_timeout,
                self.machine.needs_password(self.now()),
            ));
            let cause = match self.meanwhile(attempt).await? {
                Ok(established) => {
                    self.servers = established.servers;
                    if let Some(password) = established.password {
                        self.machine.password(self.now(), password);
                    }
                    let cause = Box::pin(self.online(established.connection)).await?;
                    self.avoid(established.choice);
                    cause
                }
                Err(Failed {
                    choice,
                    error: DirectoryError::Unavailable(cause),
                }) => {
                    if let Some(choice) = choice {
                        self.avoid(choice);
                    }
                    cause
                }
                Err(Failed {
                    error: DirectoryError::Refused(cause),
                    ..
                }) => {
                    self.machine.shut_out(cause);
                    self.pass_on();
                    return Ok(());
                }
            };
            let next = self.machine.disconnected(cause, rand::random());
            self.pass_on();
            match next {
                Next::ComeBack(delay) => self.meanwhile(sleep(delay)).await?,
                Next::StayAway => return Ok(()),
            }
        }
    }

    // protocol: "After a broken connection, or a Bye 1–99, wait and continue at 2"
    /// The nodes that were not tried come before this one.
    fn avoid(&mut self, choice: Choice) {
        // A session stood there until now, or all were tried: it begins anew.
        if self.machine.failures() == 0 || choice.is_again {
            self.avoided.clear();
        }
        self.avoided.push(choice.address);
    }

    /// Serves the app while something else is waited for.
    async fn meanwhile<F: Future>(&mut self, future: F) -> Result<F::Output, Stopped> {
        tokio::pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return Ok(output),
                command = self.commands.recv(), if self.machine.has_capacity() => self.command(command)?,
                ready = capacity(&self.events), if !self.backlog.is_empty() => self.hand_over(ready)?,
            }
        }
    }

    /// Serves one connection; returns the reason of its end.
    async fn online(&mut self, connection: Connection) -> Result<String, Stopped> {
        let (mut reader, mut writer) = connection.split();
        let mut renewal: Option<Renewal> = None;
        self.machine.connected(self.now());
        loop {
            if let Some(cause) = self.move_output(&mut reader, &mut writer, &mut renewal) {
                // A Logout may still be queued; a node that is gone does not read it.
                let _ = timeout(Duration::from_secs(1), writer.flush()).await;
                return Ok(cause);
            }
            let deadline = self.machine.deadline().map(|at| self.started + at);
            tokio::select! {
                received = reader.receive(), if self.backlog.is_empty() => match received {
                    Ok(Some(frame)) => self.machine.received(self.now(), frame),
                    Ok(None) => return Ok("the node closed the connection".to_owned()),
                    Err(error) => return Ok(error.to_string()),
                },
                flushed = writer.flush(), if !writer.is_flushed() => {
                    if let Err(error) = flushed {
                        return Ok(format!("the connection failed: {error}"));
                    }
                }
                command = self.commands.recv(), if self.machine.has_capacity() => self.command(command)?,
                ready = capacity(&self.events), if !self.backlog.is_empty() => self.hand_over(ready)?,
                password = renew(&mut renewal) => {
                    renewal = None;
                    self.machine.renewed_password(self.now(), password.ok());
                }
                () = until(deadline) => self.machine.tick(self.now()),
            }
        }
    }

    /// Carries out the machine's orders; returns the reason when the connection is to be closed.
    fn move_output(
        &mut self,
        reader: &mut Reader,
        writer: &mut Writer,
        renewal: &mut Option<Renewal>,
    ) -> Option<String> {
        let output = self.pass_on();
        for frame in &output.frames {
            writer.queue(frame);
        }
        if output.fetch_password {
            let directory = self.directory.clone();
            *renewal = Some(Box::pin(async move { directory.password().await }));
        }
        if let Some(bytes) = output.max_server_frame_bytes {
            reader.set_limit(bytes);
        }
        output.hang_up
    }

    /// Hands events and answers to the app.
    fn pass_on(&mut self) -> super::state::Output {
        let mut output = self.machine.take_output();
        for event in output.events.drain(..) {
            if self.backlog.is_empty() {
                match self.events.try_send(event) {
                    Ok(()) => {}
                    Err(
                        mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event),
                    ) => {
                        self.backlog.push_back(event);
                    }
                }
            } else {
                self.backlog.push_back(event);
            }
        }
        for (request_id, answer) in output.answers.drain(..) {
            if let Some(waiting) = self.waiting.remove(&request_id) {
                // The app may have stopped waiting.
                let _ = waiting.send(answer);
            }
        }
        output
    }

    fn command(&mut self, command: Option<Command>) -> Result<(), Stopped> {
        let now = self.now();
        match command {
            Some(Command::Send(message)) => self.machine.submit(now, message),
            Some(Command::Report(body)) => self.machine.report(now, body),
            Some(Command::Ask(body, answer)) => match self.machine.ask(now, body) {
                Some(request_id) => {
                    self.waiting.insert(request_id, answer);
                }
                None => {
                    let _ = answer.send(Err(RequestError::Disconnected));
                }
            },
            Some(Command::Logout) => {
                if !self.machine.leave() {
                    return Err(Stopped);
                }
            }
            Some(Command::Close) | None => return Err(Stopped),
        }
        Ok(())
    }

    fn hand_over(&mut self, ready: Result<(), Stopped>) -> Result<(), Stopped> {
        ready?;
        if let Some(event) = self.backlog.pop_front() {
            self.events.try_send(event).map_err(|_| Stopped)?;
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Waits until an event can be sent. There is no other sender, so that the capacity stays.
async fn capacity(events: &mpsc::Sender<Event>) -> Result<(), Stopped> {
    events.reserve().await.map(drop).map_err(|_| Stopped)
}

// protocol: "Open a connection to the first node"
/// Asks for what is needed and connects: to the first node of the list that is not to be avoided, or to the first one.
async fn establish<D: Directory>(
    directory: Arc<D>,
    known: Vec<Address>,
    avoided: Vec<SocketAddr>,
    limit: Duration,
    needs_password: bool,
) -> Result<Established, Failed> {
    let servers = match directory.servers().await {
        Ok(servers) if !servers.is_empty() => servers,
        Err(error @ DirectoryError::Refused(_)) => return Err(error.into()),
        // The directory is away: the nodes of last time may still be there.
        _ if !known.is_empty() => known,
        Err(error) => return Err(error.into()),
        Ok(_) => {
            let error = DirectoryError::Unavailable("the directory names no node".to_owned());
            return Err(error.into());
        }
    };
    let password = if needs_password {
        Some(directory.password().await?)
    } else {
        None
    };
    let fresh = servers.iter().find(|server| !avoided.contains(&server.address));
    let address = fresh.unwrap_or(&servers[0]).clone();
    let choice = Choice {
        address: address.address,
        is_again: fresh.is_none(),
    };
    let cannot = |why: String| Failed {
        choice: Some(choice),
        error: DirectoryError::Unavailable(format!("cannot connect to {}{why}", choice.address)),
    };
    match timeout(limit, Connection::connect(&address)).await {
        Ok(Ok(connection)) => Ok(Established {
            connection,
            choice,
            servers,
            password,
        }),
        Ok(Err(error)) => Err(cannot(format!(": {error}"))),
        Err(_) => Err(cannot(format!(" within {limit:?}"))),
    }
}

async fn renew(renewal: &mut Option<Renewal>) -> Result<Password, DirectoryError> {
    match renewal {
        Some(renewal) => renewal.await,
        None => pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
