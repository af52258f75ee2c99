//! A run as the judge and the checker get it, and what each finds in it.

use std::collections::{BTreeSet, HashMap};
use std::process::Command;

use loadtest::judge::deadline::{Kind, Promise, Record, State, Step};
use loadtest::judge::history::History;
use loadtest::judge::{Change, Fact, Note, Seen, Span, Trial, Truth, What, Who, hash};

pub(super) const CONVERSATION: i64 = 9;
pub(super) const MESSAGE: i32 = 1;
pub(super) const JOINED: i32 = 2;
pub(super) const LEFT: i32 = 3;
const DEADLINE: i32 = 14;

pub(super) const PATIENT: u32 = 0;
pub(super) const ASSISTANT: u32 = 1;
/// In from 4 to 6, and from 8 on.
pub(super) const VISITOR: u32 = 2;
pub(super) const READER: u32 = 3;

/// A small run: what the database has, and what each device saw and did.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) facts: Vec<(i64, Fact)>,
    pub(super) spans: Vec<Span>,
    pub(super) notes: Vec<Note>,
    pub(super) devices: HashMap<u32, Who>,
    pub(super) records: Vec<Record>,
    pub(super) promise: Option<Promise>,
    /// When the records were read.
    read_ms: Option<i64>,
    /// How long nothing happened.
    slept_us: u64,
}

impl Run {
    /// Messages a, b, c, d and e are 3, 5, 7, 9 and 10.
    pub(super) fn good() -> Self {
        let facts = [
            event(JOINED, 1, 1),
            event(JOINED, 2, 1),
            message(0xa, 1),
            event(JOINED, 3, 0),
            message(0xb, 2),
            event(LEFT, 3, 0),
            message(0xc, 1),
            event(JOINED, 3, 8),
            message(0xd, 3),
            message(0xe, 2),
        ];
        let who = |client: &str, user_id, stays| Who {
            client: client.to_owned(),
            user_id,
            stays,
        };
        let mut run = Self {
            facts: (1..).zip(facts).collect(),
            spans: vec![
                span(1, 1, None, Some(1)),
                span(2, 1, None, Some(1)),
                span(3, 4, Some(6), None),
                span(3, 8, None, Some(8)),
            ],
            notes: Vec::new(),
            devices: HashMap::from([
                (PATIENT, who("0.0", 1, true)),
                (ASSISTANT, who("0.1", 2, true)),
                (VISITOR, who("0.2", 3, true)),
                (READER, who("0.reader", 2, false)),
            ]),
            records: Vec::new(),
            promise: None,
            read_ms: None,
            slept_us: 0,
        };
        run.live();
        run
    }

    /// The same, and then the visitor leaves and is brought back with everything: 11 to 14.
    pub(super) fn returning() -> Self {
        let mut run = Self::good();
        let facts = [
            event(LEFT, 3, 0),
            message(0xf, 1),
            event(JOINED, 3, 1),
            message(0x10, 2),
        ];
        run.facts.extend((11..).zip(facts));
        run.spans[3].to_seq = Some(11);
        run.spans.push(span(3, 13, None, Some(1)));
        for device in [VISITOR, PATIENT, ASSISTANT] {
            run.entries(device, &[11]);
        }
        run.say(PATIENT, 12);
        run.entries(PATIENT, &[12, 13]);
        run.entries(ASSISTANT, &[12, 13]);
        // Its copy lacks 1 to 3, and 7.
        run.told(VISITOR, 12, 13);
        let told = run.notes.last_mut().map(|note| &mut note.what);
        if let Some(What::Conversation { reset, .. }) = told {
            *reset = true;
        }
        run.entries(VISITOR, &[12, 13]);
        run.say(ASSISTANT, 14);
        for device in [VISITOR, PATIENT, ASSISTANT] {
            run.entries(device, &[14]);
        }
        run
    }

    /// The same, with a promise of an answer within 60 s, of which the team is reminded 20 s before, and an end after a
    /// day: 11 to 15.
    pub(super) fn waiting() -> Self {
        let mut run = Self::good();
        let asked_us = run.notes.last().map(|note| note.t_us);
        run.promise = Some(Promise {
            answer_ms: 60_000,
            reminder_ms: Some(20_000),
            asked_us,
            aged_ms: None,
        });
        let facts = [
            deadline(Kind::FirstAnswer, State::Set, 61_000, 1000),
            deadline(Kind::SilenceEnd, State::Set, 86_401_000, 1000),
            deadline(Kind::AnswerReminder, State::Fired, 41_000, 42_000),
            deadline(Kind::FirstAnswer, State::Fired, 61_000, 61_000),
            deadline(Kind::SilenceEnd, State::Set, 86_450_000, 62_000),
        ];
        run.facts.extend((11..).zip(facts));
        for (slept_us, seqs) in [(0, &[11, 12][..]), (41_000_000, &[13]), (60_000_000, &[14, 15])] {
            run.slept_us = slept_us;
            for device in [VISITOR, PATIENT, ASSISTANT] {
                run.entries(device, seqs);
            }
        }
        let row = |kind, state, due_ms| Record { kind, state, due_ms };
        run.records = vec![
            row(Kind::AnswerReminder, State::Fired, None),
            row(Kind::FirstAnswer, State::Fired, None),
            row(Kind::SilenceEnd, State::Set, Some(86_450_000)),
        ];
        run.read_ms = Some(200_000);
        run
    }

