//! A lane's connection and its prepared statements.

use std::time::{Duration, Instant};

use database::{
    Error as DatabaseError,
    postgres::{
        Postgres, Unconfirmed,
        citus::{Shards, Worker},
    },
};
use futures_util::future::try_join_all;
use proto::ConversationId;
use telemetry::events::journal::Event;
use tokio::time::{error::Elapsed, timeout};
use tokio_postgres::{Client, Row, Statement, types::ToSql};

use super::{
    call, correction,
    fate::{Fate, Trouble},
    media,
    worker::{Way, Workers},
};
use crate::{entry, sql::citus::ADD_MEDIUM};

const STANDING: &str = "SELECT id, open, last_seq FROM conversation WHERE id = ANY($1::BIGINT[])";

/// All spans of senders and mentioned users.
macro_rules! spans {
    () => {
        "SELECT p.conversation_id, p.user_id, p.role, COALESCE(p.sees_from_seq, p.from_seq), p.to_seq
    FROM UNNEST($1::BIGINT[], $2::BIGINT[]) AS wanted (conversation_id, user_id)
    JOIN participant p ON p.conversation_id = wanted.conversation_id AND p.user_id = wanted.user_id"
    };
}

const SPANS: &str = spans!();

/// The entries of client_msg_ids.
macro_rules! firsts {
    () => {
        "SELECT s.conversation_id, s.sender_id, s.client_msg_id, s.seq,
      e.mime_type, e.body, e.reply_to_seq, e.created_ms, e.extra, e.kind, e.corrects_seq, e.recalled, e.checksum
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[]) AS wanted (conversation_id, sender_id, client_msg_id)
    JOIN sent s ON s.conversation_id = wanted.conversation_id AND s.sender_id = wanted.sender_id
      AND s.client_msg_id = wanted.client_msg_id
    JOIN entry e ON e.conversation_id = s.conversation_id AND e.seq = s.seq"
    };
}

const FIRSTS: &str = firsts!();

/// $1 ids, $2 seen, $3 next, $4 now.
macro_rules! compare_and_set {
    () => {
        "UPDATE conversation c SET last_seq = wanted.next, claimed_seq = wanted.next, updated_ms = $4
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS wanted (id, seen, next)
    WHERE c.id = wanted.id AND c.last_seq = wanted.seen AND c.open RETURNING c.id"
    };
}

const COMPARE_AND_SET: &str = compare_and_set!();

/// A resend is answered from rows that may be visible but not safe: a backend that was terminated while its commit waited
/// for a standby leaves such rows. A write of our own waits for the standby, and so for them (invariant I1).
const TOUCH: &str = "UPDATE conversation SET claimed_seq = claimed_seq WHERE id = ANY($1::BIGINT[])";

const ENTRIES: &str = concat!(
    "INSERT INTO entry (",
    entry::columns!(),
    ") SELECT new.conversation_id, new.seq, new.sender_id, $9, $10, new.client_msg_id, new.mime_type, new.body,
         new.reply_to_seq, new.corrects_seq, new.extra, false, new.checksum
       FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::BYTEA[], $7::BIGINT[], $8::BYTEA[],
           $11::BIGINT[], $12::BIGINT[])
         AS new (conversation_id, seq, sender_id, client_msg_id, mime_type, body, reply_to_seq, extra, checksum,
           corrects_seq)"
);

const SENT: &str = "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
    SELECT new.conversation_id, new.sender_id, new.client_msg_id, new.seq
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::BIGINT[]) AS new (conversation_id, sender_id, client_msg_id, seq)";

