//! How long it took most, nearly all, and the last one.

use serde::{Deserialize, Serialize};

use crate::generator::recorder::Times;

/// Times in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Percentiles {
    /// Half took at most this long.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl From<&Times> for Percentiles {
    fn from(times: &Times) -> Self {
        if times.count() == 0 {
            return Self::default();
        }
        Self {
            p50: times.percentile_ms(50.0),
            p90: times.percentile_ms(90.0),
            p99: times.percentile_ms(99.0),
            p999: times.percentile_ms(99.9),
            max: times.max_ms(),
        }
    }
}
