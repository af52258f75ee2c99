//! A doctor asks to be verified, and reads how it went.

use axum::extract::State as Service;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Caller, Verification, table};
use crate::{
    account,
    app::{App, Written},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Line, Uri, Within, Write},
    },
    media::{Media, Named, Record},
};

/// Pictures of a verification, at most.
const MAX_PICTURES: usize = 9;

/// The proof that the caller is a doctor.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "name": "王芳", "licence_number": "110110000012345", "hospital": "北京市朝阳区妇幼保健院", "title": "主治医师",
    "practice_years": 12, "pictures": ["media/1"]
}))]
pub(crate) struct AskVerification {
    /// As in the licence.
    name: Line<1, 64>,
    /// 执业证书编号.
    licence_number: Line<4, 64>,
    hospital: Line<1, 100>,
    /// 职称.
    title: Line<1, 64>,
    practice_years: Within<0, 80>,
    /// Pictures of licence and title: uploads of the purpose licence.
    #[schema(min_items = 1, max_items = 9)]
    pictures: Vec<Uri>,
}

impl AskVerification {
    fn pictures(&mut self, app: &App) -> Result<Vec<String>, Error> {
        if !(1..=MAX_PICTURES).contains(&self.pictures.len()) {
            return Err(Error::invalid(
                "pictures",
                format!("应为 1 到 {MAX_PICTURES} 张图片"),
                format!("must be 1 to {MAX_PICTURES} pictures"),
            ));
        }
        let pictures = std::mem::take(&mut self.pictures).into_iter();
        pictures
            .map(|uri| uri.checked(&app.media_hosts, "pictures"))
            .collect()
    }
}

/// Asks to be verified as a doctor
///
/// By the doctor. Until an operator decides, and after a decline, asking again replaces what was sent. Only verified doctors
/// found and join clinics and teams, are brought into consults, and open chats with patients.
#[utoipa::path(
    operation_id = "askVerification",
    post, path = "/doctor/verification", tag = "doctor", request_body = AskVerification, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Verification>),
        (status = 403, description = "`doctor.doctors_only`"),
        (status = 409, description = "`doctor.verification_settled`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn ask(
    Service(app): Service<App>,
    user: Caller,
    Write { mut body, once }: Write<AskVerification>,
) -> Result<Answer, Error> {
    let pictures = body.pictures(&app)?;
    let media = app.part::<Media>().clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            // Two that ask at once are decided one after the other; so is a decision between them.
            account::lock(tx, user.id).await?;
            let present = table::lock(tx, user.id.get()).await?;
            if present.is_some_and(|(_, state)| !state.may_ask()) {
                return Err(ErrorCode::VerificationSettled.into());
            }
            let now_ms = now_ms();
            let named: Vec<Named<'_>> = pictures.iter().map(|uri| Named::image(uri, "pictures")).collect();
            let (of, id) = (Record::Verification, user.id.get());
            media.use_in_record(tx, user.id, &named, of, id, now_ms).await?;
            let asked = Verification {
                name: body.name.into_string(),
                licence_number: body.licence_number.into_string(),
                hospital: body.hospital.into_string(),
                title: body.title.into_string(),
                practice_years: body.practice_years.get(),
                pictures,
                ..Verification::none(user.id.get())
            };
            let asked = table::put_asked(tx, asked, now_ms).await?;
            Ok(Written::new(Answer::one(&asked)?))
        })
    })
    .await
}

/// One's own verification
///
/// For the doctor. Its state is none until they ask.
#[utoipa::path(
    operation_id = "getVerification",
    get, path = "/doctor/verification", tag = "doctor",
    responses(
        (status = 200, body = Envelope<Verification>),
        (status = 403, description = "`doctor.doctors_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(Service(app): Service<App>, user: Caller) -> Result<Answer, Error> {
    shown(&app, user.id).await
}

pub(crate) async fn shown(app: &App, doctor: UserId) -> Result<Answer, Error> {
    let known = table::verification(&app.database, doctor.get()).await?;
    Answer::one(&known.unwrap_or_else(|| Verification::none(doctor.get())))
}
