//! Acknowledgements and entries that are awaited in one conversation during a run. The judge looks at the notes
//! afterwards. Pure.

use std::collections::HashMap;

use crate::generator::payload::{Mark, Payload};

/// Sends without an answer, and how far the conversation got.
#[derive(Debug, Default)]
pub(in crate::workload::soak) struct Book {
    waiting: HashMap<Mark, Waiting>,
    acked_seq: i64,
}

#[derive(Debug)]
struct Waiting {
    due_us: u64,
    /// Devices without an answer.
    devices: Vec<u32>,
    is_acked: bool,
}

impl Book {
    /// A message goes out from these devices at once.
    pub(in crate::workload::soak) fn sent(&mut self, payload: Payload, devices: Vec<u32>) {
        let waiting = Waiting {
            due_us: payload.due_us,
            devices,
            is_acked: false,
        };
        self.waiting.insert(payload.mark, waiting);
    }

    /// An acknowledgement; returns the due time of the message if it is the first one.
    pub(in crate::workload::soak) fn acked(&mut self, device: u32, mark: Mark, seq: i64) -> Option<u64> {
        self.acked_seq = self.acked_seq.max(seq);
        self.answered(device, mark, true)
    }

    /// Refused for good.
    pub(in crate::workload::soak) fn refused(&mut self, device: u32, mark: Mark) {
        self.answered(device, mark, false);
    }

    fn answered(&mut self, device: u32, mark: Mark, is_ok: bool) -> Option<u64> {
        let waiting = self.waiting.get_mut(&mark)?;
        waiting.devices.retain(|other| *other != device);
        let is_first = is_ok && !waiting.is_acked;
        waiting.is_acked |= is_ok;
        let due_us = waiting.due_us;
        if waiting.devices.is_empty() {
            self.waiting.remove(&mark);
        }
        is_first.then_some(due_us)
    }

    /// Sends without an answer.
    pub(in crate::workload::soak) fn unanswered(&self) -> u64 {
        self.waiting
            .values()
            .map(|waiting| waiting.devices.len() as u64)
            .sum()
    }

    /// The newest acknowledged entry.
    pub(in crate::workload::soak) fn acked_seq(&self) -> i64 {
        self.acked_seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_two_devices_waits_for_two_answers_and_counts_once() {
        let mut book = Book::default();
        let payload = Payload {
            due_us: 5,
            mark: Mark::new(1, 0, 1),
        };
        book.sent(payload, vec![7, 8]);
        assert_eq!(book.unanswered(), 2);
        assert_eq!(book.acked(7, payload.mark, 3), Some(5));
        // The answer to a resend.
        assert_eq!(book.acked(7, payload.mark, 3), None);
        assert_eq!(book.unanswered(), 1);
        assert_eq!(book.acked(8, payload.mark, 3), None);
        assert_eq!((book.unanswered(), book.acked_seq()), (0, 3));
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let mut book = Book::default();
        let payload = Payload {
            due_us: 5,
            mark: Mark::new(1, 0, 1),
        };
        book.sent(payload, vec![7]);
        book.refused(7, payload.mark);
        assert_eq!((book.unanswered(), book.acked_seq()), (0, 0));
    }
}
