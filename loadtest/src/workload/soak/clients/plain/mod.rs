//! A second client, written from docs/protocol.md alone: it asks one thing at a time, catches up in small Syncs with
//! pauses between them, repeats one that failed, and may be away for long.

mod copies;
mod session;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proto::client::{Address, Connection, Directory, DirectoryError, Ended, Outgoing};
use proto::wire::Platform;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::generator::schedule::Chance;
use crate::workload::soak::notes::scribe::Scribe;
use crate::world::User;
use copies::Copies;
use session::{Over, Session};

/// Messages that wait for the client's attention; beyond that their sender waits.
const WAITING: usize = 4096;
/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The delays before coming back: shorter than an app's, so that a run of minutes meets many logins.
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
pub(in crate::workload::soak) struct Manner {
    /// Entries of each conversation in one Sync, at most; from 1 to this, each time another number.
    pub(in crate::workload::soak) limit: u32,
    /// The longest pause between two Syncs of one catching up.
    pub(in crate::workload::soak) pause: Duration,
    /// The longest absence; none: it is always there.
    pub(in crate::workload::soak) absence: Option<Duration>,
}

impl Manner {
    /// Always there, catches up at once.
    pub(in crate::workload::soak) const STEADY: Self = Self {
        limit: 500,
        pause: Duration::ZERO,
        absence: None,
    };
    /// Away again and again, catches up by little pieces.
    pub(in crate::workload::soak) const WANDERING: Self = Self {
        limit: 5,
        pause: Duration::from_millis(300),
        absence: Some(Duration::from_secs(10)),
    };
}

/// Sends to the client; it ends when this is dropped.
#[derive(Clone, Debug)]
pub(in crate::workload::soak) struct Plain {
    outgoing: mpsc::Sender<Outgoing>,
}

impl Plain {
    pub(in crate::workload::soak) fn start(
        directory: impl Directory,
        user: &User,
        manner: Manner,
        scribe: Arc<Scribe>,
    ) -> Self {
        let (outgoing, orders) = mpsc::channel(WAITING);
        let chance = Chance::new(user.user_id as u64);
        let app = App {
            user_id: user.user_id,
            device_id: user.device_id.clone(),
            manner,
            copies: Copies::default(),
            outbox: VecDeque::new(),
            orders,
            chance,
            scribe,
        };
        tokio::spawn(app.run(directory));
        Self { outgoing }
    }

    pub(in crate::workload::soak) async fn send(&self, message: Outgoing) -> Result<(), Ended> {
        self.outgoing.send(message).await.map_err(|_| Ended)
    }
}

/// State that outlives a connection.
struct App {
    user_id: i64,
    device_id: String,
    manner: Manner,
    copies: Copies,
    /// Messages without an answer, in the order in which they go out.
    outbox: VecDeque<Outgoing>,
    orders: mpsc::Receiver<Outgoing>,
    chance: Chance,
    scribe: Arc<Scribe>,
}

impl App {
    async fn run(mut self, directory: impl Directory) {
        let mut password: Option<String> = None;
        let mut delay = FIRST_DELAY;
        let mut avoided: Option<std::net::SocketAddr> = None;
        loop {
            let made = self.connect(&directory, &mut password, avoided).await;
            let over = match made {
                Ok((connection, address)) => {
                    avoided = Some(address);
                    self.scribe.connected();
                    let secret = password.clone().unwrap_or_default();
                    let over = Session::new(&mut self, connection, secret).live().await;
                    self.scribe.disconnected();
                    over
                }
                Err(Failed::Refused(why)) => {
                    return self
                        .scribe
                        .notes
                        .fault(format!("user {} stays away: {why}", self.user_id));
                }
                Err(Failed::Later(address)) => {
                    avoided = address;
                    Over::Broken { was_in: false }
                }
            };
            let wait = match over {
                Over::Closed | Over::SentAway => return,
                Over::Absent => {
                    avoided = None;
                    self.absence()
                }
                Over::Dismissed { wait, new_password } => {
                    if new_password {
                        password = None;
                    }
                    wait.max(FIRST_DELAY)
                }
                Over::Broken { was_in } => {
                    delay = if was_in {
                        FIRST_DELAY
                    } else {
                        (delay * 2).min(LONGEST_DELAY)
                    };
                    delay.mul_f64(0.5 + self.chance.below(1000) as f64 / 1000.0)
                }
            };
            sleep(wait).await;
            if self.orders.is_closed() && self.orders.is_empty() {
                return;
            }
        }
    }

    /// Away for a while, unless everything is to be quiet.
    fn absence(&mut self) -> Duration {
        let longest = self.manner.absence.unwrap_or_default().as_millis() as usize;
        if self.scribe.notes.is_quiet() {
            return Duration::ZERO;
        }
        Duration::from_millis(self.chance.below(longest.max(1)) as u64)
    }

    /// How to behave now.
    fn manner(&self) -> Manner {
        if self.scribe.notes.is_quiet() {
            Manner::STEADY
        } else {
            self.manner
        }
    }

    async fn connect(
        &mut self,
        directory: &impl Directory,
        password: &mut Option<String>,
        avoided: Option<std::net::SocketAddr>,
    ) -> Result<(Connection, std::net::SocketAddr), Failed> {
        if password.is_none() {
            *password = Some(directory.password().await?.password);
        }
        let servers = directory.servers().await?;
        let fresh = servers.iter().find(|server| Some(server.address) != avoided);
        let Some(server) = fresh.or(servers.first()) else {
            return Err(Failed::Later(None));
        };
        let address = server.address;
        match timeout(CONNECT_LIMIT, Connection::connect(&Address::tcp(address))).await {
            Ok(Ok(connection)) => Ok((connection, address)),
            _ => Err(Failed::Later(Some(address))),
        }
    }
}

/// Why there is no connection.
enum Failed {
    /// The access token is no longer good.
    Refused(String),
    /// This node, or the directory, does not answer.
    Later(Option<std::net::SocketAddr>),
}

impl From<DirectoryError> for Failed {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Refused(why) => Self::Refused(why),
            DirectoryError::Unavailable(_) => Self::Later(None),
        }
    }
}

/// The platform that the devices of a soak name.
pub(in crate::workload::soak) const PLATFORM: Platform = Platform::Android;
