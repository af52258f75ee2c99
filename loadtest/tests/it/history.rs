//! The judge and the checker of histories, which share no code: both pass what is right, and both find each way of spoiling
//! it, under the same name.

use std::collections::{BTreeSet, HashMap};
use std::process::Command;

use loadtest::judge::history::History;
use loadtest::judge::rules::RULES;
use loadtest::judge::{Change, Fact, Note, Rule, Seen, Span, Trial, Truth, What, Who, hash};

const CONVERSATION: i64 = 9;
const MESSAGE: i32 = 1;
const JOINED: i32 = 2;
const LEFT: i32 = 3;

const PATIENT: u32 = 0;
const ASSISTANT: u32 = 1;
/// In from 4 to 6, and from 8 on.
const VISITOR: u32 = 2;
const READER: u32 = 3;

/// A small run: what the database has, and what each device saw and did.
#[derive(Clone)]
struct Run {
    facts: Vec<(i64, Fact)>,
    spans: Vec<Span>,
    notes: Vec<Note>,
    devices: HashMap<u32, Who>,
}

impl Run {
    /// Messages a, b, c, d and e are 3, 5, 7, 9 and 10.
    fn good() -> Self {
        let event = |kind, user_id| Fact {
            sender: user_id,
            kind,
            id: 0,
            body: hash(b""),
            change: Some(Change {
                user_id,
                joined: kind == JOINED,
            }),
        };
        let message = |id: u64, sender| Fact {
            sender,
            kind: MESSAGE,
            id,
            body: hash(&[id as u8]),
            change: None,
        };
        let facts = [
            event(JOINED, 1),
            event(JOINED, 2),
            message(0xa, 1),
            event(JOINED, 3),
            message(0xb, 2),
            event(LEFT, 3),
            message(0xc, 1),
            event(JOINED, 3),
            message(0xd, 3),
            message(0xe, 2),
        ];
        let span = |user_id, from_seq, to_seq| Span {
            user_id,
            from_seq,
            to_seq,
        };
        let who = |client: &str, user_id, stays| Who {
            client: client.to_owned(),
            user_id,
            stays,
        };
        let mut run = Self {
            facts: (1..).zip(facts).collect(),
            spans: vec![
                span(1, 1, None),
                span(2, 1, None),
                span(3, 4, Some(6)),
                span(3, 8, None),
            ],
            notes: Vec::new(),
            devices: HashMap::from([
                (PATIENT, who("0.0", 1, true)),
                (ASSISTANT, who("0.1", 2, true)),
                (VISITOR, who("0.2", 3, true)),
                (READER, who("0.reader", 2, false)),
            ]),
        };
        run.live();
        run
    }

    fn live(&mut self) {
        // The assistant listens from the first message on.
        self.session(ASSISTANT, &[]);
        self.told(ASSISTANT, 1, 2);
        self.entries(ASSISTANT, &[1, 2]);
        self.done(ASSISTANT, false);
        // The patient's first connection breaks before the first entry; a copy without entries counts as new.
        self.session(PATIENT, &[]);
        self.told(PATIENT, 1, 2);
        self.note(PATIENT, What::Disconnected);
        self.session(PATIENT, &[(CONVERSATION, 0)]);
        self.told(PATIENT, 2, 2);
        self.entries(PATIENT, &[2]);
        self.done(PATIENT, false);
        self.session(VISITOR, &[]);
        self.done(VISITOR, false);
        self.say(PATIENT, 3);
        self.entries(ASSISTANT, &[3]);
        self.told(VISITOR, 4, 4);
        self.entries(VISITOR, &[4]);
        self.say(ASSISTANT, 5);
        self.entries(PATIENT, &[3, 4, 5, 6]);
        self.entries(ASSISTANT, &[4, 5, 6]);
        // The visitor was away, and catches up by two Syncs, one of which fails.
        self.note(VISITOR, What::Disconnected);
        self.say(PATIENT, 7);
        self.session(VISITOR, &[(CONVERSATION, 4)]);
        self.failed(VISITOR);
        self.sync(VISITOR, &[(CONVERSATION, 4)]);
        self.told(VISITOR, 5, 6);
        self.entries(VISITOR, &[5]);
        self.done(VISITOR, true);
        self.sync(VISITOR, &[(CONVERSATION, 5)]);
        self.entries(VISITOR, &[6]);
        self.done(VISITOR, false);
        self.told(VISITOR, 8, 8);
        self.entries(VISITOR, &[8]);
        self.say(VISITOR, 9);
        self.entries(VISITOR, &[9]);
        self.say(ASSISTANT, 10);
        self.entries(VISITOR, &[10]);
        self.entries(PATIENT, &[7, 8, 9, 10]);
        self.entries(ASSISTANT, &[7, 8, 9, 10]);
        self.page(0, 4, true, &[1, 2, 3, 4]);
        self.page(4, 10, false, &[5, 6, 7, 8, 9, 10]);
    }

    fn note(&mut self, device: u32, what: What) {
        let t_us = 10 * (self.notes.len() as u64 + 1);
        self.notes.push(Note { t_us, device, what });
    }

    fn session(&mut self, device: u32, items: &[(i64, i64)]) {
        self.note(device, What::Connected { connection: 1 });
        self.note(device, What::LoggedIn { session: 77 });
        self.sync(device, items);
    }

