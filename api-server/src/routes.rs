//! The table of all endpoints: method, path, who may call, handler. `rights.toml` has a row for each, in the same order, with
//! what each caller gets.
//!
//! The third column is the type that the handler takes: anyone, a logged-in user, or a user in one role; another type does not
//! compile. What a user leads or has a seat in is asked in the transaction ([`crate::caller`]).

use axum::{Router, handler::Handler, middleware};
use serde_json::Value;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    account,
    app::App,
    caller::{Doctor, Member, Operator, User},
    chat, clinic, consult, doctor, family,
    http::{
        docs,
        error::{Error, ErrorCode},
        health, observe,
    },
    im, invitation, member, operator, team, vas,
};

macro_rules! table {
    ($($method:ident $path:literal $caller:ident $($handler:ident)::+;)*) => {
        /// All endpoints.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            caller: Caller::$caller,
        },)*];

        /// The documented routes.
        fn documented() -> OpenApiRouter<App> {
            OpenApiRouter::with_openapi(docs::frame())
                $(.routes({
                    asks::<table!(@ $caller), _, _>($($handler)::+);
                    row(stringify!($method), $path, routes!($($handler)::+))
                }))*
        }
    };
    (@ Anyone) => { Anyone };
    (@ User) => { User };
    (@ Doctor) => { Doctor<_> };
    (@ Member) => { Member<_> };
    (@ Operator) => { Operator };
}

table! {
    POST   "/account/code"                             Anyone   account::code::ask;
    POST   "/account/register"                         Anyone   account::register::register;
    POST   "/account/login"                            Anyone   account::login::log_in;
    POST   "/account/logout"                           User     account::device::list::log_out_here;
    PUT    "/account/push_token"                       User     account::device::push_token::put;
    GET    "/account/devices"                          User     account::device::list::list;
    DELETE "/account/devices/{device_id}"              User     account::device::list::remove;
    PUT    "/account/password"                         User     account::password::change;

    GET    "/im/servers"                               User     im::servers::list;
    GET    "/im/password"                              User     im::password::get;

    POST   "/team"                                     Doctor   team::create::create;
    GET    "/team/{id}"                                User     team::find::show::show;
    POST   "/team/{id}/doctor"                         User     team::roster::invitation::by_id;
    POST   "/team/{id}/assistant/login"                User     team::assistant::log_in;
    GET    "/team/{id}/my_vas_list"                    User     vas::list::of_team;
    GET    "/team"                                     Doctor   team::find::search::search;
    PUT    "/team/{id}"                                User     team::change::change;
    POST   "/team/join"                                User     team::roster::join::join;
    POST   "/team/{id}/leave"                          User     team::roster::leave::leave;
    GET    "/team/{id}/agreement/{version}"            User     team::find::agreement::show;
    GET    "/team/{id}/doctor_list"                    User     team::roster::doctors::list;
    DELETE "/team/{id}/doctor/{doctor_id}"             User     consult::team_doctor::remove;
    GET    "/team/{id}/member_list"                    User     team::roster::members::list;
    DELETE "/team/{id}/member/{member_id}"             User     team::roster::members::remove;
    POST   "/team/{id}/invitation"                     User     team::roster::invitation::by_link;
    DELETE "/team/{id}/invitation/{invitation_id}"     User     team::roster::invitation::revoke;
    POST   "/team/{id}/phone_invitation"               User     team::roster::invitation::by_phone;
    GET    "/team/{id}/invitation_list"                User     team::roster::invitation::list;
    GET    "/team/my_list"                             User     team::find::mine::list;
    GET    "/team/{id}/consult_history"                User     vas::team_history::show;
    GET    "/team/{id}/consult_list"                   User     consult::read::of_team::finished;
    GET    "/team/{id}/my_consult_list"                User     consult::read::of_team::mine;

    GET    "/doctor/{id}"                              User     doctor::show::show;
    POST   "/doctor/detail"                            Doctor   doctor::detail::put;

    GET    "/member/detail"                            Member   member::show::show;
    PUT    "/member/detail"                            Member   member::change::change;

    GET    "/family"                                   Member   family::one::list;
    POST   "/family"                                   Member   family::create::create;
    GET    "/family/{relation_user_id}"                Member   family::one::show;
    PUT    "/family/{relation_user_id}"                Member   family::one::change;
    DELETE "/family/{relation_user_id}"                Member   family::one::remove;
    GET    "/family/invitation_list"                   Member   family::invitations::received;
    GET    "/family/sent_invitation_list"              Member   family::invitations::sent;
    POST   "/family/invitation/{id}/accept"            Member   family::invitation::accept;
    POST   "/family/invitation/{id}/decline"           Member   family::invitation::decline;
    DELETE "/family/invitation/{id}"                   Member   family::invitation::revoke;

    POST   "/clinic"                                   Doctor   clinic::create::create;
    GET    "/clinic"                                   User     clinic::find::show::find;
    GET    "/clinic/{id}"                              User     clinic::find::show::show;
    PUT    "/clinic/{id}"                              User     clinic::change::change;
    GET    "/clinic/{id}/doctor_list"                  User     clinic::roster::doctors::list;
    POST   "/clinic/{id}/doctor"                       User     clinic::roster::invitation::by_id;
    DELETE "/clinic/{id}/doctor/{doctor_id}"           User     clinic::roster::leave::remove;
    PUT    "/clinic/{id}/supervisor"                   User     clinic::roster::supervisor::appoint;
    POST   "/clinic/{id}/invitation"                   User     clinic::roster::invitation::by_link;
    DELETE "/clinic/{id}/invitation/{invitation_id}"   User     clinic::roster::invitation::revoke;
    POST   "/clinic/{id}/phone_invitation"             User     clinic::roster::invitation::by_phone;
    GET    "/clinic/{id}/invitation_list"              User     clinic::roster::invitation::list;
    POST   "/clinic/join"                              Doctor   clinic::roster::join::join;
    POST   "/clinic/{id}/leave"                        User     clinic::roster::leave::leave;
    GET    "/clinic/my_list"                           User     clinic::find::mine::list;

    GET    "/invitation_list"                          Doctor   invitation::received::list;
    POST   "/invitation/{id}/accept"                   Doctor   invitation::answer::accept;
    POST   "/invitation/{id}/decline"                  Doctor   invitation::answer::decline;

    POST   "/consult"                                  Member   consult::act::create::create;
    GET    "/consult/{id}"                             User     consult::read::show::show;
    GET    "/consult/in_process_list"                  User     consult::read::list::in_process;
    GET    "/consult/history_list"                     User     consult::read::list::history;
    DELETE "/consult/history_list/{id}"                User     consult::act::hide::hide_one;
    DELETE "/consult/history_list"                     User     consult::act::hide::hide_all;
    POST   "/consult/{id}/doctor"                      User     consult::act::add_doctor::add_doctor;
    DELETE "/consult/{id}/doctor/{doctor_id}"          User     consult::act::remove_doctor::remove_doctor;
    POST   "/consult/{id}/handover"                    User     consult::act::hand_over::hand_over;
    POST   "/consult/{id}/finish"                      User     consult::act::finish::finish;
    POST   "/consult/{id}/cancel"                      User     consult::act::cancel::cancel;
    GET    "/consult/{id}/messages"                    User     consult::read::messages::list;
    POST   "/consult/{id}/vas"                         User     vas::propose::propose;
    GET    "/consult/{id}/vas"                         User     vas::list::of_consult;

    GET    "/vas"                                      User     vas::list::own;
    DELETE "/vas"                                      User     vas::hide::hide_all;
    GET    "/vas/{id}"                                 User     vas::show::show;
    DELETE "/vas/{id}"                                 User     vas::hide::hide_one;
    POST   "/vas/{id}/confirm"                         User     vas::decide::confirm;
    POST   "/vas/{id}/decline"                         User     vas::decide::decline;
    POST   "/vas/{id}/withdraw"                        User     vas::decide::retract;

    POST   "/chat"                                     User     chat::open::open;
    GET    "/chat_list"                                User     chat::list::list;

    POST   "/operator/login"                           Anyone   operator::log_in::log_in;
    GET    "/operator/audit"                           Operator operator::audit::list;
    POST   "/operator/people/search"                   Operator operator::search::people;
    POST   "/operator/consults/search"                 Operator operator::search::consults;
    POST   "/operator/consult/{id}/read"               Operator operator::read::read;
    POST   "/operator/account/{id}/disable"            Operator operator::account::disable_account;
    POST   "/operator/account/{id}/enable"             Operator operator::account::enable_account;

    GET    "/livez"                                    Anyone   health::livez;
    GET    "/readyz"                                   Anyone   health::readyz;
    GET    "/version"                                  Anyone   health::version;
}

