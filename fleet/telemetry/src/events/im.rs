//! A node: connections, sessions, delivery.

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
    MARKS_LET_GO: Counter(
        "huizhen_im_marks_let_go_total",
        "Marks that were not passed on because too many waited",
    );
}
