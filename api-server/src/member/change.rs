//! Changing one's record.

use axum::extract::State;
use ledger::Wallet;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Caller, Member};
use crate::{
    account,
    app::{App, Written},
    clock::now_ms,
    family,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{BirthDate, Given, Line, PhotoId, Within, Write},
    },
    media::{Media, Record},
    profile::{self, Gender, Profile},
};

/// Changes of a member's record. An absent field stays as it is; null clears it.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "gender": "female", "birth_date": "1990-05-17", "pregnancies": 2, "births": 1, "menstrual_cycle_days": 28,
    "menarche_age": 13
}))]
pub(crate) struct MemberDetail {
    name: Option<Line<1, 64>>,
    /// Of an upload.
    #[serde(default)]
    #[schema(value_type = Option<PhotoId>)]
    photo_id: Given<PhotoId>,
    #[serde(default)]
    #[schema(value_type = Option<Gender>)]
    gender: Given<Gender>,
    #[serde(default)]
    #[schema(value_type = Option<BirthDate>)]
    birth_date: Given<BirthDate>,
    /// 怀孕次数.
    #[serde(default)]
    #[schema(value_type = Option<Within<0, 30>>)]
    pregnancies: Given<Within<0, 30>>,
    /// 产几: at most pregnancies.
    #[serde(default)]
    #[schema(value_type = Option<Within<0, 30>>)]
    births: Given<Within<0, 30>>,
    /// 月经周期, days.
    #[serde(default)]
    #[schema(value_type = Option<Within<10, 120>>)]
    menstrual_cycle_days: Given<Within<10, 120>>,
    /// 初潮年龄, years.
    #[serde(default)]
    #[schema(value_type = Option<Within<6, 25>>)]
    menarche_age: Given<Within<6, 25>>,
}

impl MemberDetail {
    fn over(self, present: Profile) -> Profile {
        Profile {
            photo_id: self.photo_id.over(present.photo_id, PhotoId::into_string),
            gender: self.gender.over(present.gender, |gender| gender),
            birth_date: self.birth_date.over(present.birth_date, |date| date.to_string()),
            pregnancies: self.pregnancies.over(present.pregnancies, Within::get),
            births: self.births.over(present.births, Within::get),
            menstrual_cycle_days: self
                .menstrual_cycle_days
                .over(present.menstrual_cycle_days, Within::get),
            menarche_age: self.menarche_age.over(present.menarche_age, Within::get),
        }
    }
}

/// Changes one's record
///
/// By the member.
#[utoipa::path(
    operation_id = "updateMember",
    put, path = "/member/detail", tag = "member", request_body = MemberDetail, params(IdempotencyKey),
    responses((status = 200, body = Envelope<Member>), (status = 403, description = "`member.members_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn change(
    State(app): State<App>,
    user: Caller,
    Write { mut body, once }: Write<MemberDetail>,
) -> Result<Answer, Error> {
    let media = app.part::<Media>().clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            account::lock(tx, user.id).await?;
            if let Some(name) = body.name.take() {
                account::rename(tx, user.id, name.into_string()).await?;
            }
            let (name, present) = profile::named_in(tx, user.id)
                .await?
                .ok_or(ErrorCode::AuthRequired)?;
            let before = present.photo_id.clone();
            let profile = body.over(present);
            profile.check()?;
            let (photo, of) = (profile.photo_id.as_deref(), Record::Member);
            media
                .use_photo(tx, user.id, (before.as_deref(), photo), of, user.id.get(), now_ms)
                .await?;
            profile::put(tx, user.id, &profile, now_ms).await?;
            let wallet = Wallet::of_in(tx, user.id).await?;
            let family = family::relatives_in(tx, user.id).await?;
            let member = Member::new(user.id, (name, profile), wallet, family);
            Ok(Written::new(Answer::one(&member)?))
        })
    })
    .await
}
