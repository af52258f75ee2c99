//! Bounds what each client holds at a time.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;

type Counts<K> = Arc<Mutex<HashMap<K, u32>>>;

/// A bounded number of places for each key. A key without a place costs no memory.
#[derive(Debug)]
pub struct Places<K: Eq + Hash> {
    /// Held for one count only, and never across another lock.
    counts: Counts<K>,
    most: u32,
}

/// One place; dropping it frees it.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    counts: Counts<K>,
    key: K,
}

impl<K: Eq + Hash + Copy> Places<K> {
    /// Allows at most `most` places for each key.
    pub fn new(most: u32) -> Self {
        Self {
            counts: Arc::default(),
            most,
        }
    }

    /// Takes a place, unless the key holds its maximum.
    pub fn take(&self, key: K) -> Option<Place<K>> {
        let mut counts = self.counts.lock();
        let count = counts.entry(key).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Place {
            counts: self.counts.clone(),
            key,
        })
    }

    /// The number of keys that hold a place.
    pub fn len(&self) -> usize {
        self.counts.lock().len()
    }

    /// Whether no key holds a place.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_places_and_a_dropped_one_is_free_again() {
        let places = Places::new(2);
        let first = places.take("a").unwrap();
        let second = places.take("a").unwrap();
        assert!(places.take("a").is_none());
        let other = places.take("b").unwrap();
        drop(first);
        let third = places.take("a").unwrap();
        assert!(places.take("a").is_none());
        assert_eq!(places.len(), 2);
        drop((second, third, other));
        assert!(places.is_empty());
    }
}
