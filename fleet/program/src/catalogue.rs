//! Every metric of a fleet by name, from the areas of `telemetry`.

pub use ::telemetry::metric::{Kind, Metric, all};
