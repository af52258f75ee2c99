//! The order of messages over what a node refuses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::super::Outgoing;
use super::{at, error, finish_sync, ids, log_in, machine, message, send_ok, sends};
use crate::wire::ErrorCode;

fn message_to(conversation_id: i64, id: &str) -> Outgoing {
    Outgoing {
        conversation_id,
        ..message(id)
    }
}

// protocol: "Other conversations go on"
// protocol: "So resend in the order of the first attempts"
#[test]
fn a_refused_message_is_sent_again_before_later_ones_of_its_conversation_and_holds_up_no_other() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(1.0));
    finish_sync(&mut machine, at(1.0), &sync[0]);
    for id in ["a", "b", "c"] {
        machine.submit(at(1.0), message_to(4, id));
    }
    machine.submit(at(1.0), message_to(5, "other"));
    let frames = machine.take_output().frames;
    let numbers = sends(&frames);
    machine.received(at(1.1), error(numbers[0].0, ErrorCode::Unavailable, 500));
    machine.submit(at(1.1), message_to(4, "d"));
    machine.submit(at(1.1), message_to(5, "another"));
    assert_eq!(ids(&machine.take_output().frames), ["another"]);
    // It is due, but a later one is still on its way: were it written, it would be before it.
    machine.tick(at(1.7));
    assert!(machine.take_output().frames.is_empty());
    machine.received(at(1.8), error(numbers[1].0, ErrorCode::Unavailable, 10));
    assert!(machine.take_output().frames.is_empty());
    machine.received(at(1.9), error(numbers[2].0, ErrorCode::Unavailable, 20));
    assert_eq!(ids(&machine.take_output().frames), ["a", "b"]);
    machine.tick(machine.deadline().unwrap());
    assert_eq!(ids(&machine.take_output().frames), ["c", "d"]);
}

#[test]
fn answers_that_come_one_after_another_are_waited_for() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(1.0));
    finish_sync(&mut machine, at(1.0), &sync[0]);
    for id in ["a", "b", "c"] {
        machine.submit(at(1.0), message(id));
    }
    let frames = machine.take_output().frames;
    let numbers = sends(&frames);
    // A node that accepts one message each 10 s is slow, not dead; the client hangs up 15 s after the last answer.
    machine.received(at(11.0), send_ok(numbers[0].0, 1, false));
    machine.received(at(21.0), send_ok(numbers[1].0, 2, false));
    machine.tick(at(35.9));
    assert!(machine.take_output().hang_up.is_none());
    machine.tick(at(36.0));
    assert!(machine.take_output().hang_up.unwrap().contains("message"));
}

/// A node as docs/protocol.md has it: it refuses at random, and after a refusal nothing later of the conversation passes
/// until the refused message has come again.
#[derive(Default)]
struct Fickle {
    refused: BTreeMap<i64, BTreeSet<usize>>,
    written: BTreeMap<i64, Vec<usize>>,
}

impl Fickle {
    fn takes(&mut self, conversation: i64, number: usize, is_fit: bool) -> bool {
        let refused = self.refused.entry(conversation).or_default();
        let takes = is_fit && refused.first().is_none_or(|oldest| *oldest >= number);
        if takes {
            refused.remove(&number);
            self.written.entry(conversation).or_default().push(number);
        } else {
            refused.insert(number);
        }
        takes
    }
}

#[test]
fn over_random_refusals_and_lost_connections_each_conversation_keeps_its_order() {
    const MESSAGES: usize = 120;
    for seed in 0..50u64 {
        let mut random = seed;
        let mut next = move |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % limit
        };
        let mut machine = machine();
        let mut node = Fickle::default();
        let mut now = at(1.0);
        let mut flying: VecDeque<(u64, i64, usize)> = VecDeque::new();
        let (mut submitted, mut acknowledged, mut connected) = (0, 0, false);
        let mut steps = 0;
        while acknowledged < MESSAGES {
            steps += 1;
            assert!(steps < 50_000, "seed {seed}: it does not get on");
            now += Duration::from_millis(next(40));
            if !connected {
                flying.clear();
                node.refused.clear();
                let sent = log_in(&mut machine, now);
                let numbers = sends(&sent).into_iter();
                flying.extend(numbers.map(|(request, id)| {
                    let number: usize = id.parse().unwrap();
                    (request, number as i64 % 3, number)
                }));
                finish_sync(&mut machine, now, &sent[0]);
                connected = true;
            }
            if submitted < MESSAGES && machine.has_capacity() && next(2) == 0 {
                machine.submit(now, message_to(submitted as i64 % 3, &submitted.to_string()));
                submitted += 1;
            }
            if next(2) == 0
                && let Some((request, conversation, number)) = flying.pop_front()
            {
                let is_known = node
                    .written
                    .get(&conversation)
                    .is_some_and(|all| all.contains(&number));
                if is_known || node.takes(conversation, number, next(6) > 0) {
                    machine.received(now, send_ok(request, 1, is_known));
                    acknowledged += 1;
                } else {
                    machine.received(now, error(request, ErrorCode::Unavailable, 1 + next(200) as u32));
                }
            }
            machine.tick(now);
            let output = machine.take_output();
            for (request, id) in sends(&output.frames) {
                let number: usize = id.parse().unwrap();
                flying.push_back((request, number as i64 % 3, number));
            }
            if output.hang_up.is_some() || next(300) == 0 {
                machine.disconnected("cut".to_owned(), 0.5);
                machine.take_output();
                connected = false;
            }
        }
        for written in node.written.values() {
            assert!(written.is_sorted(), "seed {seed}: {written:?}");
        }
    }
}
