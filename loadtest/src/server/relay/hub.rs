//! The connections, and the fan-out in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use prost::Message;
use proto::frame;
use proto::wire::{self, EntryKind, ServerFrame, server_frame};

use super::Fault;
use super::outlet::Outlet;
use super::store::{Job, Store};

#[derive(Debug)]
pub(super) struct Hub {
    users: u32,
    members: u32,
    conversations: Vec<Mutex<Conversation>>,
    store: Option<Store>,
    fault: Option<Fault>,
    /// Outlets of large conversations that are flushed together.
    dirty: Mutex<Vec<Arc<Outlet>>>,
    is_flushing: AtomicBool,
}

/// Outlets touched at once from which on they are flushed with what comes meanwhile: one message for a large room.
const GATHERED_OUTLETS: usize = 64;

#[derive(Debug, Default)]
struct Conversation {
    last_seq: i64,
    here: Vec<Arc<Outlet>>,
    /// Of [`Fault::Swap`]: what is to come after the next entry.
    held_back: Option<(Arc<Outlet>, Bytes)>,
}

/// Which entries a faulty relay spoils.
const SPOILT_EVERY: i64 = 50;

/// A message that came, and to whom its acknowledgement goes.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) request_id: u64,
    pub(super) sender_id: i64,
    pub(super) sender: Arc<Outlet>,
    pub(super) send: wire::Send,
}

impl Hub {
    pub(super) fn new(
        users: u32,
        conversations: u32,
        members: u32,
        store: Option<Store>,
        fault: Option<Fault>,
    ) -> Self {
        Self {
            users,
            members: members.max(1),
            conversations: (0..conversations).map(|_| Mutex::default()).collect(),
            store,
            fault,
            dirty: Mutex::default(),
            is_flushing: AtomicBool::new(false),
        }
    }

    /// Writes what was queued. A few outlets at once, since nothing else is coming for them; many after everything that
    /// is ready now has been queued for them as well, so that it leaves in the same writes.
    pub(super) fn flush(self: &Arc<Self>, touched: &mut Vec<Arc<Outlet>>) {
        if touched.len() < GATHERED_OUTLETS {
            for outlet in touched.drain(..) {
                outlet.flush();
            }
            return;
        }
        self.dirty().append(touched);
        if !self.is_flushing.swap(true, Ordering::AcqRel) {
            tokio::spawn(self.clone().flush_together());
        }
    }

    async fn flush_together(self: Arc<Self>) {
        loop {
            tokio::task::yield_now().await;
            let mut outlets = std::mem::take(&mut *self.dirty());
            if outlets.is_empty() {
                self.is_flushing.store(false, Ordering::Release);
                // A connection may have come in between.
                if self.dirty().is_empty() || self.is_flushing.swap(true, Ordering::AcqRel) {
                    return;
                }
                continue;
            }
            // The writes are most of the work: half of them on another core.
            let half = outlets.split_off(outlets.len() / 2);
            let other = tokio::spawn(async move {
                half.iter().for_each(|outlet| {
                    outlet.flush();
                });
            });
            outlets.iter().for_each(|outlet| {
                outlet.flush();
            });
            // It ends by a panic only when the process ends.
            let _ = other.await;
        }
    }

