//! A node: connections, sessions, delivery.

use std::{
    fmt::{Debug, Display},
    net::IpAddr,
};

crate::catalogue! {
    SESSIONS: Gauge(
        "huizhen_im_sessions",
        "Logged-in sessions of the node",
    );
    SESSIONS_MAX: Gauge(
        "huizhen_im_sessions_max",
        "Sessions that the node takes (--max-sessions)",
    );
    CERTIFICATE_EXPIRES_S: Gauge(
        "huizhen_im_certificate_expires_seconds",
        "When the TLS certificate in force expires, Unix time, s; only where TLS is on",
    );
    CLOCK_OFF_S: Gauge(
        "huizhen_im_clock_off_seconds",
        "How far the wall clock is from the time that the node goes by",
    );
    ROOMS: Gauge(
        "huizhen_im_rooms",
        "Conversations with somebody logged in here",
    );
    RUNTIME_LAG_S: Histogram(
        "huizhen_im_runtime_lag_seconds",
        "How late a timer of the runtime fires: tasks that wait for a core, s",
    );
    ACCEPT_FAILURES: Counter(
        "huizhen_im_accept_failures_total",
        "Connections that could not be accepted: out of descriptors, most often",
    );
    BYES: CounterBy(
        "huizhen_im_byes_total",
        "reason",
        &["BYE_REASON_SLOW", "BYE_REASON_OVERLOADED", "BYE_REASON_UNAVAILABLE", "BYE_REASON_DRAINING"],
        "Connections that the node closed, by reason",
    );
    ERRORS: CounterBy(
        "huizhen_im_errors_total",
        "code",
        &["ERROR_CODE_UNAVAILABLE", "ERROR_CODE_RATE_LIMITED"],
        "Requests that were refused, by code",
    );
    PAUSES: CounterBy(
        "huizhen_im_pauses_total",
        "reason",
        &["rate", "answers"],
        "Times a session was not read for a moment: over its rate, or with too many answers owed to it",
    );
    LOGIN_FAILURES: Counter(
        "huizhen_im_login_failures_total",
        "Logins with a wrong user or password",
    );
    PROXY_HEADERS_REFUSED: Counter(
        "huizhen_im_proxy_headers_refused_total",
        "Connections that were closed for their PROXY header: none where it is demanded, one of an untrusted address, or one where none is taken",
    );
    GAPS: Counter(
        "huizhen_im_gaps_total",
        "Times that entries were fetched from the database because a publication did not come",
    );
    SESSIONS_BEHIND: Counter(
        "huizhen_im_sessions_behind_total",
        "Times that a session read too slowly and was fed from the journal instead",
    );
    MARKS_DROPPED: Counter(
        "huizhen_im_marks_let_go_total",
        "Marks that were not passed on because too many waited",
    );
}

const TARGET: &str = "im_server";

