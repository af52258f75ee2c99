//! The SQL of consults.

mod team;

use database::{Database, Transaction, params};
use proto::{ConversationId, UserId};

use super::{
    life::{Seat, Shelf, Status},
    record::{COLUMNS, JOINS, Record},
};
use crate::{
    caller::{Seating, User},
    http::{
        answer::List,
        error::{Error, ErrorCode},
    },
};

pub(crate) use team::{count_finished, count_served};
pub(super) use team::{finished, running_of, served};

/// A new consult.
pub(super) struct NewConsult {
    pub(super) id: ConversationId,
    pub(super) staff_room: ConversationId,
    pub(super) creator: UserId,
    pub(super) target: UserId,
    pub(super) team_id: i64,
    pub(super) assistant: UserId,
    pub(super) symptom_type: String,
    pub(super) symptom_content: String,
    pub(super) images: String,
}

pub(super) async fn new_consult(tx: &mut Transaction<'_>, new: NewConsult, now_ms: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO consult (id, status, creator_id, target_id, team_id, assistant_id, staff_conversation_id,
                              symptom_type, symptom_content, images, created_ms, ended_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL)",
        params![
            new.id.get(),
            Status::Waiting.as_str(),
            new.creator.get(),
            new.target.get(),
            new.team_id,
            new.assistant.get(),
            new.staff_room.get(),
            new.symptom_type,
            new.symptom_content,
            new.images,
            now_ms
        ],
    )
    .await?;
    put_person(
        tx,
        new.id,
        new.creator,
        Seat::Patient,
        new.team_id,
        now_ms,
        now_ms,
    )
    .await?;
    put_person(
        tx,
        new.id,
        new.assistant,
        Seat::Assistant,
        new.team_id,
        now_ms,
        now_ms,
    )
    .await?;
    Ok(())
}

/// Seats a user; false when they are seated already.
async fn put_person(
    tx: &mut Transaction<'_>,
    consult: ConversationId,
    user: UserId,
    seat: Seat,
    team_id: i64,
    created_ms: i64,
    now_ms: i64,
) -> Result<bool, Error> {
    let seated = tx
        .execute(
            "INSERT INTO consult_person (consult_id, user_id, role, shelf, created_ms, joined_ms, team_id)
             VALUES ($1, $2, $3, $4, $5, $6, $8)
             ON CONFLICT (consult_id, user_id) DO UPDATE SET shelf = excluded.shelf, joined_ms = excluded.joined_ms
             WHERE consult_person.shelf = $7",
            params![
                consult.get(),
                user.get(),
                seat.as_str(),
                Shelf::InProcess.as_str(),
                created_ms,
                now_ms,
                Shelf::Removed.as_str(),
                team_id
            ],
        )
        .await?;
    Ok(seated == 1)
}

/// Seats a doctor.
pub(super) async fn seat_doctor(
    tx: &mut Transaction<'_>,
    consult: &Record,
    doctor: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    let created_ms = consult.place().at;
    if put_person(
        tx,
        consult.id,
        doctor,
        Seat::Doctor,
        consult.team_id,
        created_ms,
        now_ms,
    )
    .await?
    {
        Ok(())
    } else {
        Err(Error::new(ErrorCode::ConsultAlreadyIn).field("doctor_id"))
    }
}

/// Unseats a doctor.
pub(super) async fn unseat_doctor(
    tx: &mut Transaction<'_>,
    consult: ConversationId,
    doctor: UserId,
) -> Result<(), Error> {
    let unseated = tx
        .execute(
            "UPDATE consult_person SET shelf = $1
             WHERE consult_id = $2 AND user_id = $3 AND role = 'doctor' AND shelf = $4",
            params![
                Shelf::Removed.as_str(),
                consult.get(),
                doctor.get(),
                Shelf::InProcess.as_str()
            ],
        )
        .await?;
    if unseated == 1 {
        Ok(())
    } else {
        Err(Error::new(ErrorCode::ConsultDoctorNotFound).field("doctor_id"))
    }
}

