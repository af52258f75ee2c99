//! One entry: as the database holds it, as the wire shows it.

use bytes::Bytes;
use database::{Row, Value, params};
use prost::Message;
use proto::{ConversationId, Seq, UserId, wire};

/// The columns of `entry` in the order of [`Entry::from_row`] and [`Entry::params`].
macro_rules! columns {
    () => {
        "conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq, \
         corrects_seq, extra, recalled"
    };
}
pub(crate) use columns;

/// The same of a table `e` that is joined with one that gives `seq`.
macro_rules! columns_of_e {
    ($seq:literal) => {
        concat!(
            "e.conversation_id, ",
            $seq,
            " AS seq, e.sender_id, e.kind, e.created_ms, e.client_msg_id, e.mime_type, e.body, e.reply_to_seq, \
              e.corrects_seq, e.extra, e.recalled"
        )
    };
}
pub(crate) use columns_of_e;

/// Adds an entry.
pub(crate) const INSERT: &str = concat!(
    "INSERT INTO entry (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
);

/// The same in a file, as the newest unclaimed one.
pub(crate) const INSERT_IN_FILE: &str = concat!(
    "INSERT INTO entry (",
    columns!(),
    ", previous_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
        (SELECT unclaimed_entry_id FROM conversation WHERE id = $1))"
);

/// The same with SQLite's own names for parameters, for the batch append, which goes past the database handle and knows
/// the entry before.
pub(crate) const INSERT_IN_BATCH: &str = concat!(
    "INSERT INTO entry (",
    columns!(),
    ", previous_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
);

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its place.
    pub seq: Seq,
    /// Who wrote or caused it.
    pub sender: UserId,
    /// What it is.
    pub kind: wire::EntryKind,
    /// When it was accepted, epoch milliseconds.
    pub created_ms: i64,
    /// The sender's own name for it; empty for events.
    pub client_msg_id: String,
    /// How to read `body`; empty for events.
    pub mime_type: String,
    /// The original, also when it has been recalled: never show it without [`Entry::into_wire`].
    pub body: Bytes,
    /// The entry that this one answers, or 0.
    pub reply_to_seq: Seq,
    /// The entry that this one is about, or 0.
    pub corrects_seq: Seq,
    /// People called by name.
    pub mentions: Vec<i64>,
    /// What an event is about.
    pub event: Option<wire::entry::Event>,
    /// Whether it is withheld.
    pub recalled: bool,
}

impl Entry {
    /// As everybody may see it: a recalled one without what it said.
    pub fn into_wire(self) -> wire::Entry {
        let shown = !self.recalled;
        wire::Entry {
            conversation_id: self.conversation.get(),
            seq: self.seq.get(),
            sender_id: self.sender.get(),
            kind: self.kind as i32,
            mime_type: if shown { self.mime_type } else { String::new() },
            body: if shown { self.body } else { Bytes::new() },
            created_ms: self.created_ms,
            client_msg_id: self.client_msg_id,
            reply_to_seq: self.reply_to_seq.get(),
            mentions: if shown { self.mentions } else { Vec::new() },
            corrects_seq: self.corrects_seq.get(),
            recalled: self.recalled,
            event: self.event,
        }
    }

    /// The parameters of [`INSERT`].
    pub(crate) fn params(&self) -> Vec<Value> {
        params![
            self.conversation.get(),
            self.seq.get(),
            self.sender.get(),
            i64::from(self.kind as i32),
            self.created_ms,
            self.client_msg_id.as_str(),
            self.mime_type.as_str(),
            self.body.clone(),
            self.reply_to_seq.get(),
            self.corrects_seq.get(),
            extra(&self.mentions, self.event.as_ref()),
            self.recalled,
        ]
    }

    /// A row of [`columns!`].
    pub(crate) fn from_row(row: &Row) -> Result<Self, database::Error> {
        let extra = match row.get::<Option<Bytes>>(10)? {
            Some(extra) => wire::Entry::decode(extra).map_err(|error| {
                database::Error::Engine(format!("entry.extra is not its message: {error}"))
            })?,
            None => wire::Entry::default(),
        };
        Ok(Self {
            conversation: ConversationId::from_database(row.get(0)?),
            seq: Seq::from_database(row.get(1)?),
            sender: UserId::from_database(row.get(2)?),
            kind: enumeration(row.get(3)?),
            created_ms: row.get(4)?,
            client_msg_id: row.get(5)?,
            mime_type: row.get(6)?,
            body: row.get(7)?,
            reply_to_seq: Seq::from_database(row.get(8)?),
            corrects_seq: Seq::from_database(row.get(9)?),
            mentions: extra.mentions,
            event: extra.event,
            recalled: row.get(11)?,
        })
    }
}

/// Mentions and event as one column; none when there is neither, as with nearly every message.
pub(crate) fn extra(mentions: &[i64], event: Option<&wire::entry::Event>) -> Option<Bytes> {
    (!mentions.is_empty() || event.is_some()).then(|| {
        let extra = wire::Entry {
            mentions: mentions.to_vec(),
            event: event.cloned(),
            ..Default::default()
        };
        extra.encode_to_vec().into()
    })
}

/// The mentions within such a column.
pub(crate) fn mentions(extra: Option<&[u8]>) -> Vec<i64> {
    // What cannot be read mentions nobody: it was written by this crate.
    extra
        .and_then(|extra| wire::Entry::decode(extra).ok())
        .map(|extra| extra.mentions)
        .unwrap_or_default()
}

/// A column that holds a number of a wire enumeration; a number that this version does not know reads as unspecified.
pub(crate) fn enumeration<E: TryFrom<i32> + Default>(number: i64) -> E {
    i32::try_from(number)
        .ok()
        .and_then(|number| E::try_from(number).ok())
        .unwrap_or_default()
}
