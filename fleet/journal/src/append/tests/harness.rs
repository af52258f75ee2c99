//! A database with two nodes, their appenders, and the users of a script.

use std::{collections::BTreeMap, sync::Arc};

use backplane::Backplane;
use database::{Database, Engine};
use parking_lot::Mutex;
use proto::{
    ConversationId, Seq, UserId,
    wire::{ConversationKind, EntryKind, Role, StatusEvent, VasEvent},
};
use testkit::{
    postgres::Postgres,
    store::{Place, Store},
};
use tokio::sync::oneshot;

use crate::{
    Error, Journal, Published,
    append::{Accepted, Appender, NewMessage, Outlet, Settled, Stream},
    record::{CONVERSATION_SEQUENCE, Event, NewConversation, NewParticipant, Shown},
};

type Answer = oneshot::Sender<Result<Accepted, Error>>;

/// Keeps what was published until a command takes it.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<Published>>>);

impl Outlet<Answer> for Outbox {
    async fn settle(&self, answers: Vec<Settled<Answer>>, entries: Vec<Published>) {
        self.0.lock().extend(entries);
        for settled in answers {
            let _ = settled.context.send(settled.outcome);
        }
    }
}

/// A process of a fleet.
struct Node {
    journal: Journal,
    appender: Appender<Answer>,
    published: Outbox,
}

impl Node {
    fn start(database: &Database) -> Self {
        let journal = Journal::new(database.clone(), Backplane::memory());
        let published = Outbox::default();
        Self {
            appender: Appender::start(&journal, published.clone()),
            journal,
            published,
        }
    }
}

/// One message of a batch, as a script names it.
pub(super) struct Send {
    pub(super) conversation: i64,
    /// A user, and their device after a slash.
    pub(super) sender: String,
    pub(super) client_msg_id: String,
    pub(super) body: String,
    pub(super) mime_type: String,
    pub(super) mentions: Vec<String>,
    pub(super) reply_to: i64,
    pub(super) corrects: i64,
}

pub(super) struct Harness {
    place: Place,
    database: Database,
    nodes: [Node; 2],
    /// Ids by name, in the order of appearance.
    users: Vec<String>,
    streams: BTreeMap<String, Arc<Stream>>,
    /// Entries of node 2 that node 1 has not heard of.
    unheard: Vec<Published>,
}

impl Harness {
    pub(super) async fn new(store: Store) -> Self {
        let place = store
            .place(async |url: String| {
                Database::open(&url).await?.close().await;
                Ok(())
            })
            .await;
        let database = Database::open(place.url()).await.unwrap();
        Self {
            nodes: [Node::start(&database), Node::start(&database)],
            place,
            database,
            users: Vec::new(),
            streams: BTreeMap::new(),
            unheard: Vec::new(),
        }
    }

    pub(super) async fn end(self) {
        for node in self.nodes {
            node.appender.end().await;
        }
        self.database.close().await;
    }

    /// Both nodes start again and remember nothing.
    pub(super) async fn restart(&mut self) {
        let nodes = [Node::start(&self.database), Node::start(&self.database)];
        for node in std::mem::replace(&mut self.nodes, nodes) {
            node.appender.end().await;
        }
    }

    fn user(&mut self, name: &str) -> UserId {
        let at = self.users.iter().position(|known| known == name);
        let at = at.unwrap_or_else(|| {
            self.users.push(name.to_owned());
            self.users.len() - 1
        });
        UserId::from_database(1 + at as i64)
    }

    fn message(&mut self, send: Send) -> NewMessage {
        let (user, _) = send.sender.split_once('/').unwrap_or((&send.sender, ""));
        NewMessage {
            conversation: ConversationId::from_database(send.conversation),
            sender: self.user(user),
            client_msg_id: send.client_msg_id,
            mime_type: send.mime_type,
            body: send.body.into_bytes().into(),
            mentions: send.mentions.iter().map(|name| self.user(name).get()).collect(),
            reply_to_seq: Seq::from_database(send.reply_to),
            corrects_seq: Seq::from_database(send.corrects),
            stream: Some(self.streams.entry(send.sender).or_default().clone()),
        }
    }

    /// Sends messages in one batch for each lane: all are submitted before a lane's task runs, on one thread.
    pub(super) async fn send(&mut self, node: usize, sends: Vec<Send>) -> Vec<Result<Accepted, Error>> {
        let messages: Vec<_> = sends.into_iter().map(|send| self.message(send)).collect();
        let mut waiting = Vec::new();
        for message in messages {
            let (answer, answered) = oneshot::channel();
            let submitted = self.nodes[node].appender.submit(message, answer);
            submitted.await.unwrap();
            waiting.push(answered);
        }
        let mut outcomes = Vec::new();
        for answered in waiting {
            outcomes.push(answered.await.unwrap());
        }
        outcomes
    }

    /// The seqs that a node has published since the last call, by conversation.
    pub(super) fn published(&mut self, node: usize) -> BTreeMap<i64, Vec<i64>> {
        let published = std::mem::take(&mut *self.nodes[node].published.0.lock());
        let mut seqs: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for entry in &published {
            let conversation = entry.conversation.get();
            seqs.entry(conversation).or_default().push(entry.seq.get());
        }
        if node == 1 {
            self.unheard.extend(published);
        }
        seqs
    }

    /// Node 1 hears of the entries of node 2.
    pub(super) fn hear(&mut self) {
        for entry in self.unheard.drain(..) {
            self.nodes[0].journal.heard(&entry);
        }
    }

    /// The user's device logs in again, with a new session.
    pub(super) fn log_in(&mut self, sender: &str) {
        self.streams.remove(sender);
    }

