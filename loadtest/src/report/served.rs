//! Whether a server did what it was asked to while nothing disturbed it. A run in which nothing was acknowledged proves
//! nothing, however little went wrong.

use serde::{Deserialize, Serialize};

use super::Report;

/// The least part of undisturbed requests that must be acknowledged, percent.
const LEAST_PERCENT: u64 = 99;

/// Requests that were due while nothing disturbed the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Undisturbed {
    /// Messages sent, or REST calls made.
    pub sent: u64,
    /// Those acknowledged.
    pub acked: u64,
}

impl Undisturbed {
    /// Why these requests prove nothing; `None` when enough of them were acknowledged.
    fn complaint(self) -> Option<String> {
        let Self { sent, acked } = self;
        if acked == 0 {
            return Some(format!(
                "nothing was acknowledged: of {sent} undisturbed requests none"
            ));
        }
        (acked * 100 < sent * LEAST_PERCENT).then(|| {
            format!("{acked} of {sent} undisturbed requests were acknowledged, less than {LEAST_PERCENT} %")
        })
    }
}

impl Report {
    /// Notes what was acknowledged of the requests that nothing disturbed; too little of it is a fault.
    pub fn hold_to(&mut self, undisturbed: Undisturbed) {
        self.undisturbed = Some(undisturbed);
        self.faults.extend(undisturbed.complaint());
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::summary;
    use super::*;

    fn held_to(sent: u64, acked: u64) -> Report {
        let mut report = Report::new("chat", 1);
        report.hold_to(Undisturbed { sent, acked });
        report
    }

    #[test]
    fn ninety_nine_of_a_hundred_are_enough() {
        for (sent, acked) in [(1, 1), (100, 99), (400, 396), (1_000_000, 990_000)] {
            let report = held_to(sent, acked);
            assert!(report.is_clean(), "{sent} {acked}");
            assert!(summary(&report).starts_with("chat: passed"));
        }
    }

    #[test]
    fn fewer_or_none_make_a_run_fail() {
        for (sent, acked) in [(0, 0), (400, 0), (100, 98), (400, 395), (1_000_000, 989_999)] {
            let report = held_to(sent, acked);
            assert!(!report.is_clean(), "{sent} {acked}");
            let text = summary(&report);
            assert!(
                text.starts_with("chat: FAILED") && text.contains("acknowledged"),
                "{text}"
            );
        }
    }
}
