//! `huizhen backup`: a copy of the database file at one moment.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use database::sqlite::back_up;
use program::telemetry;

use super::serve;

pub(super) const EXAMPLES: &str = "\
The server may run meanwhile, and is not held up. The file is checked and synced before it gets its name, and nothing
is ever overwritten. The exit status is 1 when entries in it are damaged. Of a file with a damaged page none is made, but with
--sqlite-plain, which reads what is there. For PostgreSQL use its own tools (exit status 2).

Examples:
  huizhen backup --to huizhen.backup
  huizhen backup --data data --to \"huizhen-$(date +%F).backup\"";

/// Of what, and where to.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: serve::Arguments,
    /// The new file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Makes the copy.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(arguments.settings.common.log, "warn")?;
    arguments.settings.set_layer();
    let url = arguments.settings.database_url();
    let Some(path) = url.strip_prefix("sqlite://").map(PathBuf::from) else {
        program::complain!(
            "error: the database is a server's. Use its own tools: pg_dump --format=custom for one moment, or \
             pg_basebackup with the archived log for any moment; docs/operations.md, Backup"
        );
        return Ok(ExitCode::from(2));
    };
    let to = arguments.to;
    let shown = to.display().to_string();
    let made = tokio::task::spawn_blocking(move || back_up(&path, &to))
        .await
        .context("the backup was broken off")??;
    for left in &made.removed {
        program::say!("{}: left by a backup that was killed, removed", left.display());
    }
    program::say!(
        "{shown}: {} bytes, schema version {}, checked",
        made.bytes,
        made.schema_version
    );
    Ok(damaged(made.damaged_entries))
}

/// Says that entries of a copy are damaged, if some are: it is made all the same, and somebody should know.
pub(super) fn damaged(entries: u64) -> ExitCode {
    if entries == 0 {
        return ExitCode::SUCCESS;
    }
    program::complain!(
        "error: {entries} of its entries are damaged and will not be served; the rest is whole. `huizhen check --deep` names them on the database, an earlier backup may have them; docs/operations.md, Damage"
    );
    ExitCode::FAILURE
}
