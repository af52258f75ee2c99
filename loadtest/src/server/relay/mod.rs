//! The bare relay: what a server of this shape costs without the product in it. Tokio, the same codec, fan-out in memory
//! straight to the sockets, frames that are ready together in one write; with `--store`, acknowledgement after a group
//! commit into SQLite with only a (conversation, seq) key. No checks, no duplicates looked up, nothing fed again.
//!
//! Membership is arithmetic, the same as `World::of_strangers`: conversation `c` (id `c + 1`) has the users
//! `c * members + 1` to `(c + 1) * members`.

mod connection;
mod hub;
mod inserts;
mod outlet;
mod store;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tokio::net::TcpSocket;

use crate::server::Ports;
use hub::Hub;
use inserts::SingleInserts;
use store::{GroupCommit, Store};

/// How many connections may wait to be accepted; a storm that finds no room comes again after a second.
const BACKLOG: u32 = 4096;

/// `loadtest relay`
#[derive(Clone, Debug, Args)]
pub struct RelayArguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub addr: SocketAddr,
    /// Where to write the address.
    #[arg(long)]
    pub ports_file: PathBuf,
    /// How many users there are.
    #[arg(long)]
    pub users: u32,
    /// How many conversations there are.
    #[arg(long, default_value_t = 0)]
    pub conversations: u32,
    /// The members of each.
    #[arg(long, default_value_t = 1)]
    pub members: u32,
    /// Commits messages to this SQLite file before they are acknowledged.
    #[arg(long)]
    pub store: Option<PathBuf>,
    /// Writes each message by an INSERT of its own into this PostgreSQL database before it is acknowledged.
    #[arg(long, value_name = "URL", conflicts_with = "store")]
    pub inserts_into: Option<String>,
    /// Over this many connections.
    #[arg(long, default_value_t = 1)]
    pub insert_connections: u32,
    /// Does this wrong to one member with every fiftieth entry: shows that the checks find it.
    #[arg(long, value_enum)]
    pub fault: Option<Fault>,
}

/// Faults of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// An entry never comes.
    Lose,
    /// An entry comes twice.
    Double,
    /// An entry comes after the next one.
    Swap,
    /// An entry is another one than the other members get.
    Forge,
    /// A message becomes two entries.
    Repeat,
    /// Every message is refused, not only each fiftieth.
    Refuse,
}

/// Runs until it is asked to end.
///
/// # Errors
/// When it cannot listen or its store cannot be opened.
pub async fn run(arguments: RelayArguments) -> Result<()> {
    let socket = match arguments.addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(arguments.addr).context("cannot listen")?;
    let listener = socket.listen(BACKLOG).context("cannot listen")?;
    let conversations = arguments.conversations as usize;
    let store = match (&arguments.store, &arguments.inserts_into) {
        (Some(path), _) => Some(Store::GroupCommit(GroupCommit::open(path, conversations)?)),
        (None, Some(url)) => Some(Store::SingleInserts(
            SingleInserts::open(url, arguments.insert_connections, conversations).await?,
        )),
        (None, None) => None,
    };
    let hub = Arc::new(Hub::new(
        arguments.users,
        arguments.conversations,
        arguments.members,
        store,
        arguments.fault,
    ));
    let ports = Ports {
        im: Some(listener.local_addr()?),
        ..Ports::default()
    };
    fs::write(&arguments.ports_file, serde_json::to_vec(&ports)?).context("cannot write the ports file")?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        accepted = accept(listener, hub) => accepted,
        _ = terminate.recv() => Ok(()),
    }
}

async fn accept(listener: tokio::net::TcpListener, hub: Arc<Hub>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection::serve(stream, hub.clone()));
    }
}
