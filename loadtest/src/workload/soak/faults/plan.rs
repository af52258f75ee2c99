//! Which faults disturb a run, and in which order. Pure.

use std::time::Duration;

use crate::arguments::fault::Fault;
use crate::generator::schedule::Chance;

/// One fault of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::workload::soak) struct Disturbance {
    pub(in crate::workload::soak) fault: Fault,
    /// Which of several nodes or servers; to be taken modulo their number.
    pub(in crate::workload::soak) target: usize,
    /// How long it lasts before it is healed.
    pub(in crate::workload::soak) length: Duration,
    /// How long nothing happens after it has been healed and the fleet has recovered.
    pub(in crate::workload::soak) pause: Duration,
}

/// Faults without an end, in rounds: each of the faults once in an order of its own, so that a run of a few rounds meets
/// every kind in many surroundings.
#[derive(Debug)]
pub(in crate::workload::soak) struct Plan {
    faults: Vec<Fault>,
    round: Vec<Fault>,
    chance: Chance,
    pause: Duration,
}

impl Plan {
    pub(in crate::workload::soak) fn new(faults: Vec<Fault>, pause: Duration, seed: u64) -> Self {
        Self {
            faults,
            round: Vec::new(),
            chance: Chance::new(seed ^ 0x000f_a017),
            pause,
        }
    }
}

impl Iterator for Plan {
    type Item = Disturbance;

    fn next(&mut self) -> Option<Disturbance> {
        if self.round.is_empty() {
            self.round.clone_from(&self.faults);
        }
        if self.round.is_empty() {
            return None;
        }
        let fault = self.round.swap_remove(self.chance.below(self.round.len()));
        let mut between = |from: u64, to: u64| from + self.chance.below((to - from) as usize) as u64;
        let target = between(0, 1 << 16) as usize;
        let length = Duration::from_millis(between(500, 4000));
        let pause = self.pause.mul_f64(between(50, 150) as f64 / 100.0);
        Some(Disturbance {
            fault,
            target,
            length,
            pause,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::arguments::fault::FAULTS;

    #[test]
    fn a_plan_is_repeatable_and_meets_every_fault_in_each_round() {
        let plan = |seed| {
            let faults = FAULTS.map(|(fault, _, _)| fault).to_vec();
            Plan::new(faults, Duration::from_secs(2), seed)
                .take(2 * FAULTS.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        for round in plan(3).chunks(FAULTS.len()) {
            let met: HashSet<Fault> = round.iter().map(|one| one.fault).collect();
            assert_eq!(met.len(), FAULTS.len());
        }
    }

    #[test]
    fn a_plan_of_nothing_is_over_at_once() {
        assert_eq!(Plan::new(Vec::new(), Duration::ZERO, 1).next(), None);
    }
}
