//! Reading, changing and removing relatives.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Caller, FamilyMember, Kind, Relation, table};
use crate::{
    account,
    app::{App, Written},
    clock::now_ms,
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{BirthDate, Given, Line, Nothing, PageQuery, PathId, PhotoId, Write},
    },
    media::{Media, Record},
    profile::{self, Gender},
};

/// One's family
///
/// By a member.
#[utoipa::path(
    operation_id = "listFamilyMembers",
    get, path = "/family", tag = "family", params(PageParams),
    responses(
        (status = 200, body = ListEnvelope<FamilyMember>),
        (status = 403, description = "`member.members_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: Caller, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(table::list(user.id).page(&app.database, &page).await?)
}

/// A relative of one's family
#[utoipa::path(
    operation_id = "getFamilyMember",
    get, path = "/family/{relation_user_id}", tag = "family",
    params(("relation_user_id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<FamilyMember>),
        (status = 403, description = "`member.members_only`"),
        (status = 404, description = "`family.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: Caller, PathId(id): PathId) -> Result<Answer, Error> {
    Answer::one(&table::member(&app.database, user.id, UserId::from_database(id.get())).await?)
}

/// Changes of a relative. An absent field stays as it is; null clears it.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"relation_type": "child", "name": "小明", "birth_date": "2020-03-02"}))]
pub(crate) struct ChangeRelative {
    relation_type: Option<Relation>,
    /// Of dependants only, as all fields below.
    name: Option<Line<1, 64>>,
    #[serde(default)]
    #[schema(value_type = Option<PhotoId>)]
    photo_id: Given<PhotoId>,
    #[serde(default)]
    #[schema(value_type = Option<Gender>)]
    gender: Given<Gender>,
    #[serde(default)]
    #[schema(value_type = Option<BirthDate>)]
    birth_date: Given<BirthDate>,
}

impl ChangeRelative {
    fn changes_their_data(&self) -> bool {
        self.name.is_some()
            || !(self.photo_id.is_absent() && self.gender.is_absent() && self.birth_date.is_absent())
    }
}

/// Changes a relative of one's family
///
/// Of a dependant all fields; of a user with an account of their own the relation alone.
#[utoipa::path(
    operation_id = "updateFamilyMember",
    put, path = "/family/{relation_user_id}", tag = "family", request_body = ChangeRelative,
    params(("relation_user_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<FamilyMember>),
        (status = 403, description = "`member.members_only`, `family.not_dependant`"),
        (status = 404, description = "`family.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn change(
    State(app): State<App>,
    user: Caller,
    PathId(id): PathId,
    Write { body, once }: Write<ChangeRelative>,
) -> Result<Answer, Error> {
    let media = app.part::<Media>().clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let relative = UserId::from_database(id.get());
            // Lock order: the account, then the family's row.
            account::lock(tx, relative).await?;
            if table::lock_relative(tx, user.id, relative).await?.is_none() {
                return Err(ErrorCode::FamilyNotFound.into());
            }
            let present = table::member_in(tx, user.id, relative).await?;
            if body.changes_their_data() {
                if present.kind != Kind::Dependant {
                    return Err(ErrorCode::FamilyOwnData.into());
                }
                let mut profile = profile::read_in(tx, relative).await?;
                let before = profile.photo_id.clone();
                profile.photo_id = body.photo_id.over(profile.photo_id, PhotoId::into_string);
                profile.gender = body.gender.over(profile.gender, |gender| gender);
                profile.birth_date = body.birth_date.over(profile.birth_date, |date| date.to_string());
                let (photo, of) = (profile.photo_id.as_deref(), Record::Member);
                media
                    .use_photo(tx, user.id, (before.as_deref(), photo), of, id.get(), now_ms)
                    .await?;
                profile::put(tx, relative, &profile, now_ms).await?;
                if let Some(name) = body.name {
                    account::rename(tx, relative, name.into_string()).await?;
                }
            }
            if let Some(relation) = body.relation_type {
                table::set_relation(tx, user.id, relative, relation).await?;
            }
            Ok(Written::new(Answer::one(
                &table::member_in(tx, user.id, relative).await?,
            )?))
        })
    })
    .await
}

/// Removes a relative from one's family
///
/// The caller can no longer begin consults for them; existing ones stay and can be read.
#[utoipa::path(
    operation_id = "removeFamilyMember",
    delete, path = "/family/{relation_user_id}", tag = "family",
    params(("relation_user_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`member.members_only`"),
        (status = 404, description = "`family.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    user: Caller,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            table::remove_relative(tx, user.id, UserId::from_database(id.get())).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