    fn sync(&mut self, device: u32, items: &[(i64, i64)]) {
        self.note(
            device,
            What::Sync {
                request: 2,
                limit: 1,
                since_ms: 0,
            },
        );
        for (conversation, have_seq) in items {
            self.note(
                device,
                What::Item {
                    conversation: *conversation,
                    epoch: 1,
                    have_seq: *have_seq,
                },
            );
        }
    }

    fn done(&mut self, device: u32, more: bool) {
        self.note(device, What::SyncDone { request: 2, more });
    }

    fn failed(&mut self, device: u32) {
        self.note(device, What::SyncFailed { request: 2, code: 6 });
    }

    fn told(&mut self, device: u32, from_seq: i64, last_seq: i64) {
        self.note(
            device,
            What::Conversation {
                conversation: CONVERSATION,
                epoch: 1,
                from_seq,
                last_seq,
                reset: false,
            },
        );
    }

    fn seen(&self, seq: i64) -> Seen {
        let fact = self.facts[seq as usize - 1].1;
        Seen {
            conversation: CONVERSATION,
            seq,
            sender: fact.sender,
            kind: fact.kind,
            id: fact.id,
            body: fact.body,
        }
    }

    fn entries(&mut self, device: u32, seqs: &[i64]) {
        for seq in seqs {
            self.note(device, What::Entry(self.seen(*seq)));
        }
    }

    /// A device sends what becomes entry `seq`, and is told so.
    fn say(&mut self, device: u32, seq: i64) {
        let Seen { id, body, .. } = self.seen(seq);
        self.note(
            device,
            What::Send {
                conversation: CONVERSATION,
                id,
                body,
            },
        );
        self.note(
            device,
            What::Ack {
                conversation: CONVERSATION,
                id,
                seq,
            },
        );
    }

    fn page(&mut self, after_seq: i64, durable_seq: i64, has_more: bool, seqs: &[i64]) {
        self.note(
            READER,
            What::Page {
                conversation: CONVERSATION,
                after_seq,
                durable_seq,
                has_more,
            },
        );
        for seq in seqs {
            self.note(READER, What::Paged(self.seen(*seq)));
        }
        self.note(READER, What::PageEnd);
    }

    /// Where this entry came to this device.
    fn at(&self, device: u32, seq: i64) -> usize {
        let is_it = |note: &Note| {
            note.device == device
                && matches!(note.what, What::Entry(seen) | What::Paged(seen) if seen.seq == seq)
        };
        self.notes.iter().position(is_it).unwrap()
    }

    fn seen_at(&mut self, device: u32, seq: i64) -> &mut Seen {
        let at = self.at(device, seq);
        match &mut self.notes[at].what {
            What::Entry(seen) | What::Paged(seen) => seen,
            _ => unreachable!(),
        }
    }

    fn truth(&self) -> Truth {
        let mut truth = Truth::default();
        for (seq, fact) in &self.facts {
            truth.fact(*seq, *fact);
        }
        for span in &self.spans {
            truth.span(*span);
        }
        truth
    }

    /// The rules that the judge finds broken.
    fn judged(&self) -> BTreeSet<String> {
        let truths = HashMap::from([(CONVERSATION, self.truth())]);
        let mut trial = Trial::new(&self.devices, truths);
        for note in &self.notes {
            trial.hear(note);
        }
        trial.end().by_name().into_keys().collect()
    }

    /// The rules that the checker of histories finds broken.
    fn checked(&self) -> BTreeSet<String> {
        let mut history = History::new(Vec::new());
        for who in self.devices.values().filter(|who| who.stays) {
            history.stays(who).unwrap();
        }
        for (seq, fact) in &self.facts {
            let mut one = Truth::default();
            one.fact(*seq, *fact);
            history.truth(CONVERSATION, &one).unwrap();
        }
        let mut spans = Truth::default();
        self.spans.iter().for_each(|span| spans.span(*span));
        history.truth(CONVERSATION, &spans).unwrap();
        for note in &self.notes {
            history.note(&self.devices[&note.device], note).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, history.close().unwrap()).unwrap();
        let output = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/check_history.py"))
            .arg(path)
            .output()
            .expect("python3, which ./test installs");
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        let broken: BTreeSet<String> = text
            .lines()
            .filter(|line| line.starts_with("  ") && !line.starts_with("    "))
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect();
        assert_eq!(
            output.status.code(),
            Some(i32::from(!broken.is_empty())),
            "{text}{error}"
        );
        broken
    }
}

/// A way of spoiling a good run, and the rule that it breaks.
type Spoiling = (&'static str, Rule, fn(&mut Run));

/// Every rule is broken at least once.
const SPOILINGS: [Spoiling; 34] = [
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
    ("not told of the conversation", Rule::Untold, |run| {
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

#[test]
fn a_good_history_passes_both() {
    let run = Run::good();
    assert_eq!(run.judged(), BTreeSet::new());
    assert_eq!(run.checked(), BTreeSet::new());
}

#[test]
fn both_find_each_way_of_spoiling_a_history_and_say_the_same() {
    let mut broken = BTreeSet::new();
    for (what, rule, spoil) in SPOILINGS {
        let mut run = Run::good();
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
