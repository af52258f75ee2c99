//! Ways of spoiling a good run.

use loadtest::judge::{Fact, Note, Rule, What};

use super::run::*;

/// A way of spoiling a good run, and the rule that it breaks.
pub(super) type Spoiling = (&'static str, Rule, fn(&mut Run));

/// Every rule is broken at least once.
pub(super) const SPOILINGS: [Spoiling; 34] = [
    ("an entry of the journal is gone", Rule::JournalGap, |run| {
        run.facts.remove(5);
    }),
    (
        "an acknowledged message is gone from the end",
        Rule::AckLost,
        |run| {
            run.facts.pop();
        },
    ),
    ("an acknowledged message stands elsewhere", Rule::AckLost, |run| {
        let (c, d) = (run.facts[6].1, run.facts[8].1);
        (run.facts[6].1, run.facts[8].1) = (d, c);
    }),
    ("an entry never came", Rule::EntryLost, |run| {
        let at = run.at(PATIENT, 7);
        run.notes.remove(at);
    }),
    (
        "brought in while it caught up, the rest was passed over",
        Rule::Skipped,
        |run| {
            let at = run.at(VISITOR, 6);
            run.notes.remove(at);
            let told = run.notes[at..].iter_mut().find_map(|note| match &mut note.what {
                What::Conversation { from_seq, .. } => Some(from_seq),
                _ => None,
            });
            assert_eq!(told.copied(), Some(8));
        },
    ),
    (
        "after a failed Sync it was fed from its coming on",
        Rule::Skipped,
        |run| {
            let failed = run
                .notes
                .iter()
                .position(|note| matches!(note.what, What::SyncFailed { .. }))
                .unwrap();
            let live = run.at(VISITOR, 8) - 1;
            let visitors = |note: &Note| note.device != VISITOR;
            let kept: Vec<Note> = run.notes.splice(failed + 1..live, []).filter(visitors).collect();
            run.notes.splice(failed + 1..failed + 1, kept);
        },
    ),
    ("fed from behind its coming", Rule::Skipped, |run| {
        let at = run.at(VISITOR, 4) - 1;
        let What::Conversation { from_seq, .. } = &mut run.notes[at].what else {
            panic!()
        };
        *from_seq = 5;
        run.notes.remove(at + 1);
    }),
    ("the end never came", Rule::NeverCame, |run| {
        let at = run.at(VISITOR, 10);
        run.notes.remove(at);
    }),
    ("never told of the consult again", Rule::NeverCame, |run| {
        let at = run.at(VISITOR, 8) - 1;
        let first = run.notes[at].t_us;
        run.notes.retain(|note| {
            note.device != VISITOR
                || note.t_us < first
                || !matches!(note.what, What::Entry(_) | What::Conversation { .. })
        });
    }),
    ("away at the end", Rule::NotSynced, |run| {
        run.note(VISITOR, What::Disconnected);
    }),
    ("a Sync without an answer at the end", Rule::NotSynced, |run| {
        run.sync(PATIENT, &[]);
    }),
    ("a send without an answer", Rule::Unanswered, |run| {
        let answer = run
            .notes
            .iter()
            .position(|note| matches!(note.what, What::Ack { id: 0xc, .. }))
            .unwrap();
        run.notes.remove(answer);
    }),
    ("a page lacks an entry", Rule::PageLacks, |run| {
        let at = run.at(READER, 8);
        run.notes.remove(at);
    }),
    (
        "a page ends too early and says that it is complete",
        Rule::PageLacks,
        |run| {
            let at = run.at(READER, 10);
            run.notes.remove(at);
        },
    ),
    ("a seq is there twice", Rule::JournalDoubled, |run| {
        run.facts.push(run.facts[9]);
    }),
    ("a message is two entries", Rule::MessageDoubled, |run| {
        let again = (11, run.facts[9].1);
        run.facts.push(again);
    }),
    ("two answers differ", Rule::AckDiffers, |run| {
        run.note(
            PATIENT,
            What::Ack {
                conversation: CONVERSATION,
                id: 0xc,
                seq: 9,
            },
        );
    }),
    ("an entry comes again", Rule::EntryDoubled, |run| {
        run.entries(PATIENT, &[9]);
    }),
    (
        "after a failed Sync everything is sent again",
        Rule::EntryDoubled,
        |run| {
            let seen = run.seen(4);
            let failed = run
                .notes
                .iter()
                .position(|note| matches!(note.what, What::SyncFailed { .. }))
                .unwrap();
            let mut again = run.notes[failed];
            again.what = What::Entry(seen);
            run.notes.insert(failed, again);
        },
    ),
    ("an entry comes after a later one", Rule::EntryReordered, |run| {
        let (first, second) = (run.at(PATIENT, 8), run.at(PATIENT, 9));
        run.notes.swap(first, second);
    }),
    ("the order is against real time", Rule::RealTime, |run| {
        let at = run
            .notes
            .iter()
            .position(|note| matches!(note.what, What::Send { id: 0xb, .. }))
            .unwrap();
        let late = run.notes.last().unwrap().t_us;
        run.notes[at].t_us = late;
        run.notes[at + 1].t_us = late;
    }),
    ("told to forget its copy", Rule::Reset, |run| {
        let at = run.at(VISITOR, 8) - 1;
        let What::Conversation { reset, .. } = &mut run.notes[at].what else {
            panic!()
        };
        *reset = true;
    }),
    ("not told of the conversation", Rule::Unannounced, |run| {
        let at = run.at(VISITOR, 4) - 1;
        run.notes.remove(at);
    }),
    ("a page is out of order", Rule::PageOrder, |run| {
        let (first, second) = (run.at(READER, 8), run.at(READER, 9));
        run.notes.swap(first, second);
    }),
    ("a row of participant ends elsewhere", Rule::SpansDiffer, |run| {
        run.spans[2].to_seq = Some(7);
    }),
    ("a row of participant is missing", Rule::SpansDiffer, |run| {
        run.spans.pop();
    }),
    ("somebody who had left got an entry", Rule::Leaked, |run| {
        let at = run.at(VISITOR, 8) - 1;
        let seen = run.seen(7);
        let mut leaked = run.notes[at];
        leaked.what = What::Entry(seen);
        run.notes.insert(at, leaked);
    }),
    ("an entry that is beyond the end", Rule::Invented, |run| {
        let at = run.at(PATIENT, 10);
        let mut forged = run.notes[at];
        if let What::Entry(seen) = &mut forged.what {
            seen.seq = 60;
        }
        run.notes.push(forged);
    }),
    (
        "written by somebody who was out",
        Rule::OutsideSendersTime,
        |run| {
            run.facts[6].1.sender = 3;
        },
    ),
    ("a body came otherwise", Rule::Changed, |run| {
        run.seen_at(PATIENT, 9).body ^= 1;
    }),
    ("another sender came", Rule::Changed, |run| {
        run.seen_at(VISITOR, 10).sender = 1;
    }),
    ("a page has another body", Rule::Changed, |run| {
        run.seen_at(READER, 3).body ^= 1 << 63;
    }),
    (
        "the database has another body than was sent",
        Rule::ChangedSinceSent,
        |run| {
            run.facts[4].1.body ^= 8;
        },
    ),
    ("nobody sent it", Rule::NobodySent, |run| {
        let forged = Fact {
            id: 0xf,
            ..run.facts[9].1
        };
        run.facts.push((11, forged));
    }),
];

/// Ways of spoiling a run in which a doctor is brought back with everything.
pub(super) const OF_RETURNING: [Spoiling; 7] = [
    ("a hole stays in the copy", Rule::NeverCame, |run| {
        *announced(run, 12).0 = false;
    }),
    ("the absence is passed over", Rule::Skipped, |run| {
        *announced(run, 12).1 = 13;
        let at = run.at(VISITOR, 12);
        run.notes.remove(at);
    }),
    ("an entry of the absence never came", Rule::EntryLost, |run| {
        let at = run.at(VISITOR, 12);
        run.notes.remove(at);
    }),
    ("what the session had comes again", Rule::EntryDoubled, |run| {
        *announced(run, 12).1 = 10;
        let at = run.at(VISITOR, 12);
        let again = Note {
            what: What::Entry(run.seen(10)),
            ..run.notes[at]
        };
        run.notes.insert(at, again);
    }),
    ("a whole copy is to be dropped", Rule::Reset, |run| {
        run.told(VISITOR, 0, 14);
        let last = run.notes.last_mut().map(|note| &mut note.what);
        if let Some(What::Conversation { reset, .. }) = last {
            *reset = true;
        }
    }),
    (
        "a row of participant shows other entries than it says",
        Rule::SpansDiffer,
        |run| {
            run.spans[4].sees_from_seq = Some(13);
        },
    ),
    (
        "the absence comes to one who sees from now on",
        Rule::Leaked,
        |run| {
            run.spans[4].sees_from_seq = Some(13);
            if let Some(change) = &mut run.facts[12].1.change {
                change.sees_from = 13;
            }
        },
    ),
];

/// `reset` and `from_seq` of the Conversation frame before an entry of the visitor.
fn announced(run: &mut Run, seq: i64) -> (&mut bool, &mut i64) {
    let at = run.at(VISITOR, seq) - 1;
    match &mut run.notes[at].what {
        What::Conversation { reset, from_seq, .. } => (reset, from_seq),
        other => panic!("{other:?}"),
    }
}
