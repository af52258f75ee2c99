//! Logs and metrics: one subscriber and one recorder a process.

mod log_lines;

use std::sync::OnceLock;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// The filter of a server without RUST_LOG. Operators need no line for each migration step.
pub const DEFAULT_FILTER: &str = "info,refinery_core=warn";

/// Buckets of durations, seconds: from a commit on a fast disk to far beyond every timeout.
const SECONDS_BUCKETS: [f64; 17] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    5.0, 10.0,
];
/// Buckets of counts, such as batch sizes and list lengths.
const COUNT_BUCKETS: [f64; 12] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0,
];

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For human readers.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logs (to standard error) and metrics; a second call in the same process changes nothing. `default_filter`, such as
/// `info`, applies where RUST_LOG is not set.
///
/// # Errors
/// When RUST_LOG is invalid.
pub fn start(format: LogFormat, default_filter: &str) -> anyhow::Result<PrometheusHandle> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).with_context(|| {
            format!("RUST_LOG={text:?} is invalid; an example is RUST_LOG=info,im_server=debug")
        })?,
        _ => EnvFilter::new(default_filter),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Reporting a broken standard error on standard error would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // An error means that this process has a subscriber already, as in a test that starts several programs.
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

/// The recorder of this process, installed by the first call.
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
        .inspect(|_| ::telemetry::events::declare())
        .context("metrics cannot be started")
}
