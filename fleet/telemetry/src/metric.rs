//! Metrics as statics: a name, a help text and, at most, one label. The recorder is looked up at each use, so that a
//! metric works whatever was started first.

use metrics::{Key, Label, Level, Metadata, with_recorder};

const METADATA: Metadata<'static> = Metadata::new("telemetry", Level::INFO, None);

/// The type of a metric, as Prometheus has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// The value of this moment.
    Gauge,
    /// A distribution in buckets.
    Histogram,
}

/// A row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// As in `/metrics`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its label, and the values that exist from the start.
    pub label: Option<(&'static str, &'static [&'static str])>,
    /// A sentence for operators.
    pub help: &'static str,
}

/// A counter. It stands at 0 from the start, so that a first failure is an increase.
pub struct Counter(Plain);
/// A counter with a label.
pub struct CounterBy(Labelled);
/// A gauge.
pub struct Gauge(Plain);
/// A gauge with a label.
pub struct GaugeBy(Labelled);
/// A histogram.
pub struct Histogram(Plain);
/// A histogram with a label.
pub struct HistogramBy(Labelled);

struct Plain {
    key: Key,
    help: &'static str,
}

struct Labelled {
    name: &'static str,
    label: &'static str,
    values: &'static [&'static str],
    help: &'static str,
}

impl Plain {
    const fn new(name: &'static str, help: &'static str) -> Self {
        let key = Key::from_static_name(name);
        Self { key, help }
    }

    fn row(&'static self, kind: Kind) -> Metric {
        Metric {
            name: self.key.name(),
            kind,
            label: None,
            help: self.help,
        }
    }
}

impl Labelled {
    fn key(&self, value: impl Into<metrics::SharedString>) -> Key {
        Key::from_parts(self.name, vec![Label::new(self.label, value)])
    }

    const fn row(&self, kind: Kind) -> Metric {
        Metric {
            name: self.name,
            kind,
            label: Some((self.label, self.values)),
            help: self.help,
        }
    }
}

macro_rules! plain {
    ($name:ident) => {
        impl $name {
            /// For [`crate::catalogue`].
            #[must_use]
            pub const fn new(name: &'static str, help: &'static str) -> Self {
                Self(Plain::new(name, help))
            }

            /// Its row in the catalogue.
            #[must_use]
            pub fn row(&'static self) -> Metric {
                self.0.row(Kind::$name)
            }
        }
    };
}

macro_rules! labelled {
    ($name:ident, $kind:ident) => {
        impl $name {
            /// For [`crate::catalogue`].
            #[must_use]
            pub const fn new(
                name: &'static str,
                label: &'static str,
                values: &'static [&'static str],
                help: &'static str,
            ) -> Self {
                Self(Labelled {
                    name,
                    label,
                    values,
                    help,
                })
            }

            /// Its row in the catalogue.
            #[must_use]
            pub fn row(&'static self) -> Metric {
                self.0.row(Kind::$kind)
            }
        }
    };
}

plain!(Counter);
plain!(Gauge);
plain!(Histogram);
labelled!(CounterBy, Counter);
labelled!(GaugeBy, Gauge);
labelled!(HistogramBy, Histogram);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `count` more.
    pub fn add(&self, count: u64) {
        with_recorder(|recorder| recorder.register_counter(&self.0.key, &METADATA)).increment(count);
    }
}

impl CounterBy {
    /// One more for this value of the label.
    pub fn increment(&self, value: impl Into<metrics::SharedString>) {
        self.add(value, 1);
    }

    /// `count` more for this value of the label.
    pub fn add(&self, value: impl Into<metrics::SharedString>, count: u64) {
        let key = self.0.key(value);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA)).increment(count);
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        with_recorder(|recorder| recorder.register_gauge(&self.0.key, &METADATA)).set(value);
    }
}

impl GaugeBy {
    /// Sets it for this value of the label.
    pub fn set(&self, label: impl Into<metrics::SharedString>, value: f64) {
        let key = self.0.key(label);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA)).set(value);
    }
}

impl Histogram {
    /// Records one value: seconds for a `…_seconds`, else a count.
    pub fn record(&self, value: f64) {
        with_recorder(|recorder| recorder.register_histogram(&self.0.key, &METADATA)).record(value);
    }
}

impl HistogramBy {
    /// Records one value for this value of the label.
    pub fn record(&self, label: impl Into<metrics::SharedString>, value: f64) {
        let key = self.0.key(label);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA)).record(value);
    }
}

/// Declares the metrics of an area as statics, and `METRICS`, their rows.
///
/// ```
/// telemetry::catalogue! {
///     LATE_SENDS: Counter("huizhen_journal_late_sends_total", "Sends that …");
///     LOST: CounterBy("huizhen_backplane_lost_total", "why", &["away", "full"], "Publications that …");
/// }
/// LATE_SENDS.increment();
/// LOST.add("away", 3);
/// ```
#[macro_export]
macro_rules! catalogue {
    ($($name:ident: $kind:ident($($argument:expr),+ $(,)?);)*) => {
        $(
            #[doc = concat!("See its row in the catalogue.")]
            pub static $name: $crate::metric::$kind = $crate::metric::$kind::new($($argument),+);
        )*
        /// The metrics of this area.
        pub static METRICS: &[fn() -> $crate::metric::Metric] = &[$(|| $name.row()),*];
    };
}

/// A counter with fractions, which the recorder lacks: the process writes its text itself.
pub const CPU_SECONDS: &str = "huizhen_process_cpu_seconds_total";
