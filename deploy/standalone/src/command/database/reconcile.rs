//! `huizhen reconcile`: proves that the books balance.

use std::process::ExitCode;

use anyhow::Context;
use api_server::operator::{Proof, prove};
use database::Database;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use ledger::reconcile::{Progress, Report, Since};
use program::{say, telemetry};

use crate::settings::Settings;

pub(in super::super) const EXAMPLES: &str = "\
At one moment, also while the server runs: each transfer sums to zero and is what its cause demands, the postings of each
account lead to its balance without falling below zero, the months of income are the sums of their postings, and each order,
consult, service, refund, withdrawal and credit has its transfers. Faulty rows are named, at most 100; the exit status is 1.

--since proves the transfers from a time on, and the causes that changed from then on. It proves neither older ones, nor
balances without new postings, nor the months of income.

Examples:
  huizhen reconcile
  huizhen reconcile --json
  huizhen reconcile --since 2026-12-01T00:00:00+08";

/// The books, and how much of them.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Prove only what is new: from a time on, or from the time of a transfer on
    #[arg(long, value_name = "TIME|TRANSFER", value_parser = since)]
    since: Option<Since>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(transfer) = text.parse() {
        return Ok(Since::Transfer(transfer));
    }
    let time: Result<Timestamp, _> = text.parse();
    let time = time.map_err(|_| {
        "must be a time, as in 2026-12-01T00:00:00+08, or the id of a transfer, as in 4711".to_owned()
    })?;
    Ok(Since::Time(time.as_millisecond()))
}

/// Proves, and prints what was counted.
pub(in super::super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        settings,
        since,
        json,
    } = arguments;
    telemetry::start(settings.common.log, "warn,ledger=off")?;
    settings.set_layer();
    let database = Database::look(&settings.database_url()).await?;
    let version = database.schema_version().await?;
    anyhow::ensure!(
        version >= database::LATEST_VERSION,
        "the schema has version {version}, this program needs {}; run `huizhen migrate`",
        database::LATEST_VERSION
    );
    let bar = bar();
    let proved = prove(&database, since, |progress| advance(&bar, progress)).await;
    bar.finish_and_clear();
    database.close().await;
    let report = proved.context("the ledger was not proved")?;
    let is_balanced = report.is_balanced();
    if json {
        say!("{}", serde_json::to_string_pretty(&Proof::from(report))?);
    } else {
        print(&report);
    }
    Ok(if is_balanced {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// On standard error, and only where that is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("{prefix:12} {bar:40} {percent}% {eta}") {
        bar.set_style(style);
    }
    bar
}

fn advance(bar: &ProgressBar, progress: Progress) {
    bar.set_prefix(progress.step);
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

fn print(report: &Report) {
    for (name, count) in report.counts.named() {
        say!("{name:12} {count:>12}");
    }
    let sums = report.sums;
    for (name, fen) in [
        ("guarded", sums.guarded_fen),
        ("platform", sums.platform_fen),
        ("outside", sums.outside_fen),
    ] {
        say!("{name:12} {fen:>12} fen");
    }
    for fault in &report.faults {
        say!("{}: {}", fault.row, fault.why);
    }
    if report.is_balanced() {
        say!("balanced");
    } else {
        say!("NOT BALANCED: {} faults", report.faulty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_begins_at_a_time_or_a_transfer() {
        assert_eq!(since("4711"), Ok(Since::Transfer(4711)));
        assert_eq!(since("1970-01-01T08:00:01+08"), Ok(Since::Time(1000)));
        for wrong in ["", "yesterday", "2026-12-01", "1.5"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
