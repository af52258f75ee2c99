//! Formats entries as lines of time, sender and text.

use std::collections::HashMap;

use jiff::{Timestamp, tz::TimeZone};
use proto::wire::{Conversation, Entry, EntryKind, Role, entry};

use super::{
    attachments,
    face::{Breaks, clean},
    language::Language,
};

/// Formats entries, and keeps the names and roles of users.
pub(super) struct Participants {
    language: Language,
    breaks: Breaks,
    me: i64,
    /// Names that come from no conversation.
    names: HashMap<i64, String>,
    /// By conversation and user: a consult's doctor is a peer in a private chat, and names are those of the time.
    known: HashMap<(i64, i64), Known>,
}

/// A user in a conversation.
#[derive(Default)]
struct Known {
    name: String,
    title: String,
    role: Role,
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
            known: HashMap::new(),
        }
    }

    pub(super) fn know(&mut self, user_id: i64, name: &str) {
        self.names.entry(user_id).or_insert_with(|| clean::line(name));
    }

    /// Learns names, titles and roles of the participants.
    pub(super) fn know_roles(&mut self, conversation: &Conversation) {
        for participant in &conversation.participants {
            let key = (conversation.conversation_id, participant.user_id);
            self.learn(key, &participant.name, &participant.title, participant.role());
        }
    }

    /// Learns name, title and role from a join or a leave.
    pub(super) fn know_from(&mut self, entry: &Entry) {
        if let Some(entry::Event::Participant(moved)) = &entry.event {
            let key = (entry.conversation_id, moved.user_id);
            self.learn(key, &moved.name, &moved.title, moved.role());
        }
    }

    /// The same from an older entry, whose names newer ones have replaced.
    pub(super) fn know_if_new(&mut self, entry: &Entry) {
        if let Some(entry::Event::Participant(moved)) = &entry.event {
            let known = self.known.get(&(entry.conversation_id, moved.user_id));
            if known.is_none_or(|known| known.name.is_empty()) {
                self.know_from(entry);
            }
        }
    }

    /// Releases before 2026-12 name neither participants nor users who left: what is known stays.
    fn learn(&mut self, key: (i64, i64), name: &str, title: &str, role: Role) {
        let known = self.known.entry(key).or_default();
        if !name.is_empty() {
            known.name = clean::line(name);
            known.title = clean::line(title);
        }
        if role != Role::Unspecified {
            known.role = role;
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
            let number = if entry.recalled || attachments::named(entry).is_empty() {
                String::new()
            } else {
                // For /save.
                format!(" #{}", entry.seq)
            };
            return format!("{time} {who}: {message}{number}");
        }
        if let Some(entry::Event::Deadline(deadline)) = &entry.event {
            let due = self::time(deadline.due_ms);
            if let Some(sentence) = self.language.deadline(deadline, &due) {
                return format!("{time} · {sentence}");
            }
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

    /// Name and role of a user in a conversation, where they are known; of two with one name also title or id.
    pub(super) fn user(&self, conversation_id: i64, user_id: i64) -> String {
        let more = self.distinction(conversation_id, user_id);
        self.labelled(conversation_id, user_id, &more)
    }

    /// The same, always with the title.
    pub(super) fn titled(&self, conversation_id: i64, user_id: i64) -> String {
        let more = self.distinction(conversation_id, user_id);
        let known = self.known.get(&(conversation_id, user_id));
        let title = known.map_or("", |known| &known.title);
        let more = if more.is_empty() { title } else { &more };
        self.labelled(conversation_id, user_id, more)
    }

    fn labelled(&self, conversation_id: i64, user_id: i64, more: &str) -> String {
        let role = self
            .known
            .get(&(conversation_id, user_id))
            .map_or(Role::Unspecified, |known| known.role);
        match self.name(conversation_id, user_id) {
            "" if role != Role::Unspecified => format!("{} {user_id}", self.language.role(role)),
            "" => self.language.unknown_user(user_id),
            name => self.language.user(name, role, more),
        }
    }

    fn name(&self, conversation_id: i64, user_id: i64) -> &str {
        let known = self
            .known
            .get(&(conversation_id, user_id))
            .map(|known| &known.name);
        let known = known.filter(|name| !name.is_empty());
        known
            .or_else(|| self.names.get(&user_id))
            .map_or("", String::as_str)
    }

    /// The title or id that distinguishes a user from others of the same name in the conversation; empty without such others.
    fn distinction(&self, conversation_id: i64, user_id: i64) -> String {
        let Some(own) = self.known.get(&(conversation_id, user_id)) else {
            return String::new();
        };
        let name = self.name(conversation_id, user_id);
        let mut namesakes = self
            .known
            .iter()
            .filter(|((conversation, user), _)| {
                *conversation == conversation_id
                    && *user != user_id
                    && self.name(conversation_id, *user) == name
            })
            .peekable();
        if name.is_empty() || namesakes.peek().is_none() {
            return String::new();
        }
        let is_unique = namesakes.all(|(_, other)| other.title != own.title);
        if is_unique && !own.title.is_empty() {
            own.title.clone()
        } else {
            format!("#{user_id}")
        }
    }

    /// The next deadline of a conversation.
    pub(super) fn next_deadline(&self, conversation: &Conversation) -> Option<String> {
        let deadline = conversation.deadline.as_ref()?;
        self.language
            .next_deadline(&deadline.kind, &time(deadline.due_ms))
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
                ..ParticipantEvent::default()
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
    fn two_of_one_name_are_distinguished() {
        let mut participants = Participants::new(Language::Chinese, Breaks::Joined, 1);
        let titled = |user_id, title: &str| {
            let mut entry = joined(user_id, "李医生", Role::Doctor);
            if let Some(entry::Event::Participant(moved)) = &mut entry.event {
                moved.title = title.into();
            }
            entry
        };
        participants.know_from(&titled(7, "主任医师"));
        assert_eq!(participants.user(0, 7), "李医生（医生）");
        assert_eq!(participants.titled(0, 7), "李医生（医生，主任医师）");
        participants.know_from(&titled(8, "主治医师"));
        assert_eq!(participants.user(0, 7), "李医生（医生，主任医师）");
        assert_eq!(participants.user(0, 8), "李医生（医生，主治医师）");
        participants.know_from(&titled(9, "主治医师"));
        assert_eq!(participants.user(0, 8), "李医生（医生，#8）");
        // A rename counts from the next join on, and an older entry does not undo it.
        participants.know_from(&joined(9, "李晓", Role::Doctor));
        participants.know_if_new(&titled(9, "主治医师"));
        assert_eq!(participants.user(0, 9), "李晓（医生）");
    }

    #[test]
    fn media_have_the_number_that_saves_them() {
        let participants = Participants::new(Language::English, Breaks::Joined, 1);
        let image = proto::wire::Image {
            uri: "media:12".into(),
            bytes: 1488,
            ..Default::default()
        };
        let mut entry = Entry {
            seq: 5,
            mime_type: "image/png".into(),
            body: prost::Message::encode_to_vec(&image).into(),
            ..text(7, "")
        };
        assert!(participants.line(&entry).ends_with("[image 2 KiB media:12] #5"));
        entry.recalled = true;
        assert!(participants.line(&entry).ends_with("(recalled)"));
    }

    #[test]
    fn events_have_sentences_in_both_languages() {
        let finished = Entry {
            kind: EntryKind::StatusChanged.into(),
            event: Some(entry::Event::Status(StatusEvent {
                status: "finished".into(),
                open: false,
                ..StatusEvent::default()
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
        let earned = Entry {
            event: Some(entry::Event::Status(StatusEvent {
                status: "finished".into(),
                price_fen: 2005,
                charge_state: "earned".into(),
                ..StatusEvent::default()
            })),
            ..finished
        };
        assert!(
            Participants::new(Language::Chinese, Breaks::Joined, 1)
                .line(&earned)
                .ends_with("咨询状态：已结束，¥20.05 已计入团队收入")
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
