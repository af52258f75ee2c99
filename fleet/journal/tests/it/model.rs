//! A conversation as a naive model: a list of entries, a list of spans, and the rules as the design tells them.

use std::collections::BTreeMap;

use bytes::Bytes;
use journal::{Error, append::Accepted, append::NewMessage, recall::SENDER_LIMIT_MS, record::Shown};
use proto::{
    Seq,
    wire::{EntryKind, Role},
};

/// An outcome in comparable form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent {
        seq: i64,
        duplicate: bool,
    },
    Recorded(i64),
    NoAccess,
    Closed,
    Forbidden,
    AlreadyIn,
    Invalid(&'static str),
    Conflict(&'static str),
    /// The transaction was given up by its caller.
    GivenUp,
}

impl Outcome {
    pub(crate) fn of_send(outcome: Result<Accepted, Error>) -> Self {
        match outcome {
            Ok(accepted) => Self::Sent {
                seq: accepted.seq.get(),
                duplicate: accepted.duplicate,
            },
            Err(error) => Self::of_error(error),
        }
    }

    pub(crate) fn of_record(outcome: Result<Seq, Error>) -> Self {
        outcome.map_or_else(Self::of_error, |seq| Self::Recorded(seq.get()))
    }

    fn of_error(error: Error) -> Self {
        match error {
            Error::NoAccess => Self::NoAccess,
            Error::Closed => Self::Closed,
            Error::Forbidden { .. } => Self::Forbidden,
            Error::AlreadyIn => Self::AlreadyIn,
            Error::Invalid { field, .. } => Self::Invalid(field),
            Error::Conflict { field } => Self::Conflict(field),
            Error::Database(database::Error::Closed) => Self::GivenUp,
            Error::Database(error) => panic!("{error}"),
        }
    }

    /// The seq of the entry that it added.
    pub(crate) fn added(&self) -> Option<i64> {
        match self {
            Self::Sent {
                seq,
                duplicate: false,
            }
            | Self::Recorded(seq) => Some(*seq),
            _ => None,
        }
    }
}

/// An operation on a conversation.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Send(NewMessage),
    Join(i64, Role, Shown),
    /// A message that the server writes for this user.
    Write(i64),
    Leave(i64),
    Status(bool),
    Recall {
        by: i64,
        seq: i64,
        late: bool,
    },
    /// A transaction that records a card and then fails.
    GiveUp,
    /// A transaction that records this user's leaving, ignores a refusal, and then records a card.
    LeaveOrNotAndCard(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelEntry {
    pub(crate) kind: EntryKind,
    pub(crate) sender: i64,
    pub(crate) client_msg_id: String,
    pub(crate) mime_type: String,
    pub(crate) body: Bytes,
    pub(crate) mentions: Vec<i64>,
    pub(crate) reply_to: i64,
    pub(crate) corrects: i64,
    pub(crate) recalled: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelSpan {
    pub(crate) from: i64,
    pub(crate) to: Option<i64>,
    pub(crate) sees_from: i64,
    pub(crate) role: Role,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) open: bool,
    /// seq 1 is at 0.
    pub(crate) entries: Vec<ModelEntry>,
    pub(crate) spans: BTreeMap<i64, Vec<ModelSpan>>,
    pub(crate) marks: BTreeMap<i64, (i64, i64)>,
}

impl Model {
    pub(crate) fn new(people: &[(i64, Role)]) -> Self {
        let mut model = Self {
            open: true,
            entries: Vec::new(),
            spans: BTreeMap::new(),
            marks: BTreeMap::new(),
        };
        for (person, role) in people {
            model.join(*person, *role, Shown::All);
        }
        model
    }

    pub(crate) fn last(&self) -> i64 {
        self.entries.len() as i64
    }

    pub(crate) fn role(&self, person: i64) -> Option<Role> {
        let last = self.spans.get(&person)?.last()?;
        last.to.is_none().then_some(last.role)
    }

    pub(crate) fn sees(&self, person: i64, seq: i64) -> bool {
        let spans = self.spans.get(&person);
        spans.is_some_and(|spans| {
            spans
                .iter()
                .any(|span| span.sees_from <= seq && span.to.is_none_or(|to| seq <= to))
        })
    }

    pub(crate) fn visible(&self, person: i64) -> Vec<i64> {
        (1..=self.last()).filter(|seq| self.sees(person, *seq)).collect()
    }

    pub(crate) fn unread(&self, person: i64) -> i64 {
        let read = self.marks.get(&person).map_or(0, |(_, read)| *read);
        let unread = self.visible(person).into_iter().filter(|seq| {
            let entry = &self.entries[(*seq - 1) as usize];
            *seq > read && entry.kind == EntryKind::Message && entry.sender != person && !entry.recalled
        });
        unread.count() as i64
    }

    pub(crate) fn mark(&mut self, person: i64, received: i64, read: i64) -> Option<(i64, i64)> {
        let newest = *self.visible(person).last()?;
        let mark = self.marks.entry(person).or_default();
        mark.0 = mark.0.max(received.max(read).min(newest));
        mark.1 = mark.1.max(read.min(newest));
        Some(*mark)
    }

    fn add(&mut self, kind: EntryKind, sender: i64, corrects: i64) -> i64 {
        // The card of the tests' world: its id alone.
        let (mime_type, body) = match kind {
            EntryKind::VasProposed => (proto::mime::VAS.to_owned(), Bytes::from_static(b"\x08\x01")),
            EntryKind::Message => (proto::mime::CONSULT.to_owned(), Bytes::from_static(b"\x08\x02")),
            _ => (String::new(), Bytes::new()),
        };
        self.entries.push(ModelEntry {
            kind,
            sender,
            client_msg_id: String::new(),
            mime_type,
            body,
            mentions: Vec::new(),
            reply_to: 0,
            corrects,
            recalled: false,
        });
        self.last()
    }

    fn join(&mut self, person: i64, role: Role, history: Shown) -> Outcome {
        if self.role(person).is_some() {
            return Outcome::AlreadyIn;
        }
        let from = self.add(EntryKind::ParticipantJoined, 1, 0);
        self.spans.entry(person).or_default().push(ModelSpan {
            from,
            to: None,
            sees_from: match history {
                Shown::All => 1,
                Shown::FromNow => from,
            },
            role,
        });
        Outcome::Recorded(from)
    }

    fn write(&mut self, person: i64) -> Outcome {
        match self.role(person) {
            Some(_) => Outcome::Recorded(self.add(EntryKind::Message, person, 0)),
            None => Outcome::NoAccess,
        }
    }

    fn leave(&mut self, person: i64) -> Outcome {
        if self.role(person).is_none() {
            return Outcome::NoAccess;
        }
        let to = self.add(EntryKind::ParticipantLeft, 1, 0);
        self.spans.get_mut(&person).unwrap().last_mut().unwrap().to = Some(to);
        Outcome::Recorded(to)
    }

    fn send(&mut self, message: &NewMessage) -> Outcome {
        let sender = message.sender.get();
        let same_id =
            |entry: &&ModelEntry| entry.sender == sender && entry.client_msg_id == message.client_msg_id;
        let messages = self
            .entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::Message);
        if let Some(first) = messages.clone().find(same_id) {
            let at = self.entries.iter().position(|entry| std::ptr::eq(entry, first));
            return if first.mime_type != message.mime_type {
                Outcome::Conflict("mime_type")
            } else if first.body != message.body {
                Outcome::Conflict("body")
            } else if first.reply_to != message.reply_to_seq.get() {
                Outcome::Conflict("reply_to_seq")
            } else if first.corrects != message.corrects_seq.get() {
                Outcome::Conflict("corrects_seq")
            } else if first.mentions != message.mentions {
                Outcome::Conflict("mentions")
            } else {
                Outcome::Sent {
                    seq: at.unwrap() as i64 + 1,
                    duplicate: true,
                }
            };
        }
        let Some(role) = self.role(sender) else {
            return Outcome::NoAccess;
        };
        if !self.open {
            return Outcome::Closed;
        }
        let may = match message.mime_type.as_str() {
            "application/vnd.huizhen.advice" => role == Role::Doctor,
            "application/vnd.huizhen.notice" => role == Role::Assistant,
            "application/vnd.huizhen.vas" => false,
            _ => true,
        };
        if !may {
            return Outcome::Forbidden;
        }
        let reply_to = message.reply_to_seq.get();
        if reply_to != 0 && (reply_to > self.last() || !self.sees(sender, reply_to)) {
            return Outcome::Invalid("reply_to_seq");
        }
        let corrects = message.corrects_seq.get();
        if corrects != 0 && (corrects > self.last() || !self.sees(sender, corrects)) {
            return Outcome::Invalid("corrects_seq");
        }
        if message.mentions.iter().any(|person| self.role(*person).is_none()) {
            return Outcome::Invalid("mentions");
        }
        let is_own = |entry: &ModelEntry| {
            entry.kind == EntryKind::Message && entry.sender == sender && !entry.recalled
        };
        if corrects != 0 && !is_own(&self.entries[(corrects - 1) as usize]) {
            return Outcome::Invalid("corrects_seq");
        }
        self.entries.push(ModelEntry {
            kind: EntryKind::Message,
            sender,
            client_msg_id: message.client_msg_id.clone(),
            mime_type: message.mime_type.clone(),
            body: message.body.clone(),
            mentions: message.mentions.clone(),
            reply_to: message.reply_to_seq.get(),
            corrects,
            recalled: false,
        });
        Outcome::Sent {
            seq: self.last(),
            duplicate: false,
        }
    }

    fn recall(&mut self, by: i64, seq: i64, late: bool) -> Outcome {
        let Some(role) = self.role(by) else {
            return Outcome::NoAccess;
        };
        if seq < 1 || seq > self.last() || !self.sees(by, seq) {
            return Outcome::Invalid("seq");
        }
        let entry = &self.entries[(seq - 1) as usize];
        if entry.kind != EntryKind::Message {
            return Outcome::Invalid("seq");
        }
        if role != Role::Assistant && entry.sender != by {
            return Outcome::Forbidden;
        }
        if entry.recalled {
            let recalls = |entry: &ModelEntry| entry.kind == EntryKind::Recalled && entry.corrects == seq;
            let first = self.entries.iter().position(recalls);
            return Outcome::Sent {
                seq: first.unwrap() as i64 + 1,
                duplicate: true,
            };
        }
        if role != Role::Assistant && late {
            return Outcome::Forbidden;
        }
        if !self.open {
            return Outcome::Closed;
        }
        self.entries[(seq - 1) as usize].recalled = true;
        Outcome::Recorded(self.add(EntryKind::Recalled, by, seq))
    }

    /// Does it, and tells what becomes of it.
    pub(crate) fn apply(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Send(message) => self.send(message),
            Op::Join(person, role, history) => self.join(*person, *role, *history),
            Op::Write(person) => self.write(*person),
            Op::Leave(person) => self.leave(*person),
            Op::Status(open) => {
                self.open = *open;
                Outcome::Recorded(self.add(EntryKind::StatusChanged, 1, 0))
            }
            Op::Recall { by, seq, late } => self.recall(*by, *seq, *late),
            Op::GiveUp => Outcome::GivenUp,
            Op::LeaveOrNotAndCard(person) => {
                self.leave(*person);
                Outcome::Recorded(self.add(EntryKind::VasProposed, 1, 0))
            }
        }
    }
}

/// A clock for recalls: too late for a sender, or in time.
pub(crate) fn recall_clock(late: bool) -> i64 {
    let late_ms = if late { SENDER_LIMIT_MS + 1_000 } else { 0 };
    crate::world::now_ms() + late_ms
}
