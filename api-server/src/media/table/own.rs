//! The uploads of a user.

use database::{Row, params};
use proto::UserId;
use serde::Serialize;

use super::{COLUMNS, MEDIUM_COLUMNS, State, medium_row};
use crate::{
    http::{answer::List, error::Error, input::Cursor},
    media::Shown,
};

/// A finished upload of its user.
#[derive(Debug, Serialize)]
pub(crate) struct Own {
    #[serde(flatten)]
    shown: Shown,
    /// Where its bytes are, on this service.
    address: String,
    created_ms: i64,
}

fn own_row(row: &Row) -> Result<Own, Error> {
    let medium = medium_row(row)?;
    Ok(Own {
        address: format!("/media/{}", medium.id),
        shown: medium.into(),
        created_ms: row.get(MEDIUM_COLUMNS)?,
    })
}

fn own_sql() -> String {
    format!(
        "SELECT {COLUMNS}, created_ms FROM media
         WHERE owner_id = $1 AND state = $2 AND (created_ms, id) < ($3, $4) ORDER BY created_ms DESC, id DESC LIMIT $5"
    )
}

/// The finished uploads of a user, the newest first.
pub(in crate::media) fn own(user: UserId) -> List<Own> {
    List {
        items: own_sql().into(),
        count: "SELECT count(*) FROM media WHERE owner_id = $1 AND state = $2".into(),
        keys: params![user.get(), State::Finished.as_str()],
        item: own_row,
        place: |own| Cursor {
            at: own.created_ms,
            id: own.shown.media_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_list_walks_an_index() {
        own(UserId::from_database(1)).walks_an_index().await;
    }
}
