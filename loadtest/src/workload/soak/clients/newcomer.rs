//! A user who logs in after a heal. A send needs the database only; a login needs Redis, too: a password, the
//! directory of nodes, the claim on the device.

use anyhow::{Result, bail};
use proto::client::{Client, Event, Snapshot};

use super::device::settings;
use crate::world::User;
use crate::world::rest::Rest;

/// Logs in and syncs with a client that knows nothing yet, however often that takes.
///
/// # Errors
/// When the client gives up.
pub(in crate::workload::soak) async fn log_in(rest: Rest, user: User) -> Result<()> {
    let directory = rest.directory(&user.access_token);
    let (client, mut events) = Client::start(directory, settings(&user), Snapshot::default());
    while let Some(event) = events.next().await {
        match event {
            Event::Synced { .. } => {
                // It has ended by itself if it does not take this.
                let _ = client.close().await;
                return Ok(());
            }
            Event::Disconnected {
                cause,
                retry_in: None,
            } => bail!("{cause}"),
            _ => {}
        }
    }
    bail!("the client has ended")
}
