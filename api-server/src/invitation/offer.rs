//! A team or clinic is handed on: its holder offers it to another of its doctors, who accepts.

use axum::extract::State;
use database::Transaction;
use proto::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Caller, Inviting, Place, table};
use crate::{
    account::{self, Device},
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PageQuery, Write},
    },
};

/// The lifetime of an offer, milliseconds.
const LIFETIME_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The doctor who is to take over.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct OfferTo {
    doctor_id: Id,
}

/// An open offer of a team or clinic.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PlaceOffer {
    pub(super) place: Place,
    /// The id of the team or clinic.
    pub(super) place_id: i64,
    /// The name of the team or clinic.
    pub(super) name: String,
    pub(super) from_id: i64,
    pub(super) from_name: String,
    /// The doctor who is to take over.
    pub(super) to_id: i64,
    pub(super) created_ms: i64,
    pub(super) expires_ms: i64,
}

/// A record that its holder hands on.
pub(crate) trait Handing: Inviting + Serialize + Send + Sync {
    /// The refusal of a doctor who is not in it.
    const NOT_IN: ErrorCode;

    /// The owner or founder.
    fn holder(&self) -> i64;

    /// Whether a doctor is in the locked record.
    fn has(
        &self,
        tx: &mut Transaction<'_>,
        doctor: UserId,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Hands the locked record on; returns it with the devices that end.
    fn hand_on(
        self,
        tx: &mut Transaction<'_>,
        to: UserId,
    ) -> impl Future<Output = Result<(Self, Vec<Device>), Error>> + Send;
}

/// Offers a record to a doctor in it.
pub(crate) async fn offer<P: Handing>(
    app: &App,
    user: User,
    id: Id,
    Write { body, once }: Write<OfferTo>,
) -> Result<Answer, Error> {
    let rule = app.doctor_verification;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            let (place, _) = P::lock(tx, id.get(), &user).await?;
            if place.holder() != user.id.get() {
                return Err(P::FORBIDDEN.into());
            }
            let to = UserId::from_database(body.doctor_id.get());
            if to == user.id || !place.has(tx, to).await? {
                return Err(Error::new(P::NOT_IN).field("doctor_id"));
            }
            if !account::lock_verified(tx, rule, to).await? {
                return Err(Error::new(ErrorCode::DoctorUnverified).field("doctor_id"));
            }
            let from = account::identity(tx, user.id).await?;
            let target = place.into_target();
            let offer = PlaceOffer {
                place: P::PLACE,
                place_id: target.id,
                name: target.name,
                from_id: user.id.get(),
                from_name: from.ok_or(ErrorCode::AuthRequired)?.name,
                to_id: to.get(),
                created_ms: now_ms,
                expires_ms: now_ms + LIFETIME_MS,
            };
            table::put_offer(tx, &offer).await?;
            Ok(Written::new(Answer::one(&offer)?))
        })
    })
    .await
}

/// Takes over a record that was offered.
pub(crate) async fn take_over<P: Handing>(
    app: &App,
    user: User,
    id: Id,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    let rule = app.doctor_verification;
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            let (place, _) = P::lock(tx, id.get(), &user).await.map_err(missing)?;
            // An offer ends with the rights of its holder, and with the doctor's place in the record.
            let from = UserId::from_database(place.holder());
            let offered = table::consume_offer(tx, (P::PLACE, id.get()), (from, user.id), now_ms).await?;
            if !offered || !place.has(tx, user.id).await? {
                return Err(ErrorCode::OfferNotFound.into());
            }
            account::check_verified(tx, rule, user.id).await?;
            let (handed, ended) = place.hand_on(tx, user.id).await?;
            let mut written = Written::new(Answer::one(&handed)?);
            written.logged_out = ended;
            Ok(written)
        })
    })
    .await
}

