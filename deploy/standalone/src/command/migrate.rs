//! `huizhen migrate`.

use std::process::ExitCode;

use database::Database;
use program::telemetry;

use super::serve;
use crate::access::make_private_folder;

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen migrate
  huizhen migrate --data data";

/// Opens the database, which brings its schema up to date.
pub(super) async fn run(settings: serve::Arguments) -> anyhow::Result<ExitCode> {
    telemetry::start(settings.common.log, "warn")?;
    make_private_folder(&settings.data)?;
    let database = Database::open(&settings.database_url()).await?;
    let version = database.schema_version().await?;
    database.close().await;
    program::say!("the schema has version {version}");
    Ok(ExitCode::SUCCESS)
}
