//! The SQL of value-added services.

use std::collections::HashMap;

use database::{Database, Transaction, Value, params};
use ledger::{Commission, Month};
use proto::{ConversationId, UserId};

use super::{
    life::{Side, State},
    record::{COLUMNS, JOINS, Record},
};
use crate::{
    consult,
    http::{
        answer::List,
        error::{Error, ErrorCode},
    },
};

/// The sequence of their ids.
pub(super) const SEQUENCE: &str = "vas";

/// The list of its doctor or member on which a value-added service stands.
mod shelf {
    pub(super) const OPEN: &str = "open";
    pub(super) const DECIDED: &str = "decided";
    pub(super) const HIDDEN: &str = "hidden";
}

/// A new service.
pub(super) struct NewVas {
    pub(super) id: i64,
    pub(super) consult: ConversationId,
    pub(super) team_id: i64,
    pub(super) doctor: UserId,
    pub(super) member: UserId,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) price_fen: i64,
    /// Of the moment of the proposal; none when nothing is charged.
    pub(super) commission: Option<Commission>,
}

const NAMES: &str = "SELECT id, name FROM account WHERE id IN ($1, $2)";

/// Inserts a service, with the names of its moment.
pub(super) async fn new_vas(
    tx: &mut Transaction<'_>,
    new: NewVas,
    state: State,
    now_ms: i64,
) -> Result<(), Error> {
    // Over several database machines no INSERT may read.
    let named = tx
        .query(NAMES, params![new.doctor.get(), new.member.get()])
        .await?;
    let mut names = HashMap::new();
    for row in &named {
        names.insert(row.get::<i64>(0)?, row.get::<String>(1)?);
    }
    let name_of = |user: UserId| names.get(&user.get()).map_or("", String::as_str);
    tx.enqueue_one(
        "INSERT INTO vas (id, consult_id, team_id, doctor_id, member_id, name, description, price_fen, state,
                          created_ms, decided_ms, commission_per_mille, doctor_name, member_name)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $11, $12, $13)",
        params![
            new.id,
            new.consult.get(),
            new.team_id,
            new.doctor.get(),
            new.member.get(),
            new.name,
            new.description,
            new.price_fen,
            state.as_str(),
            now_ms,
            new.commission.map(Commission::get),
            name_of(new.doctor),
            name_of(new.member)
        ],
    )
    .await?;
    tx.enqueue(
        "INSERT INTO vas_person (vas_id, user_id, role, team_id, shelf, listed, created_ms)
         VALUES ($1, $2, 'doctor', $4, $5, $6, $7), ($1, $3, 'member', $4, $5, $6, $7)",
        params![
            new.id,
            new.doctor.get(),
            new.member.get(),
            new.team_id,
            shelf::OPEN,
            true,
            now_ms
        ],
    )
    .await?;
    Ok(())
}

const COUNT_OPEN: &str = "SELECT count(*) FROM vas WHERE consult_id = $1 AND state = 'proposed'";

pub(super) async fn count_open(tx: &mut Transaction<'_>, consult: i64) -> Result<i64, Error> {
    let row = tx.query_first(COUNT_OPEN, params![consult]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

fn one_sql() -> String {
    format!("SELECT {COLUMNS} FROM vas v {JOINS} WHERE v.id = $1")
}

pub(super) async fn vas_in(tx: &mut Transaction<'_>, vas: i64) -> Result<Option<Record>, Error> {
    let row = tx.query_first(one_sql(), params![vas]).await?;
    row.as_ref().map(Record::from_row).transpose()
}

/// A service, for a user who may see it; otherwise refused as if it did not exist.
pub(super) async fn vas_of(database: &Database, vas: i64, user: UserId) -> Result<Record, Error> {
    let row = database.query_first(one_sql(), params![vas]).await?;
    let vas = Record::from_row(&row.ok_or(ErrorCode::VasNotFound)?)?;
    if vas.is_by(user) || vas.is_for(user) {
        return Ok(vas);
    }
    let seated = consult::check_seated(database, vas.conversation().get(), user).await;
    seated.map_err(hidden_behind_the_service)?;
    Ok(vas)
}

/// The side of a user who may see a service; otherwise refused as if it did not exist.
pub(super) async fn side_in(tx: &mut Transaction<'_>, vas: &Record, user: UserId) -> Result<Side, Error> {
    if vas.is_for(user) {
        return Ok(Side::Member);
    }
    if vas.is_by(user) {
        return Ok(Side::Doctor);
    }
    consult::check_seated_in(tx, vas.conversation().get(), user)
        .await
        .map_err(hidden_behind_the_service)?;
    Ok(Side::Onlooker)
}

/// To a user outside the consult, its services do not exist.
fn hidden_behind_the_service(error: Error) -> Error {
    if error.code() == ErrorCode::ConsultNotFound {
        ErrorCode::VasNotFound.into()
    } else {
        error
    }
}

fn open_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM vas v {JOINS} WHERE v.consult_id = $1 AND v.state = 'proposed' ORDER BY v.id"
    )
}

/// The open proposals of a consult, in the order of ids.
pub(super) async fn open_of_consult(tx: &mut Transaction<'_>, consult: i64) -> Result<Vec<Record>, Error> {
    let rows = tx.query(open_sql(), params![consult]).await?;
    rows.iter().map(Record::from_row).collect()
}

