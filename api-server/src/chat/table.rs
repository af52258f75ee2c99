//! The SQL of private chats.

use database::{Row, Transaction, params};
use proto::{ConversationId, UserId};

use super::Chat;
use crate::http::{answer::List, error::Error, input::Cursor};

const COLUMNS: &str = "c.conversation_id, c.other_id, a.name, c.created_ms";

fn chat_row(row: &Row) -> Result<Chat, Error> {
    Ok(Chat {
        conversation_id: row.get(0)?,
        user_id: row.get(1)?,
        name: row.get(2)?,
        created: row.get(3)?,
    })
}

/// The chat of two users, as the first sees it.
pub(super) async fn chat(
    tx: &mut Transaction<'_>,
    user: UserId,
    other: UserId,
) -> Result<Option<Chat>, Error> {
    let row = tx
        .query_first(
            format!(
                "SELECT {COLUMNS} FROM chat c JOIN account a ON a.id = c.other_id
                 WHERE c.user_id = $1 AND c.other_id = $2"
            ),
            params![user.get(), other.get()],
        )
        .await?;
    row.as_ref().map(chat_row).transpose()
}

/// Inserts the chat of two users; false when it exists. The row of the lower id comes first, so that racing requests of both
/// sides collide there.
pub(super) async fn put_chat(
    tx: &mut Transaction<'_>,
    pair: [UserId; 2],
    conversation: ConversationId,
    now_ms: i64,
) -> Result<bool, Error> {
    let [low, high] = if pair[0] < pair[1] {
        pair
    } else {
        [pair[1], pair[0]]
    };
    for (user, other) in [(low, high), (high, low)] {
        let put = tx
            .execute(
                "INSERT INTO chat (user_id, other_id, conversation_id, created_ms) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (user_id, other_id) DO NOTHING",
                params![user.get(), other.get(), conversation.get(), now_ms],
            )
            .await?;
        if put == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn list_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM chat c JOIN account a ON a.id = c.other_id
         WHERE c.user_id = $1 AND (c.created_ms, c.conversation_id) < ($2, $3)
         ORDER BY c.created_ms DESC, c.conversation_id DESC LIMIT $4"
    )
}

const COUNT: &str = "SELECT count(*) FROM chat WHERE user_id = $1";

/// A user's chats, the newest first.
pub(super) fn list(user: UserId) -> List<Chat> {
    List {
        items: list_sql().into(),
        count: COUNT.into(),
        keys: params![user.get()],
        item: chat_row,
        place: |chat| Cursor {
            at: chat.created,
            id: chat.conversation_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statements_walk_an_index() {
        list(UserId::from_database(1)).walks_an_index().await;
    }
}
