//! The leaders of a clinic.

use database::{Database, Transaction};

use super::{Clinic, table};
use crate::{
    caller::{Lead, User},
    http::error::{Error, ErrorCode},
};

impl Lead for Clinic {
    const FORBIDDEN: ErrorCode = ErrorCode::ClinicForbidden;

    async fn lock(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<(Self, bool), Error> {
        let clinic = table::lock(tx, id).await?;
        let leads = clinic.is_founded_by(user.id) || table::supervises_in(tx, id, user.id).await?;
        Ok((clinic, leads))
    }

    async fn read(database: &Database, id: i64, user: &User) -> Result<(Self, bool), Error> {
        let clinic = table::clinic(database, id).await?;
        let clinic = clinic.ok_or(ErrorCode::ClinicNotFound)?;
        let leads = clinic.is_founded_by(user.id) || table::supervises(database, id, user.id).await?;
        Ok((clinic, leads))
    }
}
