//! Creating a team.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Caller, Clock, OPEN_CONSULTS, Team, table};
use crate::{
    account::{self, NewAccount},
    app::{App, Written},
    caller::Role,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::Error,
        input::{Fen, Line, Text, Within, Write},
    },
};

/// A new team.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "name": "儿科", "introduction": "介绍", "agreement": "会员加入协议", "membership_fee_fen": 10000,
    "consult_price_fen": 2000
}))]
pub(crate) struct NewTeam {
    name: Line<1, 64>,
    introduction: Text<0, 2000>,
    /// 会员加入协议.
    agreement: Text<0, 20000>,
    membership_fee_fen: Fen,
    consult_price_fen: Fen,
    /// Whether only members begin consults; false by default.
    members_only: Option<bool>,
    /// Open consults of one member at most: 3 by default.
    max_open_consults: Option<Within<1, 1000>>,
}

/// Creates a team
///
/// By a verified doctor, who is its owner and first doctor. A doctor creates or joins at most 5 teams, counted together. The team's
/// assistant account is created with it.
#[utoipa::path(
    operation_id = "createTeam",
    post, path = "/team", tag = "team", request_body = NewTeam, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Team>),
        (status = 403, description = "`team.doctors_only`, `doctor.not_verified`"),
        (status = 409, description = "`team.limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn create(
    State(app): State<App>,
    user: Caller,
    Write { body, once }: Write<NewTeam>,
) -> Result<Answer, Error> {
    let rule = app.doctor_verification;
    let team_id = app.database.allocate_id(table::SEQUENCE).await?;
    let assistant = UserId::from_database(app.database.allocate_id(account::SEQUENCE).await?);
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            account::check_verified(tx, rule, user.id).await?;
            let team = Team {
                team_id,
                name: body.name.into_string(),
                introduction: body.introduction.into_string(),
                agreement: body.agreement.into_string(),
                agreement_version: 1,
                membership_fee_fen: body.membership_fee_fen.get(),
                consult_price_fen: body.consult_price_fen.get(),
                owner_id: user.id.get(),
                assistant_id: assistant.get(),
                doctor_ids: vec![user.id.get()],
                created_ms: now_ms,
                members_only: body.members_only.unwrap_or_default(),
                max_open_consults: body.max_open_consults.map_or(OPEN_CONSULTS, Within::get),
                clinic_id: None,
                closed_ms: None,
                dissolved_ms: None,
                claims: false,
                clock: Clock {
                    late_cancel: true,
                    ..Clock::default()
                },
            };
            let account = NewAccount {
                id: assistant,
                phone: None,
                name: format!("{}群助手", team.name),
                role: Role::Assistant,
                password_hash: None,
            };
            account::new_account(tx, account, now_ms).await?;
            table::new_team(tx, &team).await?;
            table::add_doctor(tx, team_id, user.id, now_ms).await?;
            Ok(Written::new(Answer::one(&team)?))
        })
    })
    .await
}
