//! The decision about deadlines, moment by moment.

use journal::history::written::Written;
use proto::{Seq, UserId};

use super::decide::{Kind, LONGEST_MS, Look, Promise, Step, look, opening};
use crate::team::Clock;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// The opening.
const BEGAN: i64 = 1_000 * DAY;

/// An answer within an hour, with a reminder 15 minutes before; an end after 7 days, with a warning 2 days before.
const CLOCK: Clock = Clock {
    answer_minutes: Some(60),
    reminder_minutes: Some(15),
    silence_days: Some(7),
    silence_warning_days: Some(2),
    follow_up_days: None,
    late_cancel: true,
};

fn message(seq: i64, created_ms: i64) -> Option<Written> {
    Some(Written {
        seq: Seq::from_database(seq),
        sender: UserId::from_database(9),
        created_ms,
    })
}

/// The promises of an opening whose last entry is 5.
fn opened(clock: &Clock) -> Vec<Promise> {
    let seq = Seq::from_database(5);
    let promises = opening(clock, BEGAN).into_iter();
    promises.map(|promise| Promise { seq, ..promise }).collect()
}

/// The deadlines between looks.
struct Run {
    set: Vec<Promise>,
    clock: Clock,
}

impl Run {
    fn new() -> Self {
        Self {
            set: opened(&CLOCK),
            clock: CLOCK,
        }
    }

    /// The kinds and states of a look, and the deadlines that are set anew with the time until them.
    fn look(&mut self, now_ms: i64, answer: Option<Written>, newest: Option<Written>) -> Vec<String> {
        let at = Look {
            now_ms,
            clock: self.clock,
            answer,
            newest,
        };
        let steps = look(&self.set, &at);
        let mut told = Vec::new();
        for step in steps {
            let promise = step.promise();
            self.set.retain(|other| other.kind != promise.kind);
            let span = match step {
                Step::Set(promise) => {
                    self.set.push(promise);
                    format!(" +{}min", (promise.due_ms - now_ms) / MINUTE)
                }
                _ => String::new(),
            };
            told.push(format!("{} {}{span}", promise.kind.as_str(), step.state()));
        }
        told
    }
}

#[test]
fn an_opening_sets_what_the_team_promises() {
    let due: Vec<(Kind, i64)> = opened(&CLOCK)
        .into_iter()
        .map(|promise| (promise.kind, promise.due_ms - BEGAN))
        .collect();
    assert_eq!(
        due,
        [
            (Kind::FirstAnswer, 60 * MINUTE),
            (Kind::AnswerReminder, 45 * MINUTE),
            (Kind::SilenceEnd, 7 * DAY),
            (Kind::SilenceWarning, 5 * DAY)
        ]
    );
    assert_eq!(opening(&Clock::default(), BEGAN), []);
}

#[test]
fn nothing_happens_before_a_time_is_due() {
    let mut run = Run::new();
    assert!(
        run.look(BEGAN + 45 * MINUTE - 1, None, message(3, BEGAN))
            .is_empty()
    );
}

#[test]
fn an_answer_is_missed_after_a_reminder() {
    let mut run = Run::new();
    let patient = message(3, BEGAN);
    assert_eq!(
        run.look(BEGAN + 45 * MINUTE, None, patient),
        ["answer_reminder fired"]
    );
    assert!(run.look(BEGAN + 50 * MINUTE, None, patient).is_empty(), "once");
    assert_eq!(
        run.look(BEGAN + 60 * MINUTE, None, patient),
        ["first_answer fired"]
    );
    assert!(run.look(BEGAN + 61 * MINUTE, None, patient).is_empty(), "once");
}

#[test]
fn an_answer_in_time_meets_both() {
    let mut run = Run::new();
    let answer = message(6, BEGAN + 10 * MINUTE);
    assert_eq!(
        run.look(BEGAN + 45 * MINUTE, answer, answer),
        ["first_answer met", "answer_reminder met"]
    );
    assert!(run.look(BEGAN + 60 * MINUTE, answer, answer).is_empty());
}

#[test]
fn a_late_look_counts_the_time_of_the_message() {
    let at = BEGAN + 3 * 60 * MINUTE;
    for (written, told) in [
        (BEGAN + 60 * MINUTE, "first_answer met"),
        (BEGAN + 60 * MINUTE + 1, "first_answer fired"),
        // Clocks of nodes that are wrong: before the opening, after the look.
        (0, "first_answer met"),
        (at + DAY, "first_answer fired"),
    ] {
        let mut run = Run::new();
        run.set.retain(|promise| promise.kind == Kind::FirstAnswer);
        let answer = message(6, written);
        assert_eq!(run.look(at, answer, answer), [told], "{written}");
    }
}