/// [`COMPARE_AND_SET`], [`ENTRIES`] and [`SENT`] in one: writes the rows of the conversations that won.
const AT_ONCE: &str = concat!(
    "WITH won AS (",
    compare_and_set!(),
    "), written AS (INSERT INTO entry (",
    entry::columns!(),
    ") SELECT new.conversation_id, new.seq, new.sender_id, $13, $4, new.client_msg_id, new.mime_type, new.body,
         new.reply_to_seq, 0, new.extra, false, new.checksum
       FROM UNNEST($5::BIGINT[], $6::BIGINT[], $7::BIGINT[], $8::TEXT[], $9::TEXT[], $10::BYTEA[], $11::BIGINT[], $12::BYTEA[],
           $14::BIGINT[])
         AS new (conversation_id, seq, sender_id, client_msg_id, mime_type, body, reply_to_seq, extra, checksum)
       JOIN won ON won.id = new.conversation_id),
     claimed AS (INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
       SELECT new.conversation_id, new.sender_id, new.client_msg_id, new.seq
       FROM UNNEST($5::BIGINT[], $6::BIGINT[], $7::BIGINT[], $8::TEXT[]) AS new (conversation_id, seq, sender_id, client_msg_id)
       JOIN won ON won.id = new.conversation_id)
     SELECT id FROM won"
);

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[
    STANDING,
    SPANS,
    FIRSTS,
    COMPARE_AND_SET,
    TOUCH,
    ENTRIES,
    SENT,
    correction::FIND,
    correction::CORRECT,
    media::FIND,
    media::SEEN,
    media::LOCK,
    media::USE,
    media::WRITE,
    AT_ONCE,
];

/// The same where rows lie on several machines. Each table's conversations are named by themselves: Citus takes no machine
/// from a join.
pub(crate) const STATEMENTS_OF_MACHINES: &[&str] = &[
    STANDING,
    concat!(spans!(), " WHERE p.conversation_id = ANY($1)"),
    concat!(
        firsts!(),
        " WHERE s.conversation_id = ANY($1) AND e.conversation_id = ANY($1)"
    ),
    TOUCH,
    correction::FIND_ON_MACHINES,
    media::FIND,
    media::SEEN_ON_MACHINES,
    media::LOCK,
    media::USE,
    call::APPEND,
    ADD_MEDIUM,
];

/// Plans that suit any number of messages and any statistics: by index, in the order of the arrays, so that the rows of
/// conversations are locked in the order of their ids. A lock is not awaited for long: the whole batch would wait.
const SESSION: &str =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET lock_timeout = '500ms'";

/// A machine that has not answered by then is left alone for a while: longer than it waits for a locked row.
const ANSWER_LIMIT: Duration = Duration::from_millis(1500);

/// The machine of a conversation plans by the values: behind a generic plan it would keep another local plan for each call
/// (docs/decisions/0019-distributed.md).
const SESSION_OF_MACHINES: &str = "SET plan_cache_mode = force_custom_plan; SET lock_timeout = '500ms'";

/// A lane's connection, opened when it is needed.
pub(super) struct Link {
    postgres: Postgres,
    live: Option<Live>,
    /// Connections past the coordinator, where conversations lie on several machines.
    workers: Workers,
}

pub(super) struct Live {
    pub(super) client: Client,
    /// The machine of the conversation, where the coordinator is passed.
    pub(super) worker: Option<Worker>,
    pub(super) standing: Statement,
    pub(super) spans: Statement,
    pub(super) firsts: Statement,
    pub(super) touch: Statement,
    pub(super) originals: Statement,
    pub(super) media_find: Statement,
    pub(super) media_seen: Statement,
    pub(super) media_lock: Statement,
    pub(super) media_use: Statement,
    pub(super) writes: Writes,
    pub(super) unconfirmed: Unconfirmed,
}

/// How a batch is written.
pub(super) enum Writes {
    /// By statements of our own.
    Statements(Box<Statements>),
    /// By a call that the machine of the conversation runs.
    Call(Call),
}

pub(super) struct Call {
    pub(super) append: Statement,
    pub(super) add_medium: Statement,
}

pub(super) struct Statements {
    pub(super) compare_and_set: Statement,
    pub(super) entries: Statement,
    pub(super) sent: Statement,
    pub(super) correct: Statement,
    pub(super) media_write: Statement,
    /// `None` on a server that refuses a statement which writes to three tables.
    pub(super) at_once: Option<Statement>,
}

