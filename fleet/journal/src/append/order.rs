//! The order of one session's messages over refusals.
//!
//! A message that could not be written is refused, and the app sends it again. Until it has come again, later messages
//! of the same session and conversation must not be written: a [`Stream`] remembers the refused ones by the order of
//! their first attempts and lets only the oldest of each conversation pass. A lane asks right before it writes, so
//! messages that are queued behind a refused one are refused as well.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use proto::ConversationId;
use rand::RngExt;

use super::NewMessage;

/// Refused messages that a stream remembers, over all conversations; each costs 56 bytes. Beyond that it is overrun.
const MAX_REFUSED: usize = 256;
/// A refused message that has not come again for this long was given up: it holds up the later ones no longer.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);
/// When the oldest refused message of a conversation is to come again, milliseconds; spread, since a database that was
/// away refuses many senders in the same instant.
const RETRY_MS: std::ops::Range<u64> = 500..2_000;
/// How soon a message that came before its turn may come again at the earliest.
const TURN_MISSED: Duration = Duration::from_millis(100);
/// Each later message of the conversation comes again this much later than the one before it.
const RETRY_STEP: Duration = Duration::from_millis(10);

/// What one session sends: its messages keep their order in each conversation, over refusals too.
#[derive(Debug, Default)]
pub struct Stream {
    next_turn: AtomicU64,
    /// Whether anything is remembered. A conversation has one lane, so the lane that refuses also reads this.
    holds: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// By turn.
    refused: Vec<Refused>,
    overrun: bool,
}

#[derive(Debug)]
struct Refused {
    conversation: ConversationId,
    /// Hash of the client_msg_id. Equal hashes would only mix up the sender's own messages.
    id: u64,
    turn: u64,
    /// When it was refused last.
    last: Instant,
    /// When it may come again; counts for the oldest of its conversation.
    due: Instant,
}

impl Stream {
    /// Whether the stream was refused more messages than it can remember. It takes nothing any more: the app logs in
    /// again and sends its outbox in order.
    pub fn is_overrun(&self) -> bool {
        self.holds.load(Ordering::Acquire) && self.book.lock().overrun
    }

    /// Whether a message may be written now. One that comes again gets the turn of its first attempt.
    fn passes(&self, conversation: ConversationId, id: u64, turn: &mut u64, now: Instant) -> bool {
        if !self.holds.load(Ordering::Acquire) {
            return true;
        }
        let mut book = self.book.lock();
        book.refused.retain(|one| now < one.last + GIVEN_UP_AFTER);
        let own = book.find(conversation, id);
        if let Some(own) = own {
            *turn = (*turn).min(book.refused[own].turn);
        }
        let mut refused = book.refused.iter();
        let oldest = refused.find(|one| one.conversation == conversation);
        let passes = !book.overrun && oldest.is_none_or(|oldest| *turn <= oldest.turn);
        if passes && let Some(own) = own {
            book.refused.remove(own);
        }
        let holds = book.overrun || !book.refused.is_empty();
        self.holds.store(holds, Ordering::Release);
        passes
    }

    /// Remembers a refused message and says after how long it may come again.
    fn refuse(&self, conversation: ConversationId, id: u64, turn: u64, now: Instant) -> Duration {
        let mut book = self.book.lock();
        self.holds.store(true, Ordering::Release);
        if let Some(own) = book.find(conversation, id) {
            book.refused[own].last = now;
        } else if book.refused.len() < MAX_REFUSED {
            let at = book.refused.partition_point(|one| one.turn < turn);
            book.refused.insert(
                at,
                Refused {
                    conversation,
                    id,
                    turn,
                    last: now,
                    due: now,
                },
            );
        } else {
            book.overrun = true;
        }
        let mut of_conversation = book
            .refused
            .iter_mut()
            .filter(|one| one.conversation == conversation);
        let Some(oldest) = of_conversation.next() else {
            return TURN_MISSED;
        };
        if oldest.id == id {
            oldest.due = now + Duration::from_millis(rand::rng().random_range(RETRY_MS));
            return oldest.due - now;
        }
        let due = oldest.due;
        let ahead = 1 + of_conversation.take_while(|one| one.id != id).count();
        let steps = RETRY_STEP * u32::try_from(ahead).unwrap_or(u32::MAX);
        due.saturating_duration_since(now).max(TURN_MISSED) + steps
    }
}

impl Book {
    fn find(&self, conversation: ConversationId, id: u64) -> Option<usize> {
        let mut refused = self.refused.iter();
        refused.position(|one| one.id == id && one.conversation == conversation)
    }
}

