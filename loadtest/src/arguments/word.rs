//! How rates and times are written.

use std::str::FromStr;
use std::time::Duration;

/// How fast to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// This many a second, open loop.
    PerSecond(f64),
    /// As fast as it goes.
    Max,
    /// A part of the saturated rate, in percent, open loop.
    Percent(f64),
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let wrong =
            |_| format!("`{text}` is not a rate: give sends a second, `max`, or a part of it like `50%`");
        match text.strip_suffix('%') {
            Some(percent) => match positive(percent).map_err(wrong)? {
                percent if percent <= 100.0 => Ok(Self::Percent(percent)),
                _ => Err(format!("`{text}` is more than the saturated rate")),
            },
            None => Ok(Self::PerSecond(positive(text).map_err(wrong)?)),
        }
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err(format!("`{text}` is not a number above 0")),
    }
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err(format!("`{text}` is not a number of 0 or more")),
    }
}

/// A time like `500ms`, `30s`, `10m` or `1h`.
///
/// # Errors
/// When it is something else, or longer than a week.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!(
                "`{text}` is not a time: write it like 500ms, 30s, 10m or 1h"
            ));
        }
    };
    let seconds = seconds * positive(number)?;
    if seconds > 7.0 * 24.0 * 3600.0 {
        return Err(format!("`{text}` is longer than a week"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!("2000".parse(), Ok(Rate::PerSecond(2000.0)));
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("50%".parse(), Ok(Rate::Percent(50.0)));
        for wrong in ["", "0", "-1", "fast", "120%", "0%", "NaN", "inf", "%"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_may_be_asked_for() {
        assert_eq!(not_negative("0"), Ok(0.0));
        assert_eq!(not_negative("2.5"), Ok(2.5));
        for wrong in ["", "-0.1", "NaN", "inf", "two"] {
            assert!(not_negative(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for wrong in ["", "10", "s", "-1s", "10d", "0s", "1..s", "1000h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
