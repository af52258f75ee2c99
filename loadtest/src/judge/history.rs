//! The notes of a run as JSON lines, so that another checker can judge it too. `docs/histories.md` defines each
//! line means.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::note::{Note, Seen, What};
use super::trial::Who;
use super::truth::Truth;

/// Writes lines.
#[derive(Debug)]
pub struct History<W> {
    lines: W,
}

impl History<BufWriter<File>> {
    /// Into a file, which is made or emptied.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self::new(BufWriter::with_capacity(1 << 20, file)))
    }
}

impl<W: Write> History<W> {
    /// Into anything.
    pub const fn new(lines: W) -> Self {
        Self { lines }
    }

    /// One thing that a device saw or did.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&mut self, who: &Who, note: &Note) -> io::Result<()> {
        let (t_us, user) = (note.t_us, who.user_id);
        write!(
            self.lines,
            r#"{{"t_us":{t_us},"client":"{}","user":{user},"#,
            who.client
        )?;
        writeln!(self.lines, "{}}}", Line(note.what))
    }

    /// A conversation as the database has it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn truth(&mut self, conversation: i64, truth: &Truth) -> io::Result<()> {
        for (seq, fact) in truth.facts() {
            write!(
                self.lines,
                r#"{{"event":"journal","conversation":{conversation},"seq":{seq},"sender":{},"kind":{}"#,
                fact.sender, fact.kind
            )?;
            if fact.id != 0 {
                write!(self.lines, r#","id":"{:016x}""#, fact.id)?;
            }
            write!(self.lines, r#","body":"{:016x}""#, fact.body)?;
            if let Some(change) = fact.change {
                let what = if change.joined { "joined" } else { "left" };
                write!(self.lines, r#","{what}":{}"#, change.user_id)?;
                if change.sees_from != 0 {
                    write!(self.lines, r#","sees_from_seq":{}"#, change.sees_from)?;
                }
            }
            if let Some(step) = fact.deadline {
                let (kind, state) = (step.kind.as_str(), step.state.as_str());
                write!(
                    self.lines,
                    r#","deadline":"{kind}","state":"{state}","due_ms":{},"created_ms":{}"#,
                    step.due_ms, step.created_ms
                )?;
            }
            writeln!(self.lines, "}}")?;
        }
        for span in truth.spans() {
            write!(
                self.lines,
                r#"{{"event":"participant","conversation":{conversation},"participant":{},"from_seq":{}"#,
                span.user_id, span.from_seq
            )?;
            if let Some(to_seq) = span.to_seq {
                write!(self.lines, r#","to_seq":{to_seq}"#)?;
            }
            if let Some(sees_from_seq) = span.sees_from_seq {
                write!(self.lines, r#","sees_from_seq":{sees_from_seq}"#)?;
            }
            writeln!(self.lines, "}}")?;
        }
        self.deadlines(conversation, truth)
    }

    fn deadlines(&mut self, conversation: i64, truth: &Truth) -> io::Result<()> {
        for record in truth.records() {
            let (kind, state) = (record.kind.as_str(), record.state.as_str());
            write!(
                self.lines,
                r#"{{"event":"deadline","conversation":{conversation},"deadline":"{kind}","state":"{state}""#
            )?;
            if let Some(due_ms) = record.due_ms {
                write!(self.lines, r#","due_ms":{due_ms}"#)?;
            }
            writeln!(self.lines, "}}")?;
        }
        let (promise, read_ms) = truth.promised();
        if let Some(promise) = promise {
            write!(
                self.lines,
                r#"{{"event":"promise","conversation":{conversation},"answer_ms":{}"#,
                promise.answer_ms
            )?;
            if let Some(reminder_ms) = promise.reminder_ms {
                write!(self.lines, r#","reminder_ms":{reminder_ms}"#)?;
            }
            if let Some(aged_ms) = promise.aged_ms {
                write!(self.lines, r#","aged_ms":{aged_ms}"#)?;
            }
            if let Some(asked_us) = promise.asked_us {
                write!(self.lines, r#","t_us":{asked_us}"#)?;
            }
            writeln!(self.lines, "}}")?;
        }
        if let Some(read_ms) = read_ms {
            writeln!(
                self.lines,
                r#"{{"event":"deadlines_read","conversation":{conversation},"now_ms":{read_ms}}}"#
            )?;
        }
        Ok(())
    }

    /// A device that has everything at the end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn stays(&mut self, who: &Who) -> io::Result<()> {
        let Who { client, user_id, .. } = who;
        writeln!(
            self.lines,
            r#"{{"event":"stays","client":"{client}","user":{user_id}}}"#
        )
    }

    /// A fault begins (`fault`) or is undone (`heal`).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn disturbance(&mut self, t_us: u64, event: &str, fault: &str, target: usize) -> io::Result<()> {
        writeln!(
            self.lines,
            r#"{{"t_us":{t_us},"event":"{event}","fault":"{fault}","target":{target}}}"#
        )
    }

    /// Ends it; returns the writer.
    ///
    /// # Errors
    /// When the last ones cannot be written.
    pub fn close(mut self) -> io::Result<W> {
        self.lines.flush()?;
        Ok(self.lines)
    }
}

/// A device's observation or act, as fields.
struct Line(What);

impl Display for Line {
    fn fmt(&self, line: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            What::Send {
                conversation,
                id,
                body,
            } => write!(
                line,
                r#""event":"send","conversation":{conversation},"id":"{id:016x}","body":"{body:016x}""#
            ),
            What::Ack {
                conversation,
                id,
                seq,
            } => write!(
                line,
                r#""event":"ack","conversation":{conversation},"id":"{id:016x}","seq":{seq}"#
            ),
            What::Refused {
                conversation,
                id,
                code,
            } => write!(
                line,
                r#""event":"refused","conversation":{conversation},"id":"{id:016x}","code":{code}"#
            ),
            What::Connected { connection } => {
                write!(line, r#""event":"connected","connection":{connection}"#)
            }
            What::LoggedIn { session } => write!(line, r#""event":"logged_in","session":{session}"#),
            What::Disconnected => write!(line, r#""event":"disconnected""#),
            What::Sync {
                request,
                limit,
                since_ms,
            } => write!(
                line,
                r#""event":"sync","request":{request},"limit":{limit},"since_ms":{since_ms}"#
            ),
            What::Item {
                conversation,
                epoch,
                have_seq,
            } => write!(
                line,
                r#""event":"item","conversation":{conversation},"epoch":{epoch},"have_seq":{have_seq}"#
            ),
            What::Conversation {
                conversation,
                epoch,
                from_seq,
                last_seq,
                reset,
            } => write!(
                line,
                r#""event":"conversation","conversation":{conversation},"epoch":{epoch},"from_seq":{from_seq},"last_seq":{last_seq},"reset":{reset}"#
            ),
            What::Entry(seen) => came(line, "entry", seen),
            What::SyncDone { request, more } => {
                write!(line, r#""event":"sync_done","request":{request},"more":{more}"#)
            }
            What::SyncFailed { request, code } => {
                write!(line, r#""event":"sync_failed","request":{request},"code":{code}"#)
            }
            What::Bye { reason } => write!(line, r#""event":"bye","reason":{reason}"#),
            What::Page {
                conversation,
                after_seq,
                durable_seq,
                has_more,
            } => write!(
                line,
                r#""event":"page","conversation":{conversation},"after_seq":{after_seq},"durable_seq":{durable_seq},"has_more":{has_more}"#
            ),
            What::Paged(seen) => came(line, "paged", seen),
            What::PageEnd => write!(line, r#""event":"page_end""#),
        }
    }
}

fn came(line: &mut fmt::Formatter<'_>, event: &str, seen: Seen) -> fmt::Result {
    let Seen {
        conversation,
        seq,
        sender,
        kind,
        id,
        body,
    } = seen;
    write!(
        line,
        r#""event":"{event}","conversation":{conversation},"seq":{seq},"sender":{sender},"kind":{kind}"#
    )?;
    if id != 0 {
        write!(line, r#","id":"{id:016x}""#)?;
    }
    write!(line, r#","body":"{body:016x}""#)
}
