//! Doctors who are brought into conversations and taken out again, all the while, most of all in the midst of their
//! catching up: they get exactly the entries that their participation shows (I3, I5), all or those from now on, and write
//! only while they are in (I5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::device::Device;
use crate::generator::payload::{Mark, Payload};
use crate::generator::schedule::Chance;
use crate::workload::soak::notes::Notes;
use crate::workload::soak::{PAYLOAD_BYTES, VISITORS_RUN};
use crate::world::User;
use crate::world::rest::{CallError, Rest};

/// The longest pause between two changes of one visitor that nothing else causes.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The pause between two changes over all visitors, at least: REST is not what is tested.
const CHANGE_EVERY: Duration = Duration::from_millis(20);
/// How many of a hundred moments in the midst of catching up bring a change.
const MIDST_PERCENT: usize = 40;
/// How many of a hundred changes a message of the visitor goes with, before or after it.
const SENDS_PERCENT: usize = 50;

/// How many of a hundred changes go with another consult that the visitor is brought into, and the most of one visitor.
const OPENS_PERCENT: usize = 20;
const MOST_OPENED: u32 = 20;

/// One visitor of one conversation, who is not in it yet.
pub(in crate::workload::soak) struct Visitor {
    pub(in crate::workload::soak) device: Device,
    assistant: User,
    patient: User,
}

impl Visitor {
    pub(in crate::workload::soak) fn new(device: Device, assistant: User, patient: User) -> Self {
        Self {
            device,
            assistant,
            patient,
        }
    }

    /// Adds it, with all entries or those from now on, or removes it; returns whether it is in now, if that is known.
    async fn change(&self, rest: &Rest, is_in: bool, history: &str) -> Result<bool, CallError> {
        let who = self.device.scribe.who;
        let doctors = format!("/consult/{}/doctor", who.conversation_id);
        let outcome: Result<Value, CallError> = if is_in {
            let path = format!("{doctors}/{}", who.user_id);
            rest.call(Method::DELETE, &path, &self.assistant.access_token, None)
                .await
        } else {
            let body = json!({"doctor_id": who.user_id, "history": history});
            rest.call(Method::POST, &doctors, &self.assistant.access_token, Some(body))
                .await
        };
        match outcome {
            Ok(_) => Ok(!is_in),
            // An earlier call had done it, and its answer was lost.
            Err(CallError::Refused {
                status: 404 | 409, ..
            }) => Ok(!is_in),
            Err(error) => Err(error),
        }
    }

    /// Writes something, whether it is in or not.
    async fn write(&self, notes: &Notes, number: u32) {
        let who = self.device.scribe.who;
        let payload = Payload {
            due_us: notes.now_us(),
            mark: Mark::new(VISITORS_RUN, who.conversation as u32, number),
        };
        notes.book(who.conversation, |book| book.sent(payload, vec![who.number]));
        if self.device.send(payload, PAYLOAD_BYTES).await.is_err() {
            notes.fault("a visitor's client has ended while it should send".to_owned());
        }
    }

    /// The patient opens another consult, and it is brought in at once.
    async fn open(&self, rest: &Rest, notes: &Notes) -> anyhow::Result<()> {
        let who = self.device.scribe.who;
        let team = rest.team_of_consult(&self.patient, who.conversation_id).await?;
        let asked_us = notes.now_us();
        let consult = rest.consult(&self.patient, team).await?;
        notes.opened(who.conversation, consult, asked_us);
        rest.consult_doctor(&self.assistant, consult, who.user_id).await?;
        Ok(())
    }

    /// Comes and goes until `ended`.
    async fn live(&self, rest: &Rest, notes: &Notes, seed: u64, changes: &AtomicU64, ended: &AtomicBool) {
        let mut chance = Chance::new(seed ^ self.device.scribe.who.user_id as u64);
        let mut is_in = false;
        let (mut written, mut opened) = (0, 0);
        let midst = self.device.scribe.midst.clone();
        while !ended.load(Ordering::Relaxed) {
            let pause = Duration::from_millis(chance.below(LONGEST_PAUSE.as_millis() as usize) as u64);
            let is_midst = tokio::select! {
                () = midst.notified() => true,
                () = sleep(pause) => false,
            };
            if is_midst && chance.below(100) >= MIDST_PERCENT {
                continue;
            }
            let (writes, before) = (chance.below(100) < SENDS_PERCENT, chance.below(2) == 0);
            if writes && before {
                written += 1;
                self.write(notes, written).await;
            }
            if opened < MOST_OPENED && chance.below(100) < OPENS_PERCENT {
                opened += 1;
                // Without an answer it may be open all the same: only its patient sees it, then.
                let _ = self.open(rest, notes).await;
            }
            // A failed change is tried again another time, which shows whether it took effect.
            let history = ["all", "from_now"][chance.below(2)];
            if let Ok(now_in) = self.change(rest, is_in, history).await {
                is_in = now_in;
                changes.fetch_add(1, Ordering::Relaxed);
            }
            if writes && !before {
                written += 1;
                self.write(notes, written).await;
            }
            sleep(CHANGE_EVERY).await;
        }
    }
}

/// Lets visitors come and go until `ended`; returns the number of changes.
pub(in crate::workload::soak) async fn come_and_go(
    visitors: Arc<Vec<Visitor>>,
    rest: Rest,
    notes: Arc<Notes>,
    seed: u64,
    ended: Arc<AtomicBool>,
) -> u64 {
    let changes = Arc::new(AtomicU64::new(0));
    let mut living = JoinSet::new();
    for at in 0..visitors.len() {
        let (visitors, rest, notes) = (visitors.clone(), rest.clone(), notes.clone());
        let (changes, ended) = (changes.clone(), ended.clone());
        living.spawn(async move { visitors[at].live(&rest, &notes, seed, &changes, &ended).await });
    }
    living.join_all().await;
    changes.load(Ordering::Relaxed)
}
