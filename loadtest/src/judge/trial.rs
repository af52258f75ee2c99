//! Walks over the notes of some conversations once, in their order, and compares them with the truth. Pure.

use std::collections::HashMap;
use std::fmt;

use super::note::{Note, What};
use super::order::Messages;
use super::rules::Findings;
use super::session::Course;
use super::truth::Truth;

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its name in histories.
    pub client: String,
    /// Its user.
    pub user_id: i64,
    /// Whether it is connected and has everything at the end.
    pub stays: bool,
}

impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "client {}", self.client)
    }
}

/// One part of a run on trial.
#[derive(Debug)]
pub struct Trial<'w> {
    devices: &'w HashMap<u32, Who>,
    truths: HashMap<i64, Truth>,
    courses: HashMap<u32, Course>,
    messages: Messages,
    findings: Findings,
}

impl<'w> Trial<'w> {
    /// Of these devices, whose conversations are these.
    pub fn new(devices: &'w HashMap<u32, Who>, truths: HashMap<i64, Truth>) -> Self {
        Self {
            devices,
            truths,
            courses: HashMap::new(),
            messages: Messages::default(),
            findings: Findings::default(),
        }
    }

    /// The next note. Those of one device come in their order.
    pub fn hear(&mut self, note: &Note) {
        let Some(who) = self.devices.get(&note.device) else {
            return;
        };
        match note.what {
            What::Send {
                conversation,
                id,
                body,
            } => {
                self.messages
                    .sent(conversation, id, who.user_id, note.device, body, note.t_us);
            }
            What::Ack {
                conversation,
                id,
                seq,
            } => {
                self.messages
                    .acked(conversation, id, note.device, seq, note.t_us, &mut self.findings);
            }
            What::Refused { conversation, id, .. } => self.messages.refused(conversation, id),
            what => {
                if let What::Entry(seen) = what
                    && let Some(truth) = self.truths.get(&seen.conversation)
                {
                    truth.judge_moment(seen, note.t_us, &mut self.findings);
                }
                let course = self.courses.entry(note.device).or_default();
                course.hear(what, who, &self.truths, &mut self.findings);
            }
        }
    }

    /// After the last note.
    pub fn end(mut self) -> Findings {
        for (conversation, truth) in &self.truths {
            truth.judge(*conversation, &mut self.findings);
        }
        self.messages.judge(&self.truths, &mut self.findings);
        for (device, who) in self.devices {
            let course = self.courses.entry(*device).or_default();
            course.end(who, &self.truths, &mut self.findings);
        }
        self.findings
    }
}
