//! Notices of providers.

use database::{Transaction, params};
use ledger::Outside;

use crate::http::error::Error;

/// A notice that came in.
#[derive(Clone, Debug)]
pub(in crate::wallet) struct Received {
    pub(in crate::wallet) id: String,
    /// SHA-256.
    pub(in crate::wallet) body_hash: [u8; 32],
}

/// Records a notice. One that was refused before is recorded anew; one that was accepted stays as it is.
pub(in crate::wallet) async fn record(
    tx: &mut Transaction<'_>,
    provider: Outside,
    received: &Received,
    (order, outcome): (Option<i64>, &str),
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO payment_notice (provider, notice_id, order_id, outcome, body_hash, received_ms)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (provider, notice_id) DO UPDATE
         SET order_id = excluded.order_id, outcome = excluded.outcome, body_hash = excluded.body_hash,
             received_ms = excluded.received_ms
         WHERE payment_notice.order_id IS NULL",
        params![
            provider.as_str(),
            received.id.as_str(),
            order,
            outcome,
            &received.body_hash[..],
            now_ms
        ],
    )
    .await?;
    Ok(())
}
