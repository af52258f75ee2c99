//! `huizhen migrate`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use database::{
    Database,
    sqlite::{self, Seal},
};
use program::telemetry;

use super::serve;
use crate::access::make_private_folder;

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen migrate
  huizhen migrate --data data
  huizhen migrate --page-checksums";

/// What to bring up to date.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: serve::Arguments,
    /// Write a database file of an earlier version anew, however long it is, so that its pages have checksums. It needs as
    /// much free disk as the file takes; breaking it off leaves the file as it was
    #[arg(long)]
    page_checksums: bool,
}

/// Opens the database, which brings its schema up to date.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        settings,
        page_checksums,
    } = arguments;
    telemetry::start(
        settings.common.log,
        if page_checksums {
            "warn,database=info"
        } else {
            "warn"
        },
    )?;
    make_private_folder(&settings.data)?;
    settings.set_layer();
    let url = settings.database_url();
    if page_checksums {
        let Some(path) = url.strip_prefix("sqlite://").map(PathBuf::from) else {
            bail!("the database is a server's: pg_checksums --enable gives its pages checksums");
        };
        let sealed = tokio::task::spawn_blocking(move || sqlite::seal(&path))
            .await
            .context("the file was not written anew")??;
        match sealed {
            Seal::Was => program::say!("the pages have checksums"),
            Seal::Done { bytes } => program::say!("the pages have checksums now; the file has {bytes} bytes"),
            Seal::Without { reason } => bail!(reason),
        }
    }
    let database = Database::open(&url).await?;
    let version = database.schema_version().await?;
    database.close().await;
    program::say!("the schema has version {version}");
    Ok(ExitCode::SUCCESS)
}
