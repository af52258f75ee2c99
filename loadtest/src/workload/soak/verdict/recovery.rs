//! Whether the fleet comes back: after every heal a send that was due since must be acknowledged soon, a login must
//! succeed, and what was sent before must be delivered soon. Pure.

use crate::report::Undisturbed;

/// Heals, and the first success after each.
#[derive(Debug, Default)]
pub(in crate::workload::soak) struct Recovery {
    heals: Vec<Heal>,
    /// Whether the next fault has begun.
    is_disturbed: bool,
    /// From when to when each fault stood; the last one may stand still.
    faults_us: Vec<(u64, u64)>,
    undisturbed: Undisturbed,
}

#[derive(Clone, Debug)]
struct Heal {
    fault: &'static str,
    at_us: u64,
    first_us: Option<u64>,
    /// When a user was logged in who had begun after the heal.
    login_us: Option<u64>,
    /// The longest that a delivery after the heal came after it, or after the send was due, whichever was later.
    latest_us: u64,
}

impl Recovery {
    /// A fault begins; later events say nothing about the heal before.
    pub(in crate::workload::soak) fn disturbed(&mut self, at_us: u64) {
        self.is_disturbed = true;
        self.faults_us.push((at_us, u64::MAX));
    }

    /// A message that is due at `due_us` is sent.
    pub(in crate::workload::soak) fn sent(&mut self, due_us: u64) {
        self.undisturbed.sent += u64::from(!self.stood_at(due_us));
    }

    /// Messages that were due while no fault stood, and how many of them were acknowledged at any time.
    pub(in crate::workload::soak) fn undisturbed(&self) -> Undisturbed {
        self.undisturbed
    }

    fn stood_at(&self, due_us: u64) -> bool {
        let mut newest_first = self.faults_us.iter().rev();
        newest_first.any(|(from_us, until_us)| (*from_us..*until_us).contains(&due_us))
    }

    /// A fault has been undone.
    pub(in crate::workload::soak) fn healed(&mut self, fault: &'static str, at_us: u64) {
        self.is_disturbed = false;
        if let Some((_, until_us)) = self.faults_us.last_mut() {
            *until_us = at_us;
        }
        self.heals.push(Heal {
            fault,
            at_us,
            first_us: None,
            login_us: None,
            latest_us: 0,
        });
    }

    /// An entry whose send was due at `due_us` reached a device at `now_us`.
    pub(in crate::workload::soak) fn delivered(&mut self, due_us: u64, now_us: u64) {
        if let Some(last) = self.heals.last_mut()
            && !self.is_disturbed
        {
            last.latest_us = last.latest_us.max(now_us.saturating_sub(due_us.max(last.at_us)));
        }
    }

    /// The latest delivery after the last heal, ms after it or after the send was due.
    pub(in crate::workload::soak) fn latest_delivery_ms(&self) -> f64 {
        self.heals
            .last()
            .map_or(0.0, |last| last.latest_us as f64 / 1000.0)
    }

    /// The first success after the last heal, ms after it.
    pub(in crate::workload::soak) fn first_success_ms(&self) -> Option<f64> {
        let last = self.heals.last()?;
        Some(last.first_us?.saturating_sub(last.at_us) as f64 / 1000.0)
    }

    /// A send that was due at `due_us` is acknowledged at `now_us`.
    pub(in crate::workload::soak) fn acked(&mut self, due_us: u64, now_us: u64) {
        self.undisturbed.acked += u64::from(!self.stood_at(due_us));
        if let Some(last) = self.heals.last_mut()
            && due_us >= last.at_us
        {
            last.first_us.get_or_insert(now_us);
        }
    }

    /// A user is logged in who began after the last heal.
    pub(in crate::workload::soak) fn logged_in(&mut self, now_us: u64) {
        if let Some(last) = self.heals.last_mut() {
            last.login_us.get_or_insert(now_us);
        }
    }

    /// Whether there was a success since the last heal.
    pub(in crate::workload::soak) fn is_recovered(&self) -> bool {
        self.heals.last().is_none_or(|last| last.first_us.is_some())
    }

