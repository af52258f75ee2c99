//! The SQL of known devices, on which an account has logged in.

use database::{Transaction, params};
use proto::UserId;

use crate::http::error::Error;

/// Known devices of one account; a new one evicts the oldest.
const MAX_KNOWN: i64 = 20;

/// A note of a device, beside its login.
#[derive(Clone, Copy, Debug)]
pub(in crate::account) enum Note {
    /// Its account has logged in on it.
    Known,
    /// Its logout is still to be completed.
    Ending,
}

impl Note {
    /// Whether it is noted of a user's device.
    pub(in crate::account) async fn is_of(
        self,
        tx: &mut Transaction<'_>,
        user: UserId,
        device_id: &str,
    ) -> Result<bool, Error> {
        let sql = match self {
            Self::Known => "SELECT 1 FROM known_device WHERE user_id = $1 AND device_id = $2",
            Self::Ending => "SELECT 1 FROM device_ended WHERE user_id = $1 AND device_id = $2",
        };
        let row = tx.query_first(sql, params![user.get(), device_id]).await?;
        Ok(row.is_some())
    }
}

const FORGET_OLDEST: &str = "DELETE FROM known_device WHERE user_id = $1 AND device_id IN (
         SELECT device_id FROM known_device WHERE user_id = $1 ORDER BY last_login_ms DESC LIMIT 1000 OFFSET $2)";

/// Records a login on a device. The account is locked.
pub(in crate::account) async fn put_known_device(
    tx: &mut Transaction<'_>,
    user: UserId,
    device_id: &str,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO known_device (user_id, device_id, last_login_ms) VALUES ($1, $2, $3)
         ON CONFLICT (user_id, device_id) DO UPDATE SET last_login_ms = excluded.last_login_ms",
        params![user.get(), device_id, now_ms],
    )
    .await?;
    tx.execute(FORGET_OLDEST, params![user.get(), MAX_KNOWN]).await?;
    Ok(())
}

/// Forgets a known device.
pub(in crate::account) async fn forget_known_device(
    tx: &mut Transaction<'_>,
    user: UserId,
    device_id: &str,
) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM known_device WHERE user_id = $1 AND device_id = $2",
        params![user.get(), device_id],
    )
    .await?;
    Ok(())
}

/// Forgets all known devices of an account but one.
pub(in crate::account) async fn forget_other_known_devices(
    tx: &mut Transaction<'_>,
    user: UserId,
    but: &str,
) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM known_device WHERE user_id = $1 AND device_id <> $2",
        params![user.get(), but],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(FORGET_OLDEST, params![1_i64, 20_i64]).await;
    }
}
