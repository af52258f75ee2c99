//! A team's poster: a QR code for patients, and the page that it opens in a browser and in WeChat.

use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

use super::{access, find::show::TeamPage, table};
use crate::{
    app::App,
    caller::User,
    clock::now_ms,
    http::{
        answer::{
            Answer, Envelope,
            html::{self, Leaflet},
        },
        error::{Error, ErrorCode},
        input::{PathId, preferred_language},
    },
    invitation::Code,
    settings::PublicAddress,
};

/// The poster of a team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Poster {
    team_id: i64,
    name: String,
    /// Opens in browsers and in WeChat; null while the service has no public address.
    #[schema(required = true)]
    link: Option<String>,
    /// Opens the app.
    app_link: String,
    /// The QR code of `link`, or of `app_link` without one, as an SVG document.
    qr_svg: String,
    /// The same as a PNG file in base64.
    qr_png: String,
}

fn app_link(team: i64) -> String {
    format!("huizhen://team/page?team_id={team}")
}

fn link(address: Option<&PublicAddress>, team: i64) -> Option<String> {
    address.map(|address| format!("{address}/t/{team}"))
}

/// The poster of a team
///
/// For its owner, its assistant and its doctors: a QR code by which patients find the team.
#[utoipa::path(
    operation_id = "getTeamPoster",
    get, path = "/team/{id}/poster", tag = "team", params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<Poster>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    access::check_staff(&app.database, id.get(), &user).await?;
    let team = table::team(&app.database, id.get()).await?;
    let team = team.ok_or(ErrorCode::TeamNotFound)?;
    let (link, app_link) = (
        link(app.public_address.as_ref(), team.team_id),
        app_link(team.team_id),
    );
    let code = Code::new(link.as_deref().unwrap_or(&app_link))?;
    Answer::one(&Poster {
        team_id: team.team_id,
        name: team.name,
        qr_svg: code.svg(),
        qr_png: STANDARD.encode(code.png()?),
        link,
        app_link,
    })
}

/// The page behind a poster's link, for everybody.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/t/{id}", get(page))
}

async fn page(State(app): State<App>, PathId(id): PathId, headers: HeaderMap) -> Result<Response, Error> {
    let found = table::page(&app.database, id.get(), now_ms()).await?;
    let language = preferred_language(&headers);
    Ok(match found.filter(|page| page.team.closed_ms.is_none()) {
        Some(page) => html::leaflet(&leaflet(&page)),
        None => html::missing(language),
    })
}

fn leaflet(page: &TeamPage) -> Leaflet {
    let doctors = page.doctors.iter().map(|doctor| {
        let parts = [&doctor.name, &doctor.title, &doctor.expertise];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.map(String::as_str).collect::<Vec<_>>().join(" · ")
    });
    let above = page.clinic.as_ref().map_or("", |clinic| &clinic.name);
    Leaflet {
        above: above.to_owned(),
        title: page.team.name.clone(),
        text: page.team.introduction.clone(),
        lines: doctors.collect(),
        button: app_link(page.team.team_id),
        how: (
            "在手机上打开会诊应用，点击下方按钮，阅读会员加入协议后加入团队并发起咨询。尚未安装应用？请向团队索取安装方式。",
            "Open the Huizhen app on your phone by the button below, read the agreement, join the team and begin a consult. \
             No app yet? Ask the team how to get it.",
        ),
    }
}