/// Ends a proposal, whose consult is locked.
pub(super) async fn decide(
    tx: &mut Transaction<'_>,
    vas: &Record,
    next: State,
    now_ms: i64,
) -> Result<(), Error> {
    let month = (next == State::Confirmed).then(|| Month::at(now_ms).get());
    let commission = match next {
        State::Confirmed => vas.commission()?,
        _ => ledger::Fen::ZERO,
    };
    // Its consult is locked, so it is still open.
    tx.enqueue_one(
            "UPDATE vas SET state = $1, decided_ms = $2, month = $3, commission_fen = $4 WHERE id = $5 AND state = $6",
            params![
                next.as_str(),
                now_ms,
                month,
                commission.get(),
                vas.id(),
                State::Proposed.as_str()
            ],
        )
        .await?;
    tx.enqueue(
        "UPDATE vas_person SET shelf = $1 WHERE vas_id = $2 AND shelf = $3",
        params![shelf::DECIDED, vas.id(), shelf::OPEN],
    )
    .await?;
    Ok(())
}

/// A list of value-added services.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// Of a doctor or a member.
    Own(UserId),
    /// Those that they have hidden.
    Hidden(UserId),
    /// Of a consult, by any doctor.
    OfConsult(i64),
    /// A doctor's proposals in consults of a team.
    OfTeam(UserId, i64),
}

impl Shown {
    /// The clauses before the page's conditions.
    const fn source(self) -> &'static str {
        match self {
            Self::Own(_) | Self::Hidden(_) => {
                "FROM vas_person p JOIN vas v ON v.id = p.vas_id {joins} WHERE p.user_id = $1 AND p.listed = $2"
            }
            Self::OfConsult(_) => "FROM vas v {joins} WHERE v.consult_id = $1",
            Self::OfTeam(..) => {
                "FROM vas_person p JOIN vas v ON v.id = p.vas_id {joins}
                 WHERE p.user_id = $1 AND p.listed = $2 AND p.role = 'doctor' AND p.team_id = $3"
            }
        }
    }

    fn keys(self) -> Vec<Value> {
        match self {
            Self::Own(user) => params![user.get(), true],
            Self::Hidden(user) => params![user.get(), false],
            Self::OfConsult(consult) => params![consult],
            Self::OfTeam(user, team) => params![user.get(), true, team],
        }
    }

    /// The columns that lists are ordered by.
    const fn order(self) -> (&'static str, &'static str) {
        match self {
            Self::OfConsult(_) => ("v.created_ms", "v.id"),
            Self::Own(_) | Self::Hidden(_) | Self::OfTeam(..) => ("p.created_ms", "p.vas_id"),
        }
    }

    fn sql(self) -> String {
        let source = self.source().replace("{joins}", JOINS);
        let (at, id) = self.order();
        let first = self.keys().len() + 1;
        let (second, third) = (first + 1, first + 2);
        format!(
            "SELECT {COLUMNS} {source} AND ({at}, {id}) < (${first}, ${second})
             ORDER BY {at} DESC, {id} DESC LIMIT ${third}"
        )
    }

    fn count_sql(self) -> String {
        let source = self.source().replace("{joins}", "");
        format!("SELECT count(*) {source}")
    }

    /// The newest first.
    pub(super) fn list(self) -> List<Record> {
        List {
            items: self.sql().into(),
            count: self.count_sql().into(),
            keys: self.keys(),
            item: Record::from_row,
            place: Record::place,
        }
    }
}

const COUNT_CONFIRMED: &str = "SELECT count(*) FROM vas_person p JOIN vas v ON v.id = p.vas_id
     WHERE p.user_id = $1 AND p.team_id = $2 AND p.role = 'doctor' AND v.state = 'confirmed'";

/// Counts the confirmed services of a doctor in a team, hidden ones included.
pub(super) async fn count_confirmed(database: &Database, team: i64, doctor: UserId) -> Result<i64, Error> {
    let row = database
        .query_first(COUNT_CONFIRMED, params![doctor.get(), team])
        .await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

/// Hides a service from a user's lists.
pub(super) async fn hide(tx: &mut Transaction<'_>, vas: i64, user: UserId) -> Result<(), Error> {
    let hidden = tx
        .execute(
            "UPDATE vas_person SET shelf = $1, listed = $2 WHERE vas_id = $3 AND user_id = $4 AND shelf IN ($1, $5)",
            params![shelf::HIDDEN, false, vas, user.get(), shelf::DECIDED],
        )
        .await?;
    if hidden == 1 {
        return Ok(());
    }
    let vas = vas_in(tx, vas).await?.ok_or(ErrorCode::VasNotFound)?;
    match side_in(tx, &vas, user).await? {
        Side::Member | Side::Doctor => Err(ErrorCode::VasUndecided.into()),
        Side::Onlooker => Err(ErrorCode::VasForbidden.into()),
    }
}

const HIDE_ALL: &str = "UPDATE vas_person SET shelf = $1, listed = $2 WHERE user_id = $3 AND shelf = $4";

/// Hides all decided services from a user's lists.
pub(super) async fn hide_all(tx: &mut Transaction<'_>, user: UserId) -> Result<(), Error> {
    tx.execute(
        HIDE_ALL,
        params![shelf::HIDDEN, false, user.get(), shelf::DECIDED],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        let user = UserId::from_database(1);
        for shown in [Shown::Own(user), Shown::OfConsult(1), Shown::OfTeam(user, 1)] {
            shown.list().walks_an_index().await;
        }
        walks_an_index(NAMES, params![1_i64, 2_i64]).await;
        walks_an_index(COUNT_OPEN, params![1_i64]).await;
        walks_an_index(COUNT_CONFIRMED, params![1_i64, 1_i64]).await;
        walks_an_index(&one_sql(), params![1_i64]).await;
        walks_an_index(&open_sql(), params![1_i64]).await;
        walks_an_index(HIDE_ALL, params!["hidden", false, 1_i64, "decided"]).await;
    }
}
