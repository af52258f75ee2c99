//! The way to the machine that has a conversation, past the coordinator (docs/decisions/0019-distributed.md).
//!
//! The map of the machines decides nothing but the way: a machine that does not have the conversation any more hands the
//! call to the one that has it. Where a machine cannot be reached, the coordinator is asked.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use database::postgres::citus::{Shards, Worker};
use proto::ConversationId;

use super::link::Live;

/// How long a map is used.
const FRESH: Duration = Duration::from_secs(10);
/// How long a machine that could not be reached is left to the coordinator; doubled each time, since an attempt holds its
/// lane for up to a second where packets vanish.
const AVOIDED: Duration = Duration::from_secs(10);
const LONGEST_AVOIDED: Duration = Duration::from_secs(320);
/// How long a machine that fell silent is left alone.
const SILENT: Duration = Duration::from_secs(3);

/// The machines behind a coordinator, and a lane's connections to them.
#[derive(Default)]
pub(super) struct Workers {
    shards: Shards,
    read: Option<Instant>,
    each: HashMap<Worker, Reach>,
}

/// How a machine is reached.
#[derive(Default)]
struct Reach {
    live: Option<Live>,
    /// Until then the coordinator reaches it.
    avoided_until: Option<Instant>,
    /// How long that is.
    avoided: Option<Duration>,
    /// Until then nothing is asked of it.
    silent_until: Option<Instant>,
}

/// The way to a conversation.
pub(super) enum Way {
    /// By the coordinator.
    Coordinator,
    /// By the machine that has it.
    Direct(Worker),
    /// Its machine does not answer.
    Silent(Worker),
}

impl Workers {
    /// Whether the map is outdated. A map that cannot be read is not asked for again at once.
    pub(super) fn is_outdated(&mut self, now: Instant) -> bool {
        let is_outdated = self.read.is_none_or(|read| now.duration_since(read) >= FRESH);
        if is_outdated {
            self.read = Some(now);
        }
        is_outdated
    }

    pub(super) fn learn(&mut self, shards: Shards) {
        self.shards = shards;
    }

    pub(super) fn way(&self, conversation: ConversationId, now: Instant) -> Way {
        let Some(worker) = self.shards.worker_of(conversation.get()) else {
            return Way::Coordinator;
        };
        let reach = self.each.get(worker);
        let lasts =
            |until: fn(&Reach) -> Option<Instant>| reach.and_then(until).is_some_and(|until| now < until);
        if lasts(|reach| reach.silent_until) {
            return Way::Silent(worker.clone());
        }
        if lasts(|reach| reach.avoided_until) {
            return Way::Coordinator;
        }
        Way::Direct(worker.clone())
    }

    /// A connection that is open.
    pub(super) fn take(&mut self, worker: &Worker) -> Option<Live> {
        let live = self.each.get_mut(worker)?.live.take();
        live.filter(|live| !live.client.is_closed())
    }

    pub(super) fn keep(&mut self, worker: Worker, live: Live) {
        let reach = self.each.entry(worker).or_default();
        *reach = Reach {
            live: Some(live),
            ..Reach::default()
        };
    }

    pub(super) fn avoid(&mut self, worker: Worker, now: Instant) {
        let reach = self.each.entry(worker).or_default();
        let avoided = reach
            .avoided
            .map_or(AVOIDED, |avoided| (avoided * 2).min(LONGEST_AVOIDED));
        reach.avoided = Some(avoided);
        reach.avoided_until = Some(now + avoided);
    }

    pub(super) fn leave_alone(&mut self, worker: Worker, now: Instant) {
        self.each.entry(worker).or_default().silent_until = Some(now + SILENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_cannot_be_reached_is_tried_less_and_less() {
        let worker = Worker {
            host: "db".to_owned(),
            port: 5432,
        };
        let mut workers = Workers::default();
        let mut now = Instant::now();
        for expected_s in [10, 20, 40, 80, 160, 320, 320] {
            workers.avoid(worker.clone(), now);
            let until = workers.each[&worker].avoided_until.unwrap();
            assert_eq!(until - now, Duration::from_secs(expected_s));
            now = until;
        }
        let conversation = ConversationId::from_database(1);
        assert!(
            matches!(workers.way(conversation, now), Way::Coordinator),
            "of no map"
        );
    }

    #[test]
    fn a_map_is_read_again_after_a_while() {
        let mut workers = Workers::default();
        let now = Instant::now();
        assert!(workers.is_outdated(now));
        assert!(!workers.is_outdated(now + FRESH / 2));
        assert!(workers.is_outdated(now + FRESH));
    }
}
