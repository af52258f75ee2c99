//! One device of a soak: a good client, and a scribe at its socket.

use std::sync::Arc;
use std::time::Duration;

use proto::client::{Backoff, Client, Ended, Event, Events, Outgoing, Settings, Snapshot};
use proto::rest::RestDirectory;
use proto::wire::Platform;

use super::plain::{Manner, Plain};
use crate::generator::payload::Payload;
use crate::workload::soak::notes::scribe::{Scribe, name};
use crate::workload::soak::notes::tap::TappedDirectory;
use crate::world::User;

/// Which client a device runs.
pub(in crate::workload::soak) enum Software {
    /// `proto::client`, with this many entries in one Sync.
    Full { sync_limit: u32 },
    /// The soak's own.
    Plain(Manner),
}

#[derive(Clone)]
pub(in crate::workload::soak) struct Device {
    inner: Inner,
    pub(in crate::workload::soak) scribe: Arc<Scribe>,
}

#[derive(Clone)]
enum Inner {
    Full(Client),
    Plain(Plain),
}

/// How a client of `proto` behaves in a soak.
pub(in crate::workload::soak) fn settings(user: &User) -> Settings {
    let mut settings = Settings::new(user.user_id, user.device_id.clone(), Platform::Android);
    settings.backoff = Backoff {
        first: Duration::from_millis(200),
        longest: Duration::from_secs(2),
    };
    settings.sync_limit = 500;
    settings
}

impl Device {
    /// Starts the client.
    pub(in crate::workload::soak) fn start(
        directory: RestDirectory,
        user: &User,
        software: &Software,
        scribe: Arc<Scribe>,
    ) -> Self {
        let inner = match software {
            Software::Plain(manner) => Inner::Plain(Plain::start(directory, user, *manner, scribe.clone())),
            Software::Full { sync_limit } => {
                let mut settings = settings(user);
                settings.sync_limit = *sync_limit;
                let tapped = TappedDirectory::new(directory, scribe.clone());
                let (client, events) = Client::start(tapped, settings, Snapshot::default());
                tokio::spawn(listen(events, scribe.clone()));
                Inner::Full(client)
            }
        };
        Self { inner, scribe }
    }

    /// The client of `proto`, where it is one.
    pub(in crate::workload::soak) fn client(&self) -> Option<&Client> {
        match &self.inner {
            Inner::Full(client) => Some(client),
            Inner::Plain(_) => None,
        }
    }

    /// Sends a message, named after its mark.
    pub(in crate::workload::soak) fn send(
        &self,
        payload: Payload,
        bytes: usize,
    ) -> impl Future<Output = Result<(), Ended>> + Send + use<> {
        let mut body = vec![b'x'; bytes];
        payload.write(&mut body);
        self.scribe.handed(payload.mark, &body);
        let message = Outgoing {
            conversation_id: self.scribe.who.conversation_id,
            client_msg_id: name(payload.mark),
            mime_type: "text/plain".to_owned(),
            body: body.into(),
            mentions: Vec::new(),
            reply_to_seq: 0,
            corrects_seq: 0,
        };
        let inner = self.inner.clone();
        async move {
            match inner {
                Inner::Full(client) => client.send_message(message).await,
                Inner::Plain(plain) => plain.send(message).await,
            }
        }
    }

    /// Ends it.
    pub(in crate::workload::soak) async fn close(&self) {
        if let Inner::Full(client) = &self.inner {
            // It has ended by itself if it does not take this.
            let _ = client.close().await;
        }
    }
}

/// An app that reads its client's events; the frames are noted at the socket.
async fn listen(mut events: Events, scribe: Arc<Scribe>) {
    while let Some(event) = events.next().await {
        scribe.notes.reading().await;
        if let Event::Disconnected {
            cause,
            retry_in: None,
        } = event
        {
            // The end of the run is not a fault; a client that is closed sends no event.
            scribe
                .notes
                .fault(format!("user {} stays away: {cause}", scribe.who.user_id));
        }
    }
}
