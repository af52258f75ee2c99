//! The SQL of a user's teams.

use database::{Row, params};
use proto::UserId;

use crate::{
    caller::Role,
    http::{answer::List, error::Error, input::Cursor},
    team::find::mine::MyTeam,
};

const OF_DOCTOR: &str = "SELECT t.id, t.name, t.introduction, t.owner_id, o.name, d.joined_ms,
            CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
     FROM team_doctor d JOIN team t ON t.id = d.team_id JOIN account o ON o.id = t.owner_id
     WHERE d.doctor_id = $1 AND t.dissolved_ms IS NULL AND (d.joined_ms, d.team_id) < ($2, $3)
     ORDER BY d.joined_ms DESC, d.team_id DESC LIMIT $4";
const OF_MEMBER: &str = "SELECT t.id, t.name, t.introduction, t.owner_id, o.name, m.joined_ms,
            m.agreement_version, t.agreement_version
     FROM team_member m JOIN team t ON t.id = m.team_id JOIN account o ON o.id = t.owner_id
     WHERE m.member_id = $1 AND t.dissolved_ms IS NULL AND (m.joined_ms, m.team_id) < ($2, $3)
     ORDER BY m.joined_ms DESC, m.team_id DESC LIMIT $4";
const COUNT_OF_DOCTOR: &str = "SELECT count(*) FROM team_doctor d JOIN team t ON t.id = d.team_id
     WHERE d.doctor_id = $1 AND t.dissolved_ms IS NULL";
const COUNT_OF_MEMBER: &str = "SELECT count(*) FROM team_member m JOIN team t ON t.id = m.team_id
     WHERE m.member_id = $1 AND t.dissolved_ms IS NULL";

fn row(row: &Row) -> Result<MyTeam, Error> {
    let (accepted, current): (Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?);
    Ok(MyTeam {
        team_id: row.get(0)?,
        name: row.get(1)?,
        introduction: row.get(2)?,
        owner_id: row.get(3)?,
        owner_name: row.get(4)?,
        joined_ms: row.get(5)?,
        agreement_version: accepted,
        new_agreement_version: current.filter(|current| accepted.is_some_and(|accepted| accepted < *current)),
    })
}

/// The teams of a doctor or a member, the newest first.
pub(in crate::team) fn mine(user: UserId, role: Role) -> List<MyTeam> {
    let (items, count) = match role {
        Role::Member => (OF_MEMBER, COUNT_OF_MEMBER),
        _ => (OF_DOCTOR, COUNT_OF_DOCTOR),
    };
    List {
        items: items.into(),
        count: count.into(),
        keys: params![user.get()],
        item: row,
        place: |team| Cursor {
            at: team.joined_ms,
            id: team.team_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statements_walk_an_index() {
        for role in [Role::Doctor, Role::Member] {
            mine(UserId::from_database(1), role).walks_an_index().await;
        }
    }
}
