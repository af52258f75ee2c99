//! Scripts: commands and the frames that they cause, in `testdata/*.txt`. A bug becomes a script named after it.
//!
//! `REWRITE=1 cargo test -p im-server scripts` writes the actual frames into the scripts; review the difference.
//!
//! | command | what happens |
//! |---|---|
//! | `say C [xN]`, `join C`, `leave C` | entries of conversation C are committed and published; `join` and `leave` are user 1's |
//! | `join C now` | the same; user 1 sees what comes from then on |
//! | `hear [N]`, `lose`, `again` | publications reach the node; none does; the last one does twice |
//! | `notice`, `no-notice` | notices of being brought in reach the node; are lost |
//! | `connect`, `break` | the device of user 1 logs in; its connection breaks |
//! | `plan [B …]` | the next Sync is made of parts that begin below each B |
//! | `leave-out` | the next Syncs name nothing |
//! | `sync [N]` | the device sends the Sync that is due, with limit N |
//! | `step [N]`, `run` | its task runs N steps; runs to where it waits for something else |
//! | `meanwhile` | its task runs while the next socket is written |
//! | `fail N`, `work` | the next N reads fail; none does |
//! | `stop`, `read` | the app reads nothing; reads again |
//! | `fill`, `sweep` | gaps are read; rooms and participants are compared with the journal |

use std::{fmt::Write as _, path::Path, sync::Arc};

use journal::{order::Horizon, record::Shown};

use super::{
    device::Device,
    sim::{Answer, Frame, SimSession, World},
};

struct Script {
    world: Arc<World>,
    device: Device,
    horizon: i64,
    sessions: u64,
    last: Option<journal::Published>,
}

impl Script {
    fn new() -> Self {
        let world = Arc::new(World::default());
        Self {
            device: Device::new(&world, 1),
            world,
            horizon: 0,
            sessions: 0,
            last: None,
        }
    }

    fn sessions(&self) -> Vec<SimSession> {
        self.device.session.iter().cloned().collect()
    }

    /// Runs a command and returns its effects, one per line.
    fn command(&mut self, line: &str) -> Vec<String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut history = Shown::All;
        let numbers: Vec<i64> = words
            .filter(|word| {
                let is_now = *word == "now";
                if is_now {
                    history = Shown::FromNow;
                }
                !is_now
            })
            .map(|word| {
                word.trim_start_matches('x')
                    .parse()
                    .unwrap_or_else(|_| panic!("{line}"))
            })
            .collect();
        let number = |at: usize, default: i64| numbers.get(at).copied().unwrap_or(default);
        match name {
            "say" => (0..number(1, 1)).for_each(|_| self.world.say(numbers[0])),
            "join" => assert!(self.world.join(numbers[0], 1, history), "{line}"),
            "leave" => assert!(self.world.leave(numbers[0], 1), "{line}"),
            "hear" => self.hear(number(0, i64::MAX)),
            "again" => self.last.iter().for_each(|last| self.world.hear(last.clone())),
            "lose" => self.world.publications.lock().clear(),
            "notice" => {
                let notices = std::mem::take(&mut *self.world.notices.lock());
                for (user, id) in notices {
                    self.world.notify(user, id, &self.sessions());
                }
            }
            "no-notice" => self.world.notices.lock().clear(),
            "connect" => {
                self.sessions += 1;
                self.device.connect(self.sessions, &[]);
            }
            "break" => self.device.disconnect(),
            "plan" => self.device.plan(&numbers),
            "leave-out" => self.device.leaves_out = u64::MAX,
            "sync" if !self.device.wants_to_sync() => return vec!["nothing is due".into()],
            "sync" => {
                self.device.limit = number(0, 50) as usize;
                self.device.sync(Horizon::new(self.horizon, 1));
            }
            "step" => (0..number(0, 1)).for_each(|_| self.poll()),
            "run" => (0..1_000).for_each(|_| self.poll()),
            "meanwhile" => *self.world.concurrent.lock() = self.sessions(),
            "fail" => *self.world.failures.lock() = numbers[0] as usize,
            "work" => *self.world.failures.lock() = 0,
            "stop" => self
                .sessions()
                .iter()
                .for_each(|session| session.set_reading(false)),
            "read" => self
                .sessions()
                .iter()
                .for_each(|session| session.set_reading(true)),
            "fill" => {
                let ids: Vec<i64> = self.world.rooms.lock().keys().copied().collect();
                for id in ids {
                    while self.world.fill(id, 2) {}
                }
            }
            "sweep" => self.horizon = self.world.sweep(self.horizon, &self.sessions()),
            _ => panic!("no such command: {line}"),
        }
        self.effects()
    }

    fn hear(&mut self, count: i64) {
        for _ in 0..count {
            let Some(published) = self.world.publications.lock().pop_front() else {
                return;
            };
            self.last = Some(published.clone());
            self.world.hear(published);
        }
    }

    fn poll(&self) {
        if let Some(session) = &self.device.session {
            session.poll();
        }
    }

    fn effects(&mut self) -> Vec<String> {
        let frames = match self.device.take() {
            Ok(frames) => frames,
            Err(broken) => return vec![format!("BROKEN: {broken}")],
        };
        let mut lines: Vec<String> = Vec::new();
        for frame in frames {
            match frame {
                Frame::Conversation {
                    id, reset, from_seq, ..
                } => {
                    let reset = if reset { " reset" } else { "" };
                    lines.push(format!("conversation {id}{reset} from {from_seq}"));
                }
                Frame::Entry { id, seq } => match lines.last_mut() {
                    Some(last) if last.starts_with(&format!("entries {id}:")) => {
                        let _ = write!(last, " {seq}");
                    }
                    _ => lines.push(format!("entries {id}: {seq}")),
                },
            }
        }
        match self.device.answer.take() {
            Some(Answer::Done { more }) => lines.push(if more { "more" } else { "done" }.into()),
            Some(Answer::Unavailable) => lines.push("unavailable".into()),
            None => {}
        }
        lines
    }
}

/// The script with the effects of each command below it.
fn run(text: &str) -> String {
    let mut script = Script::new();
    let mut played = String::new();
    for line in text.lines().filter(|line| !line.starts_with('>')) {
        played.push_str(line);
        played.push('\n');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        for effect in script.command(line) {
            let _ = writeln!(played, "> {effect}");
        }
    }
    // Nothing may be missing when a script ends, unless it says that it ends in the middle.
    if !text.contains("# ends in the middle") {
        match script.device.has_everything() {
            Ok(()) => {}
            Err(missing) => {
                let _ = writeln!(played, "> BROKEN: {missing}");
            }
        }
    }
    played
}

#[test]
fn i3_i5_scripts_bring_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/delivery/testdata");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 34, "{}", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let played = run(&text);
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &played).unwrap();
        }
        let is_right = played == text && !played.contains("BROKEN");
        if !is_right {
            wrong.push(format!("{}\n{played}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_expectation_fails() {
    let right = "say 1\njoin 1 now\nconnect\nsync\nrun\n> conversation 1 from 2\n> entries 1: 2\n> done\n";
    assert_eq!(run(right), right);
    let wrong = right.replace("entries 1: 2", "entries 1: 1");
    assert_ne!(run(&wrong), wrong);
}
