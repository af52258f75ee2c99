//! `huizhen restore`: starts from a backup, or from a database that PostgreSQL's own tools have restored.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use ::media::Store;
use anyhow::{Context, bail};
use database::{Database, Engine, FORGET_FLEET, sqlite};
use program::telemetry;

use super::{backup, media};
use crate::{access::make_private_folder, settings::Settings};

pub(in super::super) const EXAMPLES: &str = "\
Stop all servers first. Every conversation begins another history: apps drop their copies and fetch it anew. Users log in
again, since a device that was logged out after the backup would be logged in otherwise; --keep-logins keeps the logins.
The fleet gets another identity, so that it ignores the records of the original fleet in Redis. Media beside the backup
(NAME.media) are copied into the store of media; the exit status is 1 where a medium has no bytes afterwards.

--before-damage is for a file that the server refuses to open because its log is damaged: it keeps the commits before the
damage, which is another history too, and keeps the old files under other names:

  huizhen restore --before-damage --data data

Examples:
  huizhen restore --from huizhen.backup --data restored
  huizhen restore --after-point-in-time --database-url \"$TARGET_URL\"";

/// The source and the target.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// The backup; its content becomes the database of the data folder, which must have none
    #[arg(long, value_name = "FILE", required_unless_present_any = ["after_point_in_time", "before_damage"])]
    from: Option<PathBuf>,
    /// PostgreSQL's tools have restored the database (pg_restore, or recovery to a point in time): begin a new history. Each
    /// call begins one
    #[arg(long, conflicts_with = "from")]
    after_point_in_time: bool,
    /// Keep the commits before the damage of the data folder's log; later messages are lost, also acknowledged ones
    #[arg(long, conflicts_with_all = ["from", "after_point_in_time"])]
    before_damage: bool,
    /// Keep the logins of the backup, also of devices that were logged out since
    #[arg(long)]
    keep_logins: bool,
}

pub(in super::super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(arguments.settings.common.log, "warn")?;
    arguments.settings.set_layer();
    let url = arguments.settings.database_url();
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let mut statements = journal::moved::after_restore(now_ms);
    // The original fleet may still run, on the same Redis.
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
                .context("the restore was interrupted")??;
            for kept in &salvaged.kept {
                program::say!("{}: as it was", kept.display());
            }
            program::say!(
                "{} entries are kept; messages acknowledged after the damage are lost",
                salvaged.entries
            );
        }
        (None, None) if arguments.before_damage => {
            bail!("--before-damage is for SQLite; use PostgreSQL's own tools")
        }
        (Some(path), Some(from)) => {
            if arguments.settings.common.database_url.is_none() {
                make_private_folder(&arguments.settings.data)?;
            }
            let shown = path.display().to_string();
            let beside = media::beside(&from);
            let made = tokio::task::spawn_blocking(move || sqlite::restore(&from, &path, &statements))
                .await
                .context("the restore was interrupted")??;
            program::say!(
                "{shown}: {} bytes, schema version {}, checked",
                made.bytes,
                made.schema_version
            );
            status = backup::damaged(made.damaged_entries);
            if !restore_media(&arguments.settings, &beside, &url).await? {
                status = ExitCode::FAILURE;
            }
        }
        (None, None) => {
            let database = Database::open(&url).await?;
            let Engine::Postgres(postgres) = database.engine() else {
                bail!("the database is not PostgreSQL");
            };
            let rewritten = postgres.rewrite(&statements).await;
            database.close().await;
            rewritten?;
            program::say!("all conversations begin another history");
        }
        (Some(_), None) => bail!(
            "--after-point-in-time is for PostgreSQL: set --database-url postgres://…, or --from FILE for SQLite"
        ),
        (None, Some(_)) => bail!(
            "--from restores a file into a data folder, and the database is PostgreSQL: use pg_restore or recovery to a point in \
             time, then run `huizhen restore --after-point-in-time`"
        ),
    }
    if !arguments.keep_logins {
        program::say!("all logins have ended");
    }
    Ok(status)
}

/// Copies the media beside the backup into the store, and proves that each medium has its bytes. Returns whether it holds.
async fn restore_media(settings: &Settings, beside: &Path, url: &str) -> anyhow::Result<bool> {
    let Some(to) = settings.media_store().await? else {
        return Ok(true);
    };
    let from = if beside.exists() {
        Some(Store::folder(beside).await?)
    } else {
        None
    };
    media::copy_and_prove((from.as_ref(), &to), "media", url, i64::MAX).await
}
