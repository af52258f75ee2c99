//! Every metric of a fleet by name. `docs/operations.md` lists them, alerts and dashboards in `deploy/` use them, and
//! tests hold all of that together. A counter stands at 0 from the start, so that a first failure is an increase.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// As it is now.
    Gauge,
    /// How often which size.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// As in `/metrics`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its label and the values that an operator asks for.
    pub label: Option<(&'static str, &'static [&'static str])>,
    /// A sentence for operators.
    pub help: &'static str,
}

const fn metric(kind: Kind, name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind,
        label: None,
        help,
    }
}

const fn labelled(
    kind: Kind,
    name: &'static str,
    label: (&'static str, &'static [&'static str]),
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        label: Some(label),
        help,
    }
}

use Kind::{Counter, Gauge, Histogram};

/// A counter with fractions, which the recorder has not: `machine::usage` writes it.
pub(crate) const CPU_SECONDS: &str = "huizhen_process_cpu_seconds_total";

/// All of them.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    labelled(Gauge, "huizhen_dependency_up", ("dependency", &["database", "backplane"]), "1 while it answers as /readyz asks it, else 0; looked at every 5 s"),
    metric(Gauge, "huizhen_draining", "1 while this process is being stopped"),
    metric(Counter, CPU_SECONDS, "CPU time of the process, s"),
    metric(Gauge, "huizhen_process_resident_memory_bytes", "Resident memory, bytes"),
    metric(Gauge, "huizhen_process_open_fds", "Open file descriptors"),
    metric(Gauge, "huizhen_process_max_fds", "File descriptors that it may open"),
    metric(Gauge, "huizhen_certificate_days_left", "Days until the TLS certificate in force expires, below 0 since then; only where TLS is on"),
    metric(Gauge, "huizhen_im_sessions", "Logged-in sessions of the node"),
    metric(Gauge, "huizhen_im_sessions_max", "Sessions that the node takes (--max-sessions)"),
    metric(Gauge, "huizhen_im_certificate_expires_seconds", "When the TLS certificate in force expires, Unix time, s; only where TLS is on"),
    metric(Gauge, "huizhen_im_clock_off_seconds", "How far the wall clock is from the time that the node goes by"),
    metric(Gauge, "huizhen_im_rooms", "Conversations with somebody logged in here"),
    metric(Histogram, "huizhen_im_runtime_lag_seconds", "How late a timer of the runtime fires: tasks that wait for a core, s"),
    metric(Counter, "huizhen_im_accept_failures_total", "Connections that could not be accepted: out of descriptors, most often"),
    labelled(Counter, "huizhen_im_byes_total", ("reason", &["BYE_REASON_SLOW", "BYE_REASON_OVERLOADED", "BYE_REASON_UNAVAILABLE", "BYE_REASON_DRAINING"]), "Connections that the node closed, by reason"),
    labelled(Counter, "huizhen_im_errors_total", ("code", &["ERROR_CODE_UNAVAILABLE", "ERROR_CODE_RATE_LIMITED"]), "Requests that were refused, by code"),
    labelled(Counter, "huizhen_im_pauses_total", ("reason", &["rate", "answers"]), "Times a session was not read for a moment: over its rate, or with too many answers owed to it"),
    metric(Counter, "huizhen_im_login_failures_total", "Logins with a wrong user or password"),
    metric(Counter, "huizhen_im_proxy_headers_refused_total", "Connections that were closed for their PROXY header: none where it is demanded, one of an untrusted address, or one where none is taken"),
    metric(Counter, "huizhen_im_gaps_total", "Times that entries were fetched from the database because a publication did not come"),
    metric(Counter, "huizhen_im_sessions_behind_total", "Times that a session read too slowly and was fed from the journal instead"),
    metric(Counter, "huizhen_im_marks_let_go_total", "Marks that were not passed on because too many waited"),
    metric(Histogram, "huizhen_journal_batch_sends", "Sends in a batch"),
    metric(Histogram, "huizhen_journal_commit_seconds", "How long a batch takes, from its beginning to its commit, s"),
    metric(Histogram, "huizhen_journal_settle_seconds", "How long answering and fanning out a batch takes, s"),
    metric(Counter, "huizhen_journal_late_sends_total", "Sends that were answered UNAVAILABLE because they had waited too long"),
    metric(Counter, "huizhen_journal_locked_batches_total", "Batches that met a row that somebody else held"),
    metric(Counter, "huizhen_journal_stale_batches_total", "Batches that were checked again because another process wrote to the file"),
    metric(Counter, "huizhen_journal_stale_conversations_total", "Conversations that were checked again because another node wrote to them"),
    metric(Counter, "huizhen_journal_double_entries_total", "Races for one client_msg_id that the unique key decided; on SQLite, entries that stand twice in a file, which is damage: look at the log"),
    metric(Histogram, "huizhen_database_commit_seconds", "How long SQLite's COMMIT takes, its sync included, s"),
    labelled(Gauge, "huizhen_backplane_up", ("link", &["listening", "asking"]), "1 while the connection to Redis stands, else 0"),
    metric(Gauge, "huizhen_backplane_subscriptions", "Channels that this process is subscribed to"),
    labelled(Counter, "huizhen_backplane_connections_total", ("link", &["listening", "asking"]), "Connections made to Redis; one that is cut is made again"),
    metric(Counter, "huizhen_backplane_published_total", "Publications handed to Redis"),
    metric(Counter, "huizhen_backplane_received_total", "Publications that came from Redis"),
    labelled(Counter, "huizhen_backplane_lost_total", ("why", &["away", "full", "moved", "slow", "unsealed"]), "Publications that were let go and are made good by comparing with the database"),
    metric(Counter, "huizhen_backplane_refused_total", "Commands that Redis refused"),
    labelled(Counter, "huizhen_backplane_forged_total", ("what", &["publication", "password", "login", "node"]), "Records and publications in Redis that were not made with this fleet's key, and were ignored"),
    metric(Counter, "huizhen_backplane_emptied_total", "Times that Redis was found empty and what it held was put back"),
    metric(Counter, "huizhen_backplane_resumed_total", "Times that everything was subscribed to again"),
    metric(Counter, "huizhen_database_late_answers_total", "Statements that were answered for the caller before the database answered"),
    metric(Counter, "huizhen_database_unconfirmed_commits_total", "Commits that PostgreSQL called done without its standby, because their wait was cancelled; they are not acknowledged"),
    metric(Counter, "huizhen_journal_damaged_entries_total", "Entries that were asked for and are damaged or missing; they are not served"),
    metric(Counter, "huizhen_database_damaged_pages_total", "Times that a page of a SQLite file or its log was read that is not what was written; nothing of it is served"),
    labelled(Histogram, "huizhen_database_checkpoint_seconds", ("by", &["open", "thread", "writer"]), "How long SQLite's log takes to be moved into the file, s"),
    labelled(Histogram, "huizhen_rest_request_seconds", ("route", &[]), "How long REST requests take, by route, s"),
    labelled(Counter, "huizhen_rest_requests_total", ("route", &[]), "REST requests, by method, route and status"),
    metric(Counter, "huizhen_rest_connections_refused_total", "REST connections over the limit"),
];

/// Describes all of them, and lets counters and histograms' families stand there from the start.
pub(crate) fn declare() {
    for Metric {
        name,
        kind,
        label,
        help,
    } in METRICS
    {
        if *name == CPU_SECONDS {
            continue;
        }
        match kind {
            Counter => metrics::describe_counter!(*name, *help),
            Gauge => metrics::describe_gauge!(*name, *help),
            Histogram => metrics::describe_histogram!(*name, *help),
        }
        if *kind != Counter {
            continue;
        }
        match label {
            None => metrics::counter!(*name).increment(0),
            Some((label, values)) => {
                for value in *values {
                    metrics::counter!(*name, *label => *value).increment(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_of_one_form_and_stand_once() {
        let mut names = HashSet::new();
        for metric in METRICS {
            assert!(names.insert(metric.name), "{} stands twice", metric.name);
            assert!(metric.name.starts_with("huizhen_"), "{}", metric.name);
            assert!(
                !metric.help.is_empty() && !metric.help.ends_with('.'),
                "{}",
                metric.name
            );
            assert_eq!(
                metric.kind == Counter,
                metric.name.ends_with("_total"),
                "{}",
                metric.name
            );
        }
    }
}
