//! The course of a run.

use serde::{Deserialize, Serialize};

use crate::generator::recorder::Second;

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Moment {
    /// Seconds since the start of the load.
    pub second: u64,
    /// Messages sent in it.
    pub sent: u64,
    /// Messages acknowledged in it.
    pub acked: u64,
    /// Entries of others received in it.
    pub delivered: u64,
    /// 99 of 100 acknowledgements that came in it took at most this long.
    pub ack_p99_ms: f64,
    /// Half of the deliveries that came in it took at most this long.
    pub delivery_p50_ms: f64,
    /// 99 of 100 deliveries that came in it took at most this long.
    pub delivery_p99_ms: f64,
}

impl Moment {
    /// Second by second, what happened in each.
    pub fn course(seconds: &[Second]) -> Vec<Self> {
        (0..)
            .zip(seconds)
            .map(|(second, what)| Self {
                second,
                sent: what.counts.sent,
                acked: what.counts.acked,
                delivered: what.counts.delivered,
                ack_p99_ms: what.ack.percentile_ms(99.0),
                delivery_p50_ms: what.delivery.percentile_ms(50.0),
                delivery_p99_ms: what.delivery.percentile_ms(99.0),
            })
            .collect()
    }
}