    /// The deadline that this entry tells of.
    pub(super) fn step(&mut self, seq: i64) -> &mut Step {
        self.facts[seq as usize - 1].1.deadline.as_mut().unwrap()
    }

    pub(super) fn live(&mut self) {
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

    pub(super) fn note(&mut self, device: u32, what: What) {
        let t_us = 10 * (self.notes.len() as u64 + 1) + self.slept_us;
        self.notes.push(Note { t_us, device, what });
    }

    pub(super) fn session(&mut self, device: u32, items: &[(i64, i64)]) {
        self.note(device, What::Connected { connection: 1 });
        self.note(device, What::LoggedIn { session: 77 });
        self.sync(device, items);
    }

    pub(super) fn sync(&mut self, device: u32, items: &[(i64, i64)]) {
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

    pub(super) fn done(&mut self, device: u32, more: bool) {
        self.note(device, What::SyncDone { request: 2, more });
    }

    pub(super) fn failed(&mut self, device: u32) {
        self.note(device, What::SyncFailed { request: 2, code: 6 });
    }

    pub(super) fn told(&mut self, device: u32, from_seq: i64, last_seq: i64) {
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

    pub(super) fn seen(&self, seq: i64) -> Seen {
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

    pub(super) fn entries(&mut self, device: u32, seqs: &[i64]) {
        for seq in seqs {
            self.note(device, What::Entry(self.seen(*seq)));
        }
    }

    /// A device sends the message that becomes entry `seq`, and gets its acknowledgement.
    pub(super) fn say(&mut self, device: u32, seq: i64) {
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

    pub(super) fn page(&mut self, after_seq: i64, durable_seq: i64, has_more: bool, seqs: &[i64]) {
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
    pub(super) fn at(&self, device: u32, seq: i64) -> usize {
        let is_it = |note: &Note| {
            note.device == device
                && matches!(note.what, What::Entry(seen) | What::Paged(seen) if seen.seq == seq)
        };
        self.notes.iter().position(is_it).unwrap()
    }

    pub(super) fn seen_at(&mut self, device: u32, seq: i64) -> &mut Seen {
        let at = self.at(device, seq);
        match &mut self.notes[at].what {
            What::Entry(seen) | What::Paged(seen) => seen,
            _ => unreachable!(),
        }
    }

    pub(super) fn truth(&self) -> Truth {
        let mut truth = Truth::default();
        for (seq, fact) in &self.facts {
            truth.fact(*seq, *fact);
        }
        self.rows(&mut truth);
        truth
    }

    /// Everything but the journal.
    fn rows(&self, truth: &mut Truth) {
        self.spans.iter().for_each(|span| truth.span(*span));
        self.records.iter().for_each(|record| truth.record(*record));
        if let Some(promise) = self.promise {
            truth.promise(promise);
        }
        if let Some(read_ms) = self.read_ms {
            truth.read_at(read_ms);
        }
    }

    /// The rules that the judge finds broken.
    pub(super) fn judged(&self) -> BTreeSet<String> {
        let truths = HashMap::from([(CONVERSATION, self.truth())]);
        let mut trial = Trial::new(&self.devices, truths);
        for note in &self.notes {
            trial.hear(note);
        }
        trial.end().by_name().into_keys().collect()
    }

    /// The rules that the checker of histories finds broken.
    pub(super) fn checked(&self) -> BTreeSet<String> {
        let mut history = History::new(Vec::new());
        for who in self.devices.values().filter(|who| who.stays) {
            history.stays(who).unwrap();
        }
        for (seq, fact) in &self.facts {
            let mut one = Truth::default();
            one.fact(*seq, *fact);
            history.truth(CONVERSATION, &one).unwrap();
        }
        let mut rows = Truth::default();
        self.rows(&mut rows);
        history.truth(CONVERSATION, &rows).unwrap();
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

/// A user who joined sees entries from `sees_from` on; 0 is the entry of the joining.
fn event(kind: i32, user_id: i64, sees_from: i64) -> Fact {
    Fact {
        sender: user_id,
        kind,
        id: 0,
        body: hash(b""),
        change: Some(Change {
            user_id,
            joined: kind == JOINED,
            sees_from,
        }),
        deadline: None,
    }
}

fn deadline(kind: Kind, state: State, due_ms: i64, created_ms: i64) -> Fact {
    Fact {
        sender: 1,
        kind: DEADLINE,
        id: 0,
        body: hash(b""),
        change: None,
        deadline: Some(Step {
            kind,
            state,
            due_ms,
            created_ms,
        }),
    }
}

fn message(id: u64, sender: i64) -> Fact {
    Fact {
        sender,
        kind: MESSAGE,
        id,
        body: hash(&[id as u8]),
        change: None,
        deadline: None,
    }
}

fn span(user_id: i64, from_seq: i64, to_seq: Option<i64>, sees_from_seq: Option<i64>) -> Span {
    Span {
        user_id,
        from_seq,
        to_seq,
        sees_from_seq,
    }
}
