//! The backplane of one process.

mod books;
mod clock;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use self::{books::Books, clock::Clock, subscriptions::Subscriptions};
use crate::{Channel, SubscriberId, Unavailable};

/// Decides, in a test, what becomes of a payload on its way to one subscriber.
pub type Fault = Box<dyn FnMut(SubscriberId, Channel, Bytes) -> Vec<(Channel, Bytes)> + Send>;

/// All of it in this process; nothing survives it.
#[derive(Default)]
pub struct Memory {
    subscriptions: Subscriptions,
    books: Books,
    clock: Clock,
    away: AtomicBool,
    faulty: AtomicBool,
    resumed: watch::Sender<u64>,
    fault: Mutex<Option<Fault>>,
}

impl Memory {
    /// Makes the backplane unreachable, or reachable again, for tests.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
        if !away {
            self.resumed.send_modify(|times| *times += 1);
        }
    }

    /// Lets `ms` milliseconds pass for the lifetimes of passwords and nodes, for tests.
    pub fn pass(&self, ms: i64) {
        self.clock.pass(ms);
    }

    pub(crate) fn resumed(&self) -> watch::Receiver<u64> {
        self.resumed.subscribe()
    }

    /// Lets `fault` replace each payload: by nothing, itself, several, or others that it kept back. `None` ends it. For
    /// tests of listeners.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.faulty.store(fault.is_some(), Ordering::Release);
        *self.fault.lock() = fault;
    }

    /// The number of channels with a subscriber.
    pub fn channels(&self) -> usize {
        self.subscriptions.channels()
    }

    pub(crate) fn is_available(&self) -> bool {
        !self.away.load(Ordering::Acquire)
    }

    fn check(&self) -> Result<(), Unavailable> {
        if self.is_available() {
            Ok(())
        } else {
            Err(Unavailable)
        }
    }
}
