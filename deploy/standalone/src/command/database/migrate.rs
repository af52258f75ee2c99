//! `huizhen migrate`: migrates the schema, and on request adds checksums to pages or spreads tables over machines.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use database::{
    Database,
    postgres::Postgres,
    sqlite::{self, Seal},
};
use program::telemetry;

use crate::{access::make_private_folder, settings::Settings};

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  huizhen migrate
  huizhen migrate --data data
  huizhen migrate --page-checksums";

/// The database to migrate.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Rewrite a database file of an earlier version, whatever its size, so that its pages have checksums. It needs free
    /// space of the file's size; an interruption leaves the file unchanged
    #[arg(long)]
    page_checksums: bool,
    /// Put every table of a PostgreSQL database, whose URL is that of the coordinator, where it belongs on several machines;
    /// stop the fleet first. What is done already stays, so an interrupted run is repeated
    #[arg(long, value_enum, conflicts_with = "page_checksums")]
    distributed: Option<Distributed>,
}

/// The means by which rows lie on several machines.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Distributed {
    /// The extension Citus: conversations on its workers, all else on the coordinator.
    Citus,
}

/// Opens the database, which migrates its schema.
pub(in super::super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        settings,
        page_checksums,
        distributed,
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
            bail!("the database is PostgreSQL: pg_checksums --enable adds checksums to its pages");
        };
        let sealed = tokio::task::spawn_blocking(move || sqlite::seal(&path))
            .await
            .context("the rewrite was interrupted")??;
        match sealed {
            Seal::Was => program::say!("the pages have checksums"),
            Seal::Done { bytes } => {
                program::say!("the pages have checksums now; the file size is {bytes} bytes");
            }
            Seal::Without { reason } => bail!(reason),
        }
    }
    if let Some(Distributed::Citus) = distributed {
        anyhow::ensure!(
            !url.starts_with("sqlite://"),
            "the database is a file of one machine: copy it to PostgreSQL first, `huizhen copy`"
        );
        let placed = Postgres::distribute(&url, journal::citus::FUNCTIONS).await?;
        for placed in &placed {
            program::say!("{placed}");
        }
        program::say!("{} tables were put in place", placed.len());
    }
    let database = Database::open(&url).await?;
    let version = database.schema_version().await?;
    database.close().await;
    program::say!("the schema has version {version}");
    Ok(ExitCode::SUCCESS)
}
