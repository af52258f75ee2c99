//! `huizhen backup`: a copy of the database file at one moment.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use database::sqlite::back_up;
use program::telemetry;

use crate::settings::Settings;

pub(in super::super) const EXAMPLES: &str = "\
The server may run meanwhile, and does not wait. The new file is checked and synced before it gets its name; no file is
overwritten. The exit status is 1 when entries are damaged. A file with a damaged page is refused, unless --sqlite-plain
reads the page as it is. For PostgreSQL use its own tools (exit status 2).

Examples:
  huizhen backup --to huizhen.backup
  huizhen backup --data data --to \"huizhen-$(date +%F).backup\"";

/// The source and the target.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// The new file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

pub(in super::super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(arguments.settings.common.log, "warn")?;
    arguments.settings.set_layer();
    let url = arguments.settings.database_url();
    let Some(path) = url.strip_prefix("sqlite://").map(PathBuf::from) else {
        program::complain!(
            "error: the database is PostgreSQL. Use its own tools: pg_dump --format=custom for one moment, or \
             pg_basebackup with the archived log for any moment; docs/operations.md, Backup"
        );
        return Ok(ExitCode::from(2));
    };
    let to = arguments.to;
    let shown = to.display().to_string();
    let made = tokio::task::spawn_blocking(move || back_up(&path, &to))
        .await
        .context("the backup was interrupted")??;
    for left in &made.removed {
        program::say!("{}: removed, the remainder of a killed backup", left.display());
    }
    program::say!(
        "{shown}: {} bytes, schema version {}, checked",
        made.bytes,
        made.schema_version
    );
    Ok(damaged(made.damaged_entries))
}

/// Reports damaged entries of a copy. The copy is made all the same.
pub(super) fn damaged(entries: u64) -> ExitCode {
    if entries == 0 {
        return ExitCode::SUCCESS;
    }
    program::complain!(
        "error: {entries} of its entries are damaged and will not be served; the others are intact. `huizhen check --deep` lists the \
         damaged ones in the database, an earlier backup may have them; docs/operations.md, Damage"
    );
    ExitCode::FAILURE
}
