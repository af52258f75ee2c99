//! Readers that log in, Sync, and then read nothing any more.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use prost::Message;
use proto::PROTOCOL_VERSION;
use proto::frame::{FrameReader, MAX_FRAME_BYTES};
use proto::wire::{self, ClientFrame, Platform, ServerFrame, client_frame, server_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::report::StoppedReaders;
use crate::server::usage::{Sample, Watch, metric_of};
use crate::world::User;

/// Little is held for them on this side, so that the server soon finds that they do not read. Bytes.
const RECEIVE_BUFFER: u32 = 4 * 1024;
/// How often the server's memory is read.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// How long a login and a Sync may take.
const LOGIN_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to find that a connection was ended, once everything it holds is read.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Connections that nobody reads.
#[derive(Debug)]
pub(super) struct Stopped {
    streams: Vec<TcpStream>,
    before: Vec<Sample>,
    slow_before: f64,
    watch: Watch,
    stop: watch::Sender<bool>,
    sampling: JoinHandle<Result<f64>>,
}

impl Stopped {
    /// Connects them and begins to watch the server's memory.
    ///
    /// # Errors
    /// When one cannot log in.
    pub(super) async fn connect(address: SocketAddr, users: &[User], server: &Watch) -> Result<Self> {
        let mut streams = Vec::with_capacity(users.len());
        for user in users {
            let opened = timeout(LOGIN_LIMIT, open(address, user)).await;
            let stream =
                opened.with_context(|| format!("user {} was not logged in in time", user.user_id))?;
            streams.push(stream.with_context(|| format!("user {}", user.user_id))?);
        }
        let before = server.sample().await?;
        let slow_before = slow(server).await?;
        let (stop, stopped) = watch::channel(false);
        let sampling = tokio::spawn(most(server.clone(), before.clone(), users.len(), stopped));
        Ok(Self {
            streams,
            before,
            slow_before,
            watch: server.clone(),
            stop,
            sampling,
        })
    }

    /// What they cost, and what became of them.
    ///
    /// # Errors
    /// When the server does not tell.
    pub(super) async fn end(self) -> Result<StoppedReaders> {
        self.stop.send_replace(true);
        let most_bytes = self.sampling.await??;
        let count = self.streams.len();
        let after = self.watch.since(&self.before, count).await?;
        let closed_slow = slow(&self.watch).await? - self.slow_before;
        let mut ended = 0;
        for mut stream in self.streams {
            ended += u64::from(is_ended(&mut stream).await);
        }
        Ok(StoppedReaders {
            count: count as u64,
            most_bytes_each: most_bytes,
            bytes_each_afterwards: after
                .iter()
                .filter_map(|usage| usage.pss_bytes_per_connection)
                .sum(),
            closed_slow: closed_slow as u64,
            ended,
        })
    }
}

/// Sessions that the servers ended because they did not read.
async fn slow(server: &Watch) -> Result<f64> {
    let mut sum = 0.0;
    for url in server.metrics_addresses() {
        sum += metric_of(url, "huizhen_im_byes_total", "SLOW")
            .await?
            .unwrap_or(0.0);
    }
    Ok(sum)
}

/// The most that memory grew for each, bytes.
async fn most(
    server: Watch,
    before: Vec<Sample>,
    count: usize,
    mut stopped: watch::Receiver<bool>,
) -> Result<f64> {
    let mut most: f64 = 0.0;
    loop {
        tokio::select! {
            () = sleep(SAMPLE_EVERY) => {}
            _ = stopped.changed() => return Ok(most),
        }
        let usage = server.since(&before, count).await?;
        let grown: f64 = usage
            .iter()
            .filter_map(|usage| usage.pss_bytes_per_connection.or(usage.rss_bytes_per_connection))
            .sum();
        most = most.max(grown);
    }
}

async fn open(address: SocketAddr, user: &User) -> Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let mut stream = socket.connect(address).await?;
    let login = client_frame::Body::Login(wire::Login {
        protocol_version: PROTOCOL_VERSION,
        user_id: user.user_id,
        password: user.password.clone(),
        device_id: user.device_id.clone(),
        platform: Platform::Android as i32,
        app_version: "loadtest".to_owned(),
    });
    for (request_id, body) in [(1, login), (2, client_frame::Body::Sync(wire::Sync::default()))] {
        let message = ClientFrame {
            request_id,
            body: Some(body),
        }
        .encode_to_vec();
        stream.write_u32(u32::try_from(message.len())?).await?;
        stream.write_all(&message).await?;
    }
    let mut reader = FrameReader::default();
    let mut buffer = vec![0; RECEIVE_BUFFER as usize];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            bail!("the node closed the connection during login");
        }
        let mut input = &buffer[..read];
        while let Some(message) = reader.next(&mut input, 16 * MAX_FRAME_BYTES).ok().flatten() {
            match ServerFrame::decode(message)?.body {
                Some(server_frame::Body::SyncDone(_)) => return Ok(stream),
                Some(server_frame::Body::Bye(bye)) => bail!("the node refuses: {}", bye.detail),
                Some(server_frame::Body::Error(error)) => bail!("the node answers: {}", error.message),
                _ => {}
            }
        }
    }
}

/// Reads what is left; true when the connection was ended.
async fn is_ended(stream: &mut TcpStream) -> bool {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match timeout(END_LIMIT, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
            Err(_) => return false,
        }
    }
}