/// Reports of a node.
#[allow(missing_docs, reason = "fields are those of the log lines")]
pub enum Event<'a> {
    /// The node begins to drain.
    Draining { sessions: usize },
    /// Connections outlive the drain.
    DrainIncomplete,
    /// The wall clock was set; the process continues on its own time.
    ClockJumped { off_ms: i64 },
    /// Work beside requests failed at the database.
    UpkeepFailed {
        error: &'a dyn Display,
        failed: &'static str,
        is_outage: bool,
    },
    /// A request failed at the database.
    RequestFailed {
        error: &'a dyn Display,
        session: u64,
        is_outage: bool,
    },
    /// A message failed at the database; the journal has logged its batch.
    SendFailed { error: &'a dyn Display, session: u64 },
    /// A session logged in.
    LoggedIn {
        session: u64,
        user: i64,
        app_version: &'a str,
    },
    /// A connection broke.
    ConnectionBroke { error: &'a dyn Display, session: u64 },
    /// An address has too many connections before login.
    AddressCrowded { address: &'a dyn Display, unlogged: u64 },
    /// An address has too many failed logins.
    AddressGuessing { address: &'a dyn Display, unlogged: u64 },
    /// The advertised address is a wildcard.
    AdvertisedUnreachable { ip: IpAddr },
    /// The domain name of `--advertise` has no address.
    LookupFailed { error: &'a dyn Debug, domain: &'a str },
    /// The kernel's send buffers cannot be limited.
    SendBufferUnlimited { error: &'a dyn Display },
    /// The node is missing in the directory.
    AnnouncementFailed { error: &'a dyn Display },
    /// Another node has this name.
    TwinSeen { description: &'a str },
    /// The other node of this name is gone.
    TwinGone { node_id: &'a str },
    /// The start waits for the record of an earlier node.
    TwinAwaited { node_id: &'a str, limit_s: u64 },
}

impl Event<'_> {
    /// Writes its line.
    pub fn emit(self) {
        match self {
            Self::Draining { sessions } => tracing::info!(target: TARGET, sessions, "draining"),
            Self::DrainIncomplete => {
                tracing::warn!(target: TARGET, "connections are still open at the end of the drain");
            }
            Self::ClockJumped { off_ms } => tracing::warn!(
                target: TARGET,
                off_ms,
                "the wall clock has jumped; this process keeps its own time: restart it if the new time is right"
            ),
            // An outage has a line where it begins and a line where it ends, both of the database's own.
            Self::UpkeepFailed {
                error,
                failed,
                is_outage: true,
            } => {
                tracing::debug!(target: TARGET, %error, "{failed}");
            }
            Self::UpkeepFailed {
                error,
                failed,
                is_outage: false,
            } => {
                tracing::warn!(target: TARGET, %error, "{failed}");
            }
            Self::RequestFailed {
                error,
                session,
                is_outage: true,
            } => {
                tracing::debug!(target: TARGET, %error, session, "a request met an outage");
            }
            Self::RequestFailed {
                error,
                session,
                is_outage: false,
            } => {
                tracing::error!(target: TARGET, %error, session, "a request failed at the database");
            }
            Self::SendFailed { error, session } => {
                tracing::debug!(target: TARGET, %error, session, "a message was not written");
            }
            Self::LoggedIn {
                session,
                user,
                app_version,
            } => {
                tracing::debug!(target: TARGET, session, user, app_version, "logged in");
            }
            Self::ConnectionBroke { error, session } => {
                tracing::debug!(target: TARGET, %error, session, "the connection broke");
            }
            Self::AddressCrowded { address, unlogged } => tracing::warn!(
                target: TARGET,
                %address,
                untold = unlogged,
                "connections are refused: the address has reached its limit of connections before login; if many users \
                 share it (a hospital, a carrier), raise --connections-per-address; if it is a proxy, add it to \
                 --trusted-proxies"
            ),
            Self::AddressGuessing { address, unlogged } => tracing::warn!(
                target: TARGET,
                %address,
                untold = unlogged,
                "logins are refused: the address has reached its limit of failed logins; if many users share it (a \
                 hospital, a carrier), raise --failed-logins-per-minute; if it is a proxy, add it to --trusted-proxies"
            ),
            Self::AdvertisedUnreachable { ip } => tracing::warn!(
                target: TARGET,
                "apps cannot reach the advertised address {ip}: set --advertise to this machine's IP"
            ),
            Self::LookupFailed { error, domain } => {
                tracing::warn!(target: TARGET, domain, ?error, "the domain name of --advertise cannot be resolved");
            }
            Self::SendBufferUnlimited { error } => {
                tracing::warn!(target: TARGET, %error, "the kernel's send buffers of apps that do not read cannot be limited");
            }
            Self::AnnouncementFailed { error } => {
                tracing::debug!(target: TARGET, %error, "the node could not be announced; the next renewal retries");
            }
            Self::TwinSeen { description } => tracing::error!(target: TARGET, "{description}"),
            Self::TwinGone { node_id } => {
                tracing::info!(target: TARGET, node_id, "this node is the only one of its name again");
            }
            Self::TwinAwaited { node_id, limit_s } => tracing::info!(
                target: TARGET,
                node_id,
                limit_s,
                "a node of this name was alive a moment ago; the start waits until its record expires"
            ),
        }
    }
}
