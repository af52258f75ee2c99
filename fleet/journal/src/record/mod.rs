//! The entries that REST appends: they describe a change of a record and are written in its transaction.
//!
//! The caller publishes them after the commit ([`Journal::publish`]). A lost publication is late by seconds only, since
//! nodes compare their seqs with the database.

pub mod recall;

use bytes::Bytes;
use database::{Transaction, params};
use prost::Message;
use proto::{
    ConversationId, Seq, UserId, mime,
    wire::{ConversationKind, EntryKind, ParticipantEvent, Role, StatusEvent, VasCard, VasEvent, entry},
};

use crate::{Entry, Error, Journal, UserNotice, announcement::Published, entry::enumeration};

/// The sequence of conversation ids; a consult has the id of its conversation.
pub const CONVERSATION_SEQUENCE: &str = "conversation";

const CREATE: &str = "INSERT INTO conversation
    (id, kind, consult_id, epoch, open, title, last_seq, created_ms, updated_ms)
    VALUES ($1, $2, $3, 1, $4, $5, 0, $6, $6)";

const LOCK: &str = "UPDATE conversation SET updated_ms = $1 WHERE id = $2 RETURNING last_seq";

const SET_OPEN: &str = "UPDATE conversation SET open = $1 WHERE id = $2";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[CREATE, LOCK, SET_OPEN];

/// The entries and notices of a transaction, to be published after its commit.
#[must_use = "publish it after the commit, or the participants see it seconds later"]
#[derive(Debug, Default)]
pub struct Unpublished {
    pub(crate) entries: Vec<Published>,
    pub(crate) notices: Vec<(UserId, UserNotice)>,
}

impl Unpublished {
    /// Adds the entries and notices of a later call in the same transaction.
    pub fn extend(&mut self, later: Self) {
        self.entries.extend(later.entries);
        self.notices.extend(later.notices);
    }

    /// The seq of the last entry.
    pub fn last_seq(&self) -> Option<Seq> {
        self.entries.last().map(|published| published.seq)
    }
}

/// A conversation to create.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// From [`CONVERSATION_SEQUENCE`], allocated before the transaction.
    pub id: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// The consult that it belongs to.
    pub consult_id: Option<i64>,
    /// Its title.
    pub title: String,
    /// The first participants; each joins by an entry of their own.
    pub participants: Vec<NewParticipant>,
}

/// A user who joins.
#[derive(Clone, Debug)]
pub struct NewParticipant {
    /// The user.
    pub user: UserId,
    /// Their role.
    pub role: Role,
    /// Their name, for the entry of their joining.
    pub name: String,
}

/// A change of a record, for its conversation.
#[derive(Clone, Debug)]
pub enum Event {
    /// A user joins.
    Joined(NewParticipant),
    /// A user leaves or is removed. They still see this entry.
    Left(UserId),
    /// The consult's state changed, and with it whether the conversation accepts messages.
    Status(StatusEvent),
    /// A value-added service was proposed, confirmed, declined or retracted. The entry also carries it as a card, for apps
    /// that render by MIME type.
    Vas(EntryKind, VasEvent),
}

impl Journal {
    /// Creates a conversation with its first participants.
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

    /// Appends an event and applies it to participants and state. A refusal writes nothing, so the transaction may go on.
    ///
    /// # Errors
    /// [`Error::AlreadyIn`]; [`Error::NoAccess`] when the conversation does not exist or the leaving user is not in.
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
                self.join(tx, conversation, seq, &participant, now_ms).await?;
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
                let role = self.leave(tx, conversation, seq, user, now_ms).await?;
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
        let published = self.insert(tx, entry).await?;
        Ok(Unpublished {
            entries: vec![published],
            notices,
        })
    }

    /// The next seq of a conversation, for [`Journal::insert`]. Locks its row until the end of the transaction, so that
    /// entries are committed in the order of their seqs.
    pub(crate) async fn lock_next_seq(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        now_ms: i64,
    ) -> Result<Seq, Error> {
        // Before the commit and after a rollback alike: appends must read the row again.
        self.engine.forget(conversation);
        let row = tx.query_first(LOCK, params![now_ms, conversation.get()]).await?;
        Ok(Seq::from_database(row.ok_or(Error::NoAccess)?.get(0)?).next())
    }

    /// Inserts an entry at the seq from [`Journal::lock_next_seq`] and advances `last_seq`: both or neither, so that a refusal
    /// between the two calls leaves no gap (invariant I2).
    pub(crate) async fn insert(&self, tx: &mut Transaction<'_>, entry: Entry) -> Result<Published, Error> {
        self.engine.insert(tx, &entry).await?;
        Ok(Published::new(entry))
    }

    async fn join(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        seq: Seq,
        participant: &NewParticipant,
        now_ms: i64,
    ) -> Result<(), Error> {
        let params = params![
            conversation.get(),
            participant.user.get(),
            seq.get(),
            i64::from(participant.role as i32),
            now_ms
        ];
        match tx.execute(self.dialect.join, params).await? {
            1 => Ok(()),
            _ => Err(Error::AlreadyIn),
        }
    }

    async fn leave(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        seq: Seq,
        user: UserId,
        now_ms: i64,
    ) -> Result<Role, Error> {
        let params = params![seq.get(), now_ms, conversation.get(), user.get()];
        let row = tx.query_first(self.dialect.leave, params).await?;
        Ok(enumeration(row.ok_or(Error::NoAccess)?.get(0)?))
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

/// An entry without content.
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