impl Link {
    pub(super) fn new(postgres: Postgres) -> Self {
        Self {
            postgres,
            live: None,
            workers: Workers::default(),
        }
    }

    /// The connection for a batch, to be returned with [`Self::keep`] unless its state is unknown. `direct` is its
    /// conversation, where all its rows lie on the machine of that.
    pub(super) async fn live_for(&mut self, direct: Option<ConversationId>) -> Result<Live, Trouble> {
        let Some(conversation) = direct.filter(|_| self.postgres.is_distributed()) else {
            return self.live().await;
        };
        let now = Instant::now();
        if self.workers.is_outdated(now)
            && let Ok(live) = self.live().await
        {
            // A coordinator that is away leaves the map as it is.
            if let Ok(Ok(shards)) = live.in_time(Shards::read(&live.client)).await {
                self.workers.learn(shards);
                self.keep(live);
            }
        }
        match self.workers.way(conversation, now) {
            Way::Coordinator => self.live().await,
            Way::Silent(worker) => Err(silent(&worker)),
            Way::Direct(worker) => match self.workers.take(&worker) {
                Some(live) => Ok(live),
                None => self.reach(worker).await,
            },
        }
    }

    /// A connection to a machine, or to the coordinator where there is none in time.
    async fn reach(&mut self, worker: Worker) -> Result<Live, Trouble> {
        let error = match self.postgres.connect_to(&worker).await {
            Ok(client) => match timeout(ANSWER_LIMIT, self.of_machines(client)).await {
                Ok(Ok(live)) => {
                    return Ok(Live {
                        worker: Some(worker),
                        ..live
                    });
                }
                _ => DatabaseError::Unavailable("it does not prepare the statements of messages".into()),
            },
            Err(error) => error,
        };
        let (host, port) = (worker.host.as_str(), worker.port);
        Event::MachineUnreachable {
            host,
            port,
            error: &error,
        }
        .emit();
        self.workers.avoid(worker, Instant::now());
        self.live().await
    }

    /// The connection did not answer in time: nothing more is asked of its machine for a while.
    pub(super) fn drop_silent(&mut self, live: Live) -> Trouble {
        match live.worker {
            Some(worker) => {
                let trouble = silent(&worker);
                self.workers.leave_alone(worker, Instant::now());
                trouble
            }
            None => Trouble::MachineAway(DatabaseError::Unavailable(
                "the coordinator does not answer".into(),
            )),
        }
    }

    async fn live(&mut self) -> Result<Live, Trouble> {
        if let Some(live) = self.live.take().filter(|live| !live.client.is_closed()) {
            return Ok(live);
        }
        let client = match self.postgres.connect().await {
            Ok(client) => client,
            Err(error) => return Err(Trouble::Away(error)),
        };
        match self.postgres.is_distributed() {
            true => self.of_machines(client).await,
            false => self.of_one_server(client).await,
        }
    }

    async fn of_machines(&self, client: Client) -> Result<Live, Trouble> {
        set(&client, SESSION_OF_MACHINES).await?;
        let prepared = STATEMENTS_OF_MACHINES.iter().map(|sql| client.prepare(sql));
        let [
            standing,
            spans,
            firsts,
            touch,
            originals,
            media_find,
            media_seen,
            media_lock,
            media_use,
            append,
            add_medium,
        ] = all(prepared).await?;
        Ok(Live {
            worker: None,
            standing,
            spans,
            firsts,
            touch,
            originals,
            media_find,
            media_seen,
            media_lock,
            media_use,
            writes: Writes::Call(Call { append, add_medium }),
            unconfirmed: self.postgres.unconfirmed().clone(),
            client,
        })
    }

