//! What is known of one conversation of a soak: what was sent, acknowledged, and seen by each device. Pure.

use std::collections::HashMap;

use super::audit::Record;
use crate::generator::payload::{Mark, Payload};
use crate::generator::tally::Tally;
use crate::generator::verdict::Verdict;

#[derive(Debug)]
pub(super) struct Book {
    sent: HashMap<Mark, Sent>,
    /// What the first device that saw it saw under a seq; the others must see the same.
    seen: HashMap<i64, Option<Mark>>,
    /// Under which seq a message was seen first.
    places: HashMap<Mark, i64>,
    devices: Vec<Option<Tally>>,
    acked_seq: i64,
    unanswered: u64,
    /// One message, two entries: two acknowledgements or two seqs.
    doubled: u64,
    /// One seq, two entries; or not the entry that was acknowledged.
    differing: u64,
    /// The server says that the app's copy is of another past.
    resets: u64,
    examples: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    due_us: u64,
    /// The seq of the first acknowledgement.
    acked: Option<i64>,
}

impl Book {
    pub(super) fn new(devices: usize) -> Self {
        Self {
            sent: HashMap::new(),
            seen: HashMap::new(),
            places: HashMap::new(),
            devices: vec![None; devices],
            acked_seq: 0,
            unanswered: 0,
            doubled: 0,
            differing: 0,
            resets: 0,
            examples: Vec::new(),
        }
    }

    /// Whether every device knows where the conversation stands.
    pub(super) fn is_ready(&self) -> bool {
        self.devices.iter().all(Option::is_some)
    }

    /// A Conversation frame: entries after `base` follow.
    pub(super) fn conversation(&mut self, device: usize, base: i64, reset: bool) {
        self.devices[device].get_or_insert_with(|| Tally::after(base));
        if reset {
            self.resets += 1;
            self.example(format!("device {device} was told to forget its copy"));
        }
    }

    /// A message goes out from so many devices at once.
    pub(super) fn sent(&mut self, payload: Payload, devices: u32) {
        let sent = Sent {
            due_us: payload.due_us,
            acked: None,
        };
        self.sent.insert(payload.mark, sent);
        self.unanswered += u64::from(devices);
    }

    /// An acknowledgement; gives when the message was due if it is the first one.
    pub(super) fn acked(&mut self, mark: Mark, seq: i64) -> Option<u64> {
        self.unanswered = self.unanswered.saturating_sub(1);
        let Some(sent) = self.sent.get_mut(&mark) else {
            self.differing += 1;
            self.example(format!(
                "seq {seq} was acknowledged for a message that nobody sent"
            ));
            return None;
        };
        match sent.acked {
            None => {
                sent.acked = Some(seq);
                self.acked_seq = self.acked_seq.max(seq);
                Some(sent.due_us)
            }
            Some(first) => {
                if first != seq {
                    self.doubled += 1;
                    self.example(format!(
                        "one message was acknowledged as seq {first} and as seq {seq}"
                    ));
                }
                None
            }
        }
    }

    /// A device got an entry; true when it is new to it.
    pub(super) fn entry(&mut self, device: usize, seq: i64, mark: Option<Mark>) -> bool {
        let content = mark.map_or(0, |mark| mark.0);
        let is_new = self.devices[device]
            .get_or_insert_with(|| Tally::after(seq - 1))
            .see(seq, content);
        let first = *self.seen.entry(seq).or_insert(mark);
        if first != mark {
            self.differing += 1;
            self.example(format!(
                "device {device} got another entry as seq {seq} than the others"
            ));
        }
        if let Some(mark) = mark {
            let place = *self.places.entry(mark).or_insert(seq);
            if place != seq {
                self.doubled += 1;
                self.example(format!("one message is entry {place} and entry {seq}"));
            }
        }
        is_new
    }

    /// Sends without an answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// Acknowledged entries that devices lack.
    pub(super) fn undelivered(&self) -> u64 {
        self.devices
            .iter()
            .map(|tally| tally.as_ref().map_or(1, |tally| tally.lost(self.acked_seq)))
            .sum()
    }

    /// Adds what went wrong here; `journal` is the whole of it as it stands at the end.
    pub(super) fn judge(
        &self,
        conversation_id: i64,
        journal: Result<&[Record], String>,
        verdict: &mut Verdict,
    ) {
        let mut found = Found::default();
        for tally in self.devices.iter().flatten() {
            found.lost += tally.lost(self.acked_seq);
            found.duplicated += tally.duplicated;
            found.reordered += tally.reordered;
        }
        found.duplicated += self.doubled;
        found.reordered += self.differing + self.resets;
        let mut examples = self.examples.clone();
        match journal {
            Ok(journal) => self.compare(journal, &mut found, &mut examples),
            Err(error) => {
                // What cannot be read is not there.
                found.lost += 1;
                examples.push(format!("the journal cannot be read again: {error}"));
            }
        }
        verdict.lost += found.lost;
        verdict.duplicated += found.duplicated;
        verdict.reordered += found.reordered;
        if examples.is_empty() && found != Found::default() {
            examples.push(format!(
                "{} entries lost, {} duplicated, {} reordered",
                found.lost, found.duplicated, found.reordered
            ));
        }
        for example in examples {
            verdict.example(|| format!("conversation {conversation_id}: {example}"));
        }
    }

