//! A journal on a database of its own, and short words for what tests do with it.

use std::{ops::Deref, sync::Arc};

use backplane::Backplane;
use bytes::Bytes;
use database::{Database, Engine};
use journal::{
    Entry, Error, Journal, Published,
    append::{Accepted, Appender, NewMessage, Outlet, Settled},
    history::Direction,
    record::{Event, NewConversation, NewParticipant, Shown},
};
use parking_lot::Mutex;
use proto::{
    ConversationId, Seq, UserId,
    wire::{ConversationKind, EntryKind, Role, StatusEvent, VasEvent},
};
use testkit::{
    citus::{self, StandIn},
    postgres::Postgres,
    store::{Place, Store},
};
use tokio::sync::oneshot;

/// The participants of most tests.
pub(crate) const PAIR: [(i64, Role); 2] = [(1, Role::Patient), (2, Role::Doctor)];

pub(crate) type Answer = oneshot::Sender<Result<Accepted, Error>>;

/// Answers senders and keeps what was published.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) published: Arc<Mutex<Vec<Published>>>,
}

impl Outlet<Answer> for Ledger {
    async fn settle(&self, answers: Vec<Settled<Answer>>, entries: Vec<Published>) {
        self.published.lock().extend(entries);
        for settled in answers {
            // A test may have dropped the receiver.
            let _ = settled.context.send(settled.outcome);
        }
    }
}

pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) journal: Journal,
    pub(crate) appender: Appender<Answer>,
    pub(crate) ledger: Ledger,
}

pub(crate) fn user(id: i64) -> UserId {
    UserId::from_database(id)
}

