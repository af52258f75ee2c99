//! The same link for browsers and WeChat: `https://clinic.example.com/i/team/join?…` holds what `huizhen://team/join?…` holds,
//! with the same signature, and its page opens the app.

use std::borrow::Cow;

use axum::{
    Router,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};

use super::{super::Place, Invited, Links, signed::SIGNATURE};
use crate::{
    app::App,
    http::{
        answer::html::{self, Leaflet},
        error::Error,
        input::preferred_language,
    },
    invitation::table,
    settings::PublicAddress,
};

/// The scheme that apps register.
const SCHEME: &str = "huizhen://";
/// Where the pages of links begin.
const PAGES: &str = "/i/";

/// The link for browsers.
pub(super) fn web_link(address: &PublicAddress, link: &str) -> String {
    let rest = link.strip_prefix(SCHEME).unwrap_or(link);
    format!("{address}{PAGES}{rest}")
}

/// The link for apps, of either form. The signature decides, so that the address may have changed since.
pub(super) fn app_link(link: &str) -> Cow<'_, str> {
    let is_web = link.starts_with("https://") || link.starts_with("http://");
    match link.split_once(PAGES) {
        Some((_, rest)) if is_web => format!("{SCHEME}{}", without_tail(rest)).into(),
        _ => link.into(),
    }
}

/// Without the parameters that WeChat and others put behind a link; the signature ends ours.
fn without_tail(link: &str) -> &str {
    let Some(at) = link.rfind(SIGNATURE) else {
        return link;
    };
    let signed = at + SIGNATURE.len();
    link[signed..].find('&').map_or(link, |end| &link[..signed + end])
}

/// The pages of links, for everybody.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route(
            "/i/team/join",
            get(|state, query, headers| page(Place::Team, state, query, headers)),
        )
        .route(
            "/i/clinic/join",
            get(|state, query, headers| page(Place::Clinic, state, query, headers)),
        )
}

async fn page(
    place: Place,
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let query = query.unwrap_or_default();
    let link = format!("{SCHEME}{}/join?{}", place.as_str(), without_tail(&query));
    let Ok(invited) = app.part::<Links>().read(place, &link) else {
        return Ok(html::missing(preferred_language(&headers)));
    };
    // The name of today: an invitation outlives a rename.
    let name = table::name_of(&app.database, place, invited.place_id).await?;
    let now_ms = app.database.now_ms().await?;
    Ok(match name.filter(|_| invited.check_open(now_ms).is_ok()) {
        Some(name) => html::leaflet(&leaflet(name, invited, link)),
        None => html::missing(preferred_language(&headers)),
    })
}

fn leaflet(name: String, invited: Invited, link: String) -> Leaflet {
    Leaflet {
        above: invited.inviter_name,
        title: name,
        text: String::new(),
        lines: Vec::new(),
        button: link,
        how: (
            "邀请您以医生身份加入。在手机上打开会诊应用，点击下方按钮即可加入；加入前须通过执业认证。",
            "You are invited to join as a doctor. Open the Huizhen app on your phone by the button below; doctors are verified \
             before they join.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_one_link() {
        let address: PublicAddress = "https://clinic.example.com/app".parse().unwrap();
        let link = "huizhen://team/join?team_id=7&signature=00";
        let web = web_link(&address, link);
        assert_eq!(
            web,
            "https://clinic.example.com/app/i/team/join?team_id=7&signature=00"
        );
        assert_eq!(app_link(&web), link);
        assert_eq!(app_link(&format!("{web}&from=singlemessage")), link);
        assert_eq!(app_link(link), link);
        assert_eq!(
            app_link("https://clinic.example.com/t/7"),
            "https://clinic.example.com/t/7"
        );
    }
}
