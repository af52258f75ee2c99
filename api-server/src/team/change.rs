//! Changing a team.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Team, life::clock::ChangeClock, table};
use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Fen, Line, PathId, Text, Within, Write},
    },
};

/// Changes of a team. Absent fields stay as they are.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"agreement": "会员加入协议，第二版", "consult_price_fen": 3000}))]
pub(crate) struct ChangeTeam {
    name: Option<Line<1, 64>>,
    introduction: Option<Text<0, 2000>>,
    /// A different text becomes a new version, which members accept from then on.
    agreement: Option<Text<0, 20000>>,
    membership_fee_fen: Option<Fen>,
    consult_price_fen: Option<Fen>,
    /// Whether only members begin consults.
    members_only: Option<bool>,
    /// Open consults of one member at most.
    max_open_consults: Option<Within<1, 1000>>,
    /// Whether its doctors claim consults that have no doctor.
    claims: Option<bool>,
    /// Only what is to change.
    clock: Option<ChangeClock>,
}

/// Changes a team
///
/// By its owner.
#[utoipa::path(
    operation_id = "updateTeam",
    put, path = "/team/{id}", tag = "team", request_body = ChangeTeam,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Team>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn change(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<ChangeTeam>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let present = table::lock(tx, id.get()).await?;
            if present.owner_id != user.id.get() {
                return Err(ErrorCode::TeamForbidden.into());
            }
            let now_ms = now_ms();
            let mut team = present.clone();
            if let Some(name) = body.name {
                team.name = name.into_string();
            }
            if let Some(introduction) = body.introduction {
                team.introduction = introduction.into_string();
            }
            if let Some(agreement) = body.agreement {
                team.agreement = agreement.into_string();
            }
            if let Some(fee) = body.membership_fee_fen {
                team.membership_fee_fen = fee.get();
            }
            if let Some(price) = body.consult_price_fen {
                team.consult_price_fen = price.get();
            }
            if let Some(members_only) = body.members_only {
                team.members_only = members_only;
            }
            if let Some(limit) = body.max_open_consults {
                team.max_open_consults = limit.get();
            }
            team.claims = body.claims.unwrap_or(team.claims);
            if team.agreement != present.agreement {
                team.agreement_version += 1;
                table::new_agreement(tx, &team, now_ms).await?;
            }
            table::put(tx, &team).await?;
            if let Some(change) = body.clock {
                team.clock = team.clock.changed(change)?;
                table::put_clock(tx, team.team_id, team.clock).await?;
            }
            if team.name != present.name {
                table::forget_pieces(tx, team.team_id).await?;
                // A closed team is not found.
                if team.closed_ms.is_none() {
                    table::put_pieces(tx, &team).await?;
                }
            }
            Ok(Written::new(Answer::one(&team)?))
        })
    })
    .await
}
