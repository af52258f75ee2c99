//! Whether an operator has approved a doctor. The domain `doctor` writes these rows; every domain below asks here.

use database::{Database, Transaction, params};
use proto::UserId;

use crate::{
    http::error::{Error, ErrorCode},
    settings::DoctorVerification,
};

const STATE: &str = "SELECT state FROM doctor_verification WHERE doctor_id = $1";

const LOCK: &str = "UPDATE doctor_verification SET state = state WHERE doctor_id = $1 RETURNING state";

/// A suspension counts under each rule.
fn is_verified(rule: DoctorVerification, state: Option<&str>) -> bool {
    match rule {
        DoctorVerification::Operator => state == Some("approved"),
        DoctorVerification::None => state != Some("suspended"),
    }
}

/// Refuses a calling doctor who is not verified. No lock: a suspension ends the devices of the doctor, and the caller's device
/// is locked at the end of the transaction.
pub(crate) async fn check_verified(
    tx: &mut Transaction<'_>,
    rule: DoctorVerification,
    doctor: UserId,
) -> Result<(), Error> {
    let row = tx.query_first(STATE, params![doctor.get()]).await?;
    let state: Option<String> = row.map(|row| row.get(0)).transpose()?;
    if is_verified(rule, state.as_deref()) {
        Ok(())
    } else {
        Err(ErrorCode::DoctorUnverified.into())
    }
}

/// Whether an operator has suspended a doctor.
pub(crate) async fn is_suspended(database: &Database, doctor: UserId) -> Result<bool, Error> {
    let row = database.query_first(STATE, params![doctor.get()]).await?;
    let state: Option<String> = row.map(|row| row.get(0)).transpose()?;
    Ok(state.as_deref() == Some("suspended"))
}

/// Whether a doctor whom another user names is verified; the row is locked, so that they stay so to the end of the
/// transaction.
pub(crate) async fn lock_verified(
    tx: &mut Transaction<'_>,
    rule: DoctorVerification,
    doctor: UserId,
) -> Result<bool, Error> {
    let row = tx.query_first(LOCK, params![doctor.get()]).await?;
    let state: Option<String> = row.map(|row| row.get(0)).transpose()?;
    Ok(is_verified(rule, state.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(STATE, params![1_i64]).await;
        walks_an_index(LOCK, params![1_i64]).await;
    }

    #[test]
    fn a_suspension_counts_under_each_rule() {
        let states = [
            None,
            Some("asked"),
            Some("declined"),
            Some("approved"),
            Some("suspended"),
        ];
        let verified = |rule| states.map(|state| is_verified(rule, state));
        assert_eq!(
            verified(DoctorVerification::Operator),
            [false, false, false, true, false]
        );
        assert_eq!(
            verified(DoctorVerification::None),
            [true, true, true, true, false]
        );
    }
}