#[test]
fn silence_ends_a_consult_after_a_warning() {
    let mut run = Run::new();
    run.set
        .retain(|promise| matches!(promise.kind, Kind::SilenceEnd | Kind::SilenceWarning));
    let complaint = message(3, BEGAN);
    assert_eq!(
        run.look(BEGAN + 5 * DAY, None, complaint),
        ["silence_warning fired"]
    );
    assert_eq!(run.look(BEGAN + 7 * DAY, None, complaint), ["silence_end fired"]);
    assert!(run.look(BEGAN + 8 * DAY, None, complaint).is_empty(), "once");
}

#[test]
fn a_message_begins_the_silence_anew() {
    let mut run = Run::new();
    run.set
        .retain(|promise| matches!(promise.kind, Kind::SilenceEnd | Kind::SilenceWarning));
    let later = message(9, BEGAN + 4 * DAY);
    let days = |days: i64| days * DAY / MINUTE;
    let set = |end, warning| {
        [
            format!("silence_end set +{}min", days(end)),
            format!("silence_warning set +{}min", days(warning)),
        ]
    };
    assert_eq!(run.look(BEGAN + 5 * DAY, None, later), set(6, 4));
    assert!(
        run.look(BEGAN + 5 * DAY, None, later).is_empty(),
        "the same message counts once"
    );
    // After the warning, too.
    assert_eq!(run.look(BEGAN + 9 * DAY, None, later), ["silence_warning fired"]);
    let again = message(12, BEGAN + 10 * DAY);
    assert_eq!(run.look(BEGAN + 11 * DAY, None, again), set(6, 4));
}

#[test]
fn a_message_of_a_wrong_clock_ends_nothing_early() {
    for created_ms in [0, BEGAN + 400 * DAY] {
        let mut run = Run::new();
        run.set.retain(|promise| promise.kind == Kind::SilenceEnd);
        run.clock.silence_warning_days = None;
        let now_ms = BEGAN + 7 * DAY;
        let told = run.look(now_ms, None, message(9, created_ms));
        assert_eq!(told, [format!("silence_end set +{}min", 7 * DAY / MINUTE)]);
    }
}

#[test]
fn no_consult_ends_without_its_warning() {
    let mut run = Run::new();
    run.set
        .retain(|promise| matches!(promise.kind, Kind::SilenceEnd | Kind::SilenceWarning));
    // Every process was down for three weeks.
    let now_ms = BEGAN + 21 * DAY;
    let told = run.look(now_ms, None, message(3, BEGAN));
    assert_eq!(told[0], "silence_warning fired");
    assert_eq!(told[1], format!("silence_end set +{}min", 2 * DAY / MINUTE));
    assert!(run.look(now_ms + DAY, None, message(3, BEGAN)).is_empty());
    assert_eq!(
        run.look(now_ms + 2 * DAY, None, message(3, BEGAN)),
        ["silence_end fired"]
    );
}

#[test]
fn a_team_that_removes_its_clock_lifts_the_silence() {
    let mut run = Run::new();
    run.clock.silence_days = None;
    let told = run.look(BEGAN + MINUTE, None, None);
    assert_eq!(told, ["silence_end lifted", "silence_warning lifted"]);
    let mut run = Run::new();
    run.set
        .retain(|promise| matches!(promise.kind, Kind::SilenceEnd | Kind::SilenceWarning));
    run.clock.silence_warning_days = None;
    let told = run.look(BEGAN + 5 * DAY, None, message(9, BEGAN + DAY));
    assert_eq!(told.last().map(String::as_str), Some("silence_warning lifted"));
}

/// The database's clock was a year ahead at the opening, and was set right.
#[test]
fn a_clock_that_was_set_back_fires_nothing() {
    let mut run = Run::new();
    let now_ms = BEGAN - 365 * DAY;
    assert!(run.set.iter().all(|promise| promise.due_ms > now_ms + LONGEST_MS));
    let told = run.look(now_ms, None, message(3, now_ms));
    assert_eq!(
        told,
        [
            "first_answer set +60min".to_owned(),
            "answer_reminder set +45min".to_owned(),
            format!("silence_end set +{}min", 7 * DAY / MINUTE),
            format!("silence_warning set +{}min", 5 * DAY / MINUTE)
        ]
    );
}
