//! `huizhen backup`: a copy of the database file at one moment, and of the folder of media beside it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use ::media::Store;
use anyhow::Context;
use api_server::MediaPlace;
use database::sqlite::back_up;
use program::telemetry;

use super::media;
use crate::settings::Settings;

pub(in super::super) const EXAMPLES: &str = "\
The server may run meanwhile, and does not wait. The new file is checked and synced before it gets its name; no file is
overwritten. The exit status is 1 when entries are damaged. A file with a damaged page is refused, unless --sqlite-plain
reads the page as it is. The folder of media is copied into a folder beside it, NAME.media, and each medium of the backup
is proved to have its bytes there: the exit status is 1 where one has none. For PostgreSQL use its own tools (exit status 2).

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
             pg_basebackup with the archived log for any moment, and copy the store of media after it. Of several machines each has \
             its own, and citus_create_restore_point names a moment for all; docs/operations.md, Backup"
        );
        return Ok(ExitCode::from(2));
    };
    let settings = arguments.settings;
    let began_ms = jiff::Timestamp::now().as_millisecond();
    let to = arguments.to;
    let target = to.clone();
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
    let is_whole = back_up_media(&settings, &target, began_ms).await?;
    let status = damaged(made.damaged_entries);
    Ok(if is_whole { status } else { ExitCode::FAILURE })
}

/// Copies the media after the database, so that those which the copy names are there. Returns whether they are. The rows are
/// read in the original, since opening the copy would leave a lock beside it.
async fn back_up_media(settings: &Settings, backup: &Path, began_ms: i64) -> anyhow::Result<bool> {
    let path = match settings.media_place() {
        MediaPlace::None => return Ok(true),
        MediaPlace::S3 { bucket, prefix } => {
            program::say!(
                "s3://{bucket}/{prefix}: media are not copied; back the bucket up by its own means"
            );
            return Ok(true);
        }
        MediaPlace::Folder(path) => path,
    };
    let from = if path.exists() {
        Some(Store::folder(&path).await?)
    } else {
        None
    };
    let beside = media::beside(backup);
    let to = Store::folder(&beside).await?;
    let shown = beside.display().to_string();
    media::copy_and_prove((from.as_ref(), &to), &shown, &settings.database_url(), began_ms).await
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