pub(crate) fn seq(seq: i64) -> Seq {
    Seq::from_database(seq)
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

pub(crate) fn text(conversation: ConversationId, sender: i64, client_msg_id: &str, body: &str) -> NewMessage {
    NewMessage {
        conversation,
        sender: user(sender),
        client_msg_id: client_msg_id.to_owned(),
        mime_type: "text/plain".into(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        mentions: Vec::new(),
        reply_to_seq: Seq::ZERO,
        corrects_seq: Seq::ZERO,
        stream: None,
    }
}

pub(crate) fn duplicate_of(outcome: Result<Accepted, Error>, seq: i64) {
    let accepted = outcome.unwrap();
    assert_eq!((accepted.seq.get(), accepted.duplicate), (seq, true));
}

/// The field that a refusal names.
pub(crate) fn refused_field(outcome: &Result<Accepted, Error>) -> &'static str {
    match outcome {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn is_away(outcome: &Result<Accepted, Error>) -> bool {
    use database::Error::{Machine, Unavailable};
    matches!(outcome, Err(Error::Database(Unavailable(_) | Machine(_))))
}

pub(crate) fn participant(id: i64, role: Role) -> NewParticipant {
    NewParticipant::new(user(id), role, format!("user {id}"))
}

/// The same, who sees nothing of before.
pub(crate) fn newcomer(id: i64, role: Role) -> NewParticipant {
    NewParticipant {
        history: Shown::FromNow,
        ..participant(id, role)
    }
}

pub(crate) fn status(open: bool) -> Event {
    Event::Status(StatusEvent {
        status: if open { "in_process" } else { "finished" }.into(),
        open,
        ..StatusEvent::default()
    })
}

pub(crate) fn card() -> Event {
    Event::Vas(
        EntryKind::VasProposed,
        VasEvent {
            vas_id: 1,
            ..VasEvent::default()
        },
    )
}

impl World {
    pub(crate) async fn new(store: Store) -> Self {
        Self::on(store.place(migrated).await).await
    }

    /// On what is there.
    pub(crate) async fn on(place: Place) -> Self {
        let database = Database::open(place.url()).await.unwrap();
        let journal = Journal::new(database, Backplane::memory());
        let ledger = Ledger::default();
        let appender = Appender::start(&journal, ledger.clone());
        Self {
            place,
            journal,
            appender,
            ledger,
        }
    }

    /// Ends everything in order.
    pub(crate) async fn end(self) -> Place {
        self.appender.end().await;
        self.journal.database().close().await;
        self.place
    }

    /// Ends everything and begins on the same database again, as a restart does.
    pub(crate) async fn reopen(self) -> Self {
        Self::on(self.end().await).await
    }

    /// A conversation of these participants, who join in this order.
    pub(crate) async fn conversation(&self, participants: &[(i64, Role)]) -> ConversationId {
        let id = self
            .journal
            .database()
            .allocate_id(journal::record::CONVERSATION_SEQUENCE)
            .await
            .unwrap();
        let new = NewConversation {
            id: ConversationId::from_database(id),
            kind: ConversationKind::Consult,
            consult_id: Some(id),
            title: "a consult".into(),
            participants: participants
                .iter()
                .map(|(id, role)| participant(*id, *role))
                .collect(),
        };
        let journal = self.journal.clone();
        let unpublished = self
            .journal
            .database()
            .transaction(move |tx| {
                Box::pin(async move { journal.create_conversation(tx, new, user(1), now_ms()).await })
            })
            .await
            .unwrap();
        self.journal.publish(unpublished);
        ConversationId::from_database(id)
    }

    pub(crate) async fn send(&self, message: NewMessage) -> Result<Accepted, Error> {
        let (answer, answered) = oneshot::channel();
        self.appender.submit(message, answer).await.unwrap();
        answered.await.unwrap()
    }

    /// Sends that go into as few batches as can be: they are submitted before anything of them is awaited.
    pub(crate) async fn send_all(&self, messages: Vec<NewMessage>) -> Vec<Result<Accepted, Error>> {
        let mut waiting = Vec::new();
        for message in messages {
            let (answer, answered) = oneshot::channel();
            self.appender.submit(message, answer).await.unwrap();
            waiting.push(answered);
        }
        let mut outcomes = Vec::new();
        for answered in waiting {
            outcomes.push(answered.await.unwrap());
        }
        outcomes
    }

    pub(crate) async fn record(&self, conversation: ConversationId, event: Event) -> Result<Seq, Error> {
        record(&self.journal, conversation, event).await
    }

    pub(crate) async fn last_seq(&self, conversation: ConversationId) -> i64 {
        let conversation = self.journal.conversation(conversation).await.unwrap();
        conversation.unwrap().last_seq.get()
    }

    /// All entries of a conversation; seqs are 1, 2, 3 … to `last_seq` (I2).
    pub(crate) async fn all(&self, conversation: ConversationId) -> Vec<Entry> {
        let entries = self
            .journal
            .entries(conversation, Seq::ZERO, seq(i64::MAX), usize::MAX)
            .await
            .unwrap();
        let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq.get()).collect();
        let last = self.last_seq(conversation).await;
        assert_eq!(
            seqs,
            (1..=last).collect::<Vec<_>>(),
            "gap-free up to last_seq (I2)"
        );
        self.index_sizes(conversation).await;
        entries
    }

    /// On SQLite every entry of a conversation is either in both indexes, or in the chain of unindexed entries:
    /// how many there are of each. On a server all are in the indexes.
    pub(crate) async fn index_sizes(&self, conversation: ConversationId) -> (i64, i64) {
        let number = async |sql: &'static str| -> i64 {
            let row = self
                .journal
                .database()
                .query_first(sql, database::params![conversation.get()]);
            row.await.unwrap().unwrap().get(0).unwrap()
        };
        if let Engine::Postgres(_) = self.journal.database().engine() {
            return (self.last_seq(conversation).await, 0);
        }
        let last = self.last_seq(conversation).await;
        let indexed_seq = number("SELECT claimed_seq FROM conversation WHERE id = $1").await;
        let indexed = "SELECT count(*) FROM entry_index i JOIN entry e ON e.id = i.entry_id
            WHERE i.conversation_id = $1 AND e.conversation_id = $1 AND e.seq = i.seq AND e.seq <=
              (SELECT claimed_seq FROM conversation WHERE id = $1)";
        assert_eq!(number(indexed).await, indexed_seq);
        assert_eq!(
            number("SELECT count(*) FROM entry_index WHERE conversation_id = $1").await,
            indexed_seq
        );
        let sent = "SELECT count(*) FROM entry_index i JOIN entry e ON e.id = i.entry_id JOIN sent s
              ON s.conversation_id = e.conversation_id AND s.sender_id = e.sender_id
              AND s.client_msg_id = e.client_msg_id AND s.seq = e.seq
            WHERE i.conversation_id = $1";
        let messages = "SELECT count(*) FROM entry_index i JOIN entry e ON e.id = i.entry_id
            WHERE i.conversation_id = $1 AND e.kind = 1 AND e.client_msg_id <> ''";
        assert_eq!(number(sent).await, number(messages).await);
        assert_eq!(
            number("SELECT count(*) FROM sent WHERE conversation_id = $1").await,
            number(messages).await
        );
        let chain = "WITH RECURSIVE chain (id, previous_id, seq, at) AS (
              SELECT e.id, e.previous_id, e.seq, c.last_seq FROM conversation c JOIN entry e ON e.id = c.unclaimed_entry_id
                WHERE c.id = $1 AND e.conversation_id = $1
              UNION ALL SELECT e.id, e.previous_id, e.seq, chain.at - 1 FROM chain JOIN entry e ON e.id = chain.previous_id
                WHERE e.conversation_id = $1)
            SELECT count(*) FROM chain WHERE seq = at";
        assert_eq!(number(chain).await, last - indexed_seq);
        (indexed_seq, last - indexed_seq)
    }

    pub(crate) async fn seen_by(&self, conversation: ConversationId, person: i64) -> Vec<i64> {
        let page = self
            .journal
            .history(conversation, user(person), Direction::After(Seq::ZERO), 10_000)
            .await;
        match page {
            Ok(page) => page.entries.iter().map(|entry| entry.seq.get()).collect(),
            Err(Error::NoAccess) => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs statements past everything that knows better, in the words of the engine.
    pub(crate) async fn execute(&self, on_sqlite: &'static str, on_postgres: &'static str) {
        match self.journal.database().engine() {
            Engine::Sqlite(sqlite) => {
                let outcome: Result<(), database::Error> = sqlite
                    .write(move |connection| Ok(connection.execute_batch(on_sqlite)?))
                    .await;
                outcome.unwrap();
            }
            Engine::Postgres(_) => {
                Postgres::shared()
                    .psql(self.place.database(), on_postgres)
                    .unwrap();
            }
        }
    }
}

/// A server's database as if conversations lay on several machines: then a batch is written by a call of a function.
pub(crate) fn distributed(url: &str) -> Place {
    Place::on_server(citus::distributed(url))
}

/// A journal behind a server that refuses what Citus refuses. Its end demands that nothing was.
pub(crate) struct Spread {
    pub(crate) world: World,
    pub(crate) stand_in: StandIn,
}

impl Spread {
    pub(crate) async fn new() -> Self {
        let place = Store::Postgres.place(migrated).await;
        let stand_in = StandIn::start(Postgres::shared().port()).unwrap();
        let world = World::on(Place::on_server(stand_in.url(place.database()))).await;
        Self { world, stand_in }
    }
}

impl Deref for Spread {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Drop for Spread {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let (refused, copied) = (self.stand_in.take_refused(), self.stand_in.take_copied());
            assert!(
                refused.is_empty() && copied.is_empty(),
                "{refused:#?} {copied:#?}"
            );
        }
    }
}

/// Makes the database that those of the tests are copies of. A server's has the functions, too.
pub(crate) async fn migrated(url: String) -> anyhow::Result<()> {
    Database::open(&url).await?.close().await;
    if url.starts_with("postgres") {
        let placed =
            database::postgres::Postgres::distribute(&citus::distributed(&url), journal::citus::FUNCTIONS)
                .await?;
        assert!(placed.is_empty(), "one machine has no places");
    }
    Ok(())
}

pub(crate) async fn record(
    journal: &Journal,
    conversation: ConversationId,
    event: Event,
) -> Result<Seq, Error> {
    record_by(journal, conversation, 1, event).await
}

pub(crate) async fn record_by(
    journal: &Journal,
    conversation: ConversationId,
    by: i64,
    event: Event,
) -> Result<Seq, Error> {
    let inner = journal.clone();
    let unpublished = journal
        .database()
        .transaction(move |tx| {
            Box::pin(async move { inner.record(tx, conversation, user(by), event, now_ms()).await })
        })
        .await?;
    let last = unpublished.last_seq().unwrap();
    journal.publish(unpublished);
    Ok(last)
}
