//! A bare connection for single questions: it logs in, asks one thing at a time and ignores what else comes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto::PROTOCOL_VERSION;
use proto::client::{Address, Connection};
use proto::wire::{self, ClientFrame, client_frame, server_frame};
use tokio::time::timeout;

use crate::world::User;

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

pub(in crate::workload) struct Bare {
    connection: Connection,
    next_request: u64,
}

impl Bare {
    /// Logs in with this password.
    ///
    /// # Errors
    /// When the node cannot be reached or refuses.
    pub(in crate::workload) async fn log_in(node: SocketAddr, user: &User, password: &str) -> Result<Self> {
        let address = Address::tcp(node);
        let connecting = Connection::connect(&address);
        let connection = timeout(ANSWER_LIMIT, connecting)
            .await
            .context("no connection in time")??;
        let mut bare = Self {
            connection,
            next_request: 1,
        };
        let login = client_frame::Body::Login(wire::Login {
            protocol_version: PROTOCOL_VERSION,
            user_id: user.user_id,
            password: password.to_owned(),
            device_id: user.device_id.clone(),
            platform: wire::Platform::Android.into(),
            app_version: "bare".to_owned(),
            ..wire::Login::default()
        });
        match bare.ask(login).await? {
            server_frame::Body::LoginOk(_) => Ok(bare),
            _ => bail!("Login was answered with something else"),
        }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the node refuses, says Bye, or does not answer in time.
    pub(in crate::workload) async fn ask(&mut self, body: client_frame::Body) -> Result<server_frame::Body> {
        let request_id = self.next_request;
        self.next_request += 1;
        let frame = ClientFrame {
            request_id,
            body: Some(body),
        };
        self.connection.send(&frame).await?;
        let answer = async {
            loop {
                let frame = self
                    .connection
                    .receive()
                    .await?
                    .context("the node has closed the connection")?;
                match frame.body {
                    Some(server_frame::Body::Bye(bye)) => bail!("Bye {}: {}", bye.reason, bye.detail),
                    Some(server_frame::Body::Error(error)) if frame.request_id == request_id => {
                        bail!("{}: {}", error.code().as_str_name(), error.message)
                    }
                    Some(body) if frame.request_id == request_id => return Ok(body),
                    _ => {}
                }
            }
        };
        timeout(ANSWER_LIMIT, answer).await.context("no answer in time")?
    }
}