    pub(super) fn is_overrun(&self, sender: &str) -> bool {
        self.streams[sender].is_overrun()
    }

    pub(super) async fn create(&mut self, conversation: i64, participants: &[&str]) {
        let participants: Vec<_> = participants.iter().map(|named| self.participant(named)).collect();
        let new = NewConversation {
            id: ConversationId::from_database(conversation),
            kind: ConversationKind::Consult,
            consult_id: None,
            title: CONVERSATION_SEQUENCE.into(),
            participants,
        };
        let journal = self.nodes[0].journal.clone();
        let work = async move |tx: &mut database::Transaction<'_>| {
            journal
                .create_conversation(tx, new, UserId::from_database(1), 0)
                .await
        };
        let created: Result<_, Error> = self
            .database
            .transaction(move |tx| Box::pin(async move { work(tx).await }))
            .await;
        drop(created.unwrap());
    }

    fn participant(&mut self, named: &str) -> NewParticipant {
        let words: Vec<&str> = named.split(':').collect();
        let (name, role, history) = match words[..] {
            [name, role] => (name, role, Shown::All),
            [name, role, "now"] => (name, role, Shown::FromNow),
            _ => panic!("{named}"),
        };
        let role = match role {
            "patient" => Role::Patient,
            "doctor" => Role::Doctor,
            "assistant" => Role::Assistant,
            _ => panic!("{named}"),
        };
        NewParticipant {
            history,
            ..NewParticipant::new(self.user(name), role, name)
        }
    }

    /// Recalls a message through a node.
    pub(super) async fn recall(
        &mut self,
        node: usize,
        conversation: i64,
        by: &str,
        seq: i64,
    ) -> Result<Seq, Error> {
        let (by, conversation) = (self.user(by), ConversationId::from_database(conversation));
        let recalled = self.nodes[node]
            .journal
            .recall(conversation, by, Seq::from_database(seq), 0);
        let (seq, unpublished) = recalled.await?;
        if node == 1 {
            self.unheard.extend(unpublished.entries.iter().cloned());
        }
        Ok(seq)
    }

    /// The messages of a conversation that a user sees corrected, each with the newest correction.
    pub(super) async fn corrected(&mut self, conversation: i64, user: &str) -> BTreeMap<i64, i64> {
        let (user, conversation) = (self.user(user), ConversationId::from_database(conversation));
        let all = (Seq::ZERO, Seq::from_database(i64::MAX));
        let corrections = self.nodes[0].journal.corrections(conversation, user, all).await;
        let corrections = corrections.unwrap().into_iter();
        corrections
            .map(|(seq, by_seq)| (seq.get(), by_seq.get()))
            .collect()
    }

    /// Records an event as REST does, through a node.
    pub(super) async fn record(
        &mut self,
        node: usize,
        conversation: i64,
        name: &str,
        argument: &str,
    ) -> Result<Seq, Error> {
        let status = |open| {
            Event::Status(StatusEvent {
                status: String::new(),
                open,
                ..StatusEvent::default()
            })
        };
        let event = match name {
            "join" => Event::Joined(self.participant(argument)),
            "leave" => Event::Left(self.user(argument)),
            "open" => status(true),
            "close" => status(false),
            _ => Event::Vas(EntryKind::VasProposed, VasEvent::default()),
        };
        let journal = self.nodes[node].journal.clone();
        let conversation = ConversationId::from_database(conversation);
        let by = UserId::from_database(1);
        let recorded = self.database.transaction(move |tx| {
            Box::pin(async move { journal.record(tx, conversation, by, event, 0).await })
        });
        let recorded = recorded.await?;
        if node == 1 {
            self.unheard.extend(recorded.entries.iter().cloned());
        }
        Ok(recorded.last_seq().unwrap())
    }

    /// The database refuses messages from now on, or no more.
    pub(super) async fn set_broken(&self, is_broken: bool) {
        let (sqlite, postgres) = if is_broken {
            (
                "CREATE TRIGGER broken BEFORE INSERT ON entry WHEN NEW.kind = 1
                 BEGIN SELECT RAISE(ABORT, 'broken'); END",
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
                 CREATE TRIGGER broken BEFORE INSERT ON entry FOR EACH ROW WHEN (NEW.kind = 1)
                   EXECUTE FUNCTION broken()",
            )
        } else {
            (
                "DROP TRIGGER broken",
                "DROP TRIGGER broken ON entry; DROP FUNCTION broken",
            )
        };
        match self.database.engine() {
            Engine::Sqlite(engine) => {
                let done: Result<(), database::Error> = engine
                    .write(move |connection| Ok(connection.execute_batch(sqlite)?))
                    .await;
                done.unwrap();
            }
            Engine::Postgres(_) => {
                Postgres::shared().psql(self.place.database(), postgres).unwrap();
            }
        }
    }

    /// Whether each conversation is gap-free (I2); the first gap otherwise.
    pub(super) async fn judge(&self, conversations: &[i64]) -> Result<(), String> {
        for conversation in conversations {
            let id = ConversationId::from_database(*conversation);
            let journal = &self.nodes[0].journal;
            let last = journal.conversation(id).await.unwrap().unwrap().last_seq;
            let entries = journal.entries(id, Seq::ZERO, last, usize::MAX).await;
            let entries = entries.map_err(|error| error.to_string())?;
            let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq.get()).collect();
            if seqs != (1..=last.get()).collect::<Vec<_>>() {
                return Err(format!("conversation {conversation}: {seqs:?}"));
            }
        }
        Ok(())
    }
}
