//! Runs the steps of the schema one statement at a time. Citus passes the text of a change on as it came, and no machine takes
//! a text of two statements.

use refinery::Migration;
use refinery_core::{
    AsyncMigrate,
    traits::r#async::{AsyncQuery, AsyncTransaction},
};
use tokio_postgres::{Client, Error};

/// A connection that runs steps so.
pub(super) struct ByStatement<'c>(pub(super) &'c mut Client);

impl AsyncTransaction for ByStatement<'_> {
    type Error = Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        steps: T,
    ) -> Result<usize, Error> {
        let transaction = self.0.transaction().await?;
        let mut count = 0;
        for step in steps {
            for statement in statements(step) {
                // The server refuses a text of two, so that a step which is split badly runs nowhere.
                transaction.execute(statement, &[]).await?;
            }
            count += 1;
        }
        transaction.commit().await?;
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for ByStatement<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Error> {
        AsyncQuery::query(self.0, query).await
    }
}

impl AsyncMigrate for ByStatement<'_> {}

/// The statements of a step: each ends with a line that ends with a semicolon, before its comment.
fn statements(step: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let (mut from, mut at, mut is_empty) = (0, 0, true);
    for line in step.split_inclusive('\n') {
        at += line.len();
        let code = line.split("--").next().unwrap_or_default().trim();
        is_empty &= code.is_empty();
        if code.ends_with(';') {
            statements.push(&step[from..at]);
            (from, is_empty) = (at, true);
        }
    }
    // Only comments may follow the last one.
    if !is_empty {
        statements.push(&step[from..]);
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_split_behind_its_semicolons() {
        let step = "-- one; two;\nCREATE TABLE a (\n    b BIGINT -- c; d\n);\nDROP TABLE e; -- f\n\n-- g\n";
        let expected = [
            "-- one; two;\nCREATE TABLE a (\n    b BIGINT -- c; d\n);\n",
            "DROP TABLE e; -- f\n",
        ];
        assert_eq!(statements(step), expected);
        assert_eq!(
            statements("INSERT INTO a VALUES ('x')"),
            ["INSERT INTO a VALUES ('x')"]
        );
        assert_eq!(statements("\n-- nothing\n"), [""; 0]);
    }
}
