//! Writes down for one device all frames as they come off its socket, and what it asks for, before any client logic.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::wire::{self, ClientFrame, ErrorCode, ServerFrame, client_frame, server_frame};
use tokio::sync::Notify;

use super::Notes;
use crate::generator::payload::{self, Mark, Payload};
use crate::judge::database::id_of;
use crate::judge::{Note, Seen, What, hash};

/// The first number of Bye that sends an app away for good.
const STAY_AWAY: i32 = 200;

/// Which device it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::workload::soak) struct Who {
    /// Its number, of all devices.
    pub(in crate::workload::soak) number: u32,
    /// Its conversation, by its place among all.
    pub(in crate::workload::soak) conversation: usize,
    /// Its place among the devices of its conversation.
    pub(in crate::workload::soak) place: usize,
    pub(in crate::workload::soak) user_id: i64,
    pub(in crate::workload::soak) conversation_id: i64,
    pub(in crate::workload::soak) part: Part,
}

/// The part of a device in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::workload::soak) enum Part {
    /// Always there: its times count.
    Member,
    /// Its user comes and goes, and is refused while they are out.
    Visitor,
}

pub(in crate::workload::soak) struct Scribe {
    pub(in crate::workload::soak) who: Who,
    pub(in crate::workload::soak) notes: Arc<Notes>,
    /// Notified in the midst of catching up: between two Syncs, and between one that failed and the next.
    pub(in crate::workload::soak) midst: Arc<Notify>,
    standing: Mutex<Standing>,
}

/// Where the device's connection stands.
#[derive(Debug, Default)]
struct Standing {
    connections: u32,
    /// The last entry that came, of each conversation.
    last: HashMap<i64, i64>,
    syncs: HashSet<u64>,
    sends: HashMap<u64, (i64, Mark)>,
    is_synced: bool,
}

impl Scribe {
    pub(in crate::workload::soak) fn new(who: Who, notes: Arc<Notes>) -> Arc<Self> {
        Arc::new(Self {
            who,
            notes,
            midst: Arc::default(),
            standing: Mutex::default(),
        })
    }

    /// Whether it is connected, synced, and has this entry of this conversation or a later one.
    pub(in crate::workload::soak) fn has(&self, conversation_id: i64, seq: i64) -> bool {
        let standing = self.standing();
        let last = standing.last.get(&conversation_id).copied();
        standing.is_synced && last.unwrap_or(0) >= seq
    }

    /// The app hands a message to its client.
    pub(in crate::workload::soak) fn handed(&self, mark: Mark, body: &[u8]) {
        self.note(&[What::Send {
            conversation: self.who.conversation_id,
            id: mark.0,
            body: hash(body),
        }]);
    }

    pub(in crate::workload::soak) fn connected(&self) {
        let connection = {
            let mut standing = self.standing();
            standing.begin();
            standing.connections += 1;
            standing.connections
        };
        self.note(&[What::Connected { connection }]);
    }

    pub(in crate::workload::soak) fn disconnected(&self) {
        self.standing().begin();
        self.note(&[What::Disconnected]);
    }

    /// The device is about to send a frame.
    pub(in crate::workload::soak) fn asks(&self, frame: &ClientFrame) {
        match &frame.body {
            Some(client_frame::Body::Sync(sync)) => self.asks_sync(frame.request_id, sync),
            Some(client_frame::Body::Send(send)) => {
                if let Some(mark) = mark(&send.client_msg_id) {
                    let sent = (send.conversation_id, mark);
                    self.standing().sends.insert(frame.request_id, sent);
                }
            }
            _ => {}
        }
    }

    fn asks_sync(&self, request: u64, sync: &wire::Sync) {
        {
            let mut standing = self.standing();
            standing.syncs.insert(request);
            standing.is_synced = false;
        }
        let mut notes = vec![What::Sync {
            request,
            limit: sync.limit,
            since_ms: sync.updated_since_ms,
        }];
        notes.extend(sync.items.iter().map(|item| What::Item {
            conversation: item.conversation_id,
            epoch: item.epoch,
            have_seq: item.have_seq,
        }));
        self.note(&notes);
    }

    /// A frame came off the socket.
    pub(in crate::workload::soak) fn came(&self, frame: &ServerFrame) {
        let request = frame.request_id;
        let Some(body) = &frame.body else { return };
        match body {
            server_frame::Body::LoginOk(login) => {
                self.note(&[What::LoggedIn {
                    session: login.session_id,
                }]);
            }
            server_frame::Body::Conversation(announced) => {
                self.note(&[What::Conversation {
                    conversation: announced.conversation_id,
                    epoch: announced.epoch,
                    from_seq: announced.from_seq,
                    last_seq: announced.last_seq,
                    reset: announced.reset,
                }]);
            }
            server_frame::Body::Entry(entry) => self.entry(entry),
            server_frame::Body::SendOk(ok) => self.acked(request, ok),
            server_frame::Body::SyncDone(done) => {
                {
                    let mut standing = self.standing();
                    standing.syncs.remove(&request);
                    standing.is_synced = !done.more && standing.syncs.is_empty();
                }
                self.note(&[What::SyncDone {
                    request,
                    more: done.more,
                }]);
                if done.more {
                    self.midst.notify_one();
                }
            }
            server_frame::Body::Error(error) => self.refused(request, error),
            server_frame::Body::Bye(bye) => {
                self.note(&[What::Bye { reason: bye.reason }]);
                if bye.reason >= STAY_AWAY {
                    let user_id = self.who.user_id;
                    self.notes.fault(format!(
                        "user {user_id} is to stay away: {} {}",
                        bye.reason, bye.detail
                    ));
                }
            }
            _ => {}
        }
    }

