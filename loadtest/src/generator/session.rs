//! One session of the generator: what it has sent, and what it got.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use prost::Message;
use proto::client::Writer;
use proto::wire::{self, ClientFrame, EntryKind, ServerFrame, client_frame, server_frame};

use super::payload::{Mark, Payload};
use super::received::Tally;
use super::received::verdict::{Got, Own};
use super::scan::{self, Scanned};
use super::worker::Worker;

/// Requests of the session itself; those of sends begin after it.
const SYNC_REQUEST_ID: u64 = 1;
const FIRST_SEND_REQUEST_ID: u64 = 16;
/// The newest entry of each conversation is enough to know where it begins.
const SYNC_LIMIT: u32 = 1;

pub(super) struct Session {
    pub(super) user: u32,
    pub(super) user_id: i64,
    pub(super) writer: RefCell<Writer>,
    /// Something is queued for the next flush.
    pub(super) is_dirty: Cell<bool>,
    state: RefCell<State>,
}

struct State {
    memberships: Vec<Membership>,
    /// Conversations of the user that this run does not send to: staff rooms.
    others: BTreeMap<i64, Tally>,
    /// Sends without an answer, by number; the first one's number is `first_outstanding`.
    outstanding: VecDeque<Option<Outstanding>>,
    first_outstanding: u32,
    next_number: u32,
    own: Own,
    is_synced: bool,
}

struct Membership {
    conversation: usize,
    conversation_id: i64,
    members: u32,
    tally: Option<Tally>,
    acked_seq: i64,
}

#[derive(Clone, Copy)]
struct Outstanding {
    due_us: u64,
    membership: usize,
}

/// The effect of a frame on the session's pace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effect {
    pub(super) acked: u32,
    pub(super) received: u64,
    /// A refused message may be replaced by another after this time, ms.
    pub(super) refused_for_ms: Option<u32>,
    pub(super) synced_now: bool,
}

impl Session {
    /// `conversations`: place in the world, id, number of members.
    pub(super) fn new(user: u32, user_id: i64, writer: Writer, conversations: &[(usize, i64, u32)]) -> Self {
        let mut memberships: Vec<Membership> = conversations
            .iter()
            .map(|(conversation, conversation_id, members)| Membership {
                conversation: *conversation,
                conversation_id: *conversation_id,
                members: *members,
                tally: None,
                acked_seq: 0,
            })
            .collect();
        memberships.sort_unstable_by_key(|membership| membership.conversation_id);
        Self {
            user,
            user_id,
            writer: RefCell::new(writer),
            is_dirty: Cell::new(false),
            state: RefCell::new(State {
                memberships,
                others: BTreeMap::new(),
                outstanding: VecDeque::new(),
                first_outstanding: 0,
                next_number: 0,
                own: Own {
                    user_id,
                    ..Own::default()
                },
                is_synced: false,
            }),
        }
    }

    /// The places in the world of its conversations, in the order of its memberships.
    pub(super) fn conversations(&self) -> Vec<usize> {
        let state = self.state.borrow();
        state
            .memberships
            .iter()
            .map(|membership| membership.conversation)
            .collect()
    }

    /// Queues the first Sync, or the next one while there is more.
    pub(super) fn queue_sync(&self) {
        let state = self.state.borrow();
        let of_memberships = state
            .memberships
            .iter()
            .filter_map(|membership| Some((membership.conversation_id, membership.tally.as_ref()?)));
        let items = of_memberships
            .chain(state.others.iter().map(|(id, tally)| (*id, tally)))
            .map(|(conversation_id, tally)| wire::SyncItem {
                conversation_id,
                epoch: 0,
                have_seq: tally.have(),
            })
            .collect();
        self.writer.borrow_mut().queue(&ClientFrame {
            request_id: SYNC_REQUEST_ID,
            body: Some(client_frame::Body::Sync(wire::Sync {
                items,
                updated_since_ms: 0,
                limit: SYNC_LIMIT,
                ..Default::default()
            })),
        });
    }

    /// Queues a message that was due at `due_us`; returns the number of members that are to get it.
    pub(super) fn queue_send(&self, worker: &Worker, membership: usize, due_us: u64) -> u32 {
        let mut state = self.state.borrow_mut();
        let number = state.next_number;
        state.next_number += 1;
        state
            .outstanding
            .push_back(Some(Outstanding { due_us, membership }));
        let Membership {
            conversation_id,
            members,
            ..
        } = state.memberships[membership];
        let payload = Payload {
            due_us,
            mark: Mark::new(worker.plan.run, self.user, number),
        };
        worker.encode_send(
            FIRST_SEND_REQUEST_ID + u64::from(number),
            conversation_id,
            payload,
            |frame| self.writer.borrow_mut().queue_bytes(frame),
        );
        members
    }

