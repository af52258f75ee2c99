//! The SQL of a team's desk. Each list is one walk of an index of its own, so that a team's history costs its desk nothing.

pub(super) mod gram;

use database::{Database, Value, params};
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::record::{JOINS, Record, columns};
use crate::http::{
    answer::Page,
    error::Error,
    input::{PageQuery, Search},
};

/// A state of the desk is counted up to here; an app shows "99+".
const COUNT_CAP: i64 = 100;

/// A list of the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = DeskState, rename_all = "snake_case")]
pub(in crate::consult) enum State {
    /// Open, and without a doctor.
    Waiting,
    /// Open, with the caller among its doctors.
    Mine,
    /// Open, with a doctor.
    Running,
    /// Finished or cancelled.
    Ended,
}

impl State {
    pub(in crate::consult) const ALL: [Self; 4] = [Self::Waiting, Self::Mine, Self::Running, Self::Ended];

    pub(in crate::consult) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Mine => "mine",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }

    /// The clauses that its index knows; `c` is the consult.
    const fn clauses(self) -> &'static str {
        match self {
            Self::Waiting => "c.doctor_count = 0 AND c.ended_ms IS NULL",
            Self::Mine | Self::Running => "c.doctor_count > 0 AND c.ended_ms IS NULL",
            Self::Ended => "c.ended_ms IS NOT NULL",
        }
    }
}

/// How many consults there are in each state, counted up to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DeskCounts)]
pub(in crate::consult) struct Counts {
    waiting: i64,
    mine: i64,
    running: i64,
    ended: i64,
}

/// A doctor's open seats in a team's consults, as their index knows them.
const RUNNING_SEAT: &str = "p.role = 'doctor' AND p.shelf = 'in_process'";

fn counts_sql() -> String {
    let of_team = |state: State| {
        let clauses = state.clauses();
        format!(
            "(SELECT count(*) FROM (SELECT 1 FROM consult c WHERE c.team_id = $1 AND {clauses} LIMIT {COUNT_CAP}) AS counted)"
        )
    };
    let mine = format!(
        "(SELECT count(*) FROM (SELECT 1 FROM consult_person p
          WHERE p.user_id = $2 AND p.team_id = $1 AND {RUNNING_SEAT} LIMIT {COUNT_CAP}) AS counted)"
    );
    let states = [
        of_team(State::Waiting),
        mine,
        of_team(State::Running),
        of_team(State::Ended),
    ];
    ["SELECT", states.join(", ").as_str()].join(" ")
}

/// Counts the consults of a team in each state of a caller's desk.
pub(in crate::consult) async fn counts(
    database: &Database,
    team: i64,
    caller: UserId,
) -> Result<Counts, Error> {
    let row = database
        .query_first(counts_sql(), params![team, caller.get()])
        .await?;
    let row = row.ok_or_else(|| Error::internal("a count gave no row"))?;
    Ok(Counts {
        waiting: row.get(0)?,
        mine: row.get(1)?,
        running: row.get(2)?,
        ended: row.get(3)?,
    })
}

/// A page of a team's desk.
#[derive(Clone, Debug)]
pub(in crate::consult) struct Desk {
    pub(in crate::consult) team: i64,
    pub(in crate::consult) caller: UserId,
    pub(in crate::consult) state: State,
    /// One of its doctors; of an ended one also who served in it.
    pub(in crate::consult) doctor: Option<i64>,
    /// Opened then or later, epoch milliseconds.
    pub(in crate::consult) from_ms: i64,
    /// Opened earlier.
    pub(in crate::consult) to_ms: i64,
    pub(in crate::consult) search: Option<Search>,
}

/// A statement in the making.
struct Statement {
    source: String,
    keys: Vec<Value>,
    /// The columns of the index that give the order.
    at: &'static str,
    id: &'static str,
}

impl Statement {
    /// A parameter's place.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.keys.push(value.into());
        format!("${}", self.keys.len())
    }

    fn and(&mut self, clause: &str) {
        self.source.push_str(" AND ");
        self.source.push_str(clause);
    }
}

