//! Patients who open consults that no doctor answers, so that deadlines are due all the while; some are cancelled before,
//! some about the time at which their deadlines fire.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::generator::schedule::Chance;
use crate::workload::soak::due::Place;
use crate::workload::soak::notes::Notes;
use crate::world::rest::Rest;
use crate::world::{User, World};

/// How many of a hundred are cancelled, and when at the latest: after the shortest deadline.
const CANCELLED_PERCENT: usize = 25;
/// How many of a hundred have been silent for a day but for a part of the time in which others are cancelled.
const SILENT_PERCENT: usize = 25;
const DAY_MS: i64 = 86_400_000;
const CANCELLED_WITHIN: Duration = Duration::from_secs(66);
/// Calls on their way at once, over all patients.
const MOST_CALLS: usize = 200;

/// The fate of a consult, and how long after its opening.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Left,
    Cancelled(Duration),
    /// It ends by itself.
    Silent(Duration),
}

impl Fate {
    fn drawn(chance: &mut Chance) -> Self {
        let after = Duration::from_millis(chance.below(CANCELLED_WITHIN.as_millis() as usize) as u64);
        match chance.below(100) {
            percent if percent < CANCELLED_PERCENT => Self::Cancelled(after),
            percent if percent < CANCELLED_PERCENT + SILENT_PERCENT => Self::Silent(after),
            _ => Self::Left,
        }
    }
}

/// Opens consults with the teams of its world.
pub(in crate::workload::soak) struct Opener {
    pub(in crate::workload::soak) world: Arc<World>,
    pub(in crate::workload::soak) rest: Rest,
    pub(in crate::workload::soak) notes: Arc<Notes>,
    /// The database, where time can be made pass.
    pub(in crate::workload::soak) place: Option<Place>,
}

/// Opens this many consults a second until `ended`; returns how many were cancelled.
pub(in crate::workload::soak) async fn open_all(
    per_second: f64,
    opener: Arc<Opener>,
    seed: u64,
    ended: Arc<AtomicBool>,
) -> u64 {
    if per_second <= 0.0 {
        return 0;
    }
    let mut chance = Chance::new(seed ^ 0x00de_ad11);
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = JoinSet::new();
    let mut cancelled = 0;
    while !ended.load(Ordering::Relaxed) {
        ticks.tick().await;
        while let Some(was_cancelled) = calls.try_join_next() {
            cancelled += u64::from(was_cancelled.unwrap_or(false));
        }
        if calls.len() >= MOST_CALLS {
            continue;
        }
        let conversation = chance.below(opener.world.conversations.len());
        let fate = Fate::drawn(&mut chance);
        let (opener, ended) = (opener.clone(), ended.clone());
        calls.spawn(async move { opener.open(conversation, fate, &ended).await });
    }
    // Calls on their way are not awaited: a cancellation may be a minute ahead.
    calls.abort_all();
    while let Some(was_cancelled) = calls.join_next().await {
        cancelled += u64::from(was_cancelled.unwrap_or(false));
    }
    cancelled
}

impl Opener {
    /// Opens one; whether it is cancelled.
    async fn open(&self, conversation: usize, fate: Fate, ended: &AtomicBool) -> bool {
        let what = &self.world.conversations[conversation];
        let patient = &self.world.users[what.members[0] as usize];
        // Without an answer it may be open all the same; the judge finds it in what devices saw.
        let Ok(consult) = self.ask(patient, conversation, what.id).await else {
            return false;
        };
        match (fate, &self.place) {
            (Fate::Cancelled(after), _) => {
                sleep(after).await;
                // A deadline may have been faster, or no answer comes.
                !ended.load(Ordering::Relaxed) && self.rest.cancel(patient, consult).await.is_ok()
            }
            (Fate::Silent(after), Some(place)) => {
                let by_ms = DAY_MS - after.as_millis() as i64;
                self.notes.aged(conversation, consult, by_ms);
                place.age(consult, by_ms).await;
                false
            }
            (Fate::Silent(_) | Fate::Left, _) => false,
        }
    }

    async fn ask(&self, patient: &User, conversation: usize, id: i64) -> anyhow::Result<i64> {
        let team = self.rest.team_of_consult(patient, id).await?;
        let asked_us = self.notes.now_us();
        let consult = self.rest.consult(patient, team).await?;
        self.notes.opened(conversation, consult, asked_us);
        Ok(consult)
    }
}