    fn dirty(&self) -> MutexGuard<'_, Vec<Arc<Outlet>>> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn knows(&self, user_id: i64) -> bool {
        (1..=i64::from(self.users)).contains(&user_id)
    }

    /// From now on the user's entries go to this outlet; returns the Conversation frame that comes before them.
    pub(super) fn enter(self: &Arc<Self>, user_id: i64, outlet: &Arc<Outlet>) -> Option<Bytes> {
        let number = (user_id as usize - 1) / self.members as usize;
        let mut conversation = self.conversation(number as i64 + 1)?;
        conversation.here.push(outlet.clone());
        Some(frame::server(
            0,
            server_frame::Body::Conversation(wire::Conversation {
                conversation_id: number as i64 + 1,
                participant_count: self.members,
                last_seq: conversation.last_seq,
                open: true,
                ..wire::Conversation::default()
            }),
        ))
    }

    pub(super) fn leave(&self, user_id: i64, outlet: &Arc<Outlet>) {
        let number = (user_id - 1) / i64::from(self.members) + 1;
        if let Some(mut conversation) = self.conversation(number) {
            conversation.here.retain(|other| !Arc::ptr_eq(other, outlet));
        }
    }

    /// Takes a message: in memory at once, or through the store. Outlets to be flushed are added to `touched`. False
    /// when it can go nowhere.
    pub(super) fn take(self: &Arc<Self>, arrival: Arrival, touched: &mut Vec<Arc<Outlet>>) -> bool {
        if self.fault == Some(Fault::Refuse) {
            return false;
        }
        match &self.store {
            None => self.publish(&arrival, None, touched),
            Some(store) => {
                let Some(conversation) = usize::try_from(arrival.send.conversation_id)
                    .ok()
                    .and_then(|id| id.checked_sub(1))
                    .filter(|number| *number < self.conversations.len())
                else {
                    return false;
                };
                store.append(Job {
                    conversation,
                    arrival,
                    hub: self.clone(),
                })
            }
        }
    }

    /// Assigns the next seq, or uses the store's, acknowledges and fans out.
    pub(super) fn publish(
        &self,
        arrival: &Arrival,
        seq: Option<i64>,
        touched: &mut Vec<Arc<Outlet>>,
    ) -> bool {
        let send = &arrival.send;
        let Some(mut conversation) = self.conversation(send.conversation_id) else {
            return false;
        };
        let seq = seq.unwrap_or(conversation.last_seq + 1);
        conversation.last_seq = seq;
        let created_ms = now_ms();
        let ok = wire::SendOk {
            conversation_id: send.conversation_id,
            seq,
            created_ms,
            duplicate: false,
        };
        push(
            &arrival.sender,
            &frame::server(arrival.request_id, server_frame::Body::SendOk(ok)),
            touched,
        );
        let entry = wire::Entry {
            conversation_id: send.conversation_id,
            seq,
            sender_id: arrival.sender_id,
            kind: EntryKind::Message as i32,
            mime_type: send.mime_type.clone(),
            body: send.body.clone(),
            created_ms,
            client_msg_id: send.client_msg_id.clone(),
            ..wire::Entry::default()
        };
        match self.fault.filter(|_| seq % SPOILT_EVERY == 0) {
            None => {
                let encoded = encode(entry);
                for outlet in &conversation.here {
                    push(outlet, &encoded, touched);
                }
            }
            Some(fault) => spoil(fault, entry, &mut conversation, touched),
        }
        if seq % SPOILT_EVERY != 0
            && let Some((outlet, late)) = conversation.held_back.take()
        {
            push(&outlet, &late, touched);
        }
        true
    }

    fn conversation(&self, id: i64) -> Option<MutexGuard<'_, Conversation>> {
        let number = usize::try_from(id.checked_sub(1)?).ok()?;
        let conversation = self.conversations.get(number)?;
        Some(conversation.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn push(outlet: &Arc<Outlet>, frames: &[u8], touched: &mut Vec<Arc<Outlet>>) {
    if outlet.push(frames) {
        touched.push(outlet.clone());
    }
}

fn encode(entry: wire::Entry) -> BytesMut {
    let message = ServerFrame {
        request_id: 0,
        body: Some(server_frame::Body::Entry(entry)),
    };
    let mut encoded = BytesMut::new();
    frame::encode_into(&message, message.encoded_len(), &mut encoded);
    encoded
}

fn spoil(fault: Fault, entry: wire::Entry, conversation: &mut Conversation, touched: &mut Vec<Arc<Outlet>>) {
    let encoded = encode(entry.clone());
    let Some((victim, others)) = conversation.here.split_first() else {
        return;
    };
    for outlet in others {
        push(outlet, &encoded, touched);
    }
    match fault {
        // A refused message becomes no entry.
        Fault::Lose | Fault::Refuse => {}
        Fault::Double => {
            push(victim, &encoded, touched);
            push(victim, &encoded, touched);
        }
        Fault::Swap => conversation.held_back = Some((victim.clone(), encoded.freeze())),
        Fault::Forge => {
            let forged = wire::Entry {
                sender_id: entry.sender_id + 1,
                ..entry
            };
            push(victim, &encode(forged), touched);
        }
        Fault::Repeat => {
            push(victim, &encoded, touched);
            conversation.last_seq += 1;
            let again = encode(wire::Entry {
                seq: conversation.last_seq,
                ..entry
            });
            for outlet in &conversation.here {
                push(outlet, &again, touched);
            }
        }
    }
}

pub(super) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_millis() as i64
}
