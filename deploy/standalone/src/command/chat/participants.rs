//! Formats entries as lines of time, sender and text.

use std::collections::HashMap;

use jiff::{Timestamp, tz::TimeZone};
use proto::wire::{Conversation, Entry, EntryKind, Role, entry};

use super::{
    face::{Breaks, clean},
    language::Language,
};

/// Formats entries, and keeps the names and roles of users.
pub(super) struct Participants {
    language: Language,
    breaks: Breaks,
    me: i64,
    names: HashMap<i64, String>,
    /// By conversation and user: a consult's doctor is a peer in a private chat.
    roles: HashMap<(i64, i64), Role>,
}

/// The indent of a message's further lines; the first begins with the time.
const INDENT: &str = "      ";

impl Participants {
    pub(super) fn new(language: Language, breaks: Breaks, me: i64) -> Self {
        Self {
            language,
            breaks,
            me,
            names: HashMap::new(),
            roles: HashMap::new(),
        }
    }

    pub(super) fn know(&mut self, user_id: i64, name: &str) {
        self.names.entry(user_id).or_insert_with(|| clean::line(name));
    }

    /// Learns the roles of the participants.
    pub(super) fn know_roles(&mut self, conversation: &Conversation) {
        for participant in &conversation.participants {
            self.roles.insert(
                (conversation.conversation_id, participant.user_id),
                participant.role(),
            );
        }
    }

    /// Learns name and role from a join.
    pub(super) fn know_from(&mut self, entry: &Entry) {
        if let Some(entry::Event::Participant(participant)) = &entry.event {
            if !participant.name.is_empty() {
                self.names
                    .insert(participant.user_id, clean::line(&participant.name));
            }
            if participant.role() != Role::Unspecified {
                self.roles
                    .insert((entry.conversation_id, participant.user_id), participant.role());
            }
        }
    }

    /// The title of a conversation, or the names of the other participants.
    pub(super) fn title(&self, conversation: &Conversation) -> String {
        if !conversation.title.is_empty() {
            return clean::line(&conversation.title);
        }
        let others = conversation
            .participants
            .iter()
            .filter(|participant| participant.user_id != self.me);
        let names: Vec<String> = others
            .map(|other| self.user(conversation.conversation_id, other.user_id))
            .collect();
        self.language.between(&names)
    }

    pub(super) fn heading(&self, conversation: &Conversation) -> String {
        self.language.title(
            conversation.conversation_id,
            &self.title(conversation),
            conversation.open,
        )
    }

    /// Formats an entry.
    pub(super) fn line(&self, entry: &Entry) -> String {
        let time = time(entry.created_ms);
        let who = self.user(entry.conversation_id, entry.sender_id);
        if entry.kind() == EntryKind::Message {
            let message = self.language.message(entry);
            let message = match self.breaks {
                Breaks::Kept => clean::lines(&message, INDENT),
                Breaks::Joined => clean::line(&message),
            };
            return format!("{time} {who}: {message}");
        }
        let about = match &entry.event {
            Some(entry::Event::Participant(participant)) => {
                self.user(entry.conversation_id, participant.user_id)
            }
            _ => who.clone(),
        };
        let what = self
            .language
            .event(entry, &who, &about)
            .unwrap_or_else(|| format!("[{}]", entry.kind));
        format!("{time} · {}", clean::line(&what))
    }

    /// Name and role of a user in a conversation, where they are known.
    pub(super) fn user(&self, conversation_id: i64, user_id: i64) -> String {
        let role = self.roles.get(&(conversation_id, user_id)).copied();
        match (self.names.get(&user_id), role) {
            (Some(name), role) if !name.is_empty() => {
                self.language.user(name, role.unwrap_or(Role::Unspecified))
            }
            (_, Some(role)) if role != Role::Unspecified => {
                format!("{} {user_id}", self.language.role(role))
            }
            _ => self.language.unknown_user(user_id),
        }
    }
}

/// The local time of day, with the date unless it is today.
fn time(created_ms: i64) -> String {
    let zone = TimeZone::system();
    let Ok(timestamp) = Timestamp::from_millisecond(created_ms) else {
        return "--:--".into();
    };
    let created = zone.to_datetime(timestamp);
    let format = if created.date() == zone.to_datetime(Timestamp::now()).date() {
        "%H:%M"
    } else {
        "%m-%d %H:%M"
    };
    created.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use proto::wire::{ParticipantEvent, StatusEvent};

    use super::*;

    fn joined(user_id: i64, name: &str, role: Role) -> Entry {
        Entry {
            seq: 1,
            sender_id: user_id,
            kind: EntryKind::ParticipantJoined.into(),
            event: Some(entry::Event::Participant(ParticipantEvent {
                user_id,
                role: role.into(),
                name: name.into(),
            })),
            ..Default::default()
        }
    }

    fn text(sender_id: i64, body: &'static str) -> Entry {
        Entry {
            sender_id,
            kind: EntryKind::Message.into(),
            mime_type: "text/plain".into(),
            body: body.into(),
            ..Default::default()
        }
    }

    #[test]
    fn users_have_names_once_they_have_joined() {
        let mut participants = Participants::new(Language::English, Breaks::Joined, 1);
        assert!(participants.line(&text(7, "hi")).ends_with("user 7: hi"));
        participants.know_from(&joined(7, "李医生", Role::Doctor));
        assert!(participants.line(&text(7, "hi")).ends_with("李医生 (doctor): hi"));
        assert!(
            participants
                .line(&joined(7, "李医生", Role::Doctor))
                .ends_with("· 李医生 (doctor) joined")
        );
    }

    #[test]
    fn events_have_sentences_in_both_languages() {
        let finished = Entry {
            kind: EntryKind::StatusChanged.into(),
            event: Some(entry::Event::Status(StatusEvent {
                status: "finished".into(),
                open: false,
            })),
            ..Default::default()
        };
        assert!(
            Participants::new(Language::Chinese, Breaks::Joined, 1)
                .line(&finished)
                .ends_with("咨询状态：已结束")
        );
        assert!(
            Participants::new(Language::English, Breaks::Joined, 1)
                .line(&finished)
                .ends_with("the consult is finished")
        );
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        let mut participants = Participants::new(Language::English, Breaks::Joined, 1);
        participants.know_from(&joined(7, "\x1b[2Jx", Role::Patient));
        let line = participants.line(&text(7, "a\x1b]0;b\x07\r\nc"));
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        participants.breaks = Breaks::Kept;
        let line = participants.line(&text(7, "a\n09:00 Dr. Li (doctor): b\x1b[A"));
        let forged = line.lines().nth(1).unwrap();
        assert!(
            forged.starts_with("      09:00") && forged.ends_with("<U+001B>[A"),
            "{line:?}"
        );
    }

    #[test]
    fn recalled_and_unknown_bodies_are_named() {
        let participants = Participants::new(Language::English, Breaks::Joined, 1);
        let recalled = Entry {
            recalled: true,
            ..text(7, "")
        };
        assert!(participants.line(&recalled).ends_with("(recalled)"));
        let image = Entry {
            mime_type: "image/png".into(),
            ..text(7, "")
        };
        assert!(participants.line(&image).ends_with("[image]"));
    }
}
