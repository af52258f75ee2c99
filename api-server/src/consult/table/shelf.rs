//! The lists of a seated user, and consults that they hide from them.
//!
//! The shelf says on which list a consult stands, so that each list is one walk of an index. Of a hidden consult the journal
//! keeps through which entry it is hidden, for the lists of apps. After the end of a consult only its own domain writes
//! entries, and brings the consult back with them.

use database::{Database, Row, Transaction, params};
use proto::{ConversationId, UserId};

use super::super::{
    life::Shelf,
    record::{JOINS, Record, columns},
};
use crate::http::{
    answer::List,
    error::{Error, ErrorCode},
    input::Cursor,
};

fn list_sql() -> String {
    format!(
        "SELECT {} {} {JOINS}
         WHERE p.user_id = $1 AND p.shelf = $2 AND (p.created_ms, p.consult_id) < ($3, $4)
         ORDER BY p.created_ms DESC, p.consult_id DESC LIMIT $5",
        columns(),
        super::SEATED
    )
}

const COUNT: &str = "SELECT count(*) FROM consult_person WHERE user_id = $1 AND shelf = $2";

/// A user's consults on a shelf, the newest first.
pub(in crate::consult) fn list(user: UserId, shelf: Shelf) -> List<Record> {
    List {
        items: list_sql().into(),
        count: COUNT.into(),
        keys: params![user.get(), shelf.as_str()],
        item: Record::from_row,
        place: Record::place,
    }
}

/// A consult that a user is or was in.
pub(crate) struct Own {
    pub(crate) id: ConversationId,
    pub(crate) staff_room: ConversationId,
    created_ms: i64,
}

impl Own {
    /// Where it stands in the order of [`own`].
    pub(crate) const fn place(&self) -> Cursor {
        Cursor {
            at: self.created_ms,
            id: self.id.get(),
        }
    }
}

const OWN: &str = "SELECT p.consult_id, c.staff_conversation_id, p.created_ms
     FROM consult_person p JOIN consult c ON c.id = p.consult_id
     WHERE p.user_id = $1 AND (p.created_ms, p.consult_id) < ($2, $3)
     ORDER BY p.created_ms DESC, p.consult_id DESC LIMIT $4";

/// The next consults of a user on any shelf, the newest first.
pub(crate) async fn own(
    database: &Database,
    user: UserId,
    after: Cursor,
    limit: i64,
) -> Result<Vec<Own>, Error> {
    let rows = database
        .query(OWN, params![user.get(), after.at, after.id, limit])
        .await?;
    let own = |row: &Row| {
        Ok(Own {
            id: ConversationId::from_database(row.get(0)?),
            staff_room: ConversationId::from_database(row.get(1)?),
            created_ms: row.get(2)?,
        })
    };
    rows.iter().map(own).collect()
}

/// Consult and staff room of a seat that an UPDATE has moved.
macro_rules! conversations {
    () => {
        " RETURNING consult_id, (SELECT c.staff_conversation_id FROM consult c WHERE c.id = consult_person.consult_id)"
    };
}

fn conversations(rows: &[Row]) -> Result<Vec<ConversationId>, Error> {
    let mut conversations = Vec::with_capacity(rows.len() * 2);
    for row in rows {
        conversations.push(ConversationId::from_database(row.get(0)?));
        let staff_room: Option<i64> = row.get(1)?;
        conversations.extend(staff_room.map(ConversationId::from_database));
    }
    Ok(conversations)
}

const MOVE: &str = concat!(
    "UPDATE consult_person SET shelf = $1 WHERE consult_id = $2 AND user_id = $3 AND shelf IN ($1, $4)",
    conversations!()
);

const SHELF: &str = "SELECT shelf FROM consult_person WHERE consult_id = $1 AND user_id = $2";

/// Hides a locked consult from a user's history, or puts it back; returns its conversations.
pub(in crate::consult) async fn set_hidden(
    tx: &mut Transaction<'_>,
    consult: i64,
    user: UserId,
    hides: bool,
) -> Result<Vec<ConversationId>, Error> {
    let (to, from) = match hides {
        true => (Shelf::Hidden, Shelf::History),
        false => (Shelf::History, Shelf::Hidden),
    };
    let parameters = params![to.as_str(), consult, user.get(), from.as_str()];
    let moved = tx.query(MOVE, parameters).await?;
    if !moved.is_empty() {
        return conversations(&moved);
    }
    // The update decides; the shelf tells why it found nothing.
    let row = tx.query_first(SHELF, params![consult, user.get()]).await?;
    let shelf: String = row.ok_or(ErrorCode::ConsultNotFound)?.get(0)?;
    let shelf =
        Shelf::from_database(&shelf).ok_or_else(|| Error::internal("consult_person.shelf is unknown"))?;
    shelf.hide()?;
    Err(ErrorCode::ConsultNotEnded.into())
}

const PAGE: &str = "SELECT consult_id FROM consult_person WHERE user_id = $1 AND shelf = $2
     ORDER BY created_ms, consult_id LIMIT $3";

/// Consults that one transaction hides, at most.
pub(in crate::consult) const HIDDEN_AT_ONCE: usize = 100;

/// Consults that were hidden together.
pub(in crate::consult) struct HiddenPage {
    /// Consults and their staff rooms.
    pub(in crate::consult) conversations: Vec<ConversationId>,
    /// Whether there may be more to hide.
    pub(in crate::consult) is_full: bool,
}

/// Hides the oldest consults of a user's history.
pub(in crate::consult) async fn hide_page(
    tx: &mut Transaction<'_>,
    user: UserId,
) -> Result<HiddenPage, Error> {
    let [hidden, history] = [Shelf::Hidden, Shelf::History].map(Shelf::as_str);
    let rows = tx
        .query(PAGE, params![user.get(), history, HIDDEN_AT_ONCE as i64])
        .await?;
    let mut moves = Vec::with_capacity(rows.len());
    // All users' histories are locked in the order of time, so that no two of them wait for each other.
    for row in rows {
        let consult: i64 = row.get(0)?;
        // An entry that is being written brings the consult back: before this one or after it.
        super::lock_row(tx, consult).await?;
        moves.push((MOVE, params![hidden, consult, user.get(), history]));
    }
    let mut page = HiddenPage {
        conversations: Vec::with_capacity(2 * moves.len()),
        is_full: moves.len() == HIDDEN_AT_ONCE,
    };
    for moved in tx.pipeline(moves).await {
        page.conversations.extend(conversations(&moved?)?);
    }
    Ok(page)
}

const BRING_BACK: &str = "UPDATE consult_person SET shelf = $1 WHERE consult_id = $2 AND shelf = $3";

/// Brings a locked consult back into the histories of those who hid it: an entry has come after its end.
pub(crate) async fn bring_back(tx: &mut Transaction<'_>, consult: i64) -> Result<(), Error> {
    let [history, hidden] = [Shelf::History, Shelf::Hidden].map(Shelf::as_str);
    tx.enqueue(BRING_BACK, params![history, consult, hidden]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        list(UserId::from_database(1), Shelf::History)
            .walks_an_index()
            .await;
        walks_an_index(MOVE, params!["hidden", 1_i64, 1_i64, "history"]).await;
        walks_an_index(OWN, params![1_i64, 1_i64, 1_i64, 1_i64]).await;
        walks_an_index(SHELF, params![1_i64, 1_i64]).await;
        walks_an_index(PAGE, params![1_i64, "history", 100_i64]).await;
        walks_an_index(BRING_BACK, params!["history", 1_i64, "hidden"]).await;
    }
}