    /// Takes one frame that came.
    pub(super) fn take(&self, worker: &Worker, frame: &[u8], now_us: u64, effect: &mut Effect) {
        match scan::scan(frame) {
            Some(Scanned::Entry {
                conversation_id,
                seq,
                sender_id,
                kind,
                body,
            }) => {
                let is_message = kind == EntryKind::Message as u64;
                let payload = if is_message { Payload::read(body) } else { None };
                self.take_entry(worker, conversation_id, seq, sender_id, payload, now_us, effect);
            }
            Some(Scanned::SendOk {
                request_id,
                seq,
                duplicate,
                ..
            }) => self.take_ack(worker, request_id, seq, duplicate, now_us, effect),
            Some(Scanned::Other) => match ServerFrame::decode(frame) {
                Ok(frame) => self.take_other(worker, frame, effect),
                Err(error) => worker.fault(format!("user {}: not a frame: {error}", self.user_id)),
            },
            None => worker.fault(format!("user {}: not a frame", self.user_id)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "an entry's fields, taken apart without a struct in between"
    )]
    fn take_entry(
        &self,
        worker: &Worker,
        conversation_id: i64,
        seq: i64,
        sender_id: i64,
        payload: Option<Payload>,
        now_us: u64,
        effect: &mut Effect,
    ) {
        let mut state = self.state.borrow_mut();
        let content = payload.map_or(0, |payload| payload.mark.0) ^ sender_id as u64;
        let is_new = match state.membership(conversation_id) {
            Some(membership) => membership
                .tally
                .get_or_insert_with(|| Tally::after(seq - 1))
                .see(seq, content),
            None => match state.others.get_mut(&conversation_id) {
                Some(tally) => tally.see(seq, content),
                None => {
                    return worker.fault(format!(
                        "user {} got an entry of conversation {conversation_id}, which was not announced to it",
                        self.user_id
                    ));
                }
            },
        };
        let Some(payload) = payload.filter(|payload| worker.is_of_this_run(payload.mark)) else {
            return;
        };
        if is_new {
            effect.received += 1;
        }
        if sender_id != self.user_id {
            if is_new {
                worker.recorder.borrow_mut().delivered(now_us, payload.due_us);
            }
        } else if !state.own.echoed.first(payload.mark.number()) && is_new {
            state.own.echoed_again += 1;
        }
    }

    fn take_ack(
        &self,
        worker: &Worker,
        request_id: u64,
        seq: i64,
        duplicate: bool,
        now_us: u64,
        effect: &mut Effect,
    ) {
        let mut state = self.state.borrow_mut();
        let Some((number, outstanding)) = state.answered(request_id) else {
            return worker.fault(format!(
                "user {} got an answer to request {request_id}, which it has not made or which was answered",
                self.user_id
            ));
        };
        state.own.acked.first(number);
        state.own.called_duplicate += u64::from(duplicate);
        let membership = &mut state.memberships[outstanding.membership];
        membership.acked_seq = membership.acked_seq.max(seq);
        worker.recorder.borrow_mut().acked(now_us, outstanding.due_us);
        effect.acked += 1;
    }

    fn take_other(&self, worker: &Worker, frame: ServerFrame, effect: &mut Effect) {
        match frame.body {
            Some(server_frame::Body::Conversation(conversation)) => {
                let base = match conversation.from_seq {
                    0 => conversation.last_seq,
                    from => from - 1,
                };
                let mut state = self.state.borrow_mut();
                match state.membership(conversation.conversation_id) {
                    Some(membership) => {
                        membership.tally.get_or_insert_with(|| Tally::after(base));
                    }
                    None => {
                        let id = conversation.conversation_id;
                        state.others.entry(id).or_insert_with(|| Tally::after(base));
                    }
                }
            }
            Some(server_frame::Body::SyncDone(done)) if done.more => {
                self.queue_sync();
                worker.mark_dirty_by_user(self.user);
            }
            Some(server_frame::Body::SyncDone(_)) => {
                effect.synced_now = !std::mem::replace(&mut self.state.borrow_mut().is_synced, true);
            }
            Some(server_frame::Body::Error(error)) => {
                let mut state = self.state.borrow_mut();
                let code = error.code().as_str_name();
                if let Some((_, outstanding)) = state.answered(frame.request_id) {
                    worker.refused(code, state.memberships[outstanding.membership].members);
                    effect.refused_for_ms = Some(error.retry_after_ms.max(1));
                } else {
                    worker.fault(format!("user {}: {code} {}", self.user_id, error.message));
                }
            }
            Some(server_frame::Body::Bye(bye)) => worker.fault(format!(
                "user {} was sent away: {} {}",
                self.user_id,
                bye.reason().as_str_name(),
                bye.detail
            )),
            _ => {}
        }
    }

    /// Its entries and its own messages.
    pub(super) fn into_results(self) -> (Vec<Got>, Own) {
        let state = self.state.into_inner();
        let mut got: Vec<Got> = state
            .memberships
            .into_iter()
            .map(|membership| Got {
                conversation_id: membership.conversation_id,
                user_id: self.user_id,
                tally: membership.tally.unwrap_or_default(),
                acked_seq: membership.acked_seq,
            })
            .collect();
        got.extend(state.others.into_iter().map(|(conversation_id, tally)| Got {
            conversation_id,
            user_id: self.user_id,
            // Nothing is sent here; what was skipped is lost all the same.
            acked_seq: tally.have(),
            tally,
        }));
        (got, state.own)
    }
}

impl State {
    fn membership(&mut self, conversation_id: i64) -> Option<&mut Membership> {
        let at = self
            .memberships
            .binary_search_by_key(&conversation_id, |membership| membership.conversation_id)
            .ok()?;
        Some(&mut self.memberships[at])
    }

    fn answered(&mut self, request_id: u64) -> Option<(u32, Outstanding)> {
        let number = u32::try_from(request_id.checked_sub(FIRST_SEND_REQUEST_ID)?).ok()?;
        let at = number.checked_sub(self.first_outstanding)? as usize;
        let outstanding = self.outstanding.get_mut(at)?.take()?;
        while let Some(None) = self.outstanding.front() {
            self.outstanding.pop_front();
            self.first_outstanding += 1;
        }
        Some((number, outstanding))
    }
}
