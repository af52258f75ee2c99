//! The table of all endpoints: method, path, who may call, handler. `rights.toml` has a row for each, in the same order, with
//! the answer that each caller gets.
//!
//! The third column is the type that the handler takes: anyone, a logged-in user, or a user in one role; another type does not
//! compile. What a user leads or has a seat in is asked in the transaction ([`crate::caller`]).

pub(crate) mod health;
mod observe;

use std::{pin::Pin, sync::Arc};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    middleware,
    response::Response,
    routing::{MethodFilter, MethodRouter},
};
use serde_json::Value;
use utoipa::openapi::{HttpMethod, Paths, RefOr, Schema, path::Operation};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    account,
    app::App,
    background,
    caller::{Doctor, Member, Operator, User},
    charge, chat, clinic, consult, doctor, export, family,
    http::{
        docs,
        error::{Error, ErrorCode},
    },
    im, income, invitation, media, member, operator, settlement, team, vas, wallet,
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
                    let mut schemas = Vec::new();
                    // Only what documents it: the router of `routes!` would keep the handler's type.
                    let documented = routes!(@resolve_types $($handler)::+ : schemas);
                    let handler = Erased::new::<table!(@ $caller), _, _>($($handler)::+);
                    row((table!(@@ $method), $path), documented, schemas, handler)
                }))*
        }
    };
    (@@ GET) => { (HttpMethod::Get, MethodFilter::GET) };
    (@@ POST) => { (HttpMethod::Post, MethodFilter::POST) };
    (@@ PUT) => { (HttpMethod::Put, MethodFilter::PUT) };
    (@@ DELETE) => { (HttpMethod::Delete, MethodFilter::DELETE) };
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
    DELETE "/account/push_token"                       User     account::device::push_token::clear;
    GET    "/account/devices"                          User     account::device::list::list;
    DELETE "/account/devices/{device_id}"              User     account::device::list::remove;
    PUT    "/account/password"                         User     account::password::change;
    GET    "/account"                                  User     account::own::show::show;
    GET    "/account/export"                           User     export::file::export;
    PUT    "/account/phone"                            User     account::own::phone::change;
    POST   "/account/closing"                          User     account::own::closing::ask;
    DELETE "/account/closing"                          User     account::own::closing::take_back;
    GET    "/account/notice_list"                      User     account::own::notice::list;
    POST   "/account/notice_list/read"                 User     account::own::notice::read;

    GET    "/im/servers"                               User     im::servers::list;
    GET    "/im/password"                              User     im::password::get;

    POST   "/team"                                     Doctor   team::create::create;
    GET    "/team/{id}"                                User     team::find::show::show;
    POST   "/team/{id}/doctor"                         User     team::roster::invitation::by_id;
    POST   "/team/{id}/assistant/login"                User     team::assistant::log_in;
    GET    "/team/{id}/my_vas_list"                    User     vas::list::of_team;
    GET    "/team"                                     User     team::find::search::search;
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
    GET    "/team/{id}/desk"                           User     consult::read::desk::show;
    GET    "/team/{id}/rating_list"                    User     consult::read::ratings::list;

    GET    "/team/{id}/poster"                         User     team::poster::show;
    POST   "/team/{id}/agreement/{version}/accept"     User     team::roster::accept::accept;
    POST   "/team/{id}/owner"                          User     team::life::owner::offer;
    POST   "/team/{id}/owner/accept"                   User     team::life::owner::accept;
    POST   "/team/{id}/owner/decline"                  User     team::life::owner::decline;
    PUT    "/team/{id}/block/{user_id}"                User     team::life::block::block;
    DELETE "/team/{id}/block/{user_id}"                User     team::life::block::unblock;
    GET    "/team/{id}/block_list"                     User     team::life::block::list;
    POST   "/team/{id}/dissolve"                       User     team::life::dissolve::dissolve;

    GET    "/team/{id}/income"                         User     income::overview::show;
    GET    "/team/{id}/income/withdrawable"            User     income::withdrawable::show;
    GET    "/team/{id}/income/withdrawable/{doctor_id}" User    income::withdrawable::list;
    GET    "/team/{id}/payee"                          User     income::payee::show;
    PUT    "/team/{id}/payee"                          User     income::payee::set;
    POST   "/team/{id}/withdrawal"                     User     income::withdrawal::ask::ask;
    GET    "/team/{id}/withdrawal_list"                User     income::withdrawal::history::list;
    GET    "/team/{id}/withdrawal_list/{month}"        User     income::withdrawal::history::show;
    GET    "/team/{id}/fee_balance_list"               User     income::fee::list;
    GET    "/team/{id}/statement/{month}"              User     income::statement::show;

    GET    "/doctor/{id}"                              User     doctor::show::show;
    POST   "/doctor/detail"                            Doctor   doctor::detail::put;
    POST   "/doctor/verification"                      Doctor   doctor::verification::ask::ask;
    GET    "/doctor/verification"                      Doctor   doctor::verification::ask::show;

    GET    "/member/detail"                            Member   member::show::show;
    PUT    "/member/detail"                            Member   member::change::change;
    GET    "/member/consumption_list"                  Member   wallet::consumption::list;

    GET    "/wallet"                                   Member   wallet::show::show;
    POST   "/wallet/top_up"                            Member   wallet::order::top_up::top_up;
    GET    "/wallet/order/{id}"                        Member   wallet::order::read::show;
    GET    "/wallet/order_list"                        Member   wallet::order::read::list;
    POST   "/wallet/refund"                            Member   wallet::refund::ask::ask;
    GET    "/wallet/refund_list"                       Member   wallet::refund::list::list;

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
    GET    "/clinic/{id}/team_list"                    User     clinic::team::list;
    PUT    "/clinic/{id}/team/{team_id}"               User     clinic::team::add;
    DELETE "/clinic/{id}/team/{team_id}"               User     clinic::team::remove;
    DELETE "/clinic/{id}/supervisor/{doctor_id}"       User     clinic::roster::supervisor::demote;
    POST   "/clinic/{id}/founder"                      User     clinic::life::founder::offer;
    POST   "/clinic/{id}/founder/accept"               User     clinic::life::founder::accept;
    POST   "/clinic/{id}/founder/decline"              User     clinic::life::founder::decline;
    PUT    "/clinic/{id}/block/{user_id}"              User     clinic::life::block::block;
    DELETE "/clinic/{id}/block/{user_id}"              User     clinic::life::block::unblock;
    GET    "/clinic/{id}/block_list"                   User     clinic::life::block::list;
    POST   "/clinic/{id}/dissolve"                     User     clinic::life::dissolve::dissolve;

    GET    "/invitation_list"                          Doctor   invitation::received::list;
    POST   "/invitation/{id}/accept"                   Doctor   invitation::answer::accept;
    POST   "/invitation/{id}/decline"                  Doctor   invitation::answer::decline;
    GET    "/place_offer_list"                         Doctor   invitation::offer::list;

    POST   "/consult"                                  Member   consult::act::create::create;
    GET    "/consult/{id}"                             User     consult::read::show::show;
    GET    "/consult/in_process_list"                  User     consult::read::list::in_process;
    GET    "/consult/history_list"                     User     consult::read::list::history;
    POST   "/consult/history_list/{id}"                User     consult::act::hide::unhide;
    DELETE "/consult/history_list/{id}"                User     consult::act::hide::hide_one;
    DELETE "/consult/history_list"                     User     consult::act::hide::hide_all;
    GET    "/consult/about_me_list"                    Member   consult::read::about_me::list;
    POST   "/consult/about_me/refusal"                 Member   consult::read::about_me::refuse;
    DELETE "/consult/about_me/refusal/{user_id}"       Member   consult::read::about_me::permit;
    POST   "/consult/{id}/claim"                       User     consult::act::seat::claim::claim;
    POST   "/consult/{id}/doctor"                      User     consult::act::seat::add_doctor::add_doctor;
    DELETE "/consult/{id}/doctor/{doctor_id}"          User     consult::act::seat::remove_doctor::remove_doctor;
    POST   "/consult/{id}/handover"                    User     consult::act::seat::hand_over::hand_over;
    POST   "/consult/{id}/advice"                      User     consult::act::end::advice::advise;
    POST   "/consult/{id}/finish"                      User     consult::act::end::finish::finish;
    POST   "/consult/{id}/cancel"                      User     consult::act::end::cancel::cancel;
    PUT    "/consult/{id}/rating"                      User     consult::act::rate::rate;
    GET    "/consult/{id}/messages"                    User     consult::read::messages::list;
    POST   "/consult/{id}/vas"                         User     vas::propose::propose;
    GET    "/consult/{id}/vas"                         User     vas::list::of_consult;
    POST   "/consult/{id}/refund"                      User     charge::refund::of_consult;
    GET    "/consult/{id}/refund_list"                 User     charge::refund_list::list;

    POST   "/media"                                    User     media::ask::ask;
    PUT    "/media/{id}/content"                       User     media::content::put::put;
    POST   "/media/{id}/content"                       User     media::content::form::post;
    GET    "/media/{id}/content"                       User     media::content::show::show;
    POST   "/media/{id}/finish"                        User     media::finish::finish;
    GET    "/media/{id}"                               User     media::show::bytes::show;

    GET    "/vas"                                      User     vas::list::own;
    DELETE "/vas"                                      User     vas::hide::hide_all;
    GET    "/vas/{id}"                                 User     vas::show::show;
    DELETE "/vas/{id}"                                 User     vas::hide::hide_one;
    POST   "/vas/{id}/confirm"                         User     vas::decide::confirm;
    POST   "/vas/{id}/decline"                         User     vas::decide::decline;
    POST   "/vas/{id}/withdraw"                        User     vas::decide::retract;
    POST   "/vas/{id}/refund"                          User     charge::refund::of_vas;

    POST   "/chat"                                     User     chat::open::open;
    POST   "/chat/{id}/block"                          User     chat::block::block;
    DELETE "/chat/{id}/block"                          User     chat::block::unblock;
    POST   "/chat/{id}/hide"                           User     chat::hide::hide;
    DELETE "/chat/{id}/hide"                           User     chat::hide::unhide;
    GET    "/chat_list"                                User     chat::list::list;
    GET    "/user/{id}"                                User     chat::card::show;

    POST   "/operator/login"                           Anyone   operator::log_in::log_in;
    GET    "/operator/payout"                          Operator income::payout::list::list;
    GET    "/operator/payout/export"                   Operator income::payout::export::export;
    POST   "/operator/withdrawal/{id}/enter"           Operator income::payout::enter::enter;
    POST   "/operator/withdrawal/{id}/approve"         Operator income::payout::approve::approve;
    GET    "/operator/audit"                           Operator operator::audit::list;
    POST   "/operator/people/search"                   Operator operator::search::users;
    POST   "/operator/consults/search"                 Operator operator::search::consults;
    POST   "/operator/consult/{id}/read"               Operator operator::read::read;
    POST   "/operator/media/{id}/read"                 Operator operator::read::read_media;
    POST   "/operator/account/{id}/disable"            Operator operator::account::disable_account;
    POST   "/operator/account/{id}/enable"             Operator operator::account::enable_account;
    POST   "/operator/account/{id}/end_sessions"       Operator operator::account::end_sessions;
    POST   "/operator/chat/{id}/read"                  Operator operator::read::read_chat;
    GET    "/operator/doctor_list"                     Operator doctor::verification::list::list;
    GET    "/operator/doctor/{id}"                     Operator doctor::verification::list::show;
    POST   "/operator/doctor/{id}/approve"             Operator doctor::verification::decide::approve;
    POST   "/operator/doctor/{id}/decline"             Operator doctor::verification::decide::decline;
    POST   "/operator/doctor/{id}/suspend"             Operator doctor::verification::decide::suspend;
    POST   "/operator/doctor/{id}/reinstate"           Operator doctor::verification::decide::reinstate;
    POST   "/operator/team/{id}/close"                 Operator clinic::closing::close_team;
    POST   "/operator/team/{id}/reopen"                Operator clinic::closing::reopen_team;
    POST   "/operator/clinic/{id}/close"               Operator clinic::closing::close_clinic;
    POST   "/operator/clinic/{id}/reopen"              Operator clinic::closing::reopen_clinic;
    POST   "/operator/credit"                          Operator wallet::by_hand::credit::ask;
    POST   "/operator/credit/{id}/approve"             Operator wallet::by_hand::credit::approve_credit;
    POST   "/operator/credit/{id}/refuse"              Operator wallet::by_hand::credit::refuse_credit;
    GET    "/operator/credit_list"                     Operator wallet::by_hand::credit::list;
    POST   "/operator/transfer/{id}/reverse"           Operator wallet::by_hand::reversal::ask;
    POST   "/operator/reversal/{id}/approve"           Operator wallet::by_hand::reversal::approve_reversal;
    POST   "/operator/reversal/{id}/refuse"            Operator wallet::by_hand::reversal::refuse_reversal;
    GET    "/operator/reversal_list"                   Operator wallet::by_hand::reversal::list;
    POST   "/operator/commission"                      Operator charge::commission::set;
    GET    "/operator/commission_list"                 Operator charge::commission::list;
    GET    "/operator/job_list"                        Operator background::operate::list;
    POST   "/operator/job/{name}/pause"                Operator background::operate::pause;
    POST   "/operator/job/{name}/resume"               Operator background::operate::resume;
    GET    "/operator/bill_item_list"                  Operator settlement::difference::list;
    POST   "/operator/bill_item/{id}/close"            Operator settlement::difference::close;
    GET    "/operator/reconcile"                       Operator operator::reconcile::show;

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

