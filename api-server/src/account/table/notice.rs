//! The SQL of notices.

use database::{Row, Transaction, params};
use proto::UserId;

use crate::{
    account::own::notice::Notice,
    http::{answer::List, error::Error, input::Cursor},
};

/// Unread notices are counted up to here; an app shows "99+".
pub(super) const COUNT_CAP: i64 = 100;

/// Of concurrent transactions the later one waits here for the earlier one's commit, so that ids follow it.
const NUMBER: &str = "INSERT INTO sequence (name, next_value) VALUES ('user_notice', 2)
     ON CONFLICT (name) DO UPDATE SET next_value = sequence.next_value + 1
     RETURNING next_value - 1";

const PUT: &str = "INSERT INTO user_notice (user_id, created_ms, id, kind, reason, place_id, place_name)
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

pub(in crate::account) async fn put(
    tx: &mut Transaction<'_>,
    user: UserId,
    (kind, reason): (&'static str, &str),
    place: Option<(i64, &str)>,
) -> Result<(), Error> {
    let next = tx.query_first(NUMBER, vec![]).await?;
    let id: i64 = next
        .ok_or_else(|| Error::internal("sequence gave no row"))?
        .get(0)?;
    // Behind the lock of the sequence, so that the list goes by id as well.
    let now_ms = tx.now_ms().await?;
    let (place_id, place_name) = place.unzip();
    let row = params![user.get(), now_ms, id, kind, reason, place_id, place_name];
    tx.execute(PUT, row).await?;
    Ok(())
}

const LIST: &str = "SELECT id, kind, reason, place_id, place_name, created_ms, read_ms FROM user_notice
     WHERE user_id = $1 AND (created_ms, id) < ($2, $3) ORDER BY created_ms DESC, id DESC LIMIT $4";

const COUNT: &str = "SELECT count(*) FROM user_notice WHERE user_id = $1";

fn notice_row(row: &Row) -> Result<Notice, Error> {
    Ok(Notice {
        notice_id: row.get(0)?,
        kind: row.get(1)?,
        reason: row.get(2)?,
        place_id: row.get(3)?,
        place_name: row.get(4)?,
        created_ms: row.get(5)?,
        read_ms: row.get(6)?,
    })
}

/// The notices to a user, the newest first.
pub(in crate::account) fn of(user: UserId) -> List<Notice> {
    List {
        items: LIST.into(),
        count: COUNT.into(),
        keys: params![user.get()],
        item: notice_row,
        place: |notice| Cursor {
            at: notice.created_ms,
            id: notice.notice_id,
        },
    }
}

const MARK_READ: &str =
    "UPDATE user_notice SET read_ms = $3 WHERE user_id = $1 AND id <= $2 AND read_ms IS NULL";

/// Marks a user's notices up to one as read.
pub(in crate::account) async fn mark_read(
    tx: &mut Transaction<'_>,
    user: UserId,
    last: i64,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(MARK_READ, params![user.get(), last, now_ms]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        of(UserId::from_database(1)).walks_an_index().await;
        walks_an_index(MARK_READ, params![1_i64, 1_i64, 1_i64]).await;
    }
}
