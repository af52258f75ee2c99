//! Sending invitations, for teams and clinics alike.

use database::Transaction;

use super::{
    InviteByPhone, Inviting, NewLink, Target, in_person, link,
    table::{self, SEQUENCE},
};
use crate::{
    app::{App, Written},
    caller::{Led, User},
    http::{
        answer::Answer,
        error::Error,
        input::{Id, Nothing, PageQuery, Write},
    },
};

async fn led<P: Inviting>(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<Target, Error> {
    let led = Led::<P>::lock(tx, id, user).await?;
    Ok(led.into_inner().into_target())
}

/// Invites whichever doctors have a link.
pub(crate) async fn by_link<P: Inviting>(
    app: &App,
    user: User,
    id: Id,
    Write { body, once }: Write<NewLink>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(SEQUENCE).await?;
    let handle = app.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let target = led::<P>(tx, id.get(), &user).await?;
            let new = (invitation_id, body);
            let means = (handle.part(), handle.public_address.as_ref());
            let made = link::make(tx, means, (P::PLACE, target), user.id, new).await?;
            Ok(Written::new(Answer::one(&P::Link::from(made))?))
        })
    })
    .await
}

/// Invites the doctor who has a phone.
pub(crate) async fn by_phone<P: Inviting>(
    app: &App,
    user: User,
    id: Id,
    Write { body, once }: Write<InviteByPhone>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let target = led::<P>(tx, id.get(), &user).await?;
            let sent =
                in_person::invite_by_phone(tx, P::PLACE, target.id, user.id, &body.phone, invitation_id);
            Ok(Written::new(Answer::one(&sent.await?)?))
        })
    })
    .await
}

/// Revokes an invitation, by link or in person: their ids are of one sequence.
pub(crate) async fn revoke<P: Inviting>(
    app: &App,
    user: User,
    (id, invitation_id): (Id, Id),
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let target = led::<P>(tx, id.get(), &user).await?;
            let invitation = invitation_id.get();
            let now_ms = tx.now_ms().await?;
            if table::revoke_link(tx, P::PLACE, target.id, invitation).await?
                || table::revoke_in_person(tx, P::PLACE, target.id, invitation, now_ms).await?
            {
                Ok(Written::new(Answer::empty()?))
            } else {
                Err(P::PLACE.not_found().into())
            }
        })
    })
    .await
}

/// The open invitations in person of a team or clinic.
pub(crate) async fn list_sent<P: Inviting>(
    app: &App,
    user: User,
    id: Id,
    page: &PageQuery,
) -> Result<Answer, Error> {
    Led::<P>::read(&app.database, id.get(), &user).await?;
    let list = table::list_sent(P::PLACE, id.get(), app.database.now_ms().await?);
    Answer::page(list.page(&app.database, page).await?)
}