impl Desk {
    fn walk(&self) -> Statement {
        let mut walk = match (self.state, self.doctor, &self.search) {
            (State::Mine, ..) => self.seats(self.caller.get(), RUNNING_SEAT),
            (State::Ended, Some(doctor), _) => {
                self.seats(doctor, "p.role = 'doctor' AND (p.shelf <> 'removed' OR p.served)")
            }
            (_, Some(doctor), _) => self.seats(doctor, RUNNING_SEAT),
            (State::Ended, None, Some(search)) => self.pieces(search),
            (_, None, _) => self.consults(),
        };
        let has_seat = walk.at == "p.created_ms";
        walk.and(match self.state {
            // The seat says that there is a doctor.
            State::Mine | State::Running if has_seat => "c.ended_ms IS NULL",
            state => state.clauses(),
        });
        if let (State::Mine, Some(doctor)) = (self.state, self.doctor) {
            let doctor = walk.bind(doctor);
            // A scalar subquery is tried for each row of the walk, and never becomes the walk itself.
            walk.and(&format!(
                "(SELECT 1 FROM consult_person o WHERE o.consult_id = c.id AND o.user_id = {doctor}
                  AND o.role = 'doctor' AND o.shelf = 'in_process') IS NOT NULL"
            ));
        }
        self.search(&mut walk);
        walk
    }

    fn search(&self, walk: &mut Statement) {
        let Some(search) = &self.search else {
            return;
        };
        if walk.at != "g.created_ms" {
            let piece = walk.bind(search.piece.as_str());
            walk.and(&format!(
                "(SELECT 1 FROM consult_gram g WHERE g.team_id = $1 AND g.gram = {piece}
                  AND g.created_ms = c.created_ms AND g.consult_id = c.id) IS NOT NULL"
            ));
        }
        if let Some(pattern) = &search.pattern {
            let pattern = walk.bind(pattern.as_str());
            walk.and(&format!("c.search_text LIKE {pattern} ESCAPE '\\'"));
        }
    }

    fn consults(&self) -> Statement {
        Statement {
            source: "FROM consult c {joins} WHERE c.team_id = $1".to_owned(),
            keys: params![self.team],
            at: "c.created_ms",
            id: "c.id",
        }
    }

    fn seats(&self, doctor: i64, clauses: &str) -> Statement {
        Statement {
            source: format!(
                "FROM consult_person p JOIN consult c ON c.id = p.consult_id {{joins}}
                 WHERE p.team_id = $1 AND p.user_id = $2 AND {clauses}"
            ),
            keys: params![self.team, doctor],
            at: "p.created_ms",
            id: "p.consult_id",
        }
    }

    fn pieces(&self, search: &Search) -> Statement {
        Statement {
            source: "FROM consult_gram g JOIN consult c ON c.id = g.consult_id {joins}
                     WHERE g.team_id = $1 AND g.gram = $2"
                .to_owned(),
            keys: params![self.team, search.piece.as_str()],
            at: "g.created_ms",
            id: "g.consult_id",
        }
    }

    /// The items after a place of the list, and their parameters.
    fn items(&self, query: &PageQuery) -> (String, Vec<Value>) {
        let mut walk = self.walk();
        let (at, id) = (walk.at, walk.id);
        let after = query.cursor.map(|cursor| (cursor.at, cursor.id));
        // The longest wait comes first; of ended ones, the newest.
        let (order, begins, start, ends, end) = match self.state {
            State::Ended => {
                let start = after.map_or((self.to_ms, 0), |after| after.min((self.to_ms, 0)));
                ("DESC", "<", start, ">=", self.from_ms)
            }
            State::Waiting | State::Mine | State::Running => {
                let before = (self.from_ms.saturating_sub(1), i64::MAX);
                let start = after.map_or(before, |after| after.max(before));
                ("ASC", ">", start, "<", self.to_ms)
            }
        };
        let (start_at, start_id) = (walk.bind(start.0), walk.bind(start.1));
        walk.and(&format!("({at}, {id}) {begins} ({start_at}, {start_id})"));
        let end = walk.bind(end);
        walk.and(&format!("{at} {ends} {end}"));
        let limit = walk.bind(query.limit + 1);
        let columns = columns();
        let source = walk.source.replace("{joins}", JOINS);
        let page = format!("ORDER BY {at} {order}, {id} {order} LIMIT {limit}");
        let sql = ["SELECT", columns.as_str(), source.as_str(), page.as_str()].join(" ");
        (sql, walk.keys)
    }

    fn count(&self) -> (String, Vec<Value>) {
        let mut walk = self.walk();
        let at = walk.at;
        let (from, to) = (walk.bind(self.from_ms), walk.bind(self.to_ms));
        walk.and(&format!("{at} >= {from} AND {at} < {to}"));
        let source = walk.source.replace("{joins}", "");
        (["SELECT count(*)", source.as_str()].join(" "), walk.keys)
    }

    /// Reads a page.
    pub(in crate::consult) async fn page(
        &self,
        database: &Database,
        query: &PageQuery,
    ) -> Result<Page<Record>, Error> {
        let mut total = None;
        if query.count {
            let (sql, keys) = self.count();
            let row = database.query_first(sql, keys).await?;
            total = Some(row.map_or(Ok(0), |row| row.get(0))?);
        }
        let (sql, keys) = self.items(query);
        let rows = database.query(sql, keys).await?;
        let records = rows.iter().map(Record::from_row).collect::<Result<_, _>>()?;
        Ok(Page::cut(records, total, query, Record::place))
    }
}

#[cfg(test)]
mod tests;
