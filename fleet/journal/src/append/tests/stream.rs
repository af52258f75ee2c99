//! The order of a stream, by a clock of the test.

use std::collections::VecDeque;

use rand::{SeedableRng, rngs::StdRng};

use super::*;

const ONE: ConversationId = ConversationId::from_database(1);
const OTHER: ConversationId = ConversationId::from_database(2);

/// A stream as one lane uses it, and its clock.
struct Lane {
    stream: Arc<Stream>,
    now: Instant,
}

impl Lane {
    fn new() -> Self {
        Self {
            stream: Arc::default(),
            now: Instant::now(),
        }
    }

    fn submit_to(&self, conversation: ConversationId, id: &str) -> Turn {
        Turn {
            stream: Some(self.stream.clone()),
            conversation,
            id: hash(id),
            turn: self.stream.next_turn.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn submit(&self, id: &str) -> Turn {
        self.submit_to(ONE, id)
    }

    /// Submits a message and refuses it unless it passes.
    fn passes(&self, id: &str) -> bool {
        self.passes_in(ONE, id)
    }

    fn passes_in(&self, conversation: ConversationId, id: &str) -> bool {
        let mut turn = self.submit_to(conversation, id);
        let passes = turn.passes(self.now);
        if !passes {
            turn.refuse(self.now);
        }
        passes
    }

    fn remembers(&self) -> usize {
        self.stream.book.lock().refused.len()
    }
}

#[test]
fn after_a_refusal_the_messages_pass_in_the_order_of_their_first_attempts() {
    let lane = Lane::new();
    lane.submit("a").refuse(lane.now);
    assert!(!lane.passes("b") && !lane.passes("c"));
    assert!(!lane.passes("c") && !lane.passes("b"), "not before a");
    assert!(lane.passes("a"));
    assert!(!lane.passes("d") && !lane.passes("c"), "not before b");
    for id in ["b", "c", "d", "e"] {
        assert!(lane.passes(id), "{id}");
    }
    assert_eq!(lane.remembers(), 0);
    assert!(!lane.stream.holds.load(Ordering::Relaxed));
}

#[test]
fn a_message_queued_behind_a_refused_one_does_not_pass() {
    let lane = Lane::new();
    let [mut first, mut second, mut third] = ["a", "b", "c"].map(|id| lane.submit(id));
    assert!(first.passes(lane.now) && second.passes(lane.now));
    // Two were in a batch that failed; the third was queued behind it.
    first.refuse(lane.now);
    second.refuse(lane.now);
    assert!(!third.passes(lane.now));
    third.refuse(lane.now);
    // The resend of the first fails, too: it keeps its position.
    let mut again = lane.submit("a");
    assert!(again.passes(lane.now));
    let mut later = lane.submit("b");
    assert!(later.passes(lane.now), "behind the first in the same batch");
    again.refuse(lane.now);
    assert!(!lane.submit("b").passes(lane.now));
    later.refuse(lane.now);
    for id in ["a", "b", "c"] {
        assert!(lane.passes(id), "{id}");
    }
}

#[test]
fn an_earlier_message_that_is_still_queued_passes() {
    let lane = Lane::new();
    let mut first = lane.submit("a");
    lane.submit("b").refuse(lane.now);
    assert!(first.passes(lane.now));
    assert!(lane.passes("b"));
}

#[test]
fn conversations_and_streams_do_not_wait_for_each_other() {
    let (lane, other) = (Lane::new(), Lane::new());
    lane.submit("a").refuse(lane.now);
    assert!(lane.passes_in(OTHER, "b"));
    assert!(other.passes("b"));
    assert!(!lane.passes("b"));
    // The same client_msg_id elsewhere is another message.
    lane.submit_to(OTHER, "c").refuse(lane.now);
    assert!(!lane.passes_in(OTHER, "a") && lane.passes_in(OTHER, "c") && lane.passes("a"));
}

// protocol: "To give a refused message up, drop it"
#[test]
fn an_abandoned_message_delays_others_for_a_while_only() {
    let mut lane = Lane::new();
    lane.submit("a").refuse(lane.now);
    lane.now += ABANDONED_AFTER - Duration::from_millis(1);
    assert!(!lane.passes("b"));
    lane.now += Duration::from_millis(1);
    assert!(lane.passes("b"), "a was abandoned");
    assert!(lane.passes("a"), "and is a new message now");
    // A message that is resent again and again is not abandoned.
    for _ in 0..10 {
        lane.submit("c").refuse(lane.now);
        lane.now += ABANDONED_AFTER / 2;
        assert!(!lane.passes("d"));
    }
}

#[test]
fn refused_messages_are_resent_in_their_order() {
    let lane = Lane::new();
    let refused: Vec<Duration> = (0..100)
        .map(|at| lane.submit(&format!("{at}")).refuse(lane.now))
        .collect();
    let range = Duration::from_millis(RETRY_MS.start)..Duration::from_millis(RETRY_MS.end);
    assert!(range.contains(&refused[0]), "{:?}", refused[0]);
    assert!(refused.is_sorted_by(|one, next| *next == *one + RETRY_STEP));
    // One that is resent too early keeps its position; when the oldest is overdue, its delay is short.
    assert_eq!(lane.submit("7").refuse(lane.now), refused[7]);
    let late = lane.now + range.end;
    assert_eq!(lane.submit("7").refuse(late), TURN_MISSED + 7 * RETRY_STEP);
}

#[test]
fn an_overrun_stream_accepts_no_more() {
    let lane = Lane::new();
    for at in 0..MAX_REFUSED {
        lane.submit(&format!("{at}")).refuse(lane.now);
    }
    assert!(!lane.stream.is_overrun());
    assert!(!lane.passes("one more"));
    assert!(lane.stream.is_overrun());
    assert!(!lane.passes("0") && !lane.passes_in(OTHER, "a"));
    assert_eq!(lane.remembers(), MAX_REFUSED);
}

/// An app with a window of unanswered messages, which resends refused ones in any order.
struct App {
    lane: Lane,
    random: StdRng,
    queue: VecDeque<(usize, Turn)>,
    next: usize,
    refused: Vec<usize>,
    written: Vec<usize>,
}

impl App {
    const MESSAGES: usize = 60;
    const WINDOW: usize = 24;

    fn send(&mut self, message: usize) {
        let turn = self.lane.submit(&format!("{message}"));
        self.queue.push_back((message, turn));
    }

    fn step(&mut self) {
        if self.random.random_bool(0.5) {
            if self.next < Self::MESSAGES && self.queue.len() + self.refused.len() < Self::WINDOW {
                self.send(self.next);
                self.next += 1;
            }
        } else if !self.refused.is_empty() {
            let at = self.random.random_range(0..self.refused.len());
            let message = self.refused.remove(at);
            self.send(message);
        }
        if self.random.random_bool(0.3) {
            self.write();
        }
    }

    /// Writes a batch, which may fail.
    fn write(&mut self) {
        let count = self.random.random_range(0..=self.queue.len());
        let fails = self.random.random_bool(0.4);
        let mut batch = Vec::new();
        for (message, mut turn) in self.queue.drain(..count) {
            if turn.passes(self.lane.now) {
                batch.push((message, turn));
            } else {
                turn.refuse(self.lane.now);
                self.refused.push(message);
            }
        }
        for (message, turn) in batch {
            if fails {
                turn.refuse(self.lane.now);
                self.refused.push(message);
            } else {
                self.written.push(message);
            }
        }
    }
}

#[test]
fn i2_no_refusal_or_resend_changes_the_order() {
    for seed in 0..300 {
        let mut app = App {
            lane: Lane::new(),
            random: StdRng::seed_from_u64(seed),
            queue: VecDeque::new(),
            next: 0,
            refused: Vec::new(),
            written: Vec::new(),
        };
        let mut steps = 0;
        while app.written.len() < App::MESSAGES {
            app.step();
            steps += 1;
            assert!(steps < 100_000, "seed {seed}: no progress");
        }
        assert!(app.written.is_sorted(), "seed {seed}: {:?}", app.written);
        assert_eq!(app.lane.remembers(), 0, "seed {seed}");
    }
}
