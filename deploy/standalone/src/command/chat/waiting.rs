//! Unacknowledged messages. Pure.

use proto::{client::Outgoing, mime};

/// An unacknowledged message.
#[derive(Debug)]
struct Waiting {
    message: Outgoing,
    /// The client has it, and resends it until it is answered.
    is_handed_over: bool,
    /// Its entry has arrived and is shown among the others.
    is_shown: bool,
}

/// The unacknowledged messages, in the order of typing.
#[derive(Debug, Default)]
pub(super) struct WaitingList {
    messages: Vec<Waiting>,
}

impl WaitingList {
    pub(super) fn push(&mut self, message: Outgoing) {
        self.messages.push(Waiting {
            message,
            is_handed_over: false,
            is_shown: false,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The next message for the client, whose capacity is `limit`.
    pub(super) fn next_to_hand_over(&mut self, limit: usize) -> Option<Outgoing> {
        let next = self.messages.iter().position(|waiting| !waiting.is_handed_over)?;
        if next >= limit {
            return None;
        }
        self.messages[next].is_handed_over = true;
        Some(self.messages[next].message.clone())
    }

    /// Marks all messages for a new client, which has none of them.
    pub(super) fn client_is_new(&mut self) {
        for waiting in &mut self.messages {
            waiting.is_handed_over = false;
        }
    }

    /// Removes an answered message and returns its text.
    pub(super) fn answered(&mut self, client_msg_id: &str) -> Option<String> {
        let at = self.position(client_msg_id)?;
        Some(text(&self.messages.remove(at)))
    }

    /// Marks a message whose entry is shown.
    pub(super) fn shown(&mut self, client_msg_id: &str) {
        if let Some(at) = self.position(client_msg_id) {
            self.messages[at].is_shown = true;
        }
    }

    /// The texts of messages whose entries are not shown.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.messages.iter().filter(|waiting| !waiting.is_shown).map(text)
    }

    fn position(&self, client_msg_id: &str) -> Option<usize> {
        self.messages
            .iter()
            .position(|waiting| waiting.message.client_msg_id == client_msg_id)
    }
}

fn text(waiting: &Waiting) -> String {
    let Outgoing { mime_type, body, .. } = &waiting.message;
    if mime_type != mime::TEXT {
        return format!("[{mime_type}]");
    }
    super::face::clean::line(&String::from_utf8_lossy(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str) -> Outgoing {
        Outgoing {
            conversation_id: 1,
            client_msg_id: id.into(),
            mime_type: "text/plain".into(),
            body: id.to_owned().into(),
            mentions: Vec::new(),
            reply_to_seq: 0,
            corrects_seq: 0,
        }
    }

    #[test]
    fn each_is_handed_over_once_in_order_and_anew_to_a_new_client() {
        let mut list = WaitingList::default();
        for id in ["a", "b", "c"] {
            list.push(message(id));
        }
        let next = |list: &mut WaitingList| list.next_to_hand_over(2).map(|message| message.client_msg_id);
        assert_eq!(next(&mut list).as_deref(), Some("a"));
        assert_eq!(next(&mut list).as_deref(), Some("b"));
        assert_eq!(next(&mut list), None, "the client holds two");
        assert_eq!(list.answered("a").as_deref(), Some("a"));
        assert_eq!(next(&mut list).as_deref(), Some("c"));
        list.client_is_new();
        assert_eq!(next(&mut list).as_deref(), Some("b"));
        list.shown("b");
        assert_eq!(list.texts().collect::<Vec<_>>(), ["c"]);
        assert_eq!(list.len(), 2, "it is shown, but not acknowledged");
        assert_eq!(list.answered("x"), None);
    }
}
