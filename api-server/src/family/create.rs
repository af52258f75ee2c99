//! Adding a dependant to a family, or inviting a user into it.

use axum::extract::State;
use database::Transaction;
use proto::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Caller, FamilyMember, Kind, MAX_FAMILY, Relation, SentInvitation,
    table::{self, NewInvitation},
};
use crate::{
    account::{self, NewAccount, Phone},
    app::{App, Written},
    caller::Role,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{BirthDate, Line, PhotoId, Write},
    },
    media::{Media, Record},
    profile::{self, Gender, Profile},
};

/// The lifetime of an invitation, milliseconds.
const LIFETIME_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// A new relative: with `phone` an invitation, else a dependant.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "relation_type": "child", "name": "小明", "gender": "male", "birth_date": "2020-03-01"
}))]
pub(crate) struct NewRelative {
    /// Their relation to the caller.
    relation_type: Relation,
    /// Of a user with a phone of their own, who must accept. The fields below are ignored then: that data is theirs.
    phone: Option<Phone>,
    /// Required for a dependant.
    name: Option<Line<1, 64>>,
    /// Of an upload.
    photo_id: Option<PhotoId>,
    gender: Option<Gender>,
    birth_date: Option<BirthDate>,
}

/// The new dependant, or the invitation.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Added {
    Dependant(FamilyMember),
    Invitation(SentInvitation),
}

/// Adds a dependant to one's family, or invites a user into it
///
/// By a member. Without `phone`: a dependant, who is in the family at once. With `phone`: an invitation, which its owner
/// accepts or declines within 30 days; the answer is the same whether or not the phone has an account. A family has at most 20
/// relatives and open invitations together.
#[utoipa::path(
    operation_id = "addFamilyMember",
    post, path = "/family", tag = "family", request_body = NewRelative, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Added>),
        (status = 403, description = "`member.members_only`"),
        (status = 409, description = "`family.limit_reached`, `family.already_invited`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn create(
    State(app): State<App>,
    user: Caller,
    Write { mut body, once }: Write<NewRelative>,
) -> Result<Answer, Error> {
    if let Some(phone) = body.phone.take() {
        let id = app.database.allocate_id(table::INVITATION_SEQUENCE).await?;
        return app
            .write(once, move |tx| {
                Box::pin(async move {
                    let sent = invite(tx, user.id, id, phone, body.relation_type).await?;
                    Ok(Written::new(Answer::one(&Added::Invitation(sent))?))
                })
            })
            .await;
    }
    let Some(name) = body.name.take() else {
        return Err(Error::invalid(
            "name",
            "未提供 phone 时必须提供",
            "must be given when phone is not",
        ));
    };
    let id = UserId::from_database(app.database.allocate_id(account::SEQUENCE).await?);
    let media = app.part::<Media>().clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let added = add(tx, &media, user.id, id, name.into_string(), body).await?;
            Ok(Written::new(Answer::one(&Added::Dependant(added))?))
        })
    })
    .await
}

/// Makes a dependant: an account without a phone, which cannot log in.
async fn add(
    tx: &mut Transaction<'_>,
    media: &Media,
    user: UserId,
    id: UserId,
    name: String,
    body: NewRelative,
) -> Result<FamilyMember, Error> {
    let now_ms = tx.now_ms().await?;
    make_room(tx, user, now_ms).await?;
    let account = NewAccount {
        id,
        phone: None,
        name,
        role: Role::Member,
        password_hash: None,
    };
    account::new_account(tx, account, now_ms).await?;
    let profile = Profile {
        photo_id: body.photo_id.map(PhotoId::into_string),
        gender: body.gender,
        birth_date: body.birth_date.map(|date| date.to_string()),
        ..Profile::default()
    };
    let photo = profile.photo_id.as_deref();
    media
        .use_photo(tx, user, (None, photo), Record::Member, id.get(), now_ms)
        .await?;
    profile::put(tx, id, &profile, now_ms).await?;
    table::put_relative(tx, user, id, body.relation_type, Kind::Dependant, now_ms).await?;
    table::member_in(tx, user, id).await
}

async fn invite(
    tx: &mut Transaction<'_>,
    user: UserId,
    id: i64,
    phone: Phone,
    relation: Relation,
) -> Result<SentInvitation, Error> {
    let now_ms = tx.now_ms().await?;
    make_room(tx, user, now_ms).await?;
    if account::phone_in(tx, user).await?.as_deref() == Some(phone.as_str()) {
        return Err(Error::invalid(
            "phone",
            "应为他人的手机号",
            "must be another user's phone",
        ));
    }
    let new = NewInvitation {
        id,
        phone: phone.as_str().to_owned(),
        inviter: user,
        relation,
        created_ms: now_ms,
        expires_ms: now_ms + LIFETIME_MS,
    };
    table::put_invitation(tx, new).await
}

/// Locks the user's account, so that concurrent requests are counted one by one, and refuses when the family is full.
async fn make_room(tx: &mut Transaction<'_>, user: UserId, now_ms: i64) -> Result<(), Error> {
    account::lock(tx, user).await?;
    table::forget_expired(tx, user, now_ms).await?;
    if table::size(tx, user).await? >= MAX_FAMILY {
        return Err(ErrorCode::FamilyLimit.into());
    }
    Ok(())
}
