//! Handles the events of the client.

use anyhow::bail;
use proto::{
    bye::{self, Advice},
    client::Event,
    wire::{self, ByeReason, ErrorCode},
};

use super::{super::json, Shown, Stage, Talk};

impl Talk {
    pub(super) fn hear(&mut self, event: Event) -> anyhow::Result<()> {
        if self.face.is_json() {
            self.show(&json::event(&event).to_string());
        }
        match event {
            Event::Synced { .. } => self.synced()?,
            Event::Conversation(conversation) => {
                self.participants.know_roles(&conversation);
                if conversation.reset && self.conversation == Some(conversation.conversation_id) {
                    // It begins anew, and repeats numbers that were shown before.
                    self.shown = Shown::default();
                }
                self.conversations
                    .insert(conversation.conversation_id, *conversation);
            }
            // protocol: "The newest Hidden of a conversation counts"
            Event::Hidden(hidden) => {
                self.hidden.insert(hidden.conversation_id, hidden.through_seq);
            }
            Event::Entry(entry) => self.entry(*entry),
            Event::Sent {
                client_msg_id, seq, ..
            } => self.sent(&client_msg_id, seq),
            Event::SendFailed {
                client_msg_id, error, ..
            } => self.refused(&client_msg_id, &error),
            Event::SendDelayed { error, .. } => self.delayed(&error),
            Event::Bye { reason, .. } => self.link.bye = Some(reason),
            Event::Disconnected {
                retry_in: Some(_), ..
            } => self.disconnected(),
            Event::Disconnected {
                cause,
                retry_in: None,
            } => self.ended(&cause)?,
            Event::Connected { .. } | Event::Marks(_) | Event::Typing(_) | Event::CallSignal(_) => {}
        }
        Ok(())
    }

    fn synced(&mut self) -> anyhow::Result<()> {
        if self.link.is_lost && self.link.was_synced {
            self.tell(&self.language.connected_again());
        }
        self.link.was_synced = true;
        self.link.is_lost = false;
        self.link.bye = None;
        self.link.shown_reasons.clear();
        if matches!(self.stage, Stage::Syncing) {
            self.choose()?;
        }
        Ok(())
    }

    fn sent(&mut self, client_msg_id: &str, seq: i64) {
        self.link.is_delayed = false;
        let is_of_this_run = self.waiting.answered(client_msg_id).is_some();
        // The terminal shows the message itself now, with name and time.
        if is_of_this_run && !self.face.shows_waiting() {
            self.tell(&format!("✓ {seq}"));
        }
    }

    fn refused(&mut self, client_msg_id: &str, error: &wire::Error) {
        self.well = false;
        let text = self.waiting.answered(client_msg_id).unwrap_or_default();
        self.tell(&self.language.refused(&text, error));
    }

    fn delayed(&mut self, error: &wire::Error) {
        // Over the rate limit a message waits only for a moment.
        if error.code() == ErrorCode::Unavailable && !self.link.is_delayed {
            self.link.is_delayed = true;
            self.tell(&self.language.delayed());
        }
    }

    /// Shows one notice when the connection is lost, and one for each further reason while it stays so.
    fn disconnected(&mut self) {
        let news = match self.link.bye {
            // The next attempt uses a new password.
            Some(reason) if reason == ByeReason::AuthFailed as i32 => false,
            Some(reason) => self.link.shown_reasons.insert(reason),
            None => false,
        };
        if self.link.is_lost && !news {
            return;
        }
        self.link.is_lost = true;
        let line = if self.link.was_synced || self.link.bye.is_some() {
            self.language.disconnected(self.link.bye)
        } else {
            self.language.not_reached()
        };
        self.tell(&line);
    }

    /// Handles the end of a client that does not reconnect.
    fn ended(&mut self, cause: &str) -> anyhow::Result<()> {
        let is_last = |reason: &i32| bye::advice(*reason) == Advice::StayAway;
        let reason = self.link.bye.filter(is_last);
        if reason == Some(ByeReason::Replaced as i32) && self.face.is_interactive() {
            self.link.is_replaced = true;
            self.tell(&self.language.replaced());
            return Ok(());
        }
        bail!(self.language.gone(reason, cause))
    }
}
