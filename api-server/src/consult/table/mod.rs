//! The SQL of consults.

mod about_me;
mod charge;
mod closing;
mod deadline;
mod desk;
mod follow_up;
mod rating;
mod shelf;
mod team;

use database::{Database, Transaction, Value, params};
use ledger::Month;
use proto::{ConversationId, Seq, UserId};

use super::{
    life::{Seat, Shelf, Status},
    record::{COLUMNS, JOINS, Record, columns, columns_as_of_p},
};
use crate::{
    account,
    caller::{Seating, User},
    http::error::{Error, ErrorCode},
};

pub(super) use about_me::{About, about, knows, put_refusal, refuses, remove_refusal};
pub(super) use charge::{Charge, held, hold, settle};
pub(super) use closing::{Due, Sought, due, is_due};
pub(super) use deadline::{
    Timed, lift_all, promises, put_answer, put_promise, settle_promise, timed, with_due,
};
use desk::gram;
pub(crate) use desk::gram::fold_some;
pub(super) use desk::{Counts, Desk, State as DeskState, counts};
pub(super) use follow_up::{Earlier, earlier, has_open_follow_up};
pub(super) use gram::MAX_SEARCH_CHARS;
pub(super) use rating::{put_rating, rating, rating_of, ratings};
pub(crate) use shelf::{Own, bring_back, own};
pub(super) use shelf::{hide_page, list, set_hidden};
pub(crate) use team::{count_finished, count_served};
pub(super) use team::{finished, open_of, running_of, served};

/// A new consult, with the names of its moment. Nothing is read in its INSERT: over several database machines none may be.
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
    pub(super) follow_up_of: Option<i64>,
    pub(super) creator_name: String,
    pub(super) target_name: String,
    pub(super) team_name: String,
    pub(super) assistant_name: String,
    /// The target, to the creator.
    pub(super) relation: &'static str,
}

pub(super) async fn new_consult(
    tx: &mut Transaction<'_>,
    new: &NewConsult,
    now_ms: i64,
) -> Result<(), Error> {
    tx.enqueue_one(
        "INSERT INTO consult (id, status, creator_id, target_id, team_id, assistant_id, staff_conversation_id,
                              symptom_type, symptom_content, images, created_ms, ended_ms, creator_name, target_name,
                              team_name, relation, follow_up_of)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, $13, $14, $15, $16, $12)",
        params![
            new.id.get(),
            Status::Waiting.as_str(),
            new.creator.get(),
            new.target.get(),
            new.team_id,
            new.assistant.get(),
            new.staff_room.get(),
            new.symptom_type.as_str(),
            new.symptom_content.as_str(),
            new.images.as_str(),
            now_ms,
            new.follow_up_of,
            new.creator_name.as_str(),
            new.target_name.as_str(),
            new.team_name.as_str(),
            new.relation
        ],
    )
    .await?;
    gram::fold(tx, new.id.get(), now_ms).await?;
    for (user, seat, name) in [
        (new.creator, Seat::Patient, &new.creator_name),
        (new.assistant, Seat::Assistant, &new.assistant_name),
    ] {
        let mut seating = seating(new.id, user, seat, new.team_id, now_ms, now_ms);
        seating.extend(params![name.as_str(), ""]);
        tx.enqueue(SEAT, seating).await?;
    }
    Ok(())
}

const SEAT: &str =
    "INSERT INTO consult_person (consult_id, user_id, role, shelf, created_ms, joined_ms, team_id, name, title)
     VALUES ($1, $2, $3, $4, $5, $6, $8, $9, $10)
     ON CONFLICT (consult_id, user_id) DO UPDATE SET shelf = excluded.shelf, joined_ms = excluded.joined_ms,
         name = excluded.name, title = excluded.title
     WHERE consult_person.shelf = $7";

/// Parameters that seat a user, but for their name and title; one who is seated already stays so.
fn seating(
    consult: ConversationId,
    user: UserId,
    seat: Seat,
    team_id: i64,
    created_ms: i64,
    now_ms: i64,
) -> Vec<Value> {
    params![
        consult.get(),
        user.get(),
        seat.as_str(),
        Shelf::InProcess.as_str(),
        created_ms,
        now_ms,
        Shelf::Removed.as_str(),
        team_id
    ]
}

