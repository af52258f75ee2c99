//! Invitations by a link and its QR code.

mod qr;
mod secret;
mod signed;
mod web;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use database::Transaction;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

pub(crate) use qr::Code;
pub(crate) use secret::load as load_secret;
pub(crate) use signed::{Invited, Links};
pub(crate) use web::routes;

use super::{
    Place, Target,
    table::{self, NewInvitation},
};
use crate::{
    account,
    http::{
        error::{Error, ErrorCode},
        input::{Ascii, Within},
    },
    settings::PublicAddress,
};

/// The default lifetime of a link, seconds: a week.
const LIFETIME_S: i64 = 7 * 24 * 60 * 60;

/// A new invitation by link.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewTeamInvitation, example = json!({"max_uses": 1, "expires_in_s": 604800}))]
pub(crate) struct NewLink {
    /// Doctors who may join by it: 1 by default.
    max_uses: Option<Within<1, 50>>,
    /// Its lifetime, seconds: 60 to 30 days, 7 days by default.
    expires_in_s: Option<Within<60, 2_592_000>>,
}

/// The link of an invitation.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"invitation": "huizhen://clinic/join?clinic_id=3&signature=00"}))]
pub(crate) struct JoinByLink {
    /// The scanned link, unchanged.
    pub(crate) invitation: Ascii<1, 2048>,
}

/// A link that was made.
pub(crate) struct MadeLink {
    pub(crate) invited: Invited,
    pub(crate) link: String,
    /// The same for browsers, where the service has a public address.
    pub(crate) web_link: Option<String>,
    pub(crate) qr_svg: String,
    pub(crate) qr_png: String,
    pub(crate) max_uses: i64,
    pub(crate) created_ms: i64,
}

/// Makes a link into a locked team or clinic.
pub(super) async fn make(
    tx: &mut Transaction<'_>,
    (links, address): (&Links, Option<&PublicAddress>),
    (place, target): (Place, Target),
    inviter: UserId,
    (invitation_id, body): (i64, NewLink),
) -> Result<MadeLink, Error> {
    let now_ms = tx.now_ms().await?;
    table::forget_expired(tx, place, target.id, now_ms).await?;
    // Each link is a row, and a door.
    if table::count(tx, place, target.id).await? >= place.limit().limit() {
        return Err(place.limit().into());
    }
    let identity = account::identity(tx, inviter)
        .await?
        .ok_or(ErrorCode::AuthRequired)?;
    let new = NewInvitation {
        place_id: target.id,
        id: invitation_id,
        inviter,
        max_uses: body.max_uses.map_or(1, Within::get),
        created_ms: now_ms,
        expires_ms: now_ms + body.expires_in_s.map_or(LIFETIME_S, Within::get) * 1000,
    };
    table::put(tx, place, &new).await?;
    let invited = Invited {
        place,
        place_id: target.id,
        place_name: target.name,
        inviter_id: inviter.get(),
        inviter_name: identity.name,
        invitation_id,
        expires_ms: new.expires_ms,
    };
    let link = links.write(&invited);
    let web_link = address.map(|address| web::web_link(address, &link));
    let code = Code::new(web_link.as_deref().unwrap_or(&link))?;
    Ok(MadeLink {
        invited,
        link,
        web_link,
        qr_svg: code.svg(),
        qr_png: STANDARD.encode(code.png()?),
        max_uses: new.max_uses,
        created_ms: now_ms,
    })
}

/// Consumes one use of a link, for the doctor who joins by it.
pub(crate) async fn consume_link(tx: &mut Transaction<'_>, invited: &Invited) -> Result<(), Error> {
    let now_ms = tx.now_ms().await?;
    invited.check_open(now_ms)?;
    let used = table::consume(tx, invited.place, invited.place_id, invited.invitation_id, now_ms).await?;
    // The links of an inviter who may no longer invite count as revoked.
    let inviter = UserId::from_database(invited.inviter_id);
    if !used || !table::may_invite(tx, invited.place, invited.place_id, inviter).await? {
        return Err(Error::new(invited.place.used_up()).field("invitation"));
    }
    Ok(())
}
