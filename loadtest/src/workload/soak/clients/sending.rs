//! How members of a soak send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::interval;

use super::device::Device;
use crate::generator::payload::{Mark, Payload};
use crate::generator::schedule::{Chance, Schedule};
use crate::workload::soak::notes::Notes;
use crate::workload::soak::{PAYLOAD_BYTES, RUN};

/// How a soak sends.
#[derive(Clone, Copy, Debug)]
pub(in crate::workload::soak) struct Sending {
    pub(in crate::workload::soak) rate: f64,
    pub(in crate::workload::soak) duration: Duration,
    pub(in crate::workload::soak) doubled_percent: u32,
    pub(in crate::workload::soak) seed: u64,
}

/// Sends at the rate until its time is over or `ended` is set; a user with two devices now and then from both at once.
pub(in crate::workload::soak) async fn send_all(
    plan: Sending,
    devices: Arc<Vec<Vec<Device>>>,
    notes: Arc<Notes>,
    from_us: u64,
    ended: Arc<AtomicBool>,
) {
    let mut schedule = Schedule::new(plan.rate, plan.duration);
    let mut chance = Chance::new(plan.seed);
    let mut ticks = interval(Duration::from_millis(1));
    let mut numbers = vec![0; devices.len()];
    let end_us = from_us + plan.duration.as_micros() as u64;
    while notes.now_us() < end_us && !ended.load(Ordering::Relaxed) {
        ticks.tick().await;
        while let Some(due) = schedule.next(notes.now_us() - from_us) {
            for _ in 0..due.count {
                let conversation = chance.below(devices.len());
                let of_it = &devices[conversation];
                let sender = chance.below(of_it.len());
                let second = of_it.len() - 1;
                let has_two = sender == 0 || sender == second;
                let doubled = has_two && chance.below(100) < plan.doubled_percent as usize;
                numbers[conversation] += 1;
                let payload = Payload {
                    due_us: from_us + due.at_us,
                    mark: Mark::new(RUN, conversation as u32, numbers[conversation]),
                };
                let senders: &[usize] = if doubled { &[0, second] } else { &[sender] };
                let numbers = senders.iter().map(|sender| of_it[*sender].scribe.who.number);
                notes.book(conversation, |book| book.sent(payload, numbers.collect()));
                let now_us = notes.now_us();
                notes.record(|recorder| recorder.sent(now_us));
                notes.recovery(|recovery| recovery.sent(payload.due_us));
                let sends = senders
                    .iter()
                    .map(|sender| of_it[*sender].send(payload, PAYLOAD_BYTES));
                for sent in sends.collect::<Vec<_>>() {
                    if sent.await.is_err() {
                        return notes.fault("a client has ended while it should send".to_owned());
                    }
                }
            }
        }
    }
}