/// Seats a doctor.
pub(super) async fn seat_doctor(
    tx: &mut Transaction<'_>,
    consult: &Record,
    doctor: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    let created_ms = consult.place().at;
    let identity = account::identity(tx, doctor).await?;
    let (name, title) = identity
        .map(|found| (found.name, found.title))
        .unwrap_or_default();
    let mut seating = seating(
        consult.id,
        doctor,
        Seat::Doctor,
        consult.team_id,
        created_ms,
        now_ms,
    );
    seating.extend(params![name, title]);
    match tx.execute(SEAT, seating).await? {
        1 => count_doctors(tx, consult.id).await,
        _ => Err(Error::new(ErrorCode::ConsultAlreadyIn).field("doctor_id")),
    }
}

const COUNT_DOCTORS: &str = "UPDATE consult SET doctor_count = (SELECT count(*) FROM consult_person p
         WHERE p.consult_id = consult.id AND p.role = 'doctor' AND p.shelf <> 'removed') WHERE id = $1";

/// Counts the doctors of a locked consult, by whose number the desk finds it.
async fn count_doctors(tx: &mut Transaction<'_>, consult: ConversationId) -> Result<(), Error> {
    tx.execute(COUNT_DOCTORS, params![consult.get()]).await?;
    Ok(())
}

const UNSEAT: &str = "UPDATE consult_person SET shelf = $1, left_ms = $5, served = served OR $6,
         left_doctors = COALESCE((SELECT string_agg(CAST(d.user_id AS TEXT), ',' ORDER BY d.joined_ms, d.user_id)
             FROM consult_person d WHERE d.consult_id = consult_person.consult_id AND d.role = 'doctor'
               AND d.shelf <> 'removed' AND d.user_id <> consult_person.user_id), '')
     WHERE consult_id = $2 AND user_id = $3 AND role = 'doctor' AND shelf = $4";

/// Unseats a doctor, and notes which doctors stay: it is what they see of the record from then on.
pub(super) async fn unseat_doctor(
    tx: &mut Transaction<'_>,
    consult: ConversationId,
    doctor: UserId,
    served: bool,
    now_ms: i64,
) -> Result<(), Error> {
    let unseated = tx
        .execute(
            UNSEAT,
            params![
                Shelf::Removed.as_str(),
                consult.get(),
                doctor.get(),
                Shelf::InProcess.as_str(),
                now_ms,
                served
            ],
        )
        .await?;
    if unseated == 1 {
        count_doctors(tx, consult).await
    } else {
        Err(Error::new(ErrorCode::ConsultDoctorNotFound).field("doctor_id"))
    }
}

/// The seats and their consults, for a statement's end.
const SEATED: &str = "FROM consult_person p JOIN consult c ON c.id = p.consult_id";

fn one() -> String {
    format!(
        "SELECT {}, p.role {SEATED} {JOINS}
         WHERE p.consult_id = $1 AND p.user_id = $2 AND p.shelf <> 'removed'",
        columns()
    )
}

fn seat(row: &database::Row) -> Result<(Record, Seat), Error> {
    let role: String = row.get(COLUMNS)?;
    let seat = Seat::from_database(&role).ok_or_else(|| Error::internal("consult_person.role is unknown"))?;
    Ok((Record::from_row(row)?, seat))
}

/// A reader's relation to a consult.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// In it, or a doctor who left and sees it as of that moment.
    Seat(Seat),
    /// The relative whom it is about, who is not in it: they see the record, and no conversation.
    Subject,
}

/// Everybody but the creator is about another user.
const SEES: &str = "(p.user_id IS NOT NULL OR (c.target_id = $2 AND c.creator_id <> c.target_id))";

fn seen_sql() -> String {
    format!(
        "SELECT {}, p.role FROM consult c LEFT JOIN consult_person p ON p.consult_id = c.id AND p.user_id = $2 {JOINS}
         WHERE c.id = $1 AND {SEES}",
        columns_as_of_p()
    )
}