/// Removes an offer, for either side of it.
pub(crate) async fn decline_offer<P: Handing>(
    app: &App,
    user: User,
    id: Id,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            P::lock(tx, id.get(), &user).await.map_err(missing)?;
            let now_ms = tx.now_ms().await?;
            if !table::remove_offer(tx, (P::PLACE, id.get()), user.id, now_ms).await? {
                return Err(ErrorCode::OfferNotFound.into());
            }
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Without a record there is no offer of it.
fn missing(error: Error) -> Error {
    match error.code() {
        ErrorCode::TeamNotFound | ErrorCode::ClinicNotFound => ErrorCode::OfferNotFound.into(),
        _ => error,
    }
}

/// Teams and clinics that are offered to one
///
/// For a doctor: open offers.
#[utoipa::path(
    operation_id = "listPlaceOffers",
    get, path = "/place_offer_list", tag = "invitation", params(PageParams),
    responses(
        (status = 200, body = ListEnvelope<PlaceOffer>),
        (status = 403, description = "`invitation.doctors_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: Caller, page: PageQuery) -> Result<Answer, Error> {
    let list = table::offers_to(user.id, app.database.now_ms().await?);
    Answer::page(list.page(&app.database, &page).await?)
}

/// The endpoints of offers, in the words of a place: its refusals, then each endpoint with its text and its id.
macro_rules! offer_endpoints {
    (
        $place:ty, tag $tag:literal, at $path:literal $accept_path:literal $decline_path:literal,
        refusals $forbidden:literal $missing:literal $full:literal $ended:literal;
        $(#[$offers:meta])* $offer_id:literal;
        $(#[$accepts:meta])* $accept_id:literal;
        $(#[$declines:meta])* $decline_id:literal;
    ) => {
        $(#[$offers])*
        #[utoipa::path(
            operation_id = $offer_id,
            post, path = $path, tag = $tag, request_body = OfferTo,
            params(("id" = i64, Path, minimum = 1), IdempotencyKey),
            responses(
                (status = 200, body = Envelope<PlaceOffer>),
                (status = 403, description = $forbidden),
                (status = 404, description = $missing),
                (status = 409, description = $ended)
            ),
            security(("access_token" = []), ("bearer" = []))
        )]
        pub(crate) async fn offer(
            State(app): State<App>,
            user: User,
            PathId(id): PathId,
            write: Write<OfferTo>,
        ) -> Result<Answer, Error> {
            $crate::invitation::offer::<$place>(&app, user, id, write).await
        }

        $(#[$accepts])*
        #[utoipa::path(
            operation_id = $accept_id,
            post, path = $accept_path, tag = $tag,
            params(("id" = i64, Path, minimum = 1), IdempotencyKey),
            responses(
                (status = 200, body = Envelope<$place>),
                (status = 403, description = "`doctor.not_verified`"),
                (status = 404, description = "`offer.not_found`"),
                (status = 409, description = $full)
            ),
            security(("access_token" = []), ("bearer" = []))
        )]
        pub(crate) async fn accept(
            State(app): State<App>,
            user: User,
            PathId(id): PathId,
            write: Write<Nothing>,
        ) -> Result<Answer, Error> {
            $crate::invitation::take_over::<$place>(&app, user, id, write).await
        }

        $(#[$declines])*
        #[utoipa::path(
            operation_id = $decline_id,
            post, path = $decline_path, tag = $tag,
            params(("id" = i64, Path, minimum = 1), IdempotencyKey),
            responses(
                (status = 200, body = Envelope<Empty>),
                (status = 404, description = "`offer.not_found`"),
                (status = 409, description = $ended)
            ),
            security(("access_token" = []), ("bearer" = []))
        )]
        pub(crate) async fn decline(
            State(app): State<App>,
            user: User,
            PathId(id): PathId,
            write: Write<Nothing>,
        ) -> Result<Answer, Error> {
            $crate::invitation::decline_offer::<$place>(&app, user, id, write).await
        }
    };
}

pub(crate) use offer_endpoints;
