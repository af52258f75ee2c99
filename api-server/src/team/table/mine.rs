//! The SQL of a user's teams.

use database::{Database, params};
use proto::UserId;

use crate::{
    http::{error::Error, input::PageQuery},
    team::find::mine::MyTeam,
};

const OF_DOCTOR: &str = "SELECT t.id, t.name, t.introduction, t.owner_id, o.name, d.joined_ms
     FROM team_doctor d JOIN team t ON t.id = d.team_id JOIN account o ON o.id = t.owner_id
     WHERE d.doctor_id = $1 AND (d.joined_ms, d.team_id) < ($2, $3)
     ORDER BY d.joined_ms DESC, d.team_id DESC LIMIT $4";
const OF_MEMBER: &str = "SELECT t.id, t.name, t.introduction, t.owner_id, o.name, m.joined_ms
     FROM team_member m JOIN team t ON t.id = m.team_id JOIN account o ON o.id = t.owner_id
     WHERE m.member_id = $1 AND (m.joined_ms, m.team_id) < ($2, $3)
     ORDER BY m.joined_ms DESC, m.team_id DESC LIMIT $4";
const COUNT_OF_DOCTOR: &str = "SELECT count(*) FROM team_doctor WHERE doctor_id = $1";
const COUNT_OF_MEMBER: &str = "SELECT count(*) FROM team_member WHERE member_id = $1";

/// One row more than the page holds, the newest first.
pub(in crate::team) async fn mine(
    database: &Database,
    user: UserId,
    is_member: bool,
    page: &PageQuery,
) -> Result<Vec<MyTeam>, Error> {
    let start = page.start();
    let sql = if is_member { OF_MEMBER } else { OF_DOCTOR };
    let rows = database
        .query(sql, params![user.get(), start.at, start.id, page.limit + 1])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(MyTeam {
                team_id: row.get(0)?,
                name: row.get(1)?,
                introduction: row.get(2)?,
                owner_id: row.get(3)?,
                owner_name: row.get(4)?,
                joined_ms: row.get(5)?,
            })
        })
        .collect()
}

pub(in crate::team) async fn count_mine(
    database: &Database,
    user: UserId,
    is_member: bool,
) -> Result<i64, Error> {
    let sql = if is_member {
        COUNT_OF_MEMBER
    } else {
        COUNT_OF_DOCTOR
    };
    let row = database.query_first(sql, params![user.get()]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(OF_DOCTOR, params![1_i64, 1_i64, 1_i64, 51_i64]).await;
        walks_an_index(OF_MEMBER, params![1_i64, 1_i64, 1_i64, 51_i64]).await;
        walks_an_index(COUNT_OF_DOCTOR, params![1_i64]).await;
        walks_an_index(COUNT_OF_MEMBER, params![1_i64]).await;
    }
}
