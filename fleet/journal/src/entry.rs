//! One entry: as the database holds it, as the wire shows it.

use bytes::Bytes;
use database::{Engine, Part, Row, Value, checksum, params};
use prost::Message;
use proto::{ConversationId, Seq, UserId, wire};

use crate::{
    append::NewMessage,
    damage::{self, OTHER},
};

/// The columns of `entry` in the order of [`Entry::from_row`] and [`Entry::params`].
macro_rules! columns {
    () => {
        "conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq, \
         corrects_seq, extra, recalled, checksum"
    };
}

/// The first of them are what the checksum is of.
pub(crate) const SUMMED_COLUMNS: usize = 11;
const RECALLED: usize = 11;
const CHECKSUM: usize = 12;
pub(crate) use columns;

/// The same of a table `e` that is joined with one that gives `seq`.
macro_rules! columns_of_e {
    ($seq:literal) => {
        concat!(
            "e.conversation_id, ",
            $seq,
            " AS seq, e.sender_id, e.kind, e.created_ms, e.client_msg_id, e.mime_type, e.body, e.reply_to_seq, \
              e.corrects_seq, e.extra, e.recalled, e.checksum"
        )
    };
}
pub(crate) use columns_of_e;

/// Adds an entry.
pub(crate) const INSERT: &str = concat!(
    "INSERT INTO entry (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
);

/// The same in a file, as the newest unclaimed one.
pub(crate) const INSERT_IN_FILE: &str = concat!(
    "INSERT INTO entry (",
    columns!(),
    ", previous_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
        (SELECT unclaimed_entry_id FROM conversation WHERE id = $1))"
);

/// The same with SQLite's own names for parameters, for the batch append, which goes past the database handle and knows
/// the entry before.
pub(crate) const INSERT_IN_BATCH: &str = concat!(
    "INSERT INTO entry (",
    columns!(),
    ", previous_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
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
        let mut params = params![
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
        ];
        let sum = checksum(params[..SUMMED_COLUMNS].iter().map(Part::from));
        params.push(if self.recalled { !sum } else { sum }.into());
        params
    }

    /// A row of [`columns!`] that stands for an entry of `conversation`.
    ///
    /// # Errors
    /// [`database::Error::DamagedEntry`] when it is not what was written.
    pub(crate) fn from_row(
        row: &Row,
        conversation: ConversationId,
        seals: Seals,
    ) -> Result<Self, database::Error> {
        let seq = row.get(1).map_or(Seq::ZERO, Seq::from_database);
        match Self::read(row, seals) {
            Ok(entry) if entry.conversation == conversation => Ok(entry),
            Ok(_) => Err(damage::tell(conversation, seq, OTHER)),
            Err(told) => Err(damage::tell(conversation, seq, told)),
        }
    }

    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(row: &Row, seals: Seals) -> Result<Self, &'static str> {
        let typed = |_| damage::NO_VALUE;
        let recalled = row.get(RECALLED).map_err(typed)?;
        let sum = checksum(row.parts(SUMMED_COLUMNS));
        seals.verify(sum, recalled, row.get(CHECKSUM).map_err(typed)?)?;
        let extra = match row.get::<Option<Bytes>>(10).map_err(typed)? {
            Some(extra) => wire::Entry::decode(extra).map_err(|_| damage::NO_VALUE)?,
            None => wire::Entry::default(),
        };
        Ok(Self {
            conversation: ConversationId::from_database(row.get(0).map_err(typed)?),
            seq: Seq::from_database(row.get(1).map_err(typed)?),
            sender: UserId::from_database(row.get(2).map_err(typed)?),
            kind: enumeration(row.get(3).map_err(typed)?),
            created_ms: row.get(4).map_err(typed)?,
            client_msg_id: row.get(5).map_err(typed)?,
            mime_type: row.get(6).map_err(typed)?,
            body: row.get(7).map_err(typed)?,
            reply_to_seq: Seq::from_database(row.get(8).map_err(typed)?),
            corrects_seq: Seq::from_database(row.get(9).map_err(typed)?),
            mentions: extra.mentions,
            event: extra.event,
            recalled,
        })
    }
}

/// Which entries carry a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seals {
    /// Each, as in a file: the migration sealed those of earlier versions, and one program writes.
    All,
    /// Those that a program of this version or a later one wrote, as on a server: programs of an earlier one may write
    /// beside it, and recall without sealing again.
    New,
}

impl Seals {
    pub(crate) fn of(engine: &Engine) -> Self {
        match engine {
            Engine::Sqlite(_) => Self::All,
            Engine::Postgres(_) => Self::New,
        }
    }

    /// Compares the checksum of a row with what stands in it.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn verify(self, sum: i64, recalled: bool, stored: Option<i64>) -> Result<(), &'static str> {
        let sealed = if recalled { !sum } else { sum };
        match (self, stored) {
            (_, Some(stored)) if stored == sealed => Ok(()),
            (Self::New, None) => Ok(()),
            (Self::New, Some(stored)) if recalled && stored == sum => Ok(()),
            (Self::All, None) => Err(damage::NO_CHECKSUM),
            _ => Err(damage::CHECKSUM),
        }
    }
}

/// The checksum of a new message: of what its columns hold.
pub(crate) fn checksum_of_message(
    message: &NewMessage,
    seq: Seq,
    created_ms: i64,
    extra: Option<&[u8]>,
) -> i64 {
    checksum([
        Part::Integer(message.conversation.get()),
        Part::Integer(seq.get()),
        Part::Integer(message.sender.get()),
        Part::Integer(i64::from(wire::EntryKind::Message as i32)),
        Part::Integer(created_ms),
        Part::Text(message.client_msg_id.as_bytes()),
        Part::Text(message.mime_type.as_bytes()),
        Part::Bytes(&message.body),
        Part::Integer(message.reply_to_seq.get()),
        Part::Integer(0),
        extra.into(),
    ])
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
