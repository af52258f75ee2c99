//! One device of a soak: a good client, and what it notes.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proto::client::{Backoff, Client, Directory, Ended, Event, Events, Outgoing, Settings, Snapshot};
use proto::wire::{EntryKind, Platform};

use super::Notes;
use crate::generator::payload::{self, Mark, Payload};
use crate::world::User;

pub(super) struct Device {
    pub(super) client: Client,
    conversation_id: i64,
}

impl Device {
    /// Starts the client; what it hears is written down until it ends.
    pub(super) fn start(
        directory: impl Directory,
        user: &User,
        conversation_id: i64,
        conversation: usize,
        place: usize,
        notes: Arc<Notes>,
    ) -> Self {
        let mut settings = Settings::new(user.user_id, user.device_id.clone(), Platform::Android);
        settings.backoff = Backoff {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(2),
        };
        settings.sync_limit = 500;
        let (client, events) = Client::start(directory, settings, Snapshot::default());
        let listener = Listener {
            told_of: HashSet::new(),
            user_id: user.user_id,
            conversation_id,
            conversation,
            place,
            notes,
        };
        tokio::spawn(listener.listen(events));
        Self {
            client,
            conversation_id,
        }
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
            conversation_id: self.conversation_id,
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
    user_id: i64,
    conversation_id: i64,
    conversation: usize,
    place: usize,
    notes: Arc<Notes>,
}

impl Listener {
    async fn listen(mut self, mut events: Events) {
        while let Some(event) = events.next().await {
            self.hear(event);
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Conversation(conversation) if conversation.conversation_id == self.conversation_id => {
                let base = match conversation.from_seq {
                    0 => conversation.last_seq,
                    from => from - 1,
                };
                let reset = conversation.reset;
                self.notes.book(self.conversation, |book| {
                    book.conversation(self.place, base, reset);
                });
            }
            Event::Entry(entry) if entry.conversation_id == self.conversation_id => {
                let payload = match entry.kind() {
                    EntryKind::Message => Payload::read(&entry.body),
                    _ => None,
                };
                let mark = payload.map(|payload| payload.mark);
                let is_new = self
                    .notes
                    .book(self.conversation, |book| book.entry(self.place, entry.seq, mark));
                if let (true, Some(payload)) = (is_new && entry.sender_id != self.user_id, payload) {
                    let now_us = self.notes.now_us();
                    self.notes
                        .record(|recorder| recorder.delivered(now_us, payload.due_us));
                }
            }
            Event::Sent {
                client_msg_id, seq, ..
            } => match mark(&client_msg_id) {
                Some(mark) => {
                    let due_us = self.notes.book(self.conversation, |book| book.acked(mark, seq));
                    if let Some(due_us) = due_us {
                        let now_us = self.notes.now_us();
                        self.notes.record(|recorder| recorder.acked(now_us, due_us));
                    }
                }
                None => self.notes.fault(format!(
                    "an acknowledgement of `{client_msg_id}`, which nobody sent"
                )),
            },
            Event::SendFailed {
                client_msg_id, error, ..
            } => self.notes.fault(format!(
                "user {}: {client_msg_id} was refused: {} {}",
                self.user_id,
                error.code().as_str_name(),
                error.message
            )),
            Event::Disconnected {
                cause,
                retry_in: None,
            } => {
                // The end of the run is no fault; a client that is told to close says nothing.
                self.notes
                    .fault(format!("user {} stays away: {cause}", self.user_id));
            }
            Event::Conversation(conversation) => {
                self.told_of.insert(conversation.conversation_id);
            }
            Event::Entry(entry) if !self.told_of.contains(&entry.conversation_id) => {
                self.notes.fault(format!(
                    "user {} got an entry of conversation {}, which it was not told of",
                    self.user_id, entry.conversation_id
                ));
            }
            _ => {}
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
