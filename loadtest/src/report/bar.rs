//! A figure and the bar that it is held to.

use serde::{Deserialize, Serialize};

/// A figure that must be at most, or at least, so much.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bar {
    /// The measurements.
    pub what: String,
    /// The measured value; none where it was never reached.
    pub value: Option<f64>,
    /// The bar.
    pub bar: f64,
    /// Of both.
    pub unit: String,
    /// Whether the bar is the least that it must be, not the most.
    pub at_least: bool,
    /// Whether it is.
    pub held: bool,
}

impl Bar {
    /// A time in ms that must not be longer.
    pub fn at_most(what: &str, value: f64, bar: f64) -> Self {
        Self {
            what: what.to_owned(),
            value: value.is_finite().then_some(value),
            bar,
            unit: "ms".to_owned(),
            at_least: false,
            held: value <= bar,
        }
    }

    /// A ratio that must not be smaller.
    pub fn at_least(what: &str, value: f64, bar: f64) -> Self {
        Self {
            at_least: true,
            held: value >= bar,
            unit: "×".to_owned(),
            ..Self::at_most(what, value, bar)
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        format!(
            "{}: {} {} ({} {}{})",
            self.what,
            self.value.map_or_else(|| "never".to_owned(), short),
            self.unit,
            if self.at_least { "at least" } else { "at most" },
            short(self.bar),
            if self.held { "" } else { ": MISSED" }
        )
    }
}

/// A number in a readable form.
pub(super) fn short(number: f64) -> String {
    if number.abs() >= 100.0 || number.fract() == 0.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_held_or_missed_and_says_so() {
        let held = Bar::at_most("all delivered", 812.4, 5000.0);
        assert!(held.held);
        assert_eq!(held.line(), "all delivered: 812 ms (at most 5000)");
        let never = Bar::at_most("all back", f64::INFINITY, 5000.0);
        assert!(!never.held && never.line().contains("never") && never.line().contains("MISSED"));
        let ratio = Bar::at_least("of single inserts", 9.5, 10.0);
        assert!(!ratio.held && ratio.line().contains("9.50 × (at least 10: MISSED)"));
        assert!(!Bar::at_least("nothing", f64::NAN, 1.0).held);
    }
}
