//! Users whom a team or a clinic keeps out.

use database::Transaction;
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Inviting, Place, table};
use crate::{
    account::{self, Device},
    app::{App, Written},
    caller::{Led, User},
    clock::now_ms,
    http::{
        answer::Answer,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PageQuery, Write},
    },
};

/// A record that users are kept out of.
pub(crate) trait Blocking: Inviting + Send + Sync {
    /// The refusal of a user who does not exist.
    const UNKNOWN: ErrorCode;
    /// The refusal of a user without whom the record is none.
    const STAYS: ErrorCode;

    /// Whether the record needs this user.
    fn is_part(&self, user: UserId) -> bool;

    /// Removes a user who is in the locked record. `transfer` is the id of a transfer, should money go back.
    fn expel(
        &self,
        tx: &mut Transaction<'_>,
        by: (UserId, &User),
        transfer: i64,
    ) -> impl Future<Output = Result<Vec<Device>, Error>> + Send;
}

/// A user who is blocked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BlockedUser)]
pub(crate) struct Blocked {
    pub(super) user_id: i64,
    pub(super) name: String,
    /// The user who blocked them.
    pub(super) by_id: i64,
    pub(super) created_ms: i64,
}

/// Blocks a user, who is removed by it.
pub(crate) async fn block<P: Blocking>(
    app: &App,
    user: User,
    (id, blocked): (Id, Id),
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let place = Led::<P>::lock(tx, id.get(), &user).await?.into_inner();
            let blocked = UserId::from_database(blocked.get());
            if place.is_part(blocked) {
                return Err(Error::new(P::STAYS).field("user_id"));
            }
            if account::identity(tx, blocked).await?.is_none() {
                return Err(Error::new(P::UNKNOWN).field("user_id"));
            }
            let mut written = Written::new(Answer::empty()?);
            written.logged_out = place.expel(tx, (blocked, &user), transfer).await?;
            table::put_block(tx, (P::PLACE, id.get()), blocked, user.id, now_ms()).await?;
            Ok(written)
        })
    })
    .await
}

/// Unblocks a user.
pub(crate) async fn unblock<P: Blocking>(
    app: &App,
    user: User,
    (id, blocked): (Id, Id),
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            Led::<P>::lock(tx, id.get(), &user).await?;
            table::remove_block(tx, (P::PLACE, id.get()), UserId::from_database(blocked.get())).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// The users who are blocked.
pub(crate) async fn list_blocked<P: Blocking>(
    app: &App,
    user: User,
    id: Id,
    page: &PageQuery,
) -> Result<Answer, Error> {
    Led::<P>::read(&app.database, id.get(), &user).await?;
    let list = table::blocked(P::PLACE, id.get());
    Answer::page(list.page(&app.database, page).await?)
}

/// Refuses a user whom a locked team or clinic has blocked.
pub(crate) async fn check_welcome(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    user: UserId,
) -> Result<(), Error> {
    if table::is_blocked(tx, (place, place_id), user).await? {
        Err(place.blocked().into())
    } else {
        Ok(())
    }
}

/// The endpoints of blocks, in the words of a place: its refusals, then each endpoint with its text and its id.
macro_rules! block_endpoints {
    (
        $place:ty, tag $tag:literal, at $path:literal, listed at $list_path:literal,
        refusals $forbidden:literal $missing:literal $unknown:literal $stays:literal $ended:literal;
        $(#[$blocks:meta])* $block_id:literal;
        $(#[$unblocks:meta])* $unblock_id:literal;
        $(#[$lists:meta])* $list_id:literal;
    ) => {
        $(#[$blocks])*
        #[utoipa::path(
            operation_id = $block_id,
            put, path = $path, tag = $tag,
            params(("id" = i64, Path, minimum = 1), ("user_id" = i64, Path, minimum = 1), IdempotencyKey),
            responses(
                (status = 200, body = Envelope<Empty>),
                (status = 403, description = $forbidden),
                (status = 404, description = $unknown),
                (status = 409, description = $stays)
            ),
            security(("access_token" = []), ("bearer" = []))
        )]
        pub(crate) async fn block(
            State(app): State<App>,
            user: User,
            PathIds(id, blocked): PathIds,
            write: Write<Nothing>,
        ) -> Result<Answer, Error> {
            $crate::invitation::block::<$place>(&app, user, (id, blocked), write).await
        }

        $(#[$unblocks])*
        #[utoipa::path(
            operation_id = $unblock_id,
            delete, path = $path, tag = $tag,
            params(("id" = i64, Path, minimum = 1), ("user_id" = i64, Path, minimum = 1), IdempotencyKey),
            responses(
                (status = 200, body = Envelope<Empty>),
                (status = 403, description = $forbidden),
                (status = 404, description = $missing),
                (status = 409, description = $ended)
            ),
            security(("access_token" = []), ("bearer" = []))
        )]
        pub(crate) async fn unblock(
            State(app): State<App>,
            user: User,
            PathIds(id, blocked): PathIds,
            write: Write<Nothing>,
        ) -> Result<Answer, Error> {
            $crate::invitation::unblock::<$place>(&app, user, (id, blocked), write).await
        }

        $(#[$lists])*
        #[utoipa::path(
            operation_id = $list_id,
            get, path = $list_path, tag = $tag, params(("id" = i64, Path, minimum = 1), PageParams),
            responses(
                (status = 200, body = ListEnvelope<Blocked>),
                (status = 403, description = $forbidden),
                (status = 404, description = $missing)
            ),
            security(("access_token" = []), ("bearer" = []))
        )]
        pub(crate) async fn list(
            State(app): State<App>,
            user: User,
            PathId(id): PathId,
            page: PageQuery,
        ) -> Result<Answer, Error> {
            $crate::invitation::list_blocked::<$place>(&app, user, id, &page).await
        }
    };
}

pub(crate) use block_endpoints;
