//! The gauge of connections that stand.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use telemetry::events::backplane::UP;

/// The connections of one kind, of which a cluster needs several.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(super) name: &'static str,
    pub(super) wanted: Arc<AtomicUsize>,
    pub(super) standing: Arc<AtomicUsize>,
}

impl Kept {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            wanted: Arc::default(),
            standing: Arc::default(),
        }
    }

    pub(super) fn count(&self, counter: &Arc<AtomicUsize>) -> Counted {
        counter.fetch_add(1, Ordering::Relaxed);
        self.show();
        Counted {
            kept: self.clone(),
            counter: counter.clone(),
        }
    }

    fn show(&self) {
        let is_up = self.wanted.load(Ordering::Relaxed) == self.standing.load(Ordering::Relaxed);
        UP.set(self.name, f64::from(u8::from(is_up)));
    }
}

/// One more, until it is dropped.
pub(super) struct Counted {
    kept: Kept,
    counter: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
        self.kept.show();
    }
}
