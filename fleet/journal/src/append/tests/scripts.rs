//! Scripts: commands and their effects, in `testdata/*.txt`, run on both engines. A bug becomes a script named after it.
//!
//! `REWRITE=1 cargo test -p journal scripts` writes the effects into the scripts; read the difference.
//!
//! | command | meaning |
//! |---|---|
//! | `conversation C USER:ROLE …` | creates a conversation |
//! | `send C USER ID BODY [to SEQ] [corrects SEQ] [mention USER,…] [as MIME] [\| C USER …]` | sends messages in one batch; `USER/DEVICE` is another session; `ID*N` numbers N messages |
//! | `join C USER:ROLE`, `leave C USER`, `open C`, `close C`, `event C` | REST records an event |
//! | `join C USER:ROLE:now` | the same; the user sees nothing of before |
//! | `recall C USER SEQ` | the user recalls a message |
//! | `corrected C USER` | lists the corrected messages that the user sees, and their newest corrections |
//! | `node2 COMMAND` | the same by another node |
//! | `hear` | node 1 hears of the entries of node 2 |
//! | `login USER` | the user's session is replaced by a new one |
//! | `break`, `mend` | the database refuses messages; accepts them again |
//! | `restart` | the nodes start again |
//!
//! Effects: the answer to each send and the published seqs of each conversation.

use std::{fmt::Write as _, path::Path};

use database::Error as DatabaseError;
use testkit::store::Store;

use super::harness::{Harness, Send};
use crate::{Error, append::Accepted};

struct Script {
    harness: Harness,
    conversations: Vec<i64>,
}

/// One line of effects for sends whose ids and seqs follow each other.
struct Answers {
    sender: String,
    first_id: String,
    last_id: String,
    outcome: Outcome,
}

#[derive(PartialEq)]
enum Outcome {
    /// First and last seq, and whether they are resends.
    Accepted(i64, i64, bool),
    Refused(String),
}

impl Outcome {
    fn of(outcome: Result<Accepted, Error>) -> Self {
        match outcome {
            Ok(accepted) => Self::Accepted(accepted.seq.get(), accepted.seq.get(), accepted.duplicate),
            Err(error) => Self::Refused(refusal(&error)),
        }
    }

    /// Extends a run by the next outcome; false when it does not continue it.
    fn extend(&mut self, next: &Self) -> bool {
        match (self, next) {
            (Self::Accepted(_, last, resend), Self::Accepted(seq, _, next))
                if *seq == *last + 1 && resend == next =>
            {
                *last = *seq;
                true
            }
            (Self::Refused(one), Self::Refused(other)) => one == other,
            _ => false,
        }
    }
}

fn refusal(error: &Error) -> String {
    match error {
        Error::NoAccess => "no access".into(),
        Error::Closed => "closed".into(),
        Error::AlreadyIn => "already in".into(),
        Error::Forbidden { field, .. } => format!("forbidden {field}"),
        Error::Invalid { field, .. } => format!("invalid {field}"),
        Error::Conflict { field } => format!("conflict {field}"),
        Error::Database(DatabaseError::Unavailable(_)) => "unavailable".into(),
        Error::Database(_) => "failed".into(),
    }
}

impl Script {
    async fn new(store: Store) -> Self {
        Self {
            harness: Harness::new(store).await,
            conversations: Vec::new(),
        }
    }

    /// Runs a command and describes its effects, a line each.
    async fn command(&mut self, line: &str) -> Vec<String> {
        let (node, command) = match line.strip_prefix("node2 ") {
            Some(command) => (1, command),
            None => (0, line),
        };
        let (name, arguments) = command.split_once(' ').unwrap_or((command, ""));
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let number = || -> i64 { words[0].parse().unwrap_or_else(|_| panic!("{line}")) };
        match name {
            "conversation" => {
                self.conversations.push(number());
                self.harness.create(number(), &words[1..]).await;
            }
            "send" => return self.send(node, arguments).await,
            "join" | "leave" | "open" | "close" | "event" => {
                let argument = words.get(1).copied().unwrap_or_default();
                let recorded = self.harness.record(node, number(), name, argument).await;
                return vec![match recorded {
                    Ok(seq) => format!("seq {seq}"),
                    Err(error) => refusal(&error),
                }];
            }
            "recall" => {
                let seq = words[2].parse().unwrap_or_else(|_| panic!("{line}"));
                let recalled = self.harness.recall(node, number(), words[1], seq).await;
                return vec![recalled.map_or_else(|error| refusal(&error), |seq| format!("seq {seq}"))];
            }
            "corrected" => {
                let corrected = self.harness.corrected(number(), words[1]).await;
                let line = |(seq, by_seq): (i64, i64)| format!("{seq} by {by_seq}");
                return corrected.into_iter().map(line).collect();
            }
            "hear" => self.harness.hear(),
            "login" => self.harness.log_in(words[0]),
            "break" => self.harness.set_broken(true).await,
            "mend" => self.harness.set_broken(false).await,
            "restart" => self.harness.restart().await,
            _ => panic!("no such command: {line}"),
        }
        Vec::new()
    }

