//! `huizhen copy`: copies SQLite to PostgreSQL.

use std::process::ExitCode;

use anyhow::Context;
use database::{
    Database,
    copy::{CopiedTable, copy},
};
use program::telemetry::{self, LogFormat};

use super::media;

pub(in super::super) const EXAMPLES: &str = "\
Stop the server first. The source stays unchanged; the target is an empty database, or one that `huizhen migrate` made.
The copy is atomic. Media are no part of it; their number is printed, and where they must go. The exit status is 1 when a table differs or a row is refused.

Examples:
  huizhen copy --from sqlite://data/huizhen.db --to \"$TARGET_URL\"";

/// The source and the target.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The file, as in sqlite://data/huizhen.db
    #[arg(long, value_name = "URL")]
    from: String,
    /// The target, as in postgres://user:password@host:5432/huizhen; without it HUIZHEN_DATABASE_URL, which the process
    /// list does not show
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// How log lines are written to standard error; what is written is set by RUST_LOG
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log: LogFormat,
}

/// Copies, and prints a line for each table.
pub(in super::super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(arguments.log, "warn")?;
    let to = match arguments.to {
        Some(url) => url,
        None => std::env::var("HUIZHEN_DATABASE_URL")
            .context("no target is set: use --to postgres://… or HUIZHEN_DATABASE_URL")?,
    };
    let source = Database::open_as_it_is(&arguments.from)
        .await
        .context("the source")?;
    let target = Database::open(&to).await.context("the target")?;
    program::say!("{:20} {:>12}  checksum", "table", "rows");
    let copied = copy(&source, &target, journal::moved::AFTER_COPY, |table| {
        program::say!("{}", line(table));
    })
    .await;
    let media = media::count(&source).await;
    source.close().await;
    target.close().await;
    let copied = copied?;
    let different: Vec<&str> = copied
        .iter()
        .filter(|table| !table.is_same())
        .map(|table| table.name.as_str())
        .collect();
    if different.is_empty() {
        let rows: u64 = copied.iter().map(|table| table.source.rows).sum();
        program::say!("{} tables, {rows} rows: the same on both sides", copied.len());
        let (count, bytes) = media?;
        if count > 0 {
            program::say!(
                "{count} media with {bytes} bytes are not in the database: the programs of the fleet need their store. Copy the \
                 folder `kept` of the folder of media into the bucket of --media-store, below its prefix"
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    program::complain!(
        "error: the target has other rows than were written, so the copy was rolled back; tables that differ: {}. Triggers or \
         rules of the target change rows.",
        different.join(", ")
    );
    Ok(ExitCode::FAILURE)
}

fn line(table: &CopiedTable) -> String {
    let (source, target) = (table.source, table.target);
    let same = format!("{:20} {:>12}  {}", table.name, source.rows, source.checksum());
    if table.is_same() {
        return same;
    }
    format!(
        "{same}\n{:20} {:>12}  {}  DIFFERENT in the target",
        "",
        target.rows,
        target.checksum()
    )
}
