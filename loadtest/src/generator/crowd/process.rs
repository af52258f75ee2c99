//! The process's side.

use std::io::{BufRead, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::good;
use super::{Account, Kind, Order, Orders, Ready, State};
use crate::generator::quiet::link::Endpoint;
use crate::generator::quiet::{AfterLogin, Quiet};
use crate::world::rest::Rest;
use crate::world::{User, World};

/// How many passwords are asked for at once.
const ASKING_AT_ONCE: usize = 16;
/// How many connections are made at once.
const CONNECTING_AT_ONCE: usize = 64;

/// Runs `loadtest crowd` until its input ends.
///
/// # Errors
/// When the orders are none, or a client cannot log in.
pub async fn run() -> Result<()> {
    let mut lines = input();
    let orders = lines.recv().await.context("there are no orders on the input")?;
    let orders: Orders = serde_json::from_str(&orders).context("the first line is no orders")?;
    match orders.kind {
        Kind::Quiet => Box::pin(quiet(orders, lines)).await,
        Kind::Good => Box::pin(good::run(orders, lines)).await,
    }
}

/// The lines of the input, read by a thread of their own.
fn input() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

async fn quiet(orders: Orders, mut lines: mpsc::Receiver<String>) -> Result<()> {
    let rest = Rest::new(&orders.rest.join(","))?;
    let world = World {
        users: with_passwords(&rest, orders.accounts).await?,
        conversations: Vec::new(),
    };
    let clients = world.users.len() as u64;
    let endpoints = orders.addresses.into_iter().map(Endpoint::Tcp).collect();
    let quiet = Box::pin(Quiet::connect(
        endpoints,
        &world,
        AfterLogin::Sync,
        CONNECTING_AT_ONCE,
    ))
    .await?;
    report(&Ready {
        clients,
        took_s: quiet.took.as_secs_f64(),
        sent_away: quiet.sent_away,
    })?;
    while let Some(line) = lines.recv().await {
        if let Order::Report = serde_json::from_str(&line)? {
            report(&State {
                here: clients - quiet.lost(),
                disconnected: quiet.lost(),
                failures: quiet.lost(),
                ..State::default()
            })?;
        }
    }
    quiet.release().await;
    Ok(())
}

async fn with_passwords(rest: &Rest, accounts: Vec<Account>) -> Result<Vec<User>> {
    let permits = Arc::new(Semaphore::new(ASKING_AT_ONCE));
    let mut asking = JoinSet::new();
    for account in accounts {
        let (rest, permits) = (rest.clone(), permits.clone());
        asking.spawn(async move {
            let _permit = permits.acquire_owned().await?;
            let password = rest.im_password(&account.access_token).await?;
            anyhow::Ok(User {
                user_id: account.user_id,
                device_id: account.device_id,
                password,
                access_token: account.access_token,
            })
        });
    }
    let mut users = Vec::new();
    while let Some(user) = asking.join_next().await {
        users.push(user.context("a task panicked")??);
    }
    Ok(users)
}

/// Says something to the run.
pub(super) fn report(what: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    output.flush()?;
    Ok(())
}
