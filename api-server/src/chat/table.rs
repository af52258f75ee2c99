//! The SQL of private chats.

use database::{Database, Row, Transaction, params};
use journal::Journal;
use proto::{ConversationId, UserId};

use super::{Chat, card::UserCard};
use crate::{
    account,
    caller::Role,
    http::{error::Error, input::Cursor},
};

const COLUMNS: &str = "c.conversation_id, c.other_id, a.name, c.created_ms, c.blocked_ms IS NOT NULL,
     EXISTS (SELECT 1 FROM chat o WHERE o.user_id = c.other_id AND o.other_id = c.user_id AND o.blocked_ms IS NOT NULL)";

/// A chat, as if it were not hidden: that is the journal's to say.
fn chat_row(row: &Row) -> Result<Chat, Error> {
    Ok(Chat {
        conversation_id: row.get(0)?,
        user_id: row.get(1)?,
        name: row.get(2)?,
        created: row.get(3)?,
        blocked_by_me: row.get(4)?,
        blocked_by_other: row.get(5)?,
        hidden: false,
    })
}

/// User $2, if user $1 has met them ($3), is the same, or is their doctor's patient, their patient's doctor, a colleague or the
/// assistant in a team, or a colleague in a clinic.
const CARD: &str = "SELECT a.name, a.role, COALESCE(d.title, ''), COALESCE(d.photo_id, m.photo_id, ''), v.verified_ms
     FROM account a LEFT JOIN doctor_profile d ON d.doctor_id = a.id LEFT JOIN member_profile m ON m.member_id = a.id
     LEFT JOIN doctor_verification v ON v.doctor_id = a.id AND v.state = 'approved'
     WHERE a.id = $2 AND ($3 OR a.id = $1
       OR EXISTS (SELECT 1 FROM team_doctor p JOIN team_doctor o ON o.team_id = p.team_id AND o.doctor_id = $2
           WHERE p.doctor_id = $1)
       OR EXISTS (SELECT 1 FROM team_doctor p JOIN team_member o ON o.team_id = p.team_id AND o.member_id = $2
           WHERE p.doctor_id = $1)
       OR EXISTS (SELECT 1 FROM team_member p JOIN team_doctor o ON o.team_id = p.team_id AND o.doctor_id = $2
           WHERE p.member_id = $1)
       OR EXISTS (SELECT 1 FROM team t JOIN team_doctor o ON o.team_id = t.id AND o.doctor_id = $2 WHERE t.assistant_id = $1)
       OR EXISTS (SELECT 1 FROM team t JOIN team_member o ON o.team_id = t.id AND o.member_id = $2 WHERE t.assistant_id = $1)
       OR EXISTS (SELECT 1 FROM team t JOIN team_doctor p ON p.team_id = t.id AND p.doctor_id = $1 WHERE t.assistant_id = $2)
       OR EXISTS (SELECT 1 FROM team t JOIN team_member p ON p.team_id = t.id AND p.member_id = $1 WHERE t.assistant_id = $2)
       OR EXISTS (SELECT 1 FROM clinic_doctor p JOIN clinic_doctor o ON o.clinic_id = p.clinic_id AND o.doctor_id = $2
           WHERE p.doctor_id = $1))";

/// The card of a user whom the caller knows: by a team or clinic, or since they have met.
pub(super) async fn card(
    database: &Database,
    user: UserId,
    other: UserId,
    has_met: bool,
) -> Result<Option<UserCard>, Error> {
    let row = database
        .query_first(CARD, params![user.get(), other.get(), has_met])
        .await?;
    row.map(|row| {
        let role: String = row.get(1)?;
        Ok(UserCard {
            user_id: other.get(),
            name: row.get(0)?,
            role: Role::from_database(&role)
                .ok_or_else(|| Error::internal("account.role is unknown"))?
                .as_str(),
            title: row.get(2)?,
            photo: account::photo_uri(row.get(3)?),
            verified_since: row.get(4)?,
        })
    })
    .transpose()
}

/// The chat of two users, as the first sees it.
pub(super) async fn chat(
    tx: &mut Transaction<'_>,
    journal: &Journal,
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
    seen(tx, journal, user, row).await
}

/// The chat of a row, and whether its user has hidden it.
async fn seen(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    user: UserId,
    row: Option<Row>,
) -> Result<Option<Chat>, Error> {
    let Some(row) = row else { return Ok(None) };
    let mut chat = chat_row(&row)?;
    chat.hidden = journal.is_hidden(tx, user, chat.conversation()).await?;
    Ok(Some(chat))
}

const LOCK: &str = "UPDATE chat SET created_ms = created_ms WHERE conversation_id = $1";

/// Locks both rows of a chat.
pub(super) async fn lock(tx: &mut Transaction<'_>, conversation: ConversationId) -> Result<(), Error> {
    tx.execute(LOCK, params![conversation.get()]).await?;
    Ok(())
}

fn one_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM chat c JOIN account a ON a.id = c.other_id
         WHERE c.conversation_id = $1 AND c.user_id = $2"
    )
}

/// The chat of a conversation, as one of its users sees it.
pub(super) async fn chat_of(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<Chat>, Error> {
    let row = tx
        .query_first(one_sql(), params![conversation.get(), user.get()])
        .await?;
    seen(tx, journal, user, row).await
}

const SET_BLOCKED: &str = "UPDATE chat SET blocked_ms = $1 WHERE conversation_id = $2 AND user_id = $3";

pub(super) async fn set_blocked(
    tx: &mut Transaction<'_>,
    conversation: ConversationId,
    user: UserId,
    blocked_ms: Option<i64>,
) -> Result<(), Error> {
    tx.execute(SET_BLOCKED, params![blocked_ms, conversation.get(), user.get()])
        .await?;
    Ok(())
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

fn next_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM chat c JOIN account a ON a.id = c.other_id
         WHERE c.user_id = $1 AND (c.created_ms, c.conversation_id) < ($2, $3)
         ORDER BY c.created_ms DESC, c.conversation_id DESC LIMIT $4"
    )
}

/// The next chats of a user, the newest first.
pub(super) async fn next(
    database: &Database,
    user: UserId,
    after: Cursor,
    limit: i64,
) -> Result<Vec<Chat>, Error> {
    let params = params![user.get(), after.at, after.id, limit];
    let rows = database.query(next_sql(), params).await?;
    rows.iter().map(chat_row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(&next_sql(), params![1_i64, 1_i64, 1_i64, 1_i64]).await;
        walks_an_index(LOCK, params![1_i64]).await;
        walks_an_index(CARD, params![1_i64, 2_i64, false]).await;
        walks_an_index(&one_sql(), params![1_i64, 1_i64]).await;
        walks_an_index(SET_BLOCKED, params![None::<i64>, 1_i64, 1_i64]).await;
    }
}
