//! Whether the fleet comes back: after every heal a send that was due since must be acknowledged soon. Pure.

/// Heals, and the first success after each.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    heals: Vec<Heal>,
}

#[derive(Clone, Debug)]
struct Heal {
    fault: &'static str,
    at_us: u64,
    first_us: Option<u64>,
}

impl Recovery {
    /// A fault has been undone.
    pub(super) fn healed(&mut self, fault: &'static str, at_us: u64) {
        self.heals.push(Heal {
            fault,
            at_us,
            first_us: None,
        });
    }

    /// A send that was due at `due_us` is acknowledged at `now_us`.
    pub(super) fn acked(&mut self, due_us: u64, now_us: u64) {
        if let Some(last) = self.heals.last_mut()
            && due_us >= last.at_us
        {
            last.first_us.get_or_insert(now_us);
        }
    }

    /// Whether there was a success since the last heal.
    pub(super) fn is_recovered(&self) -> bool {
        self.heals.last().is_none_or(|last| last.first_us.is_some())
    }

    /// The longest time from a heal to a success, by fault; a heal without one counts up to `end_us`.
    pub(super) fn longest_ms(&self, end_us: u64) -> Vec<(&'static str, f64)> {
        let mut longest: Vec<(&'static str, f64)> = Vec::new();
        for heal in &self.heals {
            let ms = (heal.first_us.unwrap_or(end_us).saturating_sub(heal.at_us)) as f64 / 1000.0;
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
    }
}