/// A consult that a user may read; otherwise refused as if it did not exist.
pub(super) async fn seen(database: &Database, consult: i64, user: UserId) -> Result<(Record, Reader), Error> {
    let row = database
        .query_first(seen_sql(), params![consult, user.get()])
        .await?;
    let row = row.ok_or(ErrorCode::ConsultNotFound)?;
    match row.get::<Option<String>>(COLUMNS)? {
        Some(_) => seat(&row).map(|(record, seat)| (record, Reader::Seat(seat))),
        None => Ok((Record::from_row(&row)?, Reader::Subject)),
    }
}

fn unseated_sql() -> String {
    format!(
        "SELECT {}, p.role FROM consult c LEFT JOIN consult_person p
             ON p.consult_id = c.id AND p.user_id = $2 AND p.shelf <> 'removed' {JOINS} WHERE c.id = $1",
        columns()
    )
}

/// Locks a consult for a doctor of its team, who may have a seat in it.
pub(super) async fn lock_for_colleague(
    tx: &mut Transaction<'_>,
    consult: i64,
    user: UserId,
) -> Result<(Record, Seat), Error> {
    lock_row(tx, consult).await?;
    let row = tx
        .query_first(unseated_sql(), params![consult, user.get()])
        .await?;
    let row = row.ok_or(ErrorCode::ConsultNotFound)?;
    match row.get::<Option<String>>(COLUMNS)? {
        Some(_) => seat(&row),
        None => Ok((Record::from_row(&row)?, Seat::Colleague)),
    }
}

impl Seating for Record {
    type Seat = Seat;

    async fn lock(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<(Self, Seat), Error> {
        lock_row(tx, id).await?;
        consult_in(tx, id, user.id).await
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

/// Locks a consult's row: reads of it and of its seats that follow stay true to the end of the transaction, and miss it
/// when there is none.
pub(crate) async fn lock_row(tx: &mut Transaction<'_>, consult: i64) -> Result<(), Error> {
    Ok(tx
        .enqueue_lock("SELECT id FROM consult WHERE id = $1", params![consult])
        .await?)
}

/// Locks the consult of a value-added service, which never changes.
pub(crate) async fn lock_row_of_vas(tx: &mut Transaction<'_>, vas: i64) -> Result<(), Error> {
    Ok(tx.enqueue_lock(ROW_OF_VAS, params![vas]).await?)
}

const ROW_OF_VAS: &str = "SELECT id FROM consult WHERE id = (SELECT consult_id FROM vas WHERE id = $1)";

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

/// The newest advice of a consult: an entry of its conversation.
pub(super) async fn put_advice(
    tx: &mut Transaction<'_>,
    consult: ConversationId,
    seq: Seq,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE consult SET advice_seq = $1 WHERE id = $2",
        params![seq.get(), consult.get()],
    )
    .await?;
    Ok(())
}

/// Moves a locked consult from the state that was read to the next one.
pub(super) async fn enter(
    tx: &mut Transaction<'_>,
    consult: &Record,
    next: Status,
    now_ms: i64,
) -> Result<(), Error> {
    let ended_ms = (!next.is_open()).then_some(now_ms);
    let month = (next == Status::Finished).then(|| Month::at(now_ms).get());
    let moved = tx
        .execute(
            "UPDATE consult SET status = $1, ended_ms = $2, month = $3, accepted_ms = COALESCE(accepted_ms, $6)
             WHERE id = $4 AND status = $5",
            params![
                next.as_str(),
                ended_ms,
                month,
                consult.id.get(),
                consult.status.as_str(),
                (next == Status::InProcess).then_some(now_ms)
            ],
        )
        .await?;
    if moved == 0 {
        return Err(ErrorCode::ConsultEnded.into());
    }
    if !next.is_open() {
        tx.enqueue(
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
    async fn statements_walk_an_index() {
        for one in [one(), seen_sql(), unseated_sql()] {
            walks_an_index(&one, params![1_i64, 1_i64]).await;
        }
        walks_an_index(COUNT_DOCTORS, params![1_i64]).await;
        let unseat = params!["removed", 1_i64, 1_i64, "in_process", 1_i64, true];
        walks_an_index(UNSEAT, unseat).await;
        walks_an_index(SHARED, params![1_i64, 1_i64]).await;
        walks_an_index(SEATED_NOW, params![1_i64, 1_i64]).await;
        walks_an_index(ROW_OF_VAS, params![1_i64]).await;
    }
}
