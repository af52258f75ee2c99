//! Sums over months: what a team earned and withdrew, and which months a window opens.

use ledger::{Month, Window, earned_before};

/// A team's income by month.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// Earned in a month, less refunds of it; in the order of months.
    pub(super) earned: Vec<(Month, i64)>,
    /// Asked for in the window of a month and not failed; in the order of months.
    pub(super) withdrawn: Vec<(Month, i64)>,
}

/// The months whose income a window opens for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) from: Month,
    pub(super) to: Month,
    /// Earned in these months, fen.
    pub(super) earned_fen: i64,
    /// Of the months before, not withdrawn in an earlier window. Below zero where income was refunded after its withdrawal.
    pub(super) carried_over_fen: i64,
}

fn sum(months: &[(Month, i64)], counts: impl Fn(Month) -> bool) -> i64 {
    let counted = months.iter().filter(|(month, _)| counts(*month));
    counted.map(|(_, fen)| fen).sum()
}

impl Figures {
    /// The sum that may be withdrawn in a window.
    pub(super) fn withdrawable_fen(&self, window: Window) -> i64 {
        let balance = sum(&self.earned, |_| true) - self.withdrawn_fen();
        earned_before(balance, sum(&self.earned, |month| month >= window.month))
    }

    /// All that was withdrawn, paid out or not.
    pub(super) fn withdrawn_fen(&self) -> i64 {
        sum(&self.withdrawn, |_| true)
    }

    /// Earned in one month.
    pub(super) fn earned_in(&self, one: Month) -> i64 {
        sum(&self.earned, |month| month == one)
    }

    /// The period of the window of a month: since the last window in which income was withdrawn.
    pub(super) fn period(&self, window: Month) -> Period {
        let to = window.previous();
        let mut earlier = self.withdrawn.iter().filter(|(month, _)| *month < window);
        let first = self.earned.first().or(self.withdrawn.first());
        let from = earlier.next_back().or(first).map_or(to, |(month, _)| *month);
        let from = from.min(to);
        Period {
            from,
            to,
            earned_fen: sum(&self.earned, |month| month >= from && month <= to),
            carried_over_fen: sum(&self.earned, |month| month < from)
                - sum(&self.withdrawn, |month| month < window),
        }
    }
}

impl Period {
    /// Its months, the newest first.
    pub(super) fn months(self) -> impl Iterator<Item = Month> {
        let before = |month: &Month| Some(month.previous());
        std::iter::successors(Some(self.to), before).take_while(move |month| *month >= self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn months(rows: &[(i64, i64)]) -> Vec<(Month, i64)> {
        rows.iter()
            .map(|(month, fen)| (Month::new(*month).unwrap(), *fen))
            .collect()
    }

    fn period(figures: &Figures, window: i64) -> (i64, i64, i64, i64) {
        let period = figures.period(Month::new(window).unwrap());
        (
            period.from.get(),
            period.to.get(),
            period.earned_fen,
            period.carried_over_fen,
        )
    }

    #[test]
    fn a_window_opens_the_months_since_the_last_withdrawal() {
        let mut figures = Figures::default();
        assert_eq!(period(&figures, 202_701), (202_612, 202_612, 0, 0));
        figures.earned = months(&[(202_609, 100), (202_610, 200), (202_611, 400), (202_612, 800)]);
        assert_eq!(period(&figures, 202_609), (202_608, 202_608, 0, 0));
        assert_eq!(period(&figures, 202_610), (202_609, 202_609, 100, 0));
        assert_eq!(period(&figures, 202_612), (202_609, 202_611, 700, 0));
        // A part was withdrawn in the window of November: the rest is carried over.
        figures.withdrawn = months(&[(202_611, 250)]);
        assert_eq!(period(&figures, 202_611), (202_609, 202_610, 300, 0));
        assert_eq!(period(&figures, 202_612), (202_611, 202_611, 400, 50));
        assert_eq!(period(&figures, 202_701), (202_611, 202_612, 1200, 50));
        // All of it in December; then October was refunded.
        figures.withdrawn = months(&[(202_611, 250), (202_612, 450)]);
        figures.earned[1].1 = 140;
        assert_eq!(period(&figures, 202_701), (202_612, 202_612, 800, -60));
    }

    #[test]
    fn what_a_window_opens_was_earned_before_its_month() {
        let figures = Figures {
            earned: months(&[(202_611, 400), (202_612, 800)]),
            withdrawn: months(&[(202_612, 100)]),
        };
        let in_december = Window::at(Month::new(202_612).unwrap().from_ms());
        assert_eq!(figures.withdrawable_fen(in_december), 300);
        let next = Window::at(in_december.to_ms);
        assert_eq!(figures.withdrawable_fen(next), 1100);
        let of_all: Vec<i64> = figures.period(next.month).months().map(Month::get).collect();
        assert_eq!(of_all, [202_612]);
        assert_eq!(figures.earned_in(in_december.month), 800);
    }

    #[test]
    fn a_period_lists_its_months_backwards() {
        let figures = Figures {
            earned: months(&[(202_611, 1)]),
            withdrawn: vec![],
        };
        let period = figures.period(Month::new(202_702).unwrap());
        let listed: Vec<i64> = period.months().map(Month::get).collect();
        assert_eq!(listed, [202_701, 202_612, 202_611]);
    }
}
