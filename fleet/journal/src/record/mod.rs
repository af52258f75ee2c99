//! The entries that REST appends: they describe a change of a record and are written in its transaction.
//!
//! The caller publishes them after the commit ([`Journal::publish`]). A lost publication is late by seconds only, since
//! nodes compare their seqs with the database.

pub(crate) mod hide;
pub mod recall;

use std::collections::HashSet;

use bytes::Bytes;
use database::{Transaction, Value, params};
use prost::Message;
use proto::{
    ConversationId, Seq, UserId, mime,
    wire::{
        ConversationKind, DeadlineEvent, EntryKind, ParticipantEvent, RefundEvent, Role, StatusEvent,
        VasCard, VasEvent, entry,
    },
};

use crate::{
    Entry, Error, Journal, UserNotice,
    announcement::Published,
    conversation::Deadline,
    entry::{enumeration, media},
};

/// The sequence of conversation ids; a consult has the id of its conversation.
pub const CONVERSATION_SEQUENCE: &str = "conversation";

const CREATE: &str = "INSERT INTO conversation
    (id, kind, consult_id, epoch, open, title, last_seq, created_ms, updated_ms)
    VALUES ($1, $2, $3, 1, $4, $5, 0, $6, $6)";

const LOCK: &str = "SELECT last_seq FROM conversation WHERE id = $1";

/// A conversation that takes no more messages has no deadline.
const SET_OPEN: &str = "UPDATE conversation SET open = $1,
      deadline_kind = CASE WHEN $1 THEN deadline_kind END, deadline_ms = CASE WHEN $1 THEN deadline_ms END
    WHERE id = $2";

const SET_DEADLINE: &str = "UPDATE conversation SET deadline_kind = $1, deadline_ms = $2 WHERE id = $3";

const IS_IN: &str =
    "SELECT 1 FROM participant WHERE conversation_id = $1 AND user_id = $2 AND to_seq IS NULL";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[CREATE, LOCK, SET_OPEN, SET_DEADLINE, IS_IN];

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

/// A user who joins, with name, title and photo of this moment: a record does not change with a rename.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewParticipant {
    /// The user.
    pub user: UserId,
    /// Their role.
    pub role: Role,
    /// Their name.
    pub name: String,
    /// Of a doctor; may be empty.
    pub title: String,
    /// The uri of an image; may be empty.
    pub photo: String,
    /// The earlier entries that they see.
    pub history: Shown,
}

impl NewParticipant {
    /// A participant without title and photo, who sees all entries.
    pub fn new(user: UserId, role: Role, name: impl Into<String>) -> Self {
        Self {
            user,
            role,
            name: name.into(),
            title: String::new(),
            photo: String::new(),
            history: Shown::All,
        }
    }
}

/// The entries before a joining that the participant sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// All of them.
    #[default]
    All,
    /// Those of earlier stays.
    FromNow,
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
    /// A price went back to the patient; the conversation may have ended.
    Refunded(RefundEvent),
    /// A promise of time was set, met or lifted, or has passed. [`Journal::set_deadline`] sets what conversations show.
    Deadline(DeadlineEvent),
    /// A message that the server writes for the user of the change, who must be in. It has no client_msg_id, so it
    /// never is the resend of an app's message.
    Message {
        /// How to read `body`.
        mime_type: &'static str,
        /// The content.
        body: Bytes,
    },
}

impl Event {
    /// Whether nothing can refuse it.
    const fn is_certain(&self) -> bool {
        match self {
            Self::Status(_) | Self::Vas(..) | Self::Refunded(_) | Self::Deadline(_) => true,
            Self::Joined(_) | Self::Left(_) | Self::Message { .. } => false,
        }
    }
}

