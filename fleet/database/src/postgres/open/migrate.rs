//! The schema's version, and bringing it up to date.

use telemetry::events::database::Event;
use tokio_postgres::Client;

use super::{privileges::Role, steps::ByStatement};
use crate::{Error, migrations, postgres::failure};

/// The lock that programs which start together acquire in turn, "huizhen" in ASCII.
const LOCK: i64 = 0x68_75_69_7a_68_65_6e;

/// The version that the database has; 0 when it is empty.
pub(crate) async fn version(client: &Client) -> Result<i64, Error> {
    let row = client
        .query_one(
            "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('refinery_schema_history')",
            &[],
        )
        .await?;
    if row.get::<_, i64>(0) == 0 {
        return Ok(0);
    }
    let row = client
        .query_one(
            "SELECT coalesce(max(version), 0) FROM refinery_schema_history",
            &[],
        )
        .await?;
    Ok(row.get::<_, i32>(0).into())
}

/// Brings the schema to the version of this program. A newer one is left as it is: steps only add, so that the old and
/// the new version of a fleet run side by side, and an old program may have to restart meanwhile.
///
/// The lock ends with the connection, which the caller drops.
pub(crate) async fn migrate(client: &mut Client, role: &Role) -> Result<(), Error> {
    let failed = |error: String| Error::Open(format!("the schema cannot be brought up to date: {error}"));
    client
        .batch_execute(&format!(
            "SET lock_timeout = '60s'; SELECT pg_advisory_lock({LOCK})"
        ))
        .await
        .map_err(|error| failed(failure::chain(&error)))?;
    let version = version(client).await?;
    if version > migrations::LATEST_VERSION {
        Event::NewerSchema {
            schema: version,
            program: migrations::LATEST_VERSION,
        }
        .emit();
        return Ok(());
    }
    if version == migrations::LATEST_VERSION && !takes_writes(client).await? {
        // History can be read meanwhile.
        Event::ReadOnlyStart.emit();
        return Ok(());
    }
    if !role.may_create() {
        // A role that only uses tables finds them made; comparing the steps would create the table of their history.
        return match version {
            migrations::LATEST_VERSION => Ok(()),
            _ => Err(role.refusal()),
        };
    }
    let steps = migrations::for_postgres().map_err(|error| Error::Open(error.to_string()))?;
    refinery::Runner::new(&steps)
        .set_abort_divergent(true)
        .set_abort_missing(true)
        // All steps and their history in one transaction.
        .set_grouped(true)
        .run_async(&mut ByStatement(client))
        .await
        .map_err(|error| failed(role.explain(&error)))?;
    Ok(())
}

async fn takes_writes(client: &Client) -> Result<bool, Error> {
    let row = client.query_one("SHOW transaction_read_only", &[]).await?;
    Ok(row.get::<_, String>(0) == "off")
}
