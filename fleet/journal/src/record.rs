//! What REST writes into a journal: entries that tell of a record, in the record's own transaction.
//!
//! What comes back must be published after the commit ([`Journal::publish`]); a lost announcement is late by seconds
//! only, since nodes compare their seqs with the database.

use bytes::Bytes;
use database::{Transaction, params};
use prost::Message;
use proto::{
    ConversationId, Seq, UserId, mime,
    wire::{ConversationKind, EntryKind, ParticipantEvent, Role, StatusEvent, VasCard, VasEvent, entry},
};

use crate::{
    Entry, Error, Journal, UserNotice,
    announcement::Published,
    entry::{INSERT, INSERT_IN_FILE, enumeration},
    order::{change_no, change_no_in_file},
    unclaimed::{CLAIM_AT, claim},
};

/// The sequence that conversations get their ids from; a consult has the id of its conversation.
pub const CONVERSATION_SEQUENCE: &str = "conversation";

const CREATE: &str = "INSERT INTO conversation
    (id, kind, consult_id, epoch, open, title, last_seq, created_ms, updated_ms)
    VALUES ($1, $2, $3, 1, $4, $5, 0, $6, $6)";

const LOCK: &str = "UPDATE conversation SET updated_ms = $1 WHERE id = $2 RETURNING last_seq";

const MOVE: &str = "UPDATE conversation SET last_seq = $1 WHERE id = $2 AND last_seq = $3";

/// After the entry was added: nothing else is, between the two.
const MOVE_IN_FILE: &str = "UPDATE conversation SET last_seq = $1, unclaimed_entry_id = last_insert_rowid()
    WHERE id = $2 AND last_seq = $3 RETURNING claimed_seq";

const SET_OPEN: &str = "UPDATE conversation SET open = $1 WHERE id = $2";

macro_rules! join {
    ($change_no:expr) => {
        concat!(
            "INSERT INTO participant (conversation_id, user_id, from_seq, to_seq, role, changed_ms, changed_no)
             VALUES ($1, $2, $3, NULL, $4, $5, ",
            $change_no,
            ") ON CONFLICT DO NOTHING"
        )
    };
}
macro_rules! leave {
    ($change_no:expr) => {
        concat!(
            "UPDATE participant SET to_seq = $1, changed_ms = $2, changed_no = ",
            $change_no,
            " WHERE conversation_id = $3 AND user_id = $4 AND to_seq IS NULL RETURNING role"
        )
    };
}

const JOIN: &str = join!(change_no!());
const JOIN_IN_FILE: &str = join!(change_no_in_file!());
const LEAVE: &str = leave!(change_no!());
const LEAVE_IN_FILE: &str = leave!(change_no_in_file!());

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[CREATE, LOCK, SET_OPEN];
pub(crate) const STATEMENTS_OF_FILE: &[&str] = &[INSERT_IN_FILE, MOVE_IN_FILE, JOIN_IN_FILE, LEAVE_IN_FILE];
pub(crate) const STATEMENTS_OF_SERVER: &[&str] = &[INSERT, MOVE, JOIN, LEAVE];

/// What a transaction wrote and nobody has been told yet.
#[must_use = "publish it after the commit, or the people concerned learn of it seconds later"]
#[derive(Debug, Default)]
pub struct Unpublished {
    pub(crate) entries: Vec<Published>,
    pub(crate) notices: Vec<(UserId, UserNotice)>,
}

impl Unpublished {
    /// Adds what was written later in the same transaction.
    pub fn extend(&mut self, later: Self) {
        self.entries.extend(later.entries);
        self.notices.extend(later.notices);
    }

    /// The seq of the last entry written.
    pub fn last_seq(&self) -> Option<Seq> {
        self.entries.last().map(|published| published.seq)
    }
}

/// A conversation to be made.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// From [`CONVERSATION_SEQUENCE`], allocated before the transaction.
    pub id: ConversationId,
    /// What kind it is.
    pub kind: ConversationKind,
    /// The consult that it belongs to.
    pub consult_id: Option<i64>,
    /// Its title.
    pub title: String,
    /// Who is in it from the beginning; each joins by an entry. The names go into those entries.
    pub participants: Vec<NewParticipant>,
}

/// Somebody who joins.
#[derive(Clone, Debug)]
pub struct NewParticipant {
    /// The person.
    pub user: UserId,
    /// What they are in it.
    pub role: Role,
    /// Their name, for the entry that tells of it.
    pub name: String,
}

/// What happened to a record, for its conversation.
#[derive(Clone, Debug)]
pub enum Event {
    /// Somebody joins.
    Joined(NewParticipant),
    /// Somebody leaves or is removed. They still see the entry that tells of it.
    Left(UserId),
    /// The consult's state changed; the conversation takes messages from now on or no more.
    Status(StatusEvent),
    /// A value-added service was proposed, confirmed, declined or withdrawn. The entry carries it as a card, too, for apps
    /// that draw by MIME type.
    Vas(EntryKind, VasEvent),
}

impl Journal {
    /// Makes a conversation with its first participants.
    ///
    /// # Errors
    /// As the database says.
    pub async fn create_conversation(
        &self,
        tx: &mut Transaction<'_>,
        new: NewConversation,
        by: UserId,
        now_ms: i64,
    ) -> Result<Unpublished, Error> {
        tx.execute(
            CREATE,
            params![
                new.id.get(),
                i64::from(new.kind as i32),
                new.consult_id,
                true,
                new.title,
                now_ms
            ],
        )
        .await?;
        let mut unpublished = Unpublished::default();
        for participant in new.participants {
            unpublished.extend(
                self.record(tx, new.id, by, Event::Joined(participant), now_ms)
                    .await?,
            );
        }
        Ok(unpublished)
    }