    /// The longest time from a heal to a success, by fault. A heal without one counts up to the next heal, the last one
    /// up to `end_us`: later nothing is watched for it.
    pub(in crate::workload::soak) fn longest_ms(&self, end_us: u64) -> Vec<(&'static str, f64)> {
        self.longest(|heal, next| Some(heal.first_us.or(next.map(|next| next.at_us)).unwrap_or(end_us)))
    }

    /// The longest time from a heal to a login, by fault; a heal without one says nothing.
    pub(in crate::workload::soak) fn longest_login_ms(&self) -> Vec<(&'static str, f64)> {
        self.longest(|heal, _| heal.login_us)
    }

    fn longest(&self, came_us: impl Fn(&Heal, Option<&Heal>) -> Option<u64>) -> Vec<(&'static str, f64)> {
        let mut longest: Vec<(&'static str, f64)> = Vec::new();
        for (place, heal) in self.heals.iter().enumerate() {
            let Some(came_us) = came_us(heal, self.heals.get(place + 1)) else {
                continue;
            };
            let ms = came_us.saturating_sub(heal.at_us) as f64 / 1000.0;
            match longest.iter_mut().find(|(fault, _)| *fault == heal.fault) {
                Some((_, most)) => *most = most.max(ms),
                None => longest.push((heal.fault, ms)),
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_delivery_counts_from_the_heal_or_from_its_send() {
        let mut recovery = Recovery::default();
        recovery.delivered(0, 9_000_000);
        recovery.healed("redis-back", 10_000_000);
        recovery.delivered(5_000_000, 10_400_000);
        recovery.delivered(11_000_000, 11_300_000);
        assert!((recovery.latest_delivery_ms() - 400.0).abs() < 1e-9);
        assert_eq!(recovery.first_success_ms(), None);
        recovery.acked(10_500_000, 10_700_000);
        assert_eq!(recovery.first_success_ms(), Some(700.0));
        recovery.disturbed(12_000_000);
        recovery.delivered(11_000_000, 19_000_000);
        assert!((recovery.latest_delivery_ms() - 400.0).abs() < 1e-9);
    }

    #[test]
    fn messages_that_were_due_while_a_fault_stood_count_for_nothing() {
        let mut recovery = Recovery::default();
        recovery.sent(999);
        recovery.disturbed(1_000);
        recovery.sent(1_000);
        recovery.sent(1_500);
        recovery.healed("kill-node", 2_000);
        recovery.sent(2_000);
        // A message of before the fault is resent, and acknowledged after it.
        recovery.acked(999, 2_100);
        recovery.acked(1_500, 2_100);
        let undisturbed = Undisturbed { sent: 2, acked: 1 };
        assert_eq!(recovery.undisturbed(), undisturbed);
        recovery.disturbed(3_000);
        recovery.sent(9_000);
        assert_eq!(
            recovery.undisturbed(),
            undisturbed,
            "a fault that stands at the end"
        );
    }

    #[test]
    fn only_what_was_due_since_the_heal_is_a_success() {
        let mut recovery = Recovery::default();
        assert!(recovery.is_recovered());
        recovery.healed("kill-node", 1_000_000);
        recovery.acked(999_999, 1_200_000);
        assert!(!recovery.is_recovered());
        recovery.acked(1_000_000, 1_500_000);
        assert!(recovery.is_recovered());
        recovery.acked(1_100_000, 1_900_000);
        recovery.healed("kill-node", 5_000_000);
        assert_eq!(recovery.longest_ms(7_000_000), vec![("kill-node", 2000.0)]);
        recovery.acked(5_000_000, 5_100_000);
        assert_eq!(recovery.longest_ms(9_000_000), vec![("kill-node", 500.0)]);
        recovery.healed("stop-node", 6_000_000);
        recovery.healed("kill-server", 6_300_000);
        recovery.acked(6_400_000, 6_500_000);
        let longest = recovery.longest_ms(99_000_000);
        assert!(longest.contains(&("stop-node", 300.0)) && longest.contains(&("kill-server", 200.0)));
        assert!(recovery.longest_login_ms().is_empty());
        recovery.logged_in(6_500_000);
        recovery.logged_in(6_900_000);
        assert_eq!(recovery.longest_login_ms(), vec![("kill-server", 200.0)]);
    }
}
