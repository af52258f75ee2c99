//! A doctor's advice: the card of it is a message of the doctor, and the record shows the newest one.

use axum::extract::State;
use bytes::Bytes;
use jiff::civil::Date;
use prost::Message;
use proto::wire::AdviceCard;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::{Asked, act};
use crate::{
    app::App,
    caller::User,
    consult::record::ConsultEnvelope,
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::Error,
        input::{Ascii, Line, PathId, Text, Write},
    },
};

/// The title of advice that has none.
const TITLE: &str = "医生建议";

/// A doctor's advice. It is no prescription.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "impression": "紧张性头痛", "text": "规律作息，少看屏幕", "medicines": "布洛芬，疼痛时服用", "follow_up_date": "2026-12-20"
}))]
pub(crate) struct Advice {
    /// By default 医生建议.
    title: Option<Line<1, 64>>,
    text: Text<1, 4000>,
    /// The diagnosis as the doctor sees it now.
    impression: Option<Text<0, 2000>>,
    /// Medicines as text.
    medicines: Option<Text<0, 2000>>,
    /// When to come again, YYYY-MM-DD.
    #[schema(value_type = Option<String>, format = Date, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    follow_up_date: Option<Ascii<10, 10>>,
}

impl Advice {
    /// The card of the wire.
    pub(super) fn card(self) -> Result<Bytes, Error> {
        let follow_up_date = self.follow_up_date.map(Ascii::into_string).unwrap_or_default();
        // Exactly one form: the parser accepts others too.
        let is_date = |text: &str| text.parse::<Date>().is_ok_and(|date| date.to_string() == text);
        if !follow_up_date.is_empty() && !is_date(&follow_up_date) {
            return Err(Error::invalid(
                "follow_up_date",
                "应为日期，格式为 YYYY-MM-DD",
                "must be a date, as YYYY-MM-DD",
            ));
        }
        let card = AdviceCard {
            title: self.title.map_or_else(|| TITLE.to_owned(), Line::into_string),
            text: self.text.into_string(),
            images: Vec::new(),
            impression: self.impression.map(Text::into_string).unwrap_or_default(),
            medicines: self.medicines.map(Text::into_string).unwrap_or_default(),
            follow_up_date,
        };
        Ok(card.encode_to_vec().into())
    }
}

/// Writes advice in a consult
///
/// By a doctor in it. The advice becomes a message of the doctor (application/vnd.huizhen.advice); the record shows the newest
/// one. A doctor may also write it with the end of the consult: `advice` of `POST /consult/{id}/finish`.
#[utoipa::path(
    operation_id = "adviseConsult",
    post, path = "/consult/{id}/advice", tag = "consult", request_body = Advice,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn advise(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<Advice>,
) -> Result<Answer, Error> {
    act(&app, user, id, once, Asked::Advise, Some(body.card()?)).await
}
