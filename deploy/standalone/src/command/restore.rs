//! `huizhen restore`: begin again from a backup, or from what PostgreSQL's own tools have set back.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use database::{Database, Engine, FORGET_FLEET, sqlite};
use program::telemetry;

use super::{backup, serve};
use crate::access::make_private_folder;

pub(super) const EXAMPLES: &str = "\
Everybody's copy of every conversation is of another history then: apps forget theirs and take what is there. People
log in again, since a device that was logged out after the backup would be logged in otherwise; --keep-logins spares
them that. The fleet gets another identity: what the one that it was copied from keeps in Redis is not its own. All servers
must be stopped.

--before-damage is for a file that the server refuses to open since its log is damaged: it keeps what was committed before
the damage, which is another history too, and leaves the files as they were under other names:

  huizhen restore --before-damage --data data

Examples:
  huizhen restore --from huizhen.backup --data restored
  huizhen restore --after-point-in-time --database-url \"$TARGET_URL\"";

/// From what, and where to.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: serve::Arguments,
    /// The backup; its content becomes the database of the data folder, which must have none
    #[arg(long, value_name = "FILE", required_unless_present_any = ["after_point_in_time", "before_damage"])]
    from: Option<PathBuf>,
    /// PostgreSQL's tools have set the database back (pg_restore, or recovery to a point in time): begin its new history.
    /// Each time that this is said is one
    #[arg(long, conflicts_with = "from")]
    after_point_in_time: bool,
    /// Go on with what was committed before the damage of the data folder's log; what was acknowledged after it is gone
    #[arg(long, conflicts_with_all = ["from", "after_point_in_time"])]
    before_damage: bool,
    /// Devices that were logged in then are logged in again, also those that were logged out since
    #[arg(long)]
    keep_logins: bool,
}

/// Restores.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(arguments.settings.common.log, "warn")?;
    arguments.settings.set_layer();
    let url = arguments.settings.database_url();
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let mut statements = journal::moved::after_restore(now_ms);
    // Where it was copied from it may go on, on the same Redis.
    statements.push(FORGET_FLEET.to_owned());
    if !arguments.keep_logins {
        statements.extend(api_server::FORGET_LOGINS.iter().map(|sql| (*sql).to_owned()));
    }
    let file = url.strip_prefix("sqlite://").map(PathBuf::from);
    let mut status = ExitCode::SUCCESS;
    match (file, arguments.from) {
        (Some(path), None) if arguments.before_damage => {
            let work = move || sqlite::restore_before_damage(&path, &statements, now_ms);
            let salvaged = tokio::task::spawn_blocking(work)
                .await
                .context("the restore was broken off")??;
            for kept in &salvaged.kept {
                program::say!("{}: as it was", kept.display());
            }
            program::say!(
                "{} entries are kept; what was acknowledged after the damage is gone",
                salvaged.entries
            );
        }
        (None, None) if arguments.before_damage => {
            bail!("--before-damage is for a file; a server's own tools repair it")
        }
        (Some(path), Some(from)) => {
            if arguments.settings.common.database_url.is_none() {
                make_private_folder(&arguments.settings.data)?;
            }
            let shown = path.display().to_string();
            let made = tokio::task::spawn_blocking(move || sqlite::restore(&from, &path, &statements))
                .await
                .context("the restore was broken off")??;
            program::say!(
                "{shown}: {} bytes, schema version {}, checked",
                made.bytes,
                made.schema_version
            );
            status = backup::damaged(made.damaged_entries);
        }
        (None, None) => {
            let database = Database::open(&url).await?;
            let Engine::Postgres(postgres) = database.engine() else {
                bail!("the database is no server");
            };
            let rewritten = postgres.rewrite(&statements).await;
            database.close().await;
            rewritten?;
            program::say!("the conversations begin another history");
        }
        (Some(_), None) => bail!(
            "--after-point-in-time is for PostgreSQL; say --database-url postgres://…, or --from FILE for a file"
        ),
        (None, Some(_)) => bail!(
            "a file is restored into a data folder, and the database is a server's; restore that with pg_restore or \
             recovery to a point in time, then run `huizhen restore --after-point-in-time`"
        ),
    }
    if !arguments.keep_logins {
        program::say!("nobody is logged in");
    }
    Ok(status)
}
