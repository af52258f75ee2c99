//! Sends and their answers: I1, I4, and that the order of a journal is never against real time (I2). Pure.

use std::collections::{BTreeMap, HashMap};

use proto::wire::EntryKind;

use super::rules::{Findings, Rule};
use super::truth::Truth;

/// The facts of one message.
#[derive(Clone, Debug)]
struct Message {
    user_id: i64,
    /// The devices that sent it.
    devices: Vec<u32>,
    sent_us: u64,
    body: u64,
    acked: Option<Acked>,
    /// Answers of either kind.
    answers: usize,
}

#[derive(Clone, Copy, Debug)]
struct Acked {
    at_us: u64,
    seq: i64,
}

/// All messages of some conversations.
#[derive(Debug, Default)]
pub(super) struct Messages(HashMap<(i64, u64), Message>);

impl Messages {
    pub(super) fn sent(
        &mut self,
        conversation: i64,
        id: u64,
        user_id: i64,
        device: u32,
        body: u64,
        at_us: u64,
    ) {
        let message = self.0.entry((conversation, id)).or_insert_with(|| Message {
            user_id,
            devices: Vec::new(),
            sent_us: at_us,
            body,
            acked: None,
            answers: 0,
        });
        message.devices.push(device);
    }

    pub(super) fn acked(
        &mut self,
        conversation: i64,
        id: u64,
        device: u32,
        seq: i64,
        at_us: u64,
        findings: &mut Findings,
    ) {
        let message = self.0.get_mut(&(conversation, id));
        let Some(message) = message.filter(|message| message.devices.contains(&device)) else {
            return findings.found(Rule::AckUnsent, || {
                format!("conversation {conversation}: {id:016x} as {seq}")
            });
        };
        message.answers += 1;
        match message.acked {
            None => message.acked = Some(Acked { at_us, seq }),
            Some(first) if first.seq != seq => findings.found(Rule::AckDiffers, || {
                format!(
                    "conversation {conversation}: {id:016x} as {} and as {seq}",
                    first.seq
                )
            }),
            Some(_) => {}
        }
    }

    pub(super) fn refused(&mut self, conversation: i64, id: u64) {
        if let Some(message) = self.0.get_mut(&(conversation, id)) {
            message.answers += 1;
        }
    }

    /// Compares with the journals.
    pub(super) fn judge(&self, truths: &HashMap<i64, Truth>, findings: &mut Findings) {
        let nothing = Truth::default();
        for ((conversation, id), message) in &self.0 {
            let truth = truths.get(conversation).unwrap_or(&nothing);
            if message.answers < message.devices.len() {
                findings.found(Rule::Unanswered, || {
                    format!("conversation {conversation}: {id:016x}")
                });
            }
            if let Some(acked) = message.acked
                && truth
                    .get(acked.seq)
                    .is_none_or(|fact| fact.id != *id || fact.sender != message.user_id)
            {
                findings.found(Rule::AckLost, || {
                    format!("conversation {conversation}: {id:016x} as {}", acked.seq)
                });
            }
        }
        for (conversation, truth) in truths {
            self.judge_bodies(*conversation, truth, findings);
            self.judge_order(*conversation, truth, findings);
        }
    }

    fn judge_bodies(&self, conversation: i64, truth: &Truth, findings: &mut Findings) {
        let messages = truth
            .facts()
            .filter(|(_, fact)| fact.kind == EntryKind::Message as i32);
        for (at, (seq, fact)) in messages.enumerate() {
            // The server writes a consult's complaint.
            if at == 0 && fact.id == 0 {
                continue;
            }
            match self.0.get(&(conversation, fact.id)) {
                None => findings.found(Rule::NobodySent, || {
                    format!("conversation {conversation}: entry {seq}")
                }),
                Some(sent) if sent.body != fact.body || sent.user_id != fact.sender => {
                    findings.found(Rule::ChangedSinceSent, || {
                        format!("conversation {conversation}: entry {seq}")
                    });
                }
                Some(_) => {}
            }
        }
    }

    /// A message that was acknowledged before another one was sent stands before it.
    fn judge_order(&self, conversation: i64, truth: &Truth, findings: &mut Findings) {
        let sent: BTreeMap<i64, &Message> = truth
            .facts()
            .filter_map(|(seq, fact)| Some((seq, self.0.get(&(conversation, fact.id))?)))
            .collect();
        // The earliest acknowledgement of all that stands behind.
        let mut earliest: Option<(u64, i64)> = None;
        for (seq, message) in sent.iter().rev() {
            if let Some((at_us, behind)) = earliest
                && at_us < message.sent_us
            {
                findings.found(Rule::RealTime, || {
                    format!("conversation {conversation}: {behind} was acknowledged before {seq} was sent")
                });
            }
            if let Some(acked) = message.acked
                && acked.seq == *seq
                && earliest.is_none_or(|(at_us, _)| acked.at_us < at_us)
            {
                earliest = Some((acked.at_us, *seq));
            }
        }
    }
}
