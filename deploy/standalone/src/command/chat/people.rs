//! What is shown of a conversation: who, when, what.

use std::collections::HashMap;

use jiff::{Timestamp, tz::TimeZone};
use proto::wire::{Conversation, Entry, EntryKind, Role, entry};

use super::{clean, language::Language};

/// Turns entries into lines, and remembers who people are.
pub(super) struct People {
    language: Language,
    breaks: Breaks,
    people: HashMap<i64, (String, Role)>,
}

/// What becomes of the line breaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaks {
    /// They stay, for people.
    Kept,
    /// They become spaces: an entry is one line, for programs.
    Joined,
}

/// Before each line of a message but its first, which begins with the time.
const INDENT: &str = "      ";

impl People {
    pub(super) fn new(language: Language, breaks: Breaks) -> Self {
        Self {
            language,
            breaks,
            people: HashMap::new(),
        }
    }

    /// Learns a name.
    pub(super) fn know(&mut self, user_id: i64, name: &str) {
        let person = self.person_mut(user_id);
        if person.0.is_empty() {
            person.0 = clean::line(name);
        }
    }

    /// Learns roles.
    pub(super) fn know_roles(&mut self, conversation: &Conversation) {
        for participant in &conversation.participants {
            self.person_mut(participant.user_id).1 = participant.role();
        }
    }

    /// Learns who joined.
    pub(super) fn know_from(&mut self, entry: &Entry) {
        if let Some(entry::Event::Participant(participant)) = &entry.event {
            let role = participant.role();
            let person = self.person_mut(participant.user_id);
            if !participant.name.is_empty() {
                person.0 = clean::line(&participant.name);
            }
            if role != Role::Unspecified {
                person.1 = role;
            }
        }
    }

    /// The line above a conversation.
    pub(super) fn title(&self, conversation: &Conversation) -> String {
        self.language.title(
            conversation.conversation_id,
            &clean::line(&conversation.title),
            conversation.open,
        )
    }

    /// An entry as a line.
    pub(super) fn line(&self, entry: &Entry) -> String {
        let time = time(entry.created_ms);
        let who = self.person(entry.sender_id);
        if entry.kind() == EntryKind::Message {
            let message = self.language.message(entry);
            let message = match self.breaks {
                Breaks::Kept => clean::lines(&message, INDENT),
                Breaks::Joined => clean::line(&message),
            };
            return format!("{time} {who}: {message}");
        }
        let about = match &entry.event {
            Some(entry::Event::Participant(participant)) => self.person(participant.user_id),
            _ => who.clone(),
        };
        let what = self
            .language
            .event(entry, &who, &about)
            .unwrap_or_else(|| format!("[{}]", entry.kind));
        format!("{time} · {}", clean::line(&what))
    }

    /// Name and role, as far as they are known.
    pub(super) fn person(&self, user_id: i64) -> String {
        match self.people.get(&user_id) {
            Some((name, role)) if !name.is_empty() => self.language.person(name, *role),
            Some((_, role)) if *role != Role::Unspecified => {
                format!("{} {user_id}", self.language.role(*role))
            }
            _ => self.language.unknown_person(user_id),
        }
    }

    fn person_mut(&mut self, user_id: i64) -> &mut (String, Role) {
        self.people
            .entry(user_id)
            .or_insert_with(|| (String::new(), Role::Unspecified))
    }
}

/// Hour and minute here, with the day when it is not today.
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
    fn people_have_names_once_they_joined() {
        let mut people = People::new(Language::English, Breaks::Joined);
        assert!(people.line(&text(7, "hi")).ends_with("user 7: hi"));
        people.know_from(&joined(7, "李医生", Role::Doctor));
        assert!(people.line(&text(7, "hi")).ends_with("李医生 (doctor): hi"));
        assert!(
            people
                .line(&joined(7, "李医生", Role::Doctor))
                .ends_with("· 李医生 (doctor) joined")
        );
    }

    #[test]
    fn events_are_told_in_both_languages() {
        let finished = Entry {
            kind: EntryKind::StatusChanged.into(),
            event: Some(entry::Event::Status(StatusEvent {
                status: "finished".into(),
                open: false,
            })),
            ..Default::default()
        };
        assert!(
            People::new(Language::Chinese, Breaks::Joined)
                .line(&finished)
                .ends_with("咨询状态：已结束")
        );
        assert!(
            People::new(Language::English, Breaks::Joined)
                .line(&finished)
                .ends_with("the consult is finished")
        );
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        let mut people = People::new(Language::English, Breaks::Joined);
        people.know_from(&joined(7, "\x1b[2Jx", Role::Patient));
        let line = people.line(&text(7, "a\x1b]0;b\x07\r\nc"));
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        people.breaks = Breaks::Kept;
        let line = people.line(&text(7, "a\n09:00 Dr. Li (doctor): b\x1b[A"));
        let forged = line.lines().nth(1).unwrap();
        assert!(
            forged.starts_with("      09:00") && forged.ends_with("<U+001B>[A"),
            "{line:?}"
        );
    }

    #[test]
    fn recalled_and_unknown_bodies_are_named() {
        let people = People::new(Language::English, Breaks::Joined);
        let recalled = Entry {
            recalled: true,
            ..text(7, "")
        };
        assert!(people.line(&recalled).ends_with("(recalled)"));
        let image = Entry {
            mime_type: "image/png".into(),
            ..text(7, "")
        };
        assert!(people.line(&image).ends_with("[image]"));
    }
}
