//! Readers that log in, Sync, read while the load warms up, and then read nothing any more.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use prost::Message;
use proto::PROTOCOL_VERSION;
use proto::frame::{FrameReader, MAX_FRAME_BYTES};
use proto::wire::{self, ClientFrame, Platform, ServerFrame, client_frame, server_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
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

/// Connections that are read until the load has warmed up, and not after.
#[derive(Debug)]
pub(in crate::workload) struct Stopped {
    count: usize,
    watch: Watch,
    stopping: JoinHandle<Result<Unread>>,
    stop: watch::Sender<bool>,
}

/// Connections that are not read any more.
#[derive(Debug)]
struct Unread {
    streams: Vec<TcpStream>,
    before: Vec<Sample>,
    slow_before: f64,
    most_bytes: f64,
}

impl Stopped {
    /// Connects them. They read for `warm_up` from the first entry on, like everybody else, so that what is measured
    /// then is what stopping costs and not what the load itself does.
    ///
    /// # Errors
    /// When one cannot log in.
    pub(in crate::workload) async fn connect(
        address: SocketAddr,
        users: &[User],
        server: &Watch,
        warm_up: Duration,
    ) -> Result<Self> {
        let (come, mut first) = mpsc::channel(1);
        let (stop_reading, stopped_reading) = watch::channel(false);
        let mut readers = Vec::with_capacity(users.len());
        for user in users {
            let opened = timeout(LOGIN_LIMIT, open(address, user)).await;
            let stream =
                opened.with_context(|| format!("user {} was not logged in in time", user.user_id))?;
            let stream = stream.with_context(|| format!("user {}", user.user_id))?;
            readers.push(tokio::spawn(read(stream, come.clone(), stopped_reading.clone())));
        }
        let (stop, mut stopped) = watch::channel(false);
        let watch = server.clone();
        let count = users.len();
        let stopping = tokio::spawn(async move {
            tokio::select! {
                _ = first.recv() => sleep(warm_up).await,
                _ = stopped.changed() => bail!("the load ended before anything came"),
            }
            let slow_before = slow(&watch).await?;
            let before = watch.sample().await?;
            stop_reading.send_replace(true);
            let mut streams = Vec::with_capacity(count);
            for reader in readers {
                streams.push(
                    reader
                        .await?
                        .context("the node closed a connection that was read")?,
                );
            }
            let most_bytes = most(&watch, &before, count, stopped).await?;
            Ok(Unread {
                streams,
                before,
                slow_before,
                most_bytes,
            })
        });
        Ok(Self {
            count,
            watch: server.clone(),
            stopping,
            stop,
        })
    }

    /// Their cost, and their end.
    ///
    /// # Errors
    /// When the server does not answer, or one was ended while it read.
    pub(in crate::workload) async fn end(self) -> Result<StoppedReaders> {
        self.stop.send_replace(true);
        let Unread {
            streams,
            before,
            slow_before,
            most_bytes,
        } = self.stopping.await??;
        let after = self.watch.since(&before, self.count).await?;
        let closed_slow = slow(&self.watch).await? - slow_before;
        let mut ended = 0;
        for mut stream in streams {
            ended += u64::from(is_ended(&mut stream).await);
        }
        Ok(StoppedReaders {
            count: self.count as u64,
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

/// Reads until it is stopped; returns the time of each read. None when the connection ended.
async fn read(
    mut stream: TcpStream,
    come: mpsc::Sender<()>,
    mut stopped: watch::Receiver<bool>,
) -> Option<TcpStream> {
    let mut buffer = vec![0; RECEIVE_BUFFER as usize];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return None,
                Ok(_) => {
                    // Only the first is waited for.
                    let _ = come.try_send(());
                }
            },
            _ = stopped.changed() => return Some(stream),
        }
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
    server: &Watch,
    before: &[Sample],
    count: usize,
    mut stopped: watch::Receiver<bool>,
) -> Result<f64> {
    let mut most: f64 = 0.0;
    loop {
        tokio::select! {
            () = sleep(SAMPLE_EVERY) => {}
            _ = stopped.changed() => return Ok(most),
        }
        let usage = server.since(before, count).await?;
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
        ..wire::Login::default()
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
