//! How an app comes to an IM node: where the nodes are, and a password for one.

mod password;
mod rate;
mod servers;
mod spread;

pub use rate::ImPasswordRates;
pub use spread::Spread;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(servers::list))
        .routes(routes!(password::get))
}
