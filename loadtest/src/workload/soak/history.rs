//! What every client did and saw, as JSON lines, so that somebody else's checker can judge a run too.
//! `docs/histories.md` tells what each line means.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

use super::audit::Change;
use crate::generator::payload::Mark;

/// Lines that may wait for the disk; beyond that clients wait, too.
const WAITING_LINES: usize = 64 * 1024;

/// Where the lines go. Without a file it does nothing.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: Option<SyncSender<String>>,
    writer: Option<JoinHandle<std::io::Result<()>>>,
}

/// Who saw or did something: a device, by its place among those of its conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    pub(super) conversation: usize,
    pub(super) place: usize,
    pub(super) user_id: i64,
    pub(super) conversation_id: i64,
}

impl History {
    /// Writes into a file, which is made or emptied.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let (lines, waiting) = sync_channel::<String>(WAITING_LINES);
        let writer = std::thread::spawn(move || {
            let mut file = BufWriter::with_capacity(1 << 20, file);
            for line in waiting {
                file.write_all(line.as_bytes())?;
            }
            file.flush()
        });
        Ok(Self {
            lines: Some(lines),
            writer: Some(writer),
        })
    }

    /// Waits until everything is on its way to the disk.
    pub(super) fn close(mut self) -> Result<()> {
        self.lines = None;
        match self.writer.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(error).context("cannot write the history"),
            Some(Err(_)) => anyhow::bail!("the history's writer panicked"),
        }
    }

    fn line(&self, text: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            // The writer ends early only when the disk refuses; `close` tells.
            let _ = lines.send(text());
        }
    }

    fn of(&self, t_us: u64, who: Who, what: impl FnOnce() -> String) {
        self.line(|| {
            format!(
                "{{\"t_us\":{t_us},\"client\":\"{}.{}\",\"user\":{},\"conversation\":{},{}}}\n",
                who.conversation,
                who.place,
                who.user_id,
                who.conversation_id,
                what()
            )
        });
    }

    /// A message goes out.
    pub(super) fn send(&self, t_us: u64, who: Who, mark: Mark) {
        self.of(t_us, who, || {
            format!("\"event\":\"send\",\"id\":\"{:016x}\"", mark.0)
        });
    }

    /// It was acknowledged.
    pub(super) fn acknowledged(&self, t_us: u64, who: Who, mark: Mark, seq: i64) {
        self.of(t_us, who, || {
            format!("\"event\":\"ack\",\"id\":\"{:016x}\",\"seq\":{seq}", mark.0)
        });
    }

    /// It was refused for good.
    pub(super) fn refused(&self, t_us: u64, who: Who, client_msg_id: &str, code: &str) {
        self.of(t_us, who, || {
            format!("\"event\":\"refused\",\"id\":\"{client_msg_id}\",\"code\":\"{code}\"")
        });
    }

    /// The client was told of the conversation; entries from `from_seq` on follow.
    pub(super) fn conversation(&self, t_us: u64, who: Who, from_seq: i64, reset: bool) {
        self.of(t_us, who, || {
            format!("\"event\":\"conversation\",\"from_seq\":{from_seq},\"reset\":{reset}")
        });
    }

    /// An entry came.
    pub(super) fn entry(&self, t_us: u64, who: Who, seq: i64, mark: Option<Mark>) {
        self.of(t_us, who, || match mark {
            Some(mark) => format!("\"event\":\"entry\",\"seq\":{seq},\"id\":\"{:016x}\"", mark.0),
            None => format!("\"event\":\"entry\",\"seq\":{seq}"),
        });
    }

    /// What the journal holds at the end.
    pub(super) fn journal(&self, conversation_id: i64, seq: i64, mark: Option<Mark>, change: Option<Change>) {
        self.line(|| {
            let mut line =
                format!("{{\"event\":\"journal\",\"conversation\":{conversation_id},\"seq\":{seq}");
            if let Some(mark) = mark {
                line.push_str(&format!(",\"id\":\"{:016x}\"", mark.0));
            }
            if let Some(Change { user_id, joined }) = change {
                let what = if joined { "joined" } else { "left" };
                line.push_str(&format!(",\"{what}\":{user_id}"));
            }
            line.push_str("}\n");
            line
        });
    }

    /// A fault begins (`fault`) or is undone (`heal`).
    pub(super) fn disturbance(&self, t_us: u64, event: &str, fault: &str, target: usize) {
        self.line(|| {
            format!("{{\"t_us\":{t_us},\"event\":\"{event}\",\"fault\":\"{fault}\",\"target\":{target}}}\n")
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_line_is_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let history = History::create(&path).unwrap();
        let who = Who {
            conversation: 3,
            place: 1,
            user_id: 17,
            conversation_id: 40,
        };
        let mark = Mark::new(1, 3, 9);
        history.send(1, who, mark);
        history.acknowledged(2, who, mark, 5);
        history.refused(2, who, "x", "CLOSED");
        history.conversation(3, who, 2, false);
        history.entry(4, who, 5, Some(mark));
        history.entry(4, who, 6, None);
        history.disturbance(5, "fault", "kill-node", 2);
        let change = Change {
            user_id: 17,
            joined: false,
        };
        history.journal(40, 6, None, Some(change));
        history.close().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[1]["client"], "3.1");
        assert_eq!(lines[1]["id"], lines[4]["id"]);
        assert_eq!(lines[7]["left"], 17);
    }

    #[test]
    fn without_a_file_nothing_is_written() {
        let history = History::default();
        history.disturbance(5, "heal", "kill-node", 2);
        history.close().unwrap();
    }
}