impl Journal {
    /// Creates a conversation with its first participants.
    ///
    /// # Errors
    /// [`Error::AlreadyIn`] when a user is named twice; else as the database says.
    pub async fn create_conversation(
        &self,
        tx: &mut Transaction<'_>,
        new: NewConversation,
        by: UserId,
        now_ms: i64,
    ) -> Result<Unpublished, Error> {
        let users: HashSet<UserId> = new.participants.iter().map(|one| one.user).collect();
        if users.len() < new.participants.len() {
            return Err(Error::AlreadyIn);
        }
        self.engine.forget(new.id);
        tx.enqueue_one(
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
        let mut seq = Seq::ZERO;
        for participant in new.participants {
            seq = seq.next();
            let notice = UserNotice::Added {
                conversation: new.id,
                seq,
            };
            unpublished.notices.push((participant.user, notice));
            let event = joined(participant, seq);
            let joins = join_params(new.id, seq, &event, now_ms);
            tx.enqueue_one(self.dialect.join, joins).await?;
            self.add_to_user(tx, &event, new.id).await?;
            let entry = Entry {
                event: Some(entry::Event::Participant(event)),
                ..blank(new.id, seq, by, EntryKind::ParticipantJoined, now_ms)
            };
            unpublished.entries.push(self.insert(tx, entry).await?);
        }
        Ok(unpublished)
    }

    // protocol: "Also a conversation that takes no messages may get entries"
    /// Appends an event and applies it to participants and state. A refusal writes nothing, so the transaction may go on.
    ///
    /// # Errors
    /// [`Error::AlreadyIn`]; [`Error::NoAccess`] when the conversation does not exist, or the user who leaves or writes is
    /// not in.
    pub async fn record(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        by: UserId,
        event: Event,
        now_ms: i64,
    ) -> Result<Unpublished, Error> {
        let is_certain = event.is_certain();
        let seq = match is_certain {
            true => self.take_next_seq(tx, conversation, now_ms).await?,
            false => self.lock_next_seq(tx, conversation).await?,
        };
        let (mut content, mut notice) = (("", Bytes::new()), None);
        let (kind, event) = match event {
            Event::Joined(participant) => {
                notice = Some((participant.user, UserNotice::Added { conversation, seq }));
                let event = self.join(tx, conversation, seq, participant, now_ms).await?;
                (
                    EntryKind::ParticipantJoined,
                    Some(entry::Event::Participant(event)),
                )
            }
            Event::Left(user) => {
                let event = self.leave(tx, conversation, seq, user, now_ms).await?;
                (EntryKind::ParticipantLeft, Some(entry::Event::Participant(event)))
            }
            Event::Status(status) => {
                tx.enqueue_one(SET_OPEN, params![status.open, conversation.get()])
                    .await?;
                (EntryKind::StatusChanged, Some(entry::Event::Status(status)))
            }
            Event::Vas(kind, vas) => {
                content = (mime::VAS, card(&vas).encode_to_vec().into());
                (kind, Some(entry::Event::Vas(vas)))
            }
            Event::Refunded(refund) => (EntryKind::Refunded, Some(entry::Event::Refund(refund))),
            Event::Deadline(deadline) => (EntryKind::Deadline, Some(entry::Event::Deadline(deadline))),
            // protocol: "The server writes it, so its client_msg_id is empty"
            Event::Message { mime_type, body } => {
                let params = params![conversation.get(), by.get()];
                tx.query_first(IS_IN, params).await?.ok_or(Error::NoAccess)?;
                content = (mime_type, body);
                (EntryKind::Message, None)
            }
        };
        let entry = Entry {
            mime_type: content.0.to_owned(),
            body: content.1,
            event,
            ..blank(conversation, seq, by, kind, now_ms)
        };
        let published = match is_certain {
            true => {
                self.engine.insert_taken(tx, &entry).await?;
                self.inserted(tx, entry).await?
            }
            false => self.insert(tx, entry).await?,
        };
        Ok(Unpublished {
            entries: vec![published],
            notices: notice.into_iter().collect(),
        })
    }

    /// Prefetches a [`Journal::record`] of the same time, of an event that nothing can refuse: the conversation is locked
    /// behind the next statements of the transaction, in their round trip.
    pub fn prefetch(&self, tx: &mut Transaction<'_>, conversation: ConversationId, now_ms: i64) {
        self.engine.prefetch_seq(tx, conversation, now_ms);
    }

    async fn take_next_seq(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        now_ms: i64,
    ) -> Result<Seq, Error> {
        // As in `lock_next_seq`.
        self.engine.forget(conversation);
        let seq = self.engine.take_seq(tx, conversation, now_ms).await?;
        seq.ok_or(Error::NoAccess)
    }

    /// Sets the next deadline of a conversation, for everybody in it. Locks its row until the end of the transaction.
    ///
    /// # Errors
    /// As the database says.
    pub async fn set_deadline(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        deadline: Option<Deadline>,
    ) -> Result<(), database::Error> {
        let (kind, due_ms) = deadline.map(|deadline| (deadline.kind, deadline.due_ms)).unzip();
        tx.execute(SET_DEADLINE, params![kind, due_ms, conversation.get()])
            .await?;
        Ok(())
    }

    /// The next seq of a conversation, for [`Journal::insert`]. Locks its row until the end of the transaction, so that
    /// entries are committed in the order of their seqs.
    pub(crate) async fn lock_next_seq(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
    ) -> Result<Seq, Error> {
        // Before the commit and after a rollback alike: appends must read the row again.
        self.engine.forget(conversation);
        let rows = tx.lock(LOCK, params![conversation.get()]).await?;
        Ok(Seq::from_database(rows.first().ok_or(Error::NoAccess)?.get(0)?).next())
    }

    /// Inserts an entry at the seq from [`Journal::lock_next_seq`] and advances `last_seq`: both or neither, so that a refusal
    /// between the two calls leaves no gap (invariant I2).
    pub(crate) async fn insert(&self, tx: &mut Transaction<'_>, entry: Entry) -> Result<Published, Error> {
        self.engine.insert(tx, &entry).await?;
        self.inserted(tx, entry).await
    }

    async fn inserted(&self, tx: &mut Transaction<'_>, entry: Entry) -> Result<Published, Error> {
        if self.checks_media {
            let enter = self.dialect.directory.map(|directory| directory.add_medium);
            media::write(tx, enter, &entry).await?;
        }
        Ok(Published::new(entry))
    }

    async fn join(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        seq: Seq,
        participant: NewParticipant,
        now_ms: i64,
    ) -> Result<ParticipantEvent, Error> {
        let event = joined(participant, seq);
        let params = join_params(conversation, seq, &event, now_ms);
        match tx.execute(self.dialect.join, params).await? {
            1 => {
                self.add_to_user(tx, &event, conversation).await?;
                Ok(event)
            }
            _ => Err(Error::AlreadyIn),
        }
    }

    /// Where conversations lie on several machines: notes that a user has one.
    async fn add_to_user(
        &self,
        tx: &mut Transaction<'_>,
        joined: &ParticipantEvent,
        conversation: ConversationId,
    ) -> Result<(), Error> {
        if let Some(directory) = self.dialect.directory {
            let params = params![joined.user_id, conversation.get()];
            tx.enqueue(directory.add_user, params).await?;
        }
        Ok(())
    }

    async fn leave(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        seq: Seq,
        user: UserId,
        now_ms: i64,
    ) -> Result<ParticipantEvent, Error> {
        let params = params![seq.get(), now_ms, conversation.get(), user.get()];
        let row = tx.query_first(self.dialect.leave, params).await?;
        let row = row.ok_or(Error::NoAccess)?;
        Ok(ParticipantEvent {
            user_id: user.get(),
            role: enumeration::<Role>(row.get(0)?) as i32,
            name: row.get(1)?,
            title: row.get(2)?,
            photo: row.get(3)?,
            sees_from_seq: 0,
        })
    }
}

fn joined(participant: NewParticipant, seq: Seq) -> ParticipantEvent {
    ParticipantEvent {
        user_id: participant.user.get(),
        role: participant.role as i32,
        name: participant.name,
        title: participant.title,
        photo: participant.photo,
        // protocol: "sees_from_seq of PARTICIPANT_JOINED says which"
        sees_from_seq: match participant.history {
            Shown::All => 1,
            Shown::FromNow => seq.get(),
        },
    }
}

fn join_params(conversation: ConversationId, seq: Seq, event: &ParticipantEvent, now_ms: i64) -> Vec<Value> {
    params![
        conversation.get(),
        event.user_id,
        seq.get(),
        i64::from(event.role),
        now_ms,
        event.sees_from_seq,
        event.name.as_str(),
        event.title.as_str(),
        event.photo.as_str()
    ]
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
