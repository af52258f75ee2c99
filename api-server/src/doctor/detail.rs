//! 2.1: changing a doctor's page.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Caller, Doctor, table};
use crate::{
    account,
    app::{App, Written},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Given, Line, PhotoId, Text, Write},
    },
    media::{Media, Record},
};

/// Changes of a doctor's page (2.1). An absent field stays as it is; an empty text clears it.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "photo_id": "photo-7", "title": "主任医师", "department": "妇产科", "expertise": "高危妊娠",
    "honours": "省优秀医师", "introduction": "从医二十年"
}))]
pub(crate) struct DoctorDetail {
    name: Option<Line<1, 64>>,
    /// Of an upload; null clears it.
    #[serde(default)]
    #[schema(value_type = Option<PhotoId>)]
    photo_id: Given<PhotoId>,
    /// 职称.
    title: Option<Line<0, 64>>,
    /// 科室.
    department: Option<Line<0, 64>>,
    /// 个人擅长.
    expertise: Option<Text<0, 2000>>,
    /// 个人荣誉.
    honours: Option<Text<0, 2000>>,
    introduction: Option<Text<0, 4000>>,
}

impl DoctorDetail {
    fn change(self, doctor: &mut Doctor) {
        fn set(field: &mut String, new: Option<String>) {
            if let Some(new) = new {
                *field = new;
            }
        }
        set(&mut doctor.name, self.name.map(Line::into_string));
        doctor.photo_id = self.photo_id.over(doctor.photo_id.take(), PhotoId::into_string);
        set(&mut doctor.title, self.title.map(Line::into_string));
        set(&mut doctor.department, self.department.map(Line::into_string));
        set(&mut doctor.expertise, self.expertise.map(Text::into_string));
        set(&mut doctor.honours, self.honours.map(Text::into_string));
        set(&mut doctor.introduction, self.introduction.map(Text::into_string));
    }
}

/// Changes one's own page (2.1)
///
/// By the doctor. The answer is the page as all users see it.
#[utoipa::path(
    operation_id = "updateDoctor",
    post, path = "/doctor/detail", tag = "doctor", request_body = DoctorDetail, params(IdempotencyKey),
    responses((status = 200, body = Envelope<Doctor>), (status = 403, description = "`doctor.doctors_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn put(
    State(app): State<App>,
    user: Caller,
    Write { body, once }: Write<DoctorDetail>,
) -> Result<Answer, Error> {
    let media = app.part::<Media>().clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            account::lock(tx, user.id).await?;
            let mut doctor = table::doctor_in(tx, user.id.get())
                .await?
                .ok_or(ErrorCode::AuthRequired)?;
            let before = doctor.photo_id.clone();
            body.change(&mut doctor);
            let (photo, of) = (doctor.photo_id.as_deref(), Record::Doctor);
            media
                .use_photo(tx, user.id, (before.as_deref(), photo), of, user.id.get(), now_ms)
                .await?;
            account::rename(tx, user.id, doctor.name.clone()).await?;
            table::put(tx, &doctor, now_ms).await?;
            Ok(Written::new(Answer::one(&doctor)?))
        })
    })
    .await
}
