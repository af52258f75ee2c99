//! Uploads that nothing names, and bytes that no row knows.

use database::{Database, Transaction, params};
use media::Key;

use crate::http::error::Error;

const UNUSED: &str = "SELECT id, store_key FROM media WHERE used_ms IS NULL AND created_ms < $1
    ORDER BY created_ms, id LIMIT $2";

/// Unused uploads that were asked for before, the oldest first.
pub(in crate::media) async fn unused(
    database: &Database,
    before_ms: i64,
    limit: i64,
) -> Result<Vec<(i64, Key)>, Error> {
    let rows = database.query(UNUSED, params![before_ms, limit]).await?;
    rows.iter()
        .map(|row| {
            let key: String = row.get(1)?;
            let key = key
                .parse()
                .map_err(|_| Error::internal("media.store_key is unknown"))?;
            Ok((row.get(0)?, key))
        })
        .collect()
}

/// Whether an upload is gone from now on: nothing can name it any more.
pub(in crate::media) async fn abandon(tx: &mut Transaction<'_>, id: i64) -> Result<bool, Error> {
    let gone = tx
        .execute(
            "UPDATE media SET state = 'gone' WHERE id = $1 AND used_ms IS NULL",
            params![id],
        )
        .await?;
    Ok(gone == 1)
}

/// Deletes the row of one that is gone.
pub(in crate::media) async fn forget(tx: &mut Transaction<'_>, id: i64) -> Result<(), Error> {
    tx.execute("DELETE FROM media WHERE id = $1 AND state = 'gone'", params![id])
        .await?;
    Ok(())
}

/// Whether a row knows these bytes.
pub(in crate::media) async fn has_key(database: &Database, key: &Key) -> Result<bool, Error> {
    let row = database
        .query_first("SELECT 1 FROM media WHERE store_key = $1", params![key.as_str()])
        .await?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn the_page_walks_an_index() {
        walks_an_index(UNUSED, params![1_i64, 2_i64]).await;
    }
}
