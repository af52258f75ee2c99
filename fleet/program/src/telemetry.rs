//! Logs and metrics: one subscriber and one recorder a process.

use std::sync::OnceLock;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::log_lines;

/// What a server logs when RUST_LOG does not say. The migrations' own steps are no news to an operator.
pub const DEFAULT_FILTER: &str = "info,refinery_core=warn";

/// Buckets of durations, seconds: from a commit on a fast disk to what nobody waits for.
const SECONDS_BUCKETS: [f64; 17] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    5.0, 10.0,
];
/// Buckets of counts: batches, list lengths.
const COUNT_BUCKETS: [f64; 12] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0,
];

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logs (to standard error) and metrics; a second call in the same process changes nothing. `default_filter` is
/// what is logged when RUST_LOG does not say, as in `info`.
///
/// # Errors
/// When RUST_LOG cannot be read.
pub fn start(format: LogFormat, default_filter: &str) -> anyhow::Result<PrometheusHandle> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).with_context(|| {
            format!("RUST_LOG={text:?} cannot be read; as in RUST_LOG=info,im_server=debug")
        })?,
        _ => EnvFilter::new(default_filter),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would tell on standard error that standard error is gone, and end the thread by that.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // Errors here mean that this process has a subscriber already: a test that starts several programs.
    let _ = match format {
        LogFormat::Text => lines
            .fmt_fields(log_lines::Fields)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_writer(|| log_lines::JsonLines(std::io::stderr()))
            .try_init(),
    };
    recorder()
}

/// The same for a server, whose first line says what runs: program, version, commit, and the settings that were set.
///
/// # Errors
/// As [`start`].
pub fn start_server(program: &str, format: LogFormat) -> anyhow::Result<PrometheusHandle> {
    let recorder = start(format, DEFAULT_FILTER)?;
    tracing::info!(
        program,
        version = env!("CARGO_PKG_VERSION"),
        commit = crate::COMMIT,
        pid = std::process::id(),
        settings = crate::settings::in_force(),
        "starting"
    );
    Ok(recorder)
}

/// The recorder of this process, installed by the first who asks.
fn recorder() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    HANDLE
        .get_or_init(|| install().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

fn install() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS_BUCKETS)
        .and_then(|builder| builder.set_buckets(&COUNT_BUCKETS))
        .and_then(PrometheusBuilder::install_recorder)
        .inspect(|_| ::telemetry::metric::declare())
        .context("metrics cannot be started")
}