    /// Appends what happened to a conversation and does what it means for who is in it and whether it is open. A refusal
    /// leaves nothing behind, so a caller may go on in the same transaction.
    ///
    /// # Errors
    /// [`Error::AlreadyIn`]; [`Error::NoAccess`] when the conversation does not exist or the person who leaves is not in.
    pub async fn record(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        by: UserId,
        event: Event,
        now_ms: i64,
    ) -> Result<Unpublished, Error> {
        let seq = self.lock_next_seq(tx, conversation, now_ms).await?;
        let mut notices = Vec::new();
        let (mut mime_type, mut body) = (String::new(), Bytes::new());
        let (kind, event) = match event {
            Event::Joined(participant) => {
                join(tx, conversation, seq, &participant, now_ms).await?;
                notices.push((participant.user, UserNotice::Added { conversation, seq }));
                let NewParticipant { user, role, name } = participant;
                let event = ParticipantEvent {
                    user_id: user.get(),
                    role: role as i32,
                    name,
                };
                (EntryKind::ParticipantJoined, entry::Event::Participant(event))
            }
            Event::Left(user) => {
                let role = leave(tx, conversation, seq, user, now_ms).await?;
                let event = ParticipantEvent {
                    user_id: user.get(),
                    role: role as i32,
                    name: String::new(),
                };
                (EntryKind::ParticipantLeft, entry::Event::Participant(event))
            }
            Event::Status(status) => {
                tx.execute(SET_OPEN, params![status.open, conversation.get()])
                    .await?;
                (EntryKind::StatusChanged, entry::Event::Status(status))
            }
            Event::Vas(kind, vas) => {
                mime::VAS.clone_into(&mut mime_type);
                body = card(&vas).encode_to_vec().into();
                (kind, entry::Event::Vas(vas))
            }
        };
        let entry = Entry {
            mime_type,
            body,
            event: Some(event),
            ..blank(conversation, seq, by, kind, now_ms)
        };
        let published = insert(tx, entry).await?;
        Ok(Unpublished {
            entries: vec![published],
            notices,
        })
    }

    /// The next seq of a conversation, which [`insert`] then takes. The row stays locked to the end of the transaction
    /// where an engine locks rows, so entries are committed in the order of their seqs.
    pub(crate) async fn lock_next_seq(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        now_ms: i64,
    ) -> Result<Seq, Error> {
        // Whether or not this transaction is committed, appends must look again.
        self.cache.forget(conversation);
        let row = tx.query_first(LOCK, params![now_ms, conversation.get()]).await?;
        Ok(Seq::from_database(row.ok_or(Error::NoAccess)?.get(0)?).next())
    }
}

fn card(vas: &VasEvent) -> VasCard {
    VasCard {
        vas_id: vas.vas_id,
        name: vas.name.clone(),
        description: vas.description.clone(),
        price_fen: vas.price_fen,
    }
}

pub(crate) fn blank(
    conversation: ConversationId,
    seq: Seq,
    by: UserId,
    kind: EntryKind,
    now_ms: i64,
) -> Entry {
    Entry {
        conversation,
        seq,
        sender: by,
        kind,
        created_ms: now_ms,
        client_msg_id: String::new(),
        mime_type: String::new(),
        body: Bytes::new(),
        reply_to_seq: Seq::ZERO,
        corrects_seq: Seq::ZERO,
        mentions: Vec::new(),
        event: None,
        recalled: false,
    }
}

/// Adds an entry under the seq that [`Journal::lock_next_seq`] gave and moves `last_seq` there: both or neither, so that
/// what is refused between the two leaves no gap (invariant I2).
pub(crate) async fn insert(tx: &mut Transaction<'_>, entry: Entry) -> Result<Published, Error> {
    let (seq, conversation) = (entry.seq, entry.conversation);
    let moved = params![seq.get(), conversation.get(), seq.previous().get()];
    let under_lock = || database::Error::Engine("a conversation moved under its lock".into());
    if tx.is_of_file() {
        // First, since its id goes into the move. Nobody else writes in between.
        tx.execute(INSERT_IN_FILE, entry.params()).await?;
        let row = tx.query_first(MOVE_IN_FILE, moved).await?;
        let claimed_seq = Seq::from_database(row.ok_or_else(under_lock)?.get(0)?);
        let unclaimed = u64::try_from(seq.get() - claimed_seq.get()).unwrap_or(0);
        if unclaimed >= CLAIM_AT as u64 {
            claim(tx, conversation, unclaimed).await?;
        }
    } else {
        if tx.execute(MOVE, moved).await? != 1 {
            return Err(under_lock().into());
        }
        tx.execute(INSERT, entry.params()).await?;
    }
    Ok(Published::new(entry))
}

async fn join(
    tx: &mut Transaction<'_>,
    conversation: ConversationId,
    seq: Seq,
    participant: &NewParticipant,
    now_ms: i64,
) -> Result<(), Error> {
    let joined = tx
        .execute(
            tx.text(JOIN_IN_FILE, JOIN),
            params![
                conversation.get(),
                participant.user.get(),
                seq.get(),
                i64::from(participant.role as i32),
                now_ms
            ],
        )
        .await?;
    if joined == 1 {
        Ok(())
    } else {
        Err(Error::AlreadyIn)
    }
}

async fn leave(
    tx: &mut Transaction<'_>,
    conversation: ConversationId,
    seq: Seq,
    user: UserId,
    now_ms: i64,
) -> Result<Role, Error> {
    let row = tx
        .query_first(
            tx.text(LEAVE_IN_FILE, LEAVE),
            params![seq.get(), now_ms, conversation.get(), user.get()],
        )
        .await?;
    Ok(enumeration(row.ok_or(Error::NoAccess)?.get(0)?))
}
