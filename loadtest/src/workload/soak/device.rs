//! One device of a soak: a good client, and what it notes.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proto::client::{Backoff, Client, Directory, Ended, Event, Events, Outgoing, Settings, Snapshot};
use proto::wire::{EntryKind, Platform};

use super::Notes;
use super::history::Who;
use crate::generator::payload::{self, Mark, Payload};
use crate::world::User;

pub(super) struct Device {
    pub(super) client: Client,
    who: Who,
}

/// How the clients of a soak behave.
pub(super) fn settings(user: &User) -> Settings {
    let mut settings = Settings::new(user.user_id, user.device_id.clone(), Platform::Android);
    settings.backoff = Backoff {
        first: Duration::from_millis(200),
        longest: Duration::from_secs(2),
    };
    settings.sync_limit = 500;
    settings
}

impl Device {
    /// Starts the client; what it hears is written down until it ends.
    pub(super) fn start(directory: impl Directory, user: &User, who: Who, notes: Arc<Notes>) -> Self {
        let (client, events) = Client::start(directory, settings(user), Snapshot::default());
        let listener = Listener {
            told_of: HashSet::new(),
            who,
            notes,
        };
        tokio::spawn(listener.listen(events));
        Self { client, who }
    }

    pub(super) fn who(&self) -> Who {
        self.who
    }

    /// Sends a message, named after its mark.
    pub(super) fn send(
        &self,
        payload: Payload,
        bytes: usize,
    ) -> impl Future<Output = Result<(), Ended>> + Send + use<> {
        let mut body = vec![b'x'; bytes];
        payload.write(&mut body);
        let message = Outgoing {
            conversation_id: self.who.conversation_id,
            client_msg_id: name(payload.mark),
            mime_type: "text/plain".to_owned(),
            body: body.into(),
            mentions: Vec::new(),
            reply_to_seq: 0,
        };
        let client = self.client.clone();
        async move { client.send_message(message).await }
    }
}

struct Listener {
    /// Conversations that the client was told of: staff rooms, too.
    told_of: HashSet<i64>,
    who: Who,
    notes: Arc<Notes>,
}

impl Listener {
    async fn listen(mut self, mut events: Events) {
        while let Some(event) = events.next().await {
            self.notes.reading().await;
            self.hear(event);
        }
    }

    fn hear(&mut self, event: Event) {
        let Who {
            conversation,
            place,
            user_id,
            conversation_id,
        } = self.who;
        match event {
            Event::Conversation(told) if told.conversation_id == conversation_id => {
                let base = match told.from_seq {
                    0 => told.last_seq,
                    from => from - 1,
                };
                self.notes
                    .book(conversation, |book| book.conversation(place, base, told.reset));
                self.notes
                    .history
                    .conversation(self.notes.now_us(), self.who, base + 1, told.reset);
            }
            Event::Entry(entry) if entry.conversation_id == conversation_id => {
                let payload = match entry.kind() {
                    EntryKind::Message => Payload::read(&entry.body),
                    _ => None,
                };
                let mark = payload.map(|payload| payload.mark);
                let is_new = self
                    .notes
                    .book(conversation, |book| book.entry(place, entry.seq, mark));
                let now_us = self.notes.now_us();
                self.notes.history.entry(now_us, self.who, entry.seq, mark);
                if let (true, Some(payload)) = (is_new && entry.sender_id != user_id, payload) {
                    self.notes
                        .record(|recorder| recorder.delivered(now_us, payload.due_us));
                    self.notes
                        .recovery(|recovery| recovery.delivered(payload.due_us, now_us));
                }
            }
            Event::Sent {
                client_msg_id, seq, ..
            } => match mark(&client_msg_id) {
                Some(mark) => self.acked(mark, seq),
                None => self.notes.fault(format!(
                    "an acknowledgement of `{client_msg_id}`, which nobody sent"
                )),
            },
            Event::SendFailed {
                client_msg_id, error, ..
            } => {
                let code = error.code().as_str_name();
                self.notes
                    .history
                    .refused(self.notes.now_us(), self.who, &client_msg_id, code);
                self.notes.fault(format!(
                    "user {user_id}: {client_msg_id} was refused: {code} {}",
                    error.message
                ));
            }
            Event::Disconnected {
                cause,
                retry_in: None,
            } => {
                // The end of the run is no fault; a client that is told to close says nothing.
                self.notes.fault(format!("user {user_id} stays away: {cause}"));
            }
            Event::Conversation(told) => {
                self.told_of.insert(told.conversation_id);
            }
            Event::Entry(entry) if !self.told_of.contains(&entry.conversation_id) => {
                self.notes.fault(format!(
                    "user {user_id} got an entry of conversation {}, which it was not told of",
                    entry.conversation_id
                ));
            }
            _ => {}
        }
    }

    fn acked(&self, mark: Mark, seq: i64) {
        let now_us = self.notes.now_us();
        self.notes.history.acknowledged(now_us, self.who, mark, seq);
        let due_us = self
            .notes
            .book(self.who.conversation, |book| book.acked(mark, seq));
        if let Some(due_us) = due_us {
            self.notes.record(|recorder| recorder.acked(now_us, due_us));
            self.notes.recovery(|recovery| recovery.acked(due_us, now_us));
        }
    }
}

fn name(mark: Mark) -> String {
    let mut digits = [0; 16];
    payload::hex(mark.0, &mut digits);
    String::from_utf8_lossy(&digits).into_owned()
}

fn mark(name: &str) -> Option<Mark> {
    u64::from_str_radix(name, 16).ok().map(Mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_mark() {
        let given = Mark::new(1, 4711, 99);
        assert_eq!(mark(&name(given)), Some(given));
        assert_eq!(name(given).len(), 16);
        assert_eq!(mark("nobody's"), None);
    }
}
