//! Statements on a database that no other program uses, for commands of an operator.

use std::time::{Duration, Instant};

use super::Postgres;
use crate::Error;

/// How long connections that are just ending are waited for, and how often they are counted.
const PATIENCE: Duration = Duration::from_secs(5);
const COUNT_EVERY: Duration = Duration::from_millis(500);

/// Statements here may take long.
const SESSION: &str = "SET idle_in_transaction_session_timeout = 0";

const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND backend_type = 'client backend' AND application_name = current_setting('application_name')
    AND pid <> pg_backend_pid()";

impl Postgres {
    /// Runs statements in one transaction, however long they take, while no other program of the fleet is connected.
    ///
    /// # Errors
    /// [`Error::Backup`] when one is; else as the engine says.
    pub async fn rewrite(&self, statements: &[String]) -> Result<(), Error> {
        let client = self.connect().await?;
        client.batch_execute(SESSION).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let others: i64 = client.query_one(OTHERS, &[]).await?.get(0);
            if others == 0 {
                break;
            }
            if Instant::now() > deadline {
                return Err(Error::Backup(format!(
                    "the database is in use: {others} connections of Huizhen's programs are open; stop them first"
                )));
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
        client.batch_execute("BEGIN READ WRITE").await?;
        for sql in statements {
            client.batch_execute(sql).await?;
        }
        Ok(client.batch_execute("COMMIT").await?)
    }
}
