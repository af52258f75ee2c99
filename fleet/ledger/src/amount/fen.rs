//! Amounts.

use std::fmt;

/// The largest balance of an account, fen: 10 trillion yuan. The table `ledger_account` checks it, too. Sums of balances
/// stay far below the end of an i64.
pub const MAX_BALANCE_FEN: i64 = 1_000_000_000_000_000;

/// An amount of money in fen (分), from zero to [`Fen::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount of one transfer: 10 billion yuan.
    pub const MAX: Self = Self(1_000_000_000_000);

    /// The amount; `None` below zero and above [`Fen::MAX`].
    pub const fn new(fen: i64) -> Option<Self> {
        if fen >= 0 && fen <= Self::MAX.0 {
            Some(Self(fen))
        } else {
            None
        }
    }

    /// The plain number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` above [`Fen::MAX`].
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0)
    }

    /// The difference; `None` below zero.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        Self::new(self.0 - other.0)
    }

    /// The difference, zero at least.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        match self.checked_sub(other) {
            Some(rest) => rest,
            None => Self::ZERO,
        }
    }

    /// Parses a provider's amount in yuan: digits, and at most two after a point.
    pub fn from_yuan(text: &str) -> Option<Self> {
        /// The integer digits of [`Fen::MAX`], and no more: the product below cannot overflow.
        const MAX_DIGITS: usize = 11;
        let (yuan, fraction) = text.split_once('.').unwrap_or((text, "00"));
        let is_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_plain = (1..=MAX_DIGITS).contains(&yuan.len()) && (1..=2).contains(&fraction.len());
        if !is_plain || !is_digits(yuan) || !is_digits(fraction) {
            return None;
        }
        let yuan: i64 = yuan.parse().ok()?;
        let parsed: i64 = fraction.parse().ok()?;
        let fen = if fraction.len() == 1 { parsed * 10 } else { parsed };
        Self::new(yuan * 100 + fen)
    }

    /// As an amount in yuan, with two digits after the point.
    pub fn to_yuan(self) -> String {
        format!("{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_stay_within_their_limits() {
        let one = Fen::new(1).unwrap();
        for outside in [-1, i64::MIN, Fen::MAX.get() + 1, i64::MAX] {
            assert_eq!(Fen::new(outside), None, "{outside}");
        }
        assert_eq!(Fen::MAX.checked_add(one), None);
        assert_eq!(Fen::ZERO.checked_sub(one), None);
        assert_eq!(Fen::ZERO.saturating_sub(Fen::MAX), Fen::ZERO);
    }

    #[test]
    fn yuan_are_read_exactly() {
        for (text, fen) in [
            ("0.01", 1),
            ("88.88", 8888),
            ("1", 100),
            ("0.1", 10),
            ("10000000000.00", 1_000_000_000_000),
        ] {
            assert_eq!(Fen::from_yuan(text).map(Fen::get), Some(fen), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1.005",
            "1,00",
            " 1",
            "1.0a",
            "１",
            "100000000000",
            "10000000000.01",
        ] {
            assert_eq!(Fen::from_yuan(text), None, "{text}");
        }
        assert_eq!(Fen::new(5).unwrap().to_yuan(), "0.05");
        assert_eq!(Fen::new(123_456).unwrap().to_yuan(), "1234.56");
    }
}
