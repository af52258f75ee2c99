//! Counts and times of a run; one for each thread, added up at the end.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer times are recorded as this long, µs.
const LONGEST_US: u64 = 300_000_000;
/// Seconds that the course of a run may have; what comes later counts for its last second.
const MAX_SECONDS: usize = 7 * 24 * 3600;

/// Times in µs.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self::with_digits(3)
    }
}

impl Times {
    fn with_digits(digits: u8) -> Self {
        // The bounds are constants that the histogram takes; a test makes one of each.
        #[expect(clippy::unwrap_used, reason = "cannot fail for these constants")]
        let mut histogram = Histogram::new_with_bounds(1, 1024, digits).unwrap();
        histogram.auto(true);
        Self(histogram)
    }

    /// Takes note of one.
    pub fn record(&mut self, us: u64) {
        // Cannot fail: it resizes up to the longest.
        let _ = self.0.record(us.clamp(1, LONGEST_US));
    }

    /// Adds those of another thread.
    pub fn add(&mut self, other: &Self) {
        let _ = self.0.add(&other.0);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time within which this many percent ended, milliseconds.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1000.0
    }

    /// The longest, milliseconds.
    pub fn max_ms(&self) -> f64 {
        if self.0.is_empty() {
            0.0
        } else {
            self.0.max() as f64 / 1000.0
        }
    }
}

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages sent.
    pub sent: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Entries of others received.
    pub delivered: u64,
}

impl Counts {
    /// Adds another thread's or second's.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.acked += other.acked;
        self.delivered += other.delivered;
    }
}

/// One second of a run.
#[derive(Clone, Debug)]
pub struct Second {
    /// Its counts and times.
    pub counts: Counts,
    /// Acknowledgements that came in it.
    pub ack: Times,
    /// Deliveries that came in it.
    pub delivery: Times,
}

impl Default for Second {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            ack: Times::with_digits(2),
            delivery: Times::with_digits(2),
        }
    }
}

/// Counts and times of a run.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// The measured span, µs since the start: after the warm-up, until sending stops.
    from_us: u64,
    until_us: u64,
    /// From the first to the last, warm-up included.
    pub whole: Counts,
    /// The counts and times of the measured span.
    pub measured: Counts,
    /// From when a message was due to its acknowledgement; of messages that were due while it was measured.
    pub ack: Times,
    /// From when a message was due to its delivery to each other member; likewise.
    pub delivery: Times,
    /// Second by second, from the start.
    pub seconds: Vec<Second>,
}

impl Recorder {
    /// Measures from the end of the warm-up for this long.
    pub fn new(warm_up: Duration, measured: Duration) -> Self {
        Self {
            from_us: warm_up.as_micros() as u64,
            until_us: (warm_up + measured).as_micros() as u64,
            ..Self::default()
        }
    }

    /// A message was sent.
    pub fn sent(&mut self, now_us: u64) {
        self.count(
            now_us,
            Counts {
                sent: 1,
                ..Counts::default()
            },
        );
    }

    /// A message that was due at `due_us` was acknowledged.
    pub fn acked(&mut self, now_us: u64, due_us: u64) {
        self.count(
            now_us,
            Counts {
                acked: 1,
                ..Counts::default()
            },
        );
        let took = now_us.saturating_sub(due_us);
        self.second(now_us).ack.record(took);
        if self.is_measured(due_us) {
            self.ack.record(took);
        }
    }

    /// A message that was due at `due_us` reached another member.
    pub fn delivered(&mut self, now_us: u64, due_us: u64) {
        self.count(
            now_us,
            Counts {
                delivered: 1,
                ..Counts::default()
            },
        );
        let took = now_us.saturating_sub(due_us);
        self.second(now_us).delivery.record(took);
        if self.is_measured(due_us) {
            self.delivery.record(took);
        }
    }

    /// Adds what another thread saw of the same run.
    pub fn add(&mut self, other: &Self) {
        self.whole.add(other.whole);
        self.measured.add(other.measured);
        self.ack.add(&other.ack);
        self.delivery.add(&other.delivery);
        for (at, second) in other.seconds.iter().enumerate() {
            if self.seconds.len() <= at {
                self.seconds.push(Second::default());
            }
            let mine = &mut self.seconds[at];
            mine.counts.add(second.counts);
            mine.ack.add(&second.ack);
            mine.delivery.add(&second.delivery);
        }
    }

    fn count(&mut self, now_us: u64, counts: Counts) {
        self.whole.add(counts);
        if self.is_measured(now_us) {
            self.measured.add(counts);
        }
        self.second(now_us).counts.add(counts);
    }

    fn is_measured(&self, at_us: u64) -> bool {
        (self.from_us..self.until_us).contains(&at_us)
    }

    fn second(&mut self, now_us: u64) -> &mut Second {
        let at = (now_us as usize / 1_000_000).min(MAX_SECONDS);
        if self.seconds.len() <= at {
            self.seconds.resize_with(at + 1, Second::default);
        }
        &mut self.seconds[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn only_what_falls_into_the_measured_time_is_measured() {
        let mut recorder = Recorder::new(Duration::from_secs(1), Duration::from_secs(2));
        for at in [0, SECOND, 2 * SECOND, 3 * SECOND] {
            recorder.sent(at);
            recorder.delivered(at + 1000, at);
        }
        assert_eq!((recorder.whole.sent, recorder.measured.sent), (4, 2));
        assert_eq!(recorder.delivery.count(), 2);
        assert_eq!(recorder.seconds.len(), 4);
    }

    #[test]
    fn a_stall_counts_for_every_message_that_was_due_in_it() {
        let mut recorder = Recorder::new(Duration::ZERO, Duration::from_secs(10));
        for due in 0..100 {
            recorder.acked(SECOND, due * 10_000);
        }
        assert!(recorder.ack.percentile_ms(50.0) > 490.0);
        assert!(recorder.ack.max_ms() > 990.0);
    }

    #[test]
    fn threads_add_up() {
        let mut one = Recorder::new(Duration::ZERO, Duration::from_secs(10));
        let mut two = one.clone();
        one.delivered(5, 1);
        two.delivered(3 * SECOND, 1);
        one.add(&two);
        assert_eq!(one.whole.delivered, 2);
        assert_eq!(one.delivery.count(), 2);
        assert_eq!(one.seconds[3].counts.delivered, 1);
    }

    #[test]
    fn times_of_any_length_are_taken() {
        let mut times = Times::default();
        times.record(0);
        times.record(u64::MAX);
        assert_eq!(times.count(), 2);
        assert!((times.max_ms() - 300_000.0).abs() < 300.0);
        assert!(Times::default().max_ms().abs() < f64::EPSILON);
        Second::default().ack.record(7);
    }
}