    fn compare(&self, journal: &[Record], found: &mut Found, examples: &mut Vec<String>) {
        let mut places: HashMap<Mark, i64> = HashMap::new();
        for (at, Record { seq, mark, .. }) in journal.iter().enumerate() {
            if at > 0 && *seq != journal[at - 1].seq + 1 {
                found.lost += 1;
                examples.push(format!("the journal has no entry before seq {seq}"));
            }
            if self.seen.get(seq).is_some_and(|seen| seen != mark) {
                found.reordered += 1;
                examples.push(format!(
                    "the journal has another entry as seq {seq} than devices got"
                ));
            }
            if let Some(mark) = mark
                && let Some(first) = places.insert(*mark, *seq)
            {
                found.duplicated += 1;
                examples.push(format!(
                    "the journal has one message as seq {first} and as seq {seq}"
                ));
            }
        }
        for (mark, sent) in &self.sent {
            let Some(acked) = sent.acked else { continue };
            match places.get(mark) {
                Some(seq) if *seq == acked => {}
                Some(seq) => {
                    found.reordered += 1;
                    examples.push(format!("what was acknowledged as seq {acked} is entry {seq}"));
                }
                None => {
                    found.lost += 1;
                    examples.push(format!(
                        "what was acknowledged as seq {acked} is not in the journal"
                    ));
                }
            }
        }
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < 5 {
            self.examples.push(text);
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    lost: u64,
    duplicated: u64,
    reordered: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u32) -> Mark {
        Mark::new(1, 0, number)
    }

    fn payload(number: u32) -> Payload {
        Payload {
            due_us: 5,
            mark: mark(number),
        }
    }

    /// Two devices, messages 1 and 2 sent, acknowledged as 1 and 2 and seen by both.
    fn book() -> Book {
        let mut book = Book::new(2);
        for device in 0..2 {
            book.conversation(device, 0, false);
        }
        for number in 1..=2 {
            book.sent(payload(number), 1);
            assert_eq!(book.acked(mark(number), number.into()), Some(5));
            for device in 0..2 {
                assert!(book.entry(device, number.into(), Some(mark(number))));
            }
        }
        book
    }

    fn record(seq: i64, mark: Mark) -> Record {
        Record {
            seq,
            mark: Some(mark),
            change: None,
        }
    }

    fn journal() -> Vec<Record> {
        vec![record(1, mark(1)), record(2, mark(2))]
    }

    fn judge(book: &Book, journal: &[Record]) -> (u64, u64, u64) {
        let mut verdict = Verdict::default();
        book.judge(1, Ok(journal), &mut verdict);
        let numbers = (verdict.lost, verdict.duplicated, verdict.reordered);
        assert_eq!(numbers == (0, 0, 0), verdict.examples.is_empty());
        numbers
    }

    #[test]
    fn a_clean_conversation_passes() {
        let book = book();
        assert!(book.is_ready());
        assert_eq!((book.unanswered(), book.undelivered()), (0, 0));
        assert_eq!(judge(&book, &journal()), (0, 0, 0));
    }

    #[test]
    fn what_a_device_lacks_is_lost() {
        let mut book = book();
        book.sent(payload(3), 1);
        book.acked(mark(3), 3);
        book.entry(0, 3, Some(mark(3)));
        assert_eq!(book.undelivered(), 1);
        let mut journal = journal();
        journal.push(record(3, mark(3)));
        assert_eq!(judge(&book, &journal), (1, 0, 0));
    }

    #[test]
    fn what_the_journal_lacks_is_lost() {
        assert_eq!(judge(&book(), &[record(1, mark(1))]), (1, 0, 0));
        let mut verdict = Verdict::default();
        book().judge(1, Err("away".to_owned()), &mut verdict);
        assert_eq!(verdict.lost, 1);
    }

    #[test]
    fn a_message_from_two_devices_is_one_entry_with_one_seq() {
        let mut book = book();
        book.sent(payload(3), 2);
        book.acked(mark(3), 3);
        assert_eq!(book.unanswered(), 1);
        assert_eq!(book.acked(mark(3), 3), None);
        assert_eq!(book.unanswered(), 0);
        for device in 0..2 {
            book.entry(device, 3, Some(mark(3)));
        }
        let mut journal = journal();
        journal.push(record(3, mark(3)));
        assert_eq!(judge(&book, &journal), (0, 0, 0));
        book.acked(mark(3), 4);
        assert_eq!(judge(&book, &journal), (0, 1, 0));
    }

    #[test]
    fn a_message_that_is_two_entries_is_doubled() {
        let mut book = book();
        book.entry(0, 3, Some(mark(1)));
        book.entry(1, 3, Some(mark(1)));
        let mut journal = journal();
        journal.push(record(3, mark(1)));
        // Seen twice by two devices, and twice in the journal, at another place than acknowledged.
        assert_eq!(judge(&book, &journal), (0, 3, 1));
    }

    #[test]
    fn devices_that_disagree_and_resets_are_found() {
        let mut book = book();
        book.entry(0, 3, Some(mark(7)));
        book.entry(1, 3, Some(mark(8)));
        assert_eq!(judge(&book, &journal()), (0, 0, 1));
        book.conversation(1, 0, true);
        assert_eq!(judge(&book, &journal()), (0, 0, 2));
    }

    #[test]
    fn an_acknowledgement_of_nothing_is_found() {
        let mut book = book();
        assert_eq!(book.acked(mark(99), 3), None);
        assert_eq!(judge(&book, &journal()).2, 1);
    }
}
