//! Proves the books past the servers, by statements of its own: from PostgreSQL, or from the file of a server that has ended.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};
use tokio_postgres::{Client, NoTls};

/// A movement that was acknowledged: kind and cause of its transfer.
pub(super) type Posted = (&'static str, String);

/// Where the books lie.
#[derive(Debug)]
pub(super) enum Books {
    /// A file; no server has it open.
    File(Connection),
    /// A database of PostgreSQL.
    Server(Client),
}

/// The findings.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Transfers.
    pub(super) transfers: i64,
    /// Postings.
    pub(super) postings: i64,
    /// Guarded accounts.
    pub(super) accounts: i64,
    /// Broken rules, in words.
    pub(super) faults: Vec<String>,
}

/// Faults, and the statement that counts each.
const RULES: [(&str, &str); 9] = [
    (
        "transfers do not sum to zero",
        "SELECT count(*) FROM (SELECT transfer_id FROM posting GROUP BY transfer_id HAVING sum(amount_fen) <> 0) t",
    ),
    (
        "transfers have fewer than two postings",
        "SELECT count(*) FROM transfer t WHERE (SELECT count(*) FROM posting p WHERE p.transfer_id = t.id) < 2",
    ),
    (
        "postings have no transfer",
        "SELECT count(*) FROM posting p WHERE NOT EXISTS (SELECT 1 FROM transfer t WHERE t.id = p.transfer_id)",
    ),
    (
        "accounts are below zero",
        "SELECT count(*) FROM ledger_account WHERE balance_fen < 0",
    ),
    (
        "accounts were below zero",
        "SELECT count(*) FROM posting WHERE balance_after_fen < 0",
    ),
    (
        "balances are not the sum of their postings",
        "SELECT count(*) FROM ledger_account a WHERE balance_fen <>
             (SELECT coalesce(sum(p.amount_fen), 0) FROM posting p WHERE p.account = a.account)",
    ),
    (
        "balances are not those after their last posting",
        "SELECT count(*) FROM ledger_account a WHERE NOT EXISTS (SELECT 1 FROM posting p WHERE p.account = a.account
             AND p.place = a.postings AND p.balance_after_fen = a.balance_fen)",
    ),
    (
        "accounts have a gap in the places of their postings",
        "SELECT count(*) FROM ledger_account a WHERE postings <>
             (SELECT count(*) FROM posting p WHERE p.account = a.account)",
    ),
    (
        "fen are in the sum of all postings",
        "SELECT CAST(coalesce(sum(amount_fen), 0) AS BIGINT) FROM posting",
    ),
];

/// A kind of transfer, the words before its cause's id, and the rows that cause it.
const CAUSES: [(&str, &str, &str); 9] = [
    (
        "top_up",
        "order:",
        "payment_order c WHERE c.state = 'paid' AND c.id",
    ),
    ("begin", "consult:", "consult_charge c WHERE c.consult_id"),
    (
        "finish",
        "consult:",
        "consult_charge c WHERE c.state = 'earned' AND c.consult_id",
    ),
    (
        "cancel",
        "consult:",
        "consult_charge c WHERE c.state = 'returned' AND c.consult_id",
    ),
    (
        "vas",
        "vas:",
        "vas c WHERE c.state = 'confirmed' AND c.commission_per_mille IS NOT NULL AND c.id",
    ),
    ("refund", "refund:", "refund c WHERE c.id"),
    ("withdrawal", "withdrawal:", "withdrawal c WHERE c.id"),
    ("pay_back", "pay_back:", "payment_refund c WHERE c.id"),
    (
        "credit",
        "credit:",
        "credit c WHERE c.state = 'approved' AND c.id",
    ),
];

impl Books {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn file(path: &Path) -> Result<Self> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self::File(connection))
    }

    /// Connects to a database by its URL.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn server(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self::Server(client))
    }

    /// Tries every rule, and looks each acknowledged movement up.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub(super) async fn prove(&self, posted: &[Posted]) -> Result<Proof> {
        let mut proof = Proof {
            transfers: self.number("SELECT count(*) FROM transfer").await?,
            postings: self.number("SELECT count(*) FROM posting").await?,
            accounts: self.number("SELECT count(*) FROM ledger_account").await?,
            faults: Vec::new(),
        };
        for (what, sql) in RULES {
            let count = self.number(sql).await?;
            if count != 0 {
                proof.faults.push(format!("{count} {what}"));
            }
        }
        for (kind, prefix, rows) in CAUSES {
            for (what, sql) in [
                ("have no cause", without_cause(kind, prefix, rows)),
                ("are missing", without_transfer(kind, prefix, rows)),
            ] {
                let count = self.number(&sql).await?;
                if count != 0 {
                    proof
                        .faults
                        .push(format!("{count} transfers of kind {kind} {what}"));
                }
            }
        }
        let known = self.transfers().await?;
        let missing = posted
            .iter()
            .filter(|(kind, cause)| !known.contains(&((*kind).to_owned(), cause.clone())));
        for (kind, cause) in missing.take(10) {
            proof
                .faults
                .push(format!("{kind} of {cause} was acknowledged, and was not posted"));
        }
        Ok(proof)
    }

    async fn number(&self, sql: &str) -> Result<i64> {
        Ok(match self {
            Self::File(connection) => connection.query_row(sql, [], |row| row.get(0))?,
            Self::Server(client) => client.query_one(sql, &[]).await?.try_get(0)?,
        })
    }

    async fn transfers(&self) -> Result<HashSet<(String, String)>> {
        const ALL: &str = "SELECT kind, cause FROM transfer";
        match self {
            Self::File(connection) => {
                let mut statement = connection.prepare(ALL)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Self::Server(client) => {
                let rows = client.query(ALL, &[]).await?;
                Ok(rows
                    .iter()
                    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                    .collect::<Result<_, tokio_postgres::Error>>()?)
            }
        }
    }
}

