//! A lane's connection and its prepared statements.

use database::{
    Error as DatabaseError,
    postgres::{Postgres, Unconfirmed},
};
use futures_util::future::try_join_all;
use telemetry::events::journal::Event;
use tokio_postgres::{Client, Row, Statement, types::ToSql};

use super::fate::Trouble;
use crate::entry;

const STANDING: &str = "SELECT id, open, last_seq FROM conversation WHERE id = ANY($1::BIGINT[])";

/// All spans of senders and mentioned users.
const SPANS: &str = "SELECT p.conversation_id, p.user_id, p.role, p.from_seq, p.to_seq
    FROM UNNEST($1::BIGINT[], $2::BIGINT[]) AS wanted (conversation_id, user_id)
    JOIN participant p ON p.conversation_id = wanted.conversation_id AND p.user_id = wanted.user_id";

/// The entries of client_msg_ids.
const FIRSTS: &str = "SELECT s.conversation_id, s.sender_id, s.client_msg_id, s.seq,
      e.mime_type, e.body, e.reply_to_seq, e.created_ms, e.extra, e.kind, e.corrects_seq, e.recalled, e.checksum
    FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[]) AS wanted (conversation_id, sender_id, client_msg_id)
    JOIN sent s ON s.conversation_id = wanted.conversation_id AND s.sender_id = wanted.sender_id
      AND s.client_msg_id = wanted.client_msg_id
    JOIN entry e ON e.conversation_id = s.conversation_id AND e.seq = s.seq";

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
         new.reply_to_seq, 0, new.extra, false, new.checksum
       FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::BYTEA[], $7::BIGINT[], $8::BYTEA[],
           $11::BIGINT[])
         AS new (conversation_id, seq, sender_id, client_msg_id, mime_type, body, reply_to_seq, extra, checksum)"
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
    AT_ONCE,
];

/// Plans that suit any number of messages and any statistics: by index, in the order of the arrays, so that the rows of
/// conversations are locked in the order of their ids. A lock is not awaited for long: the whole batch would wait.
const SESSION: &str =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET lock_timeout = '500ms'";

/// A lane's connection, opened when it is needed.
pub(super) struct Link {
    postgres: Postgres,
    live: Option<Live>,
}

pub(super) struct Live {
    pub(super) client: Client,
    pub(super) standing: Statement,
    pub(super) spans: Statement,
    pub(super) firsts: Statement,
    pub(super) compare_and_set: Statement,
    pub(super) touch: Statement,
    pub(super) entries: Statement,
    pub(super) sent: Statement,
    /// `None` on a distributed server: it runs no statement that writes to three tables.
    pub(super) at_once: Option<Statement>,
    pub(super) unconfirmed: Unconfirmed,
}

impl Link {
    pub(super) fn new(postgres: Postgres) -> Self {
        Self { postgres, live: None }
    }

    /// The connection, to be returned with [`Self::keep`] unless its state is unknown.
    pub(super) async fn live(&mut self) -> Result<Live, Trouble> {
        if let Some(live) = self.live.take().filter(|live| !live.client.is_closed()) {
            return Ok(live);
        }
        let client = match self.postgres.connect().await {
            Ok(client) => client,
            Err(error) => return Err(Trouble::Away(error)),
        };
        client
            .batch_execute(SESSION)
            .await
            .map_err(|error| Trouble::from(&error))?;
        let everywhere = STATEMENTS.iter().filter(|sql| **sql != AT_ONCE);
        let statements = try_join_all(everywhere.map(|sql| client.prepare(sql))).await;
        let mut statements = statements.map_err(|error| Trouble::from(&error))?.into_iter();
        let at_once = match self.postgres.is_distributed() {
            true => None,
            // A server that refuses it gets the other statements.
            false => client
                .prepare(AT_ONCE)
                .await
                .inspect_err(|error| Event::WritesInParts { error }.emit())
                .ok(),
        };
        let mut next = || {
            statements
                .next()
                .ok_or_else(|| Trouble::Away(DatabaseError::Unavailable("statements are missing".into())))
        };
        Ok(Live {
            standing: next()?,
            spans: next()?,
            firsts: next()?,
            compare_and_set: next()?,
            touch: next()?,
            entries: next()?,
            sent: next()?,
            at_once,
            unconfirmed: self.postgres.unconfirmed().clone(),
            client,
        })
    }

    /// Reports the outcome of a batch to readiness and the log.
    pub(super) fn report(&self, outcome: Result<(), &DatabaseError>) {
        self.postgres.report(outcome);
    }

    pub(super) fn keep(&mut self, live: Live) {
        self.live = Some(live);
    }
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

    /// Ends an aborted transaction. Whether the connection is still usable.
    pub(super) async fn roll_back(&self) -> bool {
        self.client.batch_execute("ROLLBACK").await.is_ok()
    }
}
