//! Messages: resent, refused, bounded.

use super::*;

// protocol: "resend the same message under the same client_msg_id"
// protocol: "After a login resend the outbox in order"
#[test]
fn resends_what_was_not_acknowledged_under_the_same_name_and_in_order() {
    let mut machine = machine();
    machine.submit(at(0.5), message("a"));
    machine.submit(at(0.5), message("b"));
    machine.submit(at(0.5), message("c"));
    assert!(machine.take_output().frames.is_empty());
    let frames = log_in(&mut machine, at(1.0));
    let first = sends(&frames);
    assert_eq!(
        first.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    machine.received(at(1.1), send_ok(first[1].0, 12, false));
    machine.disconnected("cut".to_owned(), 0.5);
    machine.take_output();
    let frames = log_in(&mut machine, at(2.0));
    let again = sends(&frames);
    assert_eq!(again.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ["a", "c"]);
    // An answer to the number of the first attempt means nothing on this connection.
    machine.received(at(2.1), send_ok(first[0].0, 13, false));
    assert!(machine.take_output().events.is_empty());
    machine.received(at(2.1), send_ok(again[0].0, 11, true));
    assert_eq!(
        machine.take_output().events,
        [Event::Sent {
            client_msg_id: "a".to_owned(),
            conversation_id: 4,
            seq: 11,
            created_ms: 0,
            duplicate: true
        }]
    );
}

// protocol: "resend the same message after retry_after_ms"
// protocol: "it will never be accepted"
#[test]
fn tries_again_what_could_not_be_taken_now_and_gives_up_what_is_refused() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(1.0));
    finish_sync(&mut machine, at(1.0), &sync[0]);
    for id in ["a", "b", "c"] {
        machine.submit(at(1.0), message(id));
    }
    let frames = machine.take_output().frames;
    let numbers = sends(&frames);
    machine.received(at(1.1), error(numbers[0].0, ErrorCode::RateLimited, 700));
    machine.received(at(1.1), error(numbers[1].0, ErrorCode::Unavailable, 0));
    machine.received(at(1.1), error(numbers[2].0, ErrorCode::Closed, 0));
    machine.submit(at(1.2), message("d"));
    let output = machine.take_output();
    assert!(output.frames.is_empty(), "held back, so that the order is kept");
    let reported: Vec<(&str, ErrorCode)> = output.events.iter().filter_map(delayed_or_failed).collect();
    assert_eq!(
        reported,
        [
            ("a", ErrorCode::RateLimited),
            ("b", ErrorCode::Unavailable),
            ("c", ErrorCode::Closed)
        ]
    );
    assert_eq!(machine.deadline(), Some(at(1.8)));
    machine.tick(at(1.7));
    assert!(machine.take_output().frames.is_empty());
    machine.tick(at(1.8));
    assert_eq!(ids(&machine.take_output().frames), ["a"]);
    assert_eq!(machine.deadline(), Some(at(2.1)));
    machine.tick(at(2.1));
    assert_eq!(ids(&machine.take_output().frames), ["b", "d"]);
}

fn delayed_or_failed(event: &Event) -> Option<(&str, ErrorCode)> {
    match event {
        Event::SendDelayed {
            client_msg_id, error, ..
        } if error.retry_after_ms > 0 || error.code() == ErrorCode::Unavailable => {
            Some((client_msg_id, error.code()))
        }
        Event::SendFailed {
            client_msg_id, error, ..
        } => Some((client_msg_id, error.code())),
        _ => None,
    }
}

// protocol: "Keep at most a few dozen unanswered messages in flight"
#[test]
fn keeps_a_bound_on_what_is_on_its_way_and_on_what_waits() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(1.0));
    finish_sync(&mut machine, at(1.0), &sync[0]);
    let mut taken = 0;
    while machine.has_capacity() {
        machine.submit(at(1.0), message(&taken.to_string()));
        taken += 1;
    }
    assert_eq!(taken, super::super::outbox::CAPACITY);
    let frames = machine.take_output().frames;
    let first = sends(&frames);
    assert_eq!(first.len(), super::super::outbox::MAX_IN_FLIGHT);
    machine.received(at(1.1), send_ok(first[0].0, 1, false));
    assert!(machine.has_capacity());
    assert_eq!(sends(&machine.take_output().frames).len(), 1);
}
