//! Ways of spoiling a run in which deadlines are ahead and fire.

use loadtest::judge::Rule;
use loadtest::judge::deadline::{Record, State, Step};

use super::run::*;
use super::spoilings::Spoiling;

const DAY_MS: i64 = 86_400_000;

pub(super) const OF_WAITING: [Spoiling; 18] = [
    ("a deadline fires twice", Rule::DeadlineDoubled, |run| {
        again(run, 14);
    }),
    ("a notice fires twice", Rule::DeadlineDoubled, |run| {
        again(run, 13);
    }),
    (
        "a deadline fires that was never ahead",
        Rule::DeadlineDoubled,
        |run| {
            run.step(12).state = State::Fired;
        },
    ),
    (
        "a notice fires that was not promised",
        Rule::DeadlineDoubled,
        |run| {
            run.promise.as_mut().unwrap().reminder_ms = None;
        },
    ),
    ("a deadline does not fire", Rule::DeadlineLost, |run| {
        never(run, 14);
        run.records[1].state = State::Set;
        run.records[1].due_ms = Some(61_000);
    }),
    ("a notice does not fire", Rule::DeadlineLost, |run| {
        never(run, 13);
        run.records[0].state = State::Set;
        run.records[0].due_ms = Some(41_000);
    }),
    (
        "a record says that it fired, and no entry does",
        Rule::DeadlineLost,
        |run| never(run, 14),
    ),
    ("a promise is not in the journal", Rule::DeadlineLost, |run| {
        for seq in [11, 13, 14] {
            never(run, seq);
        }
    }),
    ("a record is missing", Rule::DeadlineLost, |run| {
        run.records.remove(0);
    }),
    ("a deadline fires before it is due", Rule::DeadlineEarly, |run| {
        run.step(14).created_ms = 60_999;
    }),
    (
        "a device hears of it sooner than was promised",
        Rule::DeadlineEarly,
        |run| {
            let at = run.at(ASSISTANT, 14);
            run.notes[at].t_us -= 2_000_000;
        },
    ),
    ("a deadline fires for another time", Rule::DeadlineEarly, |run| {
        run.step(14).due_ms = 50_000;
    }),
    (
        "an end by silence fires a day early",
        Rule::DeadlineEarly,
        |run| {
            *run.step(15) = Step {
                state: State::Fired,
                due_ms: run.step(12).due_ms - DAY_MS,
                ..*run.step(15)
            };
            run.records[2].state = State::Fired;
        },
    ),
    (
        "one that was brought forward fires for another time",
        Rule::DeadlineEarly,
        |run| {
            brought_forward(run);
            run.step(15).due_ms += 1;
        },
    ),
    ("a deadline is set too soon", Rule::DeadlineEarly, |run| {
        run.step(11).due_ms = 60_000;
        run.step(13).due_ms = 40_000;
        run.step(14).due_ms = 60_000;
    }),
    (
        "a record says that a doctor wrote in time",
        Rule::DeadlineDiffers,
        |run| run.records[1].state = State::Met,
    ),
    (
        "a record is due later than an entry says",
        Rule::DeadlineDiffers,
        |run| run.records[2].due_ms = Some(86_450_000 + 60_000),
    ),
    (
        "a record is ahead of what has fired",
        Rule::DeadlineDiffers,
        |run| run.records[1].state = State::Set,
    ),
];

/// The end by silence is brought forward by a day, and fires then.
pub(super) fn brought_forward(run: &mut Run) {
    run.promise.as_mut().unwrap().aged_ms = Some(DAY_MS);
    *run.step(15) = Step {
        state: State::Fired,
        due_ms: run.step(12).due_ms - DAY_MS,
        ..*run.step(15)
    };
    run.records[2] = Record {
        state: State::Fired,
        due_ms: None,
        ..run.records[2]
    };
}

/// The same entry comes again, at the end.
fn again(run: &mut Run, seq: i64) {
    let fact = run.facts[seq as usize - 1].1;
    let last = run.facts.len() as i64 + 1;
    run.facts.push((last, fact));
    for device in [PATIENT, ASSISTANT, VISITOR] {
        run.entries(device, &[last]);
    }
}

/// An entry of another kind stands in its place.
fn never(run: &mut Run, seq: i64) {
    run.facts[seq as usize - 1].1.deadline = None;
}