/// A handler without its type: each layer of axum would be compiled for each handler.
#[derive(Clone)]
struct Erased(Arc<dyn Fn(Request, App) -> Answering + Send + Sync>);

/// As axum's handlers answer.
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Erased {
    /// Compiles for a handler that asks for such a caller.
    fn new<C, T: Asks<C>, H: Handler<T, App, Future = Answering>>(handler: H) -> Self {
        Self(Arc::new(move |request, app| handler.clone().call(request, app)))
    }
}

impl Handler<(), App> for Erased {
    type Future = Answering;

    fn call(self, request: Request, app: App) -> Answering {
        self.0(request, app)
    }
}

/// A row. Handlers repeat their method and path for the document.
fn row(
    ((method, filter), path): ((HttpMethod, MethodFilter), &str),
    (documented, operation, methods): (String, Operation, Vec<HttpMethod>),
    schemas: Vec<(String, RefOr<Schema>)>,
    handler: Erased,
) -> UtoipaMethodRouter<App> {
    debug_assert!(
        documented == path && methods == [method],
        "the handler of {filter:?} {path} names another method or path"
    );
    let mut paths = Paths::new();
    paths.add_path_operation(path, methods, operation);
    (schemas, paths, MethodRouter::new().on(filter, handler))
}

/// The OpenAPI document.
pub fn document() -> Value {
    docs::complete(documented().into_openapi())
}

/// Everything that is served.
pub(crate) fn router(app: App) -> Router {
    let (router, _) = documented().split_for_parts();
    router
        .merge(docs::routes(document))
        .merge(wallet::routes(&app))
        .merge(team::poster::routes())
        .merge(invitation::routes())
        .fallback(|| std::future::ready(Error::new(ErrorCode::NoRoute)))
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}
