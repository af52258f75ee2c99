//! One connection of the relay: a task and no buffers while nothing comes.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use prost::Message;
use proto::frame::{self, FrameReader, MAX_FRAME_BYTES};
use proto::wire::{self, ByeReason, ClientFrame, ErrorCode, client_frame, server_frame};
use tokio::net::TcpStream;

use super::hub::{Arrival, Hub, now_ms};
use super::outlet::{Flushed, Outlet};

const READ_BYTES: usize = 64 * 1024;
/// Passwords do not end here.
const DAY_MS: i64 = 24 * 3600 * 1000;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

struct Connection {
    outlet: Arc<Outlet>,
    frames: FrameReader,
    user_id: Option<i64>,
    is_synced: bool,
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, hub: Arc<Hub>) {
    let mut connection = Connection {
        outlet: Arc::new(Outlet::new(stream)),
        frames: FrameReader::default(),
        user_id: None,
        is_synced: false,
    };
    // A peer that goes away is the usual end.
    let _ = connection.run(&hub).await;
    if let (Some(user_id), true) = (connection.user_id, connection.is_synced) {
        hub.leave(user_id, &connection.outlet);
    }
}

impl Connection {
    async fn run(&mut self, hub: &Arc<Hub>) -> io::Result<()> {
        let mut touched = Vec::new();
        loop {
            tokio::select! {
                readable = self.outlet.stream.readable() => {
                    readable?;
                    let open = self.read(hub, &mut touched);
                    hub.flush(&mut touched);
                    if !open? {
                        return Ok(());
                    }
                }
                () = self.outlet.is_blocked.notified() => {
                    self.outlet.stream.writable().await?;
                    if self.outlet.flush() == Flushed::Broken {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads once and deals with every whole frame; false at the end of the connection.
    fn read(&mut self, hub: &Arc<Hub>, touched: &mut Vec<Arc<Outlet>>) -> io::Result<bool> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let length = match self.outlet.stream.try_read(buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            };
            let mut input = &buffer[..length];
            // Taken out, so that a frame in it can be looked at while the connection is used.
            let mut frames = std::mem::take(&mut self.frames);
            let mut open = true;
            while let Some(bytes) = frames.next(&mut input, MAX_FRAME_BYTES).map_err(|_| broken())? {
                let frame = ClientFrame::decode(bytes).map_err(|_| broken())?;
                open &= self.take(frame, hub, touched);
            }
            self.frames = frames;
            Ok(open)
        })
    }

    fn take(&mut self, frame: ClientFrame, hub: &Arc<Hub>, touched: &mut Vec<Arc<Outlet>>) -> bool {
        let answer = match (frame.body, self.user_id) {
            (Some(client_frame::Body::Login(login)), _) if hub.knows(login.user_id) => {
                self.user_id = Some(login.user_id);
                let now_ms = now_ms();
                server_frame::Body::LoginOk(wire::LoginOk {
                    session_id: login.user_id as u64,
                    server_time_ms: now_ms,
                    expires_at_ms: now_ms + DAY_MS,
                    heartbeat_s: 30,
                    max_frame_bytes: MAX_FRAME_BYTES as u32,
                })
            }
            (Some(client_frame::Body::Send(send)), Some(sender_id)) => {
                let arrival = Arrival {
                    request_id: frame.request_id,
                    sender_id,
                    sender: self.outlet.clone(),
                    send,
                };
                if hub.take(arrival, touched) {
                    return true;
                }
                server_frame::Body::Error(wire::Error {
                    code: ErrorCode::Unavailable as i32,
                    retry_after_ms: 100,
                    ..wire::Error::default()
                })
            }
            (Some(client_frame::Body::Sync(_)), Some(user_id)) => {
                if !std::mem::replace(&mut self.is_synced, true)
                    && let Some(conversation) = hub.enter(user_id, &self.outlet)
                    && self.outlet.push(&conversation)
                {
                    touched.push(self.outlet.clone());
                }
                server_frame::Body::SyncDone(wire::SyncDone {
                    more: false,
                    synced_ms: now_ms(),
                })
            }
            (Some(client_frame::Body::Ping(_)), Some(_)) => server_frame::Body::Pong(wire::Pong {
                server_time_ms: now_ms(),
            }),
            _ => {
                let bye = wire::Bye {
                    reason: ByeReason::NotLoggedIn as i32,
                    ..wire::Bye::default()
                };
                self.outlet.push(&frame::server(0, server_frame::Body::Bye(bye)));
                self.outlet.flush();
                return false;
            }
        };
        if self.outlet.push(&frame::server(frame.request_id, answer)) {
            touched.push(self.outlet.clone());
        }
        true
    }
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