/// An endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// In capitals.
    pub method: &'static str,
    /// With its parameters in braces.
    pub path: &'static str,
    /// The callers that its handler serves.
    pub caller: Caller,
}

/// The callers that a handler serves. Others are refused before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Without a token.
    Anyone,
    /// A user who is logged in.
    User,
    /// A doctor.
    Doctor,
    /// A member (会员).
    Member,
    /// An operator of the platform.
    Operator,
}

/// In the table: the handler asks for no token.
struct Anyone;

/// Arguments of a handler that ask for a caller of this type, next to the app.
trait Asks<C> {}

impl<T> Asks<Anyone> for T {}

macro_rules! asks {
    ($([$($generic:ident)?] $caller:ty;)*) => {$(
        impl<V, S, $($generic)?> Asks<$caller> for (V, S, $caller) {}
        impl<V, S, $($generic,)? A> Asks<$caller> for (V, S, $caller, A) {}
        impl<V, S, $($generic,)? A, B> Asks<$caller> for (V, S, $caller, A, B) {}
        impl<V, S, $($generic,)? A, B, C> Asks<$caller> for (V, S, $caller, A, B, C) {}
    )*};
}

asks! {
    [] User;
    [] Operator;
    [D] Doctor<D>;
    [D] Member<D>;
}

/// Compiles for a handler that asks for such a caller.
fn asks<C, T: Asks<C>, H: Handler<T, App>>(_: H) {}

/// A row. Handlers repeat their method and path for the document.
fn row(method: &str, path: &str, routes: UtoipaMethodRouter<App>) -> UtoipaMethodRouter<App> {
    debug_assert!(
        routes.1.paths.iter().all(|(documented, item)| {
            let operation = match method {
                "GET" => &item.get,
                "POST" => &item.post,
                "PUT" => &item.put,
                _ => &item.delete,
            };
            documented == path && operation.is_some()
        }),
        "the handler of {method} {path} names another method or path"
    );
    routes
}

/// The OpenAPI document.
pub fn document() -> Value {
    docs::complete(documented().into_openapi())
}

/// Everything that is served.
///
/// # Errors
/// When the document cannot be written.
pub(crate) fn router(app: App) -> anyhow::Result<Router> {
    let (router, document) = documented().split_for_parts();
    Ok(router
        .merge(docs::routes(&docs::complete(document))?)
        .fallback(|| std::future::ready(Error::new(ErrorCode::NoRoute)))
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .with_state(app))
}
