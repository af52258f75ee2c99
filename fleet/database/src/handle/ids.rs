//! Ids from sequences that both engines can have: rows of the table `sequence`, allocated in blocks.

use std::{collections::HashMap, ops::Range};

use tokio::sync::Mutex;

use crate::{Database, Error, params};

/// Ids of one transaction: a restart wastes fewer than this, and an import of users pays one commit for each block.
const BLOCK: i64 = 64;

#[derive(Default)]
pub(crate) struct Ids {
    blocks: Mutex<HashMap<&'static str, Range<i64>>>,
}

impl Ids {
    /// An async mutex, held while a block is fetched, so that a rush of requests fetches one block and not one each.
    pub(crate) async fn allocate(&self, database: &Database, sequence: &'static str) -> Result<i64, Error> {
        let mut blocks = self.blocks.lock().await;
        if let Some(id) = blocks.get_mut(sequence).and_then(Iterator::next) {
            return Ok(id);
        }
        let end: i64 = database
            .transaction(move |tx| {
                Box::pin(async move {
                    let row = tx
                        .query_first(
                            "INSERT INTO sequence (name, next_value) VALUES ($1, 1 + $2)
                             ON CONFLICT (name) DO UPDATE SET next_value = sequence.next_value + $2
                             RETURNING next_value",
                            params![sequence, BLOCK],
                        )
                        .await?;
                    row.ok_or_else(|| Error::Engine("sequence gave no row".into()))?
                        .get::<i64>(0)
                })
            })
            .await?;
        let mut block = end - BLOCK..end;
        let id = block
            .next()
            .ok_or_else(|| Error::Engine("sequence gave an empty block".into()))?;
        blocks.insert(sequence, block);
        Ok(id)
    }
}
