//! The judge and the checker of histories, which share no code: both pass what is right, and both find each way of
//! spoiling it, under the same name.

mod deadlines;
mod run;
mod spoilings;

use std::collections::BTreeSet;

use loadtest::judge::rules::RULES;
use loadtest::judge::{Rule, What};

use self::deadlines::{OF_WAITING, brought_forward};
use self::run::{CONVERSATION, PATIENT, Run};
use self::spoilings::{OF_RETURNING, SPOILINGS};

#[test]
fn a_good_history_passes_both() {
    let mut aged = Run::waiting();
    brought_forward(&mut aged);
    for run in [Run::good(), Run::returning(), Run::waiting(), aged] {
        assert_eq!(run.judged(), BTreeSet::new());
        assert_eq!(run.checked(), BTreeSet::new());
    }
}

#[test]
fn both_find_each_way_of_spoiling_a_history_and_say_the_same() {
    let mut broken = BTreeSet::new();
    let returning = OF_RETURNING.map(|spoiling| (Run::returning(), spoiling));
    let good = SPOILINGS.map(|spoiling| (Run::good(), spoiling));
    let waiting = OF_WAITING.map(|spoiling| (Run::waiting(), spoiling));
    for (mut run, (what, rule, spoil)) in good.into_iter().chain(returning).chain(waiting) {
        spoil(&mut run);
        let judged = run.judged();
        assert!(judged.contains(rule.name()), "{what}: {judged:?}");
        assert_eq!(judged, run.checked(), "{what}");
        broken.insert(rule);
    }
    let mut run = Run::good();
    run.note(
        PATIENT,
        What::Ack {
            conversation: CONVERSATION,
            id: 0xb,
            seq: 5,
        },
    );
    assert_eq!(run.judged(), BTreeSet::from([Rule::AckUnsent.name().to_owned()]));
    assert_eq!(run.judged(), run.checked());
    broken.insert(Rule::AckUnsent);
    let all: BTreeSet<Rule> = RULES.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(broken, all, "each rule has a way of breaking it");
}