    async fn of_one_server(&self, client: Client) -> Result<Live, Trouble> {
        set(&client, SESSION).await?;
        let everywhere = STATEMENTS.iter().filter(|sql| **sql != AT_ONCE);
        let [
            standing,
            spans,
            firsts,
            compare_and_set,
            touch,
            entries,
            sent,
            originals,
            correct,
            media_find,
            media_seen,
            media_lock,
            media_use,
            media_write,
        ] = all(everywhere.map(|sql| client.prepare(sql))).await?;
        // A server that refuses it gets the other statements.
        let at_once = client.prepare(AT_ONCE).await;
        let at_once = at_once
            .inspect_err(|error| Event::WritesInParts { error }.emit())
            .ok();
        Ok(Live {
            worker: None,
            standing,
            spans,
            firsts,
            touch,
            originals,
            media_find,
            media_seen,
            media_lock,
            media_use,
            writes: Writes::Statements(Box::new(Statements {
                compare_and_set,
                entries,
                sent,
                correct,
                media_write,
                at_once,
            })),
            unconfirmed: self.postgres.unconfirmed().clone(),
            client,
        })
    }

    /// Reports the outcome of a batch to readiness and the log.
    pub(super) fn report(&self, outcome: Result<(), &DatabaseError>) {
        self.postgres.report(outcome);
    }

    pub(super) fn keep(&mut self, live: Live) {
        match live.worker.clone() {
            Some(worker) => self.workers.keep(worker, live),
            None => self.live = Some(live),
        }
    }
}

/// Statements that are prepared together.
async fn all<const N: usize>(
    preparing: impl Iterator<Item = impl Future<Output = Result<Statement, tokio_postgres::Error>>>,
) -> Result<[Statement; N], Trouble> {
    let prepared = try_join_all(preparing).await;
    let prepared = prepared.map_err(|error| Trouble::from(&error))?;
    let missing = |_| Trouble::Away(DatabaseError::Unavailable("statements are missing".into()));
    prepared.try_into().map_err(missing)
}

/// A machine that was left alone, or fell silent just now.
fn silent(worker: &Worker) -> Trouble {
    let (host, port) = (&worker.host, worker.port);
    Trouble::MachineAway(DatabaseError::Unavailable(format!(
        "{host}:{port} does not answer"
    )))
}

async fn set(client: &Client, session: &str) -> Result<(), Trouble> {
    let set = client.batch_execute(session).await;
    set.map_err(|error| Trouble::from(&error))
}

impl Live {
    /// The rows of a statement; none, at no cost, when it has no keys.
    pub(super) async fn query_unless(
        &self,
        skip: bool,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        if skip {
            return Ok(Vec::new());
        }
        self.client.query(statement, params).await
    }

    /// Why a statement that reads failed.
    pub(super) fn trouble(&self, error: &tokio_postgres::Error) -> Trouble {
        match self.writes {
            Writes::Call(_) => self.of_machine(Trouble::on_machines(error)),
            Writes::Statements(_) => Trouble::from(error),
        }
    }

    /// Whether a failed call that commits by itself has written.
    pub(super) fn fate(&self, error: &tokio_postgres::Error) -> Fate {
        self.fate_of(Fate::of_call(error))
    }

    pub(super) fn fate_of(&self, fate: Fate) -> Fate {
        match fate {
            Fate::NotWritten(trouble) => Fate::NotWritten(self.of_machine(trouble)),
            Fate::Unknown(trouble) => Fate::Unknown(self.of_machine(trouble)),
        }
    }

    /// A connection past the coordinator says nothing of any other machine.
    fn of_machine(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Away(error) if self.worker.is_some() => Trouble::MachineAway(error),
            other => other,
        }
    }

    /// How long an answer is awaited before the conversations of other machines have their turn. On one server nothing else
    /// has.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        match self.writes {
            Writes::Call(_) => timeout(ANSWER_LIMIT, work).await,
            Writes::Statements(_) => Ok(work.await),
        }
    }

    /// Ends an aborted transaction. Whether the connection is still usable.
    pub(super) async fn roll_back(&self) -> bool {
        self.client.batch_execute("ROLLBACK").await.is_ok()
    }
}