/// The seats and their consults, for a statement's end.
const SEATED: &str = "FROM consult_person p JOIN consult c ON c.id = p.consult_id";

fn one() -> String {
    format!(
        "SELECT {COLUMNS}, p.role {SEATED} {JOINS}
         WHERE p.consult_id = $1 AND p.user_id = $2 AND p.shelf <> 'removed'"
    )
}

fn seat(row: &database::Row) -> Result<(Record, Seat), Error> {
    let role: String = row.get(14)?;
    let seat = Seat::from_database(&role).ok_or_else(|| Error::internal("consult_person.role is unknown"))?;
    Ok((Record::from_row(row)?, seat))
}

impl Seating for Record {
    type Seat = Seat;

    async fn lock(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<(Self, Seat), Error> {
        lock_row(tx, id).await?;
        consult_in(tx, id, user.id).await
    }

    async fn read(database: &Database, id: i64, user: &User) -> Result<(Self, Seat), Error> {
        let row = database.query_first(one(), params![id, user.id.get()]).await?;
        seat(&row.ok_or(ErrorCode::ConsultNotFound)?)
    }
}

/// A consult and the user's seat in it. A consult that does not exist and one without a seat are refused alike.
pub(super) async fn consult_in(
    tx: &mut Transaction<'_>,
    consult: i64,
    user: UserId,
) -> Result<(Record, Seat), Error> {
    let row = tx.query_first(one(), params![consult, user.get()]).await?;
    seat(&row.ok_or(ErrorCode::ConsultNotFound)?)
}

/// Locks a consult's row: reads of it and of its seats that follow stay true to the end of the transaction.
pub(crate) async fn lock_row(tx: &mut Transaction<'_>, consult: i64) -> Result<(), Error> {
    let locked = tx
        .execute(
            "UPDATE consult SET status = status WHERE id = $1",
            params![consult],
        )
        .await?;
    if locked == 1 {
        Ok(())
    } else {
        Err(ErrorCode::ConsultNotFound.into())
    }
}

const SEATED_NOW: &str =
    "SELECT 1 FROM consult_person WHERE consult_id = $1 AND user_id = $2 AND shelf <> 'removed'";

/// Refuses a user without a seat as if the consult did not exist.
pub(crate) async fn check_seated(database: &Database, consult: i64, user: UserId) -> Result<(), Error> {
    let row = database
        .query_first(SEATED_NOW, params![consult, user.get()])
        .await?;
    row.map(|_| ()).ok_or_else(|| ErrorCode::ConsultNotFound.into())
}

/// As [`check_seated`], within a transaction.
pub(crate) async fn check_seated_in(
    tx: &mut Transaction<'_>,
    consult: i64,
    user: UserId,
) -> Result<(), Error> {
    let row = tx.query_first(SEATED_NOW, params![consult, user.get()]).await?;
    row.map(|_| ()).ok_or_else(|| ErrorCode::ConsultNotFound.into())
}

/// The team of a consult, which never changes.
pub(super) async fn team_of(tx: &mut Transaction<'_>, consult: i64) -> Result<i64, Error> {
    let row = tx
        .query_first("SELECT team_id FROM consult WHERE id = $1", params![consult])
        .await?;
    Ok(row.ok_or(ErrorCode::ConsultNotFound)?.get(0)?)
}

/// Moves a locked consult from the state that was read to the next one.
pub(super) async fn enter(
    tx: &mut Transaction<'_>,
    consult: &Record,
    next: Status,
    now_ms: i64,
) -> Result<(), Error> {
    let ended_ms = (!next.is_open()).then_some(now_ms);
    let moved = tx
        .execute(
            "UPDATE consult SET status = $1, ended_ms = $2 WHERE id = $3 AND status = $4",
            params![next.as_str(), ended_ms, consult.id.get(), consult.status.as_str()],
        )
        .await?;
    if moved == 0 {
        return Err(ErrorCode::ConsultEnded.into());
    }
    if !next.is_open() {
        tx.execute(
            "UPDATE consult_person SET shelf = $1 WHERE consult_id = $2 AND shelf = $3",
            params![
                Shelf::InProcess.end().as_str(),
                consult.id.get(),
                Shelf::InProcess.as_str()
            ],
        )
        .await?;
    }
    Ok(())
}

fn list_sql() -> String {
    format!(
        "SELECT {COLUMNS} {SEATED} {JOINS}
         WHERE p.user_id = $1 AND p.shelf = $2 AND (p.created_ms, p.consult_id) < ($3, $4)
         ORDER BY p.created_ms DESC, p.consult_id DESC LIMIT $5"
    )
}

const COUNT: &str = "SELECT count(*) FROM consult_person WHERE user_id = $1 AND shelf = $2";

/// A user's consults on a shelf, the newest first.
pub(super) fn list(user: UserId, shelf: Shelf) -> List<Record> {
    List {
        items: list_sql().into(),
        count: COUNT.into(),
        keys: params![user.get(), shelf.as_str()],
        item: Record::from_row,
        place: Record::place,
    }
}

const SHELF: &str = "SELECT shelf FROM consult_person WHERE consult_id = $1 AND user_id = $2";

/// Hides a consult from a user's history.
pub(super) async fn hide(tx: &mut Transaction<'_>, consult: i64, user: UserId) -> Result<(), Error> {
    let hidden = tx
        .execute(
            "UPDATE consult_person SET shelf = $1 WHERE consult_id = $2 AND user_id = $3 AND shelf IN ($1, $4)",
            params![
                Shelf::Hidden.as_str(),
                consult,
                user.get(),
                Shelf::History.as_str()
            ],
        )
        .await?;
    if hidden == 1 {
        return Ok(());
    }
    // The update decides; the shelf tells why it found nothing to hide.
    let row = tx
        .query_first(SHELF, params![consult, user.get()])
        .await?
        .ok_or(ErrorCode::ConsultNotFound)?;
    let shelf: String = row.get(0)?;
    let shelf =
        Shelf::from_database(&shelf).ok_or_else(|| Error::internal("consult_person.shelf is unknown"))?;
    shelf.hide()?;
    Err(ErrorCode::ConsultNotEnded.into())
}

const HIDE_ALL: &str = "UPDATE consult_person SET shelf = $1 WHERE user_id = $2 AND shelf = $3";

/// Hides all consults of a user's history.
pub(super) async fn hide_all(tx: &mut Transaction<'_>, user: UserId) -> Result<(), Error> {
    tx.execute(
        HIDE_ALL,
        params![Shelf::Hidden.as_str(), user.get(), Shelf::History.as_str()],
    )
    .await?;
    Ok(())
}

const SHARED: &str = "SELECT 1 FROM consult_person mine
     JOIN consult_person theirs ON theirs.consult_id = mine.consult_id AND theirs.user_id = $2
     WHERE mine.user_id = $1 AND mine.role = 'patient' AND theirs.role = 'doctor' LIMIT 1";

/// Whether a doctor is or was in a consult of a patient.
pub(crate) async fn shared_a_consult(
    tx: &mut Transaction<'_>,
    patient: UserId,
    doctor: UserId,
) -> Result<bool, Error> {
    let row = tx
        .query_first(SHARED, params![patient.get(), doctor.get()])
        .await?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn lists_walk_an_index() {
        list(UserId::from_database(1), Shelf::History)
            .walks_an_index()
            .await;
        walks_an_index(&one(), params![1_i64, 1_i64]).await;
        walks_an_index(SHARED, params![1_i64, 1_i64]).await;
        walks_an_index(HIDE_ALL, params!["hidden", 1_i64, "history"]).await;
        walks_an_index(SEATED_NOW, params![1_i64, 1_i64]).await;
        walks_an_index(SHELF, params![1_i64, 1_i64]).await;
    }
}