    async fn send(&mut self, node: usize, arguments: &str) -> Vec<String> {
        let sends: Vec<Send> = arguments.split(" | ").flat_map(parse).collect();
        let named: Vec<(String, String)> = sends
            .iter()
            .map(|send| (send.sender.clone(), send.client_msg_id.clone()))
            .collect();
        let outcomes = self.harness.send(node, sends).await;
        let mut answers: Vec<Answers> = Vec::new();
        for ((sender, id), outcome) in named.into_iter().zip(outcomes) {
            let outcome = Outcome::of(outcome);
            if let Some(last) = answers.last_mut()
                && last.sender == sender
                && last.outcome.extend(&outcome)
            {
                last.last_id = id;
                continue;
            }
            answers.push(Answers {
                sender,
                first_id: id.clone(),
                last_id: id,
                outcome,
            });
        }
        let mut effects: Vec<String> = answers.iter().map(|answers| self.describe(answers)).collect();
        for (conversation, seqs) in self.harness.published(node) {
            let is_run = seqs.windows(2).all(|pair| pair[1] == pair[0] + 1);
            let seqs = match (is_run, &seqs[..]) {
                (true, [first, .., last]) => format!("{first}..{last}"),
                (_, seqs) => seqs.iter().map(i64::to_string).collect::<Vec<_>>().join(" "),
            };
            effects.push(format!("published {conversation}: {seqs}"));
        }
        effects
    }

    fn describe(&self, answers: &Answers) -> String {
        let Answers {
            sender,
            first_id,
            last_id,
            outcome,
        } = answers;
        let mut effect = format!("{sender} {first_id}");
        if first_id != last_id {
            let _ = write!(effect, "..{last_id}");
        }
        let _ = match outcome {
            Outcome::Accepted(first, last, resend) => {
                let _ = write!(effect, ": seq {first}");
                if first != last {
                    let _ = write!(effect, "..{last}");
                }
                effect.write_str(if *resend { " again" } else { "" })
            }
            Outcome::Refused(reason) => write!(effect, ": {reason}"),
        };
        if self.harness.is_overrun(sender) {
            effect.push_str(", session overrun");
        }
        effect
    }
}

/// The messages of `C USER ID BODY …`.
fn parse(text: &str) -> Vec<Send> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [conversation, sender, id, body, options @ ..] = &words[..] else {
        panic!("{text}");
    };
    let option = |name: &str| {
        let at = options.iter().position(|word| *word == name)?;
        options.get(at + 1).copied()
    };
    let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("{text}"));
    let send = |client_msg_id: String| Send {
        conversation: number(conversation),
        sender: (*sender).to_owned(),
        client_msg_id,
        body: (*body).to_owned(),
        mime_type: option("as").unwrap_or("text/plain").to_owned(),
        mentions: option("mention")
            .map(|names| names.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
        reply_to: option("to").map_or(0, number),
        corrects: option("corrects").map_or(0, number),
    };
    match id.split_once('*') {
        Some((id, count)) => (1..=number(count)).map(|at| send(format!("{id}{at}"))).collect(),
        None => vec![send((*id).to_owned())],
    }
}

/// The script with the effects of each command below it.
async fn run(store: Store, text: &str) -> String {
    let mut script = Script::new(store).await;
    let mut played = String::new();
    for line in text.lines().filter(|line| !line.starts_with('>')) {
        played.push_str(line);
        played.push('\n');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        for effect in script.command(line).await {
            let _ = writeln!(played, "> {effect}");
        }
    }
    if let Err(gap) = script.harness.judge(&script.conversations).await {
        let _ = writeln!(played, "> BROKEN: {gap}");
    }
    script.harness.end().await;
    played
}

async fn run_all(store: Store, may_rewrite: bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/append/testdata");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 15, "{}", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let played = run(store, &text).await;
        if may_rewrite && std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &played).unwrap();
        } else if played != text || played.contains("BROKEN") {
            wrong.push(format!("{}\n{played}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn i2_i4_i5_scripts_have_their_effects_on_sqlite() {
    run_all(Store::Sqlite, true).await;
}

#[tokio::test]
async fn i2_i4_i5_scripts_have_their_effects_on_postgres() {
    run_all(Store::Postgres, false).await;
}

#[tokio::test]
async fn a_wrong_expectation_fails() {
    let right = "conversation 1 ann:patient\nsend 1 ann a hello\n> ann a: seq 2\n> published 1: 2\n";
    assert_eq!(run(Store::Sqlite, right).await, right);
    for (line, other) in [
        ("ann a: seq 2", "ann a: seq 3"),
        ("published 1: 2", "published 1: 3"),
        ("> published 1: 2\n", ""),
    ] {
        let wrong = right.replace(line, other);
        assert_ne!(wrong, right);
        assert_ne!(run(Store::Sqlite, &wrong).await, wrong);
    }
}
