//! A team's page, by id.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::PathId,
    },
    team::{Team, table},
};

/// A team's page: the team, its doctors, and how it has worked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamPage {
    #[serde(flatten)]
    pub(in crate::team) team: Team,
    /// In the order of joining; 50 at most, GET /team/{id}/doctor_list has all.
    pub(in crate::team) doctors: Vec<PageDoctor>,
    /// The clinic that it belongs to; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::team) clinic: Option<PageClinic>,
    /// How fast it answered in the last 30 days; absent without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::team) answer_time: Option<AnswerTime>,
    /// Its newest 1000 ratings; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::team) rating: Option<Rating>,
}

/// A doctor of a team's page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TeamPageDoctor)]
pub(crate) struct PageDoctor {
    pub(in crate::team) doctor_id: i64,
    pub(in crate::team) name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    pub(in crate::team) photo_id: Option<String>,
    pub(in crate::team) title: String,
    pub(in crate::team) department: String,
    /// 个人擅长.
    pub(in crate::team) expertise: String,
    /// Since when the platform has verified the doctor, epoch milliseconds; absent of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::team) verified_since: Option<i64>,
}

/// The clinic of a team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TeamPageClinic)]
pub(crate) struct PageClinic {
    pub(in crate::team) clinic_id: i64,
    pub(in crate::team) name: String,
}

/// How long patients waited for the first answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TeamAnswerTime)]
pub(crate) struct AnswerTime {
    pub(in crate::team) answers: i64,
    /// The mean, milliseconds.
    pub(in crate::team) mean_ms: i64,
}

/// The ratings of its patients.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TeamRating)]
pub(crate) struct Rating {
    count: i64,
    /// The mean number of stars, 1 to 5, with one decimal.
    mean: f64,
}

impl Rating {
    pub(in crate::team) fn of(count: i64, stars: i64) -> Self {
        // Tenths, rounded half up: a thousand ratings are exact in a float.
        let tenths = (stars * 20 / count + 1) / 2;
        Self {
            count,
            mean: f64::from(u8::try_from(tenths).unwrap_or(u8::MAX)) / 10.0,
        }
    }
}

/// A team
///
/// For every logged-in user: patients choose by it.
#[utoipa::path(
    operation_id = "getTeam",
    get, path = "/team/{id}", tag = "team", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, body = Envelope<TeamPage>), (status = 404, description = "`team.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, _: User, PathId(id): PathId) -> Result<Answer, Error> {
    let page = table::page(&app.database, id.get(), now_ms()).await?;
    Answer::one(&page.ok_or(ErrorCode::TeamNotFound)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_one_decimal() {
        for (count, stars, mean) in [
            (1, 5, 5.0),
            (3, 14, 4.7),
            (3, 13, 4.3),
            (2, 9, 4.5),
            (20, 21, 1.1),
            (1000, 5000, 5.0),
        ] {
            let rating = Rating::of(count, stars);
            assert_eq!((rating.count, rating.mean), (count, mean));
        }
    }
}
