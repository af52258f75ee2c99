//! One entry: its columns in the database and its form on the wire.

mod checksum;
pub(crate) mod damage;
pub mod media;

use bytes::Bytes;
use database::{Part, Row, Value, params};
use prost::Message;
use proto::{ConversationId, Seq, UserId, wire};

pub(crate) use self::checksum::Checksums;
use self::damage::OTHER;

/// The columns of `entry` in the order of [`Entry::from_row`] and [`Entry::params`].
macro_rules! columns {
    () => {
        "conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq, \
         corrects_seq, extra, recalled, checksum"
    };
}
pub(crate) use columns;

/// The checksum covers the columns before this one.
pub(crate) const SUMMED_COLUMNS: usize = 11;
const RECALLED: usize = 11;
const CHECKSUM: usize = 12;

/// The same columns of a table `e`, with the seq of a joined table.
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

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its position in the conversation.
    pub seq: Seq,
    /// The user who wrote or caused it.
    pub sender: UserId,
    /// Its kind.
    pub kind: wire::EntryKind,
    /// When it was accepted, epoch milliseconds.
    pub created_ms: i64,
    /// The sender's own id for it; empty for events.
    pub client_msg_id: String,
    /// The type of `body`; empty for events.
    pub mime_type: String,
    /// The original, also of a recalled entry: show it only through [`Entry::into_wire`].
    pub body: Bytes,
    /// The entry that this one answers, or 0.
    pub reply_to_seq: Seq,
    /// The entry that this one recalls or corrects, or 0.
    pub corrects_seq: Seq,
    /// The users whom it mentions.
    pub mentions: Vec<i64>,
    /// The payload of an event.
    pub event: Option<wire::entry::Event>,
    /// Whether its content is withheld.
    pub recalled: bool,
}

impl Entry {
    /// The public form: a recalled entry has no content.
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

    /// The values of [`columns!`].
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
        let sum = database::checksum(params[..SUMMED_COLUMNS].iter().map(Part::from));
        params.push(if self.recalled { !sum } else { sum }.into());
        params
    }

    /// Reads a row of [`columns!`] that must be an entry of `conversation`.
    ///
    /// # Errors
    /// [`database::Error::DamagedEntry`] when it differs from what was written.
    pub(crate) fn from_row(
        row: &Row,
        conversation: ConversationId,
        checksums: Checksums,
    ) -> Result<Self, database::Error> {
        let seq = row.get(1).map_or(Seq::ZERO, Seq::from_database);
        match Self::read(row, checksums) {
            Ok(entry) if entry.conversation == conversation => Ok(entry),
            Ok(_) => Err(damage::report(conversation, seq, OTHER)),
            Err(reason) => Err(damage::report(conversation, seq, reason)),
        }
    }

    /// # Errors
    /// Why it is damaged.
    pub(crate) fn read(row: &Row, checksums: Checksums) -> Result<Self, &'static str> {
        let typed = |_| damage::NO_VALUE;
        let recalled = row.get(RECALLED).map_err(typed)?;
        let sum = database::checksum(row.parts(SUMMED_COLUMNS));
        checksums.verify(sum, recalled, row.get(CHECKSUM).map_err(typed)?)?;
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

/// Mentions and event as one column; `None` for most messages, which have neither.
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

/// The mentions in such a column; none in one that does not decode, since this crate never writes one.
pub(crate) fn mentions(extra: Option<&[u8]>) -> Vec<i64> {
    extra
        .and_then(|extra| wire::Entry::decode(extra).ok())
        .map(|extra| extra.mentions)
        .unwrap_or_default()
}

/// A column that holds a number of a wire enumeration; an unknown number reads as unspecified.
pub(crate) fn enumeration<E: TryFrom<i32> + Default>(number: i64) -> E {
    i32::try_from(number)
        .ok()
        .and_then(|number| E::try_from(number).ok())
        .unwrap_or_default()
}