    fn entry(&self, entry: &wire::Entry) {
        let seen = seen(entry);
        let now_us = self.note(&[What::Entry(seen)]);
        {
            let mut standing = self.standing();
            let last = standing.last.entry(seen.conversation).or_default();
            *last = (*last).max(seen.seq);
        }
        if self.who.part == Part::Visitor || entry.sender_id == self.who.user_id || seen.id == 0 {
            return;
        }
        if let Some(payload) = Payload::read(&entry.body) {
            self.notes
                .record(|recorder| recorder.delivered(now_us, payload.due_us));
            self.notes
                .recovery(|recovery| recovery.delivered(payload.due_us, now_us));
        }
    }

    fn acked(&self, request: u64, ok: &wire::SendOk) {
        let Some((conversation, mark)) = self.standing().sends.remove(&request) else {
            return self.notes.fault(format!(
                "user {}: SendOk to request {request}, which is no Send",
                self.who.user_id
            ));
        };
        let now_us = self.note(&[What::Ack {
            conversation,
            id: mark.0,
            seq: ok.seq,
        }]);
        let number = self.who.number;
        let due_us = self
            .notes
            .book(self.who.conversation, |book| book.acked(number, mark, ok.seq));
        if self.who.part == Part::Visitor {
            return self.notes.visitors_ack(due_us.is_some());
        }
        if let Some(due_us) = due_us {
            self.notes.record(|recorder| recorder.acked(now_us, due_us));
            self.notes.recovery(|recovery| recovery.acked(due_us, now_us));
        }
    }

    fn refused(&self, request: u64, error: &wire::Error) {
        let (was_sync, sent) = {
            let mut standing = self.standing();
            (standing.syncs.remove(&request), standing.sends.remove(&request))
        };
        if was_sync {
            self.note(&[What::SyncFailed {
                request,
                code: error.code,
            }]);
            self.notes.sync_failed();
            self.midst.notify_one();
        }
        let Some((conversation, mark)) = sent else { return };
        if matches!(error.code(), ErrorCode::RateLimited | ErrorCode::Unavailable) {
            return;
        }
        self.note(&[What::Refused {
            conversation,
            id: mark.0,
            code: error.code,
        }]);
        let number = self.who.number;
        self.notes
            .book(self.who.conversation, |book| book.refused(number, mark));
        if self.who.part == Part::Member || error.code() != ErrorCode::NoAccess {
            let (user_id, code) = (self.who.user_id, error.code().as_str_name());
            self.notes.fault(format!(
                "user {user_id}: {:016x} was refused: {code} {}",
                mark.0, error.message
            ));
        }
    }

    /// Notes them with the time; returns the time.
    fn note(&self, what: &[What]) -> u64 {
        let t_us = self.notes.now_us();
        let device = self.who.number;
        if let [what] = what {
            let note = Note {
                t_us,
                device,
                what: *what,
            };
            self.notes.tape.note(self.who.conversation, &[note]);
            return t_us;
        }
        let notes: Vec<Note> = what
            .iter()
            .map(|what| Note {
                t_us,
                device,
                what: *what,
            })
            .collect();
        self.notes.tape.note(self.who.conversation, &notes);
        t_us
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// Requests of an earlier connection are not answered any more.
    fn begin(&mut self) {
        self.syncs.clear();
        self.sends.clear();
        self.is_synced = false;
    }
}

/// An entry as it came.
pub(in crate::workload::soak) fn seen(entry: &wire::Entry) -> Seen {
    Seen {
        conversation: entry.conversation_id,
        seq: entry.seq,
        sender: entry.sender_id,
        kind: entry.kind,
        id: id_of(entry.kind, &entry.client_msg_id),
        body: hash(&entry.body),
    }
}

/// The name of a message, made from its mark.
pub(in crate::workload::soak) fn name(mark: Mark) -> String {
    let mut digits = [0; 16];
    payload::hex(mark.0, &mut digits);
    String::from_utf8_lossy(&digits).into_owned()
}

/// The mark that a name was made from.
pub(in crate::workload::soak) fn mark(name: &str) -> Option<Mark> {
    (name.len() == 16).then(|| u64::from_str_radix(name, 16).ok().map(Mark))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_mark() {
        let given = Mark::new(1, 4711, 99);
        assert_eq!(mark(&name(given)), Some(given));
        assert_eq!(name(given).len(), 16);
        assert_eq!(mark("nobody's"), None);
    }
}
