//! Who leads a clinic.

use database::{Database, Transaction};
use proto::UserId;

use super::{Clinic, table};
use crate::http::error::{Error, ErrorCode};

/// Refuses a user who leads no such clinic.
pub(super) async fn check_led(database: &Database, id: i64, user: UserId) -> Result<(), Error> {
    if table::clinic(database, id).await?.is_none() {
        return Err(ErrorCode::ClinicNotFound.into());
    }
    allow(table::is_led_by(database, id, user).await?)
}

/// A clinic whose row is locked, for its founder or a supervisor.
pub(super) async fn lock_led(tx: &mut Transaction<'_>, id: i64, user: UserId) -> Result<Clinic, Error> {
    let clinic = table::lock(tx, id).await?;
    allow(table::leads(tx, &clinic, user).await?)?;
    Ok(clinic)
}

fn allow(leads: bool) -> Result<(), Error> {
    if leads {
        Ok(())
    } else {
        Err(ErrorCode::ClinicForbidden.into())
    }
}
