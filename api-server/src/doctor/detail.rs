//! 2.1: a doctor fills in their page.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Doctor, table};
use crate::{
    account::{self, Role, User},
    answer::{Answer, Envelope},
    app::{App, Written},
    clock::now_ms,
    docs::IdempotencyKey,
    error::{Error, Word},
    input::{Given, Text, Write},
};

/// What changes on a doctor's page (2.1). What is left out stays as it is; an empty text clears.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "photo_id": "photo-7", "title": "主任医师", "department": "妇产科", "expertise": "高危妊娠",
    "honours": "省优秀医师", "introduction": "从医二十年"
}))]
pub(crate) struct DoctorDetail {
    name: Option<Text<1, 64>>,
    /// Of an upload; null clears it.
    #[serde(default)]
    #[schema(value_type = Option<Text<1, 128>>)]
    photo_id: Given<Text<1, 128>>,
    /// 职称.
    title: Option<Text<0, 64>>,
    /// 科室.
    department: Option<Text<0, 64>>,
    /// 个人擅长.
    expertise: Option<Text<0, 2000>>,
    /// 个人荣誉.
    honours: Option<Text<0, 2000>>,
    introduction: Option<Text<0, 4000>>,
}

impl DoctorDetail {
    fn change(self, doctor: &mut Doctor) {
        fn set<const MIN: usize, const MAX: usize>(field: &mut String, new: Option<Text<MIN, MAX>>) {
            if let Some(new) = new {
                *field = new.into_string();
            }
        }
        set(&mut doctor.name, self.name);
        doctor.photo_id = self.photo_id.over(doctor.photo_id.take(), Text::into_string);
        set(&mut doctor.title, self.title);
        set(&mut doctor.department, self.department);
        set(&mut doctor.expertise, self.expertise);
        set(&mut doctor.honours, self.honours);
        set(&mut doctor.introduction, self.introduction);
    }
}

/// Fills in one's page (2.1)
///
/// By a doctor, of themselves. The answer is the page as everybody sees it.
#[utoipa::path(
    operation_id = "updateDoctor",
    post, path = "/doctor/detail", tag = "doctor", request_body = DoctorDetail, params(IdempotencyKey),
    responses((status = 200, body = Envelope<Doctor>), (status = 403, description = "`doctor.doctors_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn put(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<DoctorDetail>,
) -> Result<Answer, Error> {
    if user.role != Role::Doctor {
        return Err(Word::DoctorPageForbidden.into());
    }
    app.write(once, move |tx| {
        Box::pin(async move {
            account::take(tx, user.id).await?;
            let mut doctor = table::doctor_in(tx, user.id.get())
                .await?
                .ok_or(Word::AuthRequired)?;
            body.change(&mut doctor);
            account::rename(tx, user.id, doctor.name.clone()).await?;
            table::put(tx, &doctor, now_ms()).await?;
            Ok(Written::new(Answer::one(&doctor)?))
        })
    })
    .await
}