/// A message's place in the order of its stream.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` where the sender keeps no order.
    stream: Option<Arc<Stream>>,
    conversation: ConversationId,
    id: u64,
    turn: u64,
}

impl Turn {
    /// The next turn of the message's stream.
    pub(super) fn next(message: &NewMessage) -> Self {
        let stream = message.stream.clone();
        let turn = stream
            .as_ref()
            .map_or(0, |stream| stream.next_turn.fetch_add(1, Ordering::Relaxed));
        let id = stream.as_ref().map_or(0, |_| hash(&message.client_msg_id));
        Self {
            stream,
            conversation: message.conversation,
            id,
            turn,
        }
    }

    pub(super) fn conversation(&self) -> ConversationId {
        self.conversation
    }

    /// Whether the message may be written now; when not, it is to be refused.
    pub(super) fn passes(&mut self, now: Instant) -> bool {
        match &self.stream {
            Some(stream) => stream.passes(self.conversation, self.id, &mut self.turn, now),
            None => true,
        }
    }

    /// Remembers that the message was refused, and says after how long it may come again; zero without a stream.
    pub(super) fn refuse(&self, now: Instant) -> Duration {
        match &self.stream {
            Some(stream) => stream.refuse(self.conversation, self.id, self.turn, now),
            None => Duration::ZERO,
        }
    }
}

fn hash(client_msg_id: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(client_msg_id)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const ROOM: ConversationId = ConversationId::from_database(1);
    const OTHER: ConversationId = ConversationId::from_database(2);

    /// A stream at a clock of its own, as one lane uses it.
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
            self.submit_to(ROOM, id)
        }

        /// Submits a message and asks whether it passes; one that does not is refused.
        fn passes(&self, id: &str) -> bool {
            self.passes_in(ROOM, id)
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
    fn what_is_queued_behind_a_refused_message_does_not_pass() {
        let lane = Lane::new();
        let [mut first, mut second, mut third] = ["a", "b", "c"].map(|id| lane.submit(id));
        assert!(first.passes(lane.now) && second.passes(lane.now));
        // Both were in a batch that failed; the third was behind them.
        first.refuse(lane.now);
        second.refuse(lane.now);
        assert!(!third.passes(lane.now));
        third.refuse(lane.now);
        // The first comes again in a batch that fails, too: it keeps its place.
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
    fn an_earlier_message_that_is_still_under_way_passes() {
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

    #[test]
    fn what_is_given_up_holds_nobody_up_for_long() {
        let mut lane = Lane::new();
        lane.submit("a").refuse(lane.now);
        lane.now += GIVEN_UP_AFTER - Duration::from_millis(1);
        assert!(!lane.passes("b"));
        lane.now += Duration::from_millis(1);
        assert!(lane.passes("b"), "a was given up");
        assert!(lane.passes("a"), "and is a new message now");
        // Somebody who insists is waited for.
        for _ in 0..10 {
            lane.submit("c").refuse(lane.now);
            lane.now += GIVEN_UP_AFTER / 2;
            assert!(!lane.passes("d"));
        }
    }

    #[test]
    fn refused_messages_are_to_come_again_in_their_order() {
        let lane = Lane::new();
        let refused: Vec<Duration> = (0..100)
            .map(|at| lane.submit(&format!("{at}")).refuse(lane.now))
            .collect();
        let range = Duration::from_millis(RETRY_MS.start)..Duration::from_millis(RETRY_MS.end);
        assert!(range.contains(&refused[0]), "{:?}", refused[0]);
        assert!(refused.is_sorted_by(|one, next| *next == *one + RETRY_STEP));
        // One that comes too early comes again at its place, and soon when the oldest is late.
        assert_eq!(lane.submit("7").refuse(lane.now), refused[7]);
        let late = lane.now + range.end;
        assert_eq!(lane.submit("7").refuse(late), TURN_MISSED + 7 * RETRY_STEP);
    }

    #[test]
    fn a_stream_that_is_overrun_takes_nothing_any_more() {
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

    /// An app with a window of messages under way, which sends refused ones again in any order.
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

        /// Writes a batch, or fails to.
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
    fn whatever_is_refused_and_sent_again_nothing_is_turned_round() {
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
                assert!(steps < 100_000, "seed {seed}: it does not get on");
            }
            assert!(app.written.is_sorted(), "seed {seed}: {:?}", app.written);
            assert_eq!(app.lane.remembers(), 0, "seed {seed}");
        }
    }
}