/// Counts transfers whose cause is not there.
fn without_cause(kind: &str, prefix: &str, rows: &str) -> String {
    let from = prefix.len() + 1;
    format!(
        "SELECT count(*) FROM transfer t WHERE t.kind = '{kind}' AND NOT EXISTS
             (SELECT 1 FROM {rows} = CAST(substr(t.cause, {from}) AS BIGINT))"
    )
}

/// Counts causes that should have moved money, and did not.
fn without_transfer(kind: &str, prefix: &str, rows: &str) -> String {
    // The last word is the id; what stands before it is the condition.
    let (rows, id) = rows.rsplit_once(' ').unwrap_or_default();
    let rows = rows.trim_end_matches(" AND").trim_end_matches(" WHERE");
    let and = if rows.contains(" WHERE ") { "AND" } else { "WHERE" };
    let price = match kind {
        "begin" | "finish" | "cancel" => "AND c.price_fen > 0",
        "vas" => "AND c.price_fen > 0",
        _ => "",
    };
    format!(
        "SELECT count(*) FROM {rows} {and} NOT EXISTS
             (SELECT 1 FROM transfer t WHERE t.kind = '{kind}' AND t.cause = '{prefix}' || CAST({id} AS TEXT)) {price}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIGRATION: &str = include_str!("../../../../../fleet/database/migrations/V16__ledger.sql");

    /// The tables of money, with two transfers of a confirmed service of 100 fen.
    fn books() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE vas (id BIGINT PRIMARY KEY, team_id BIGINT, doctor_id BIGINT, state TEXT, price_fen BIGINT);
                 CREATE TABLE consult (id BIGINT PRIMARY KEY, team_id BIGINT);
                 CREATE TABLE audit (id BIGINT PRIMARY KEY);",
            )
            .unwrap();
        connection.execute_batch(MIGRATION).unwrap();
        connection
            .execute_batch(
                "INSERT INTO credit VALUES (1, 7, 300, 'r', 'approved', 1, 1, 2, 2);
                 INSERT INTO transfer (id, kind, cause, month, created_ms) VALUES (1, 'credit', 'credit:1', 202612, 1);
                 INSERT INTO posting VALUES (1, 0, 'outside:hand', -300, NULL, NULL, 202612),
                                            (1, 1, 'wallet:7', 300, 300, 1, 202612);
                 INSERT INTO vas (id, state, price_fen, commission_per_mille) VALUES (5, 'confirmed', 100, 100);
                 INSERT INTO transfer (id, kind, cause, month, created_ms) VALUES (2, 'vas', 'vas:5', 202612, 2);
                 INSERT INTO posting VALUES (2, 0, 'income:4', 90, 90, 1, 202612), (2, 1, 'platform', 10, NULL, NULL, 202612),
                                            (2, 2, 'wallet:7', -100, 200, 2, 202612);
                 INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings)
                     VALUES ('wallet:7', 'wallet', 7, 0, 200, 2), ('income:4', 'income', 4, 0, 90, 1);",
            )
            .unwrap();
        connection
    }

    async fn faults(spoiled: &str) -> Vec<String> {
        let connection = books();
        connection.execute_batch(spoiled).unwrap();
        let posted = [("vas", "vas:5".to_owned()), ("credit", "credit:1".to_owned())];
        Books::File(connection).prove(&posted).await.unwrap().faults
    }

    #[tokio::test]
    async fn whole_books_are_proven_and_each_spoiling_is_found() {
        assert_eq!(faults("").await, Vec::<String>::new());
        for (spoiled, found) in [
            (
                "UPDATE posting SET amount_fen = 91 WHERE account = 'income:4'",
                "sum to zero",
            ),
            (
                "DELETE FROM posting WHERE transfer_id = 1 AND line = 0",
                "fewer than two",
            ),
            ("DELETE FROM transfer WHERE id = 2", "have no transfer"),
            ("DELETE FROM transfer WHERE id = 2", "was acknowledged"),
            ("DELETE FROM transfer WHERE id = 2", "of kind vas are missing"),
            (
                "UPDATE posting SET balance_after_fen = -1 WHERE line = 2",
                "were below zero",
            ),
            (
                "UPDATE ledger_account SET balance_fen = 201 WHERE kind = 'wallet'",
                "sum of their postings",
            ),
            (
                "UPDATE ledger_account SET balance_fen = 201 WHERE kind = 'wallet'",
                "last posting",
            ),
            (
                "UPDATE ledger_account SET postings = 3 WHERE kind = 'wallet'",
                "gap",
            ),
            ("UPDATE vas SET state = 'proposed'", "of kind vas have no cause"),
            ("DELETE FROM credit", "of kind credit have no cause"),
            (
                "DELETE FROM posting WHERE account = 'platform'",
                "in the sum of all",
            ),
        ] {
            let faults = faults(spoiled).await;
            assert!(
                faults.iter().any(|fault| fault.contains(found)),
                "{spoiled}: {faults:?}"
            );
        }
    }
}
