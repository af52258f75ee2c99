//! Sessions that log in and then say nothing but what keeps them alive.

pub mod link;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proto::PROTOCOL_VERSION;
use proto::bye::{Advice, advice};
use proto::wire::{self, ClientFrame, Platform, client_frame, server_frame};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::recorder::Times;
use crate::generator::quiet::link::{Endpoint, Link};
use crate::progress::Progress;
use crate::world::{User, World};

/// How long one login may take, all its attempts together.
const LOGIN_LIMIT: Duration = Duration::from_secs(120);
/// A session says something this often; a node takes one for dead after 2.5 heartbeats of 30 s.
const PING_EVERY: Duration = Duration::from_secs(25);
/// The most faults that are described; further ones are only counted.
const MAX_FAULTS: usize = 20;

/// The behaviour of sessions after their login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterLogin {
    /// Sync, as every app does: from then on entries would flow.
    Sync,
    /// Nothing.
    Nothing,
}

/// Sessions that are being held.
#[derive(Debug)]
pub struct Quiet {
    /// From the first connection to the last login.
    pub took: Duration,
    /// From the beginning of a connection to its login, attempts that were sent away included.
    pub login: Times,
    /// Logins that were asked to come back later.
    pub sent_away: u64,
    stop: watch::Sender<bool>,
    lost: Arc<AtomicU64>,
    sessions: JoinSet<Result<()>>,
}

impl Quiet {
    /// Connects one session for each user and holds them.
    ///
    /// # Errors
    /// When a session cannot be logged in.
    pub async fn connect(
        endpoints: Vec<Endpoint>,
        world: &World,
        after_login: AfterLogin,
        concurrency: usize,
    ) -> Result<Self> {
        let permits = Arc::new(Semaphore::new(concurrency));
        let (stop, stopped) = watch::channel(false);
        let (logged_in, mut logins) = mpsc::channel(1024);
        let lost = Arc::new(AtomicU64::new(0));
        let mut sessions = JoinSet::new();
        let begun = Instant::now();
        for (number, user) in world.users.iter().enumerate() {
            let endpoint = endpoints[number % endpoints.len()].clone();
            let (permits, user, stopped) = (permits.clone(), user.clone(), stopped.clone());
            let (logged_in, lost) = (logged_in.clone(), lost.clone());
            sessions.spawn(async move {
                let mut session = Box::pin(open(permits, endpoint, &user, after_login)).await?;
                // Counting stops once another session has failed.
                let _ = logged_in.send((session.login, session.sent_away)).await;
                drop(logged_in);
                hold(&mut session.link, stopped, &lost).await;
                Ok(())
            });
        }
        drop(logged_in);
        let mut quiet = Self {
            took: Duration::ZERO,
            login: Times::default(),
            sent_away: 0,
            stop,
            lost,
            sessions,
        };
        let mut progress = Progress::begin("logging in", world.users.len() as u64);
        for done in 0..world.users.len() {
            match logins.recv().await {
                Some((login, sent_away)) => {
                    quiet.login.record(login.as_micros() as u64);
                    quiet.sent_away += sent_away;
                    progress.at(done as u64, "sessions");
                }
                None => break,
            }
        }
        quiet.took = begun.elapsed();
        if quiet.login.count() < world.users.len() as u64 {
            bail!("not every session was logged in: {}", quiet.first_failure().await);
        }
        Ok(quiet)
    }

    /// How many of the sessions have ended.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ends the sessions.
    pub async fn release(mut self) {
        self.stop.send_replace(true);
        while self.sessions.join_next().await.is_some() {}
    }

    async fn first_failure(&mut self) -> String {
        self.stop.send_replace(true);
        let mut failures = Vec::new();
        while let Some(session) = self.sessions.join_next().await {
            match session {
                Ok(Ok(())) => {}
                Ok(Err(error)) if failures.len() < MAX_FAULTS => failures.push(format!("{error:#}")),
                Ok(Err(_)) => {}
                Err(error) => failures.push(error.to_string()),
            }
        }
        failures.dedup();
        failures.join("; ")
    }
}

struct Open {
    link: Link,
    login: Duration,
    sent_away: u64,
}

async fn open(
    permits: Arc<Semaphore>,
    endpoint: Endpoint,
    user: &User,
    after_login: AfterLogin,
) -> Result<Open> {
    let permit = permits.acquire_owned().await?;
    let begun = Instant::now();
    let mut sent_away = 0;
    let attempts = async {
        loop {
            match log_in(&endpoint, user).await? {
                Attempt::LoggedIn(link) => return anyhow::Ok(link),
                Attempt::ComeBack(after) => {
                    sent_away += 1;
                    sleep(after).await;
                }
            }
        }
    };
    let mut link = match timeout(LOGIN_LIMIT, attempts).await {
        Ok(link) => link.with_context(|| format!("user {}", user.user_id))?,
        Err(_) => bail!("user {} was not logged in within {LOGIN_LIMIT:?}", user.user_id),
    };
    let login = begun.elapsed();
    if after_login == AfterLogin::Sync {
        link.send(&request(1, client_frame::Body::Sync(wire::Sync::default())))
            .await?;
        loop {
            match link.receive().await?.map(|frame| frame.body) {
                Some(Some(server_frame::Body::SyncDone(_))) => break,
                Some(Some(server_frame::Body::Error(error))) => bail!("Sync: {}", error.message),
                Some(_) => {}
                None => bail!("the node closed the connection during a Sync"),
            }
        }
    }
    drop(permit);
    Ok(Open {
        link,
        login,
        sent_away,
    })
}

enum Attempt {
    LoggedIn(Link),
    ComeBack(Duration),
}

async fn log_in(endpoint: &Endpoint, user: &User) -> Result<Attempt> {
    let mut link = Link::connect(endpoint).await.context("cannot connect")?;
    let login = wire::Login {
        protocol_version: PROTOCOL_VERSION,
        user_id: user.user_id,
        password: user.password.clone(),
        device_id: user.device_id.clone(),
        platform: Platform::Android as i32,
        app_version: "loadtest".to_owned(),
        ..wire::Login::default()
    };
    link.send(&request(0, client_frame::Body::Login(login))).await?;
    match link.receive().await?.and_then(|frame| frame.body) {
        Some(server_frame::Body::LoginOk(_)) => Ok(Attempt::LoggedIn(link)),
        Some(server_frame::Body::Bye(bye)) if advice(bye.reason) == Advice::ComeBack => Ok(
            Attempt::ComeBack(Duration::from_millis(bye.retry_after_ms.max(50).into())),
        ),
        Some(server_frame::Body::Bye(bye)) => {
            bail!("the node refuses: {} {}", bye.reason().as_str_name(), bye.detail)
        }
        Some(_) => bail!("the node answered a login with something else"),
        None => bail!("the node closed the connection without a goodbye"),
    }
}

async fn hold(link: &mut Link, mut stopped: watch::Receiver<bool>, lost: &AtomicU64) {
    loop {
        let alive = tokio::select! {
            // Sent once, at the end; also when the sender is gone.
            _ = stopped.changed() => return,
            received = timeout(PING_EVERY, link.receive()) => match received {
                Ok(Ok(Some(_))) => true,
                Ok(_) => false,
                Err(_) => link.send(&request(0, client_frame::Body::Ping(wire::Ping {}))).await.is_ok(),
            },
        };
        if !alive {
            lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
    }
}

fn request(request_id: u64, body: client_frame::Body) -> ClientFrame {
    ClientFrame {
        request_id,
        body: Some(body),
    }
}
