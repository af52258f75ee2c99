//! A conforming app, written from docs/protocol.md, that judges each frame as it leaves the socket.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use journal::order::Horizon;
use proto::ConversationId;

use super::sim::{Answer, Frame, Record, SimSession, World};
use crate::delivery::{
    Receiver,
    feed::{
        Request,
        copies::{Copies, Unnamed},
    },
};

/// A device: its copies outlive its sessions.
pub(super) struct Device {
    pub(super) user: i64,
    world: Arc<World>,
    pub(super) session: Option<SimSession>,
    copies: BTreeMap<i64, Copy>,
    /// `synced_ms` of the last complete Sync; 0 before.
    token: i64,
    /// Incomplete parts of the Sync under way: (before, from), the next one first.
    parts: Vec<(i64, i64)>,
    /// The token of the Sync under way.
    next_token: i64,
    awaits: bool,
    /// The last seq delivered to this session, by conversation.
    given: BTreeMap<i64, i64>,
    /// have_seq that this session named.
    named: BTreeMap<i64, i64>,
    /// Conversations that this session does not name.
    pub(super) leaves_out: u64,
    pub(super) limit: usize,
    /// The answer to the last Sync, until it is read.
    pub(super) answer: Option<Answer>,
}

/// The app's copy of one conversation.
#[derive(Default)]
struct Copy {
    have: i64,
    entries: BTreeSet<i64>,
}

impl Copy {
    /// Entries after `before` are to come. The user scrolls up to the first entry at once, and the app remembers that there
    /// are none before it: what becomes visible there later is missed unless the copy is dropped.
    fn begin(record: &Record, user: i64, before: i64, last_seq: i64) -> Self {
        let older = |at: &i64| record.next_visible_as_of(user, *at, last_seq);
        let older = std::iter::successors(older(&0), older);
        Self {
            have: before,
            entries: older.take_while(|seq| *seq <= before).collect(),
        }
    }
}

const ALL: i64 = i64::MAX;

impl Device {
    pub(super) fn new(world: &Arc<World>, user: i64) -> Self {
        Self {
            user,
            world: world.clone(),
            session: None,
            copies: BTreeMap::new(),
            token: 0,
            parts: Vec::new(),
            next_token: 0,
            awaits: false,
            given: BTreeMap::new(),
            named: BTreeMap::new(),
            leaves_out: 0,
            limit: 50,
            answer: None,
        }
    }

    /// Logs in; the parts of its Sync begin below each of `bounds`, which descend.
    pub(super) fn connect(&mut self, id: u64, bounds: &[i64]) {
        self.disconnect();
        self.session = Some(SimSession::new(&self.world, id, self.user));
        self.given.clear();
        self.named.clear();
        self.plan(bounds);
    }

    pub(super) fn disconnect(&mut self) {
        if let Some(session) = self.session.take() {
            // Frames in flight arrive, or do not.
            session.end();
        }
        self.awaits = false;
    }

    /// Plans another Sync on the same session.
    pub(super) fn plan(&mut self, bounds: &[i64]) {
        let mut begins = vec![ALL];
        begins.extend_from_slice(bounds);
        let ends = bounds.iter().copied().chain([0]);
        self.parts = begins.into_iter().zip(ends).collect();
        self.next_token = 0;
    }

    pub(super) fn is_synced(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn wants_to_sync(&self) -> bool {
        let is_drained = self.session.as_ref().is_some_and(|session| !session.is_busy());
        is_drained && !self.awaits && !self.parts.is_empty()
    }

    /// Sends the next Sync.
    pub(super) fn sync(&mut self, horizon: Horizon) {
        let (Some(session), Some(&(before, from))) = (&self.session, self.parts.first()) else {
            return;
        };
        // An app that has never synced names every copy.
        let leaves_out = |id: i64| self.token != 0 && self.leaves_out & (1 << (id & 63)) != 0;
        let named: Vec<(i64, i64)> = self
            .copies
            .range(from..before)
            .map(|(id, copy)| (*id, copy.have))
            .filter(|(id, _)| !leaves_out(*id))
            .collect();
        for (id, have) in &named {
            self.named.entry(*id).or_insert(*have);
        }
        let unnamed = match self.token {
            0 => Unnamed::New,
            token => horizon
                .number_of(token)
                .map_or(Unnamed::Unknown, Unnamed::KnownBelow),
        };
        let request = Request {
            copies: Copies::new(named.into_iter().map(|(id, have)| (id, 1, have)), unnamed),
            limit: self.limit,
            before: ConversationId::from_database(before),
            from: ConversationId::from_database(from),
        };
        if self.next_token == 0 {
            self.next_token = horizon.token();
        }
        self.awaits = true;
        session.sync(request, horizon);
    }

    /// Takes the frames that left the socket.
    ///
    /// # Errors
    /// The rule that the node has broken.
    pub(super) fn take(&mut self) -> Result<Vec<Frame>, String> {
        let Some(session) = self.session.clone() else {
            return Ok(Vec::new());
        };
        let frames = session.take_frames();
        for frame in &frames {
            self.judge(*frame)
                .map_err(|broken| self.explain(*frame, &broken))?;
        }
        let answer = session.take_answer();
        self.answer = answer.or(self.answer);
        match answer {
            Some(Answer::Done { more: false }) if self.awaits => {
                self.awaits = false;
                self.parts.remove(0);
                if self.parts.is_empty() {
                    self.token = self.next_token;
                }
            }
            Some(_) => self.awaits = false,
            None => {}
        }
        if session.has_ended() {
            self.disconnect();
        }
        Ok(frames)
    }

    fn explain(&self, frame: Frame, broken: &str) -> String {
        let (Frame::Conversation { id, .. } | Frame::Entry { id, .. }) = frame;
        let spans = self.world.records.lock()[&id].spans_of(self.user);
        let (have, named) = (self.copies.get(&id).map(|copy| copy.have), self.named.get(&id));
        format!(
            "{broken} by {frame:?}; spans {spans:?}, have {have:?}, named {named:?}, given {:?}",
            self.given.get(&id)
        )
    }

    fn judge(&mut self, frame: Frame) -> Result<(), String> {
        let world = self.world.clone();
        let records = world.records.lock();
        match frame {
            Frame::Conversation {
                id,
                reset,
                from_seq,
                last_seq,
            } => {
                let record = &records[&id];
                let is_known = self.given.contains_key(&id) || self.named.contains_key(&id);
                match self.copies.get(&id) {
                    Some(copy) if reset && is_known && !record.must_drop(self.user, copy.have, from_seq) => {
                        return Err("a whole copy is to be dropped".into());
                    }
                    // have_seq 0 stands for no copy.
                    Some(copy) if reset || copy.have == 0 => drop(self.copies.remove(&id)),
                    _ => {}
                }
                let before = if from_seq > 0 { from_seq - 1 } else { last_seq };
                if self.given.get(&id).is_some_and(|given| *given > before) {
                    return Err(format!("entries from {from_seq} were given"));
                }
                let have = self.copies.get(&id).map_or(before, |copy| copy.have);
                let next = record.next_visible_as_of(self.user, have, last_seq);
                if from_seq > 0 && next.is_some_and(|next| next < from_seq) {
                    return Err(format!("a hole before {from_seq}: {next:?} never comes"));
                }
                self.copies
                    .entry(id)
                    .or_insert_with(|| Copy::begin(record, self.user, before, last_seq));
            }
            Frame::Entry { id, seq } => {
                let record = &records[&id];
                if record.next_visible(self.user, seq - 1) != Some(seq) {
                    return Err(format!("leaked: {id}/{seq}"));
                }
                let given = self.given.insert(id, seq);
                if given.is_some_and(|given| given >= seq) {
                    return Err(format!("doubled or reordered: {id}/{seq} behind {given:?}"));
                }
                if self.named.get(&id).is_some_and(|named| seq <= *named) {
                    return Err(format!("the app named {id}/{seq} as its own"));
                }
                let copy = self.copies.get_mut(&id);
                let copy = copy.ok_or_else(|| format!("{id}/{seq} before its Conversation"))?;
                if seq > copy.have {
                    // A later stay may show more; that must be announced.
                    let now = record.known_with(self.user, seq);
                    let next = record.next_visible_as_of(self.user, copy.have, now);
                    if next != Some(seq) {
                        return Err(format!("lost: {id}/{next:?} before {seq}"));
                    }
                    copy.have = seq;
                    copy.entries.insert(seq);
                }
            }
        }
        Ok(())
    }

    /// Whether the device has everything that its user may see: no stay that was shown more leaves a hole.
    ///
    /// # Errors
    /// The first incomplete conversation.
    pub(super) fn has_everything(&self) -> Result<(), String> {
        let nothing = Copy::default();
        for (id, record) in self.world.records.lock().iter() {
            let copy = self.copies.get(id).unwrap_or(&nothing);
            let mut at = 0;
            while let Some(next) = record.next_visible(self.user, at) {
                if !copy.entries.contains(&next) {
                    return Err(format!("lost: {id}/{next}, the copy ends at {}", copy.have));
                }
                at = next;
            }
        }
        Ok(())
    }

    /// Whether its session's task has work and capacity for it.
    pub(super) fn has_work(&self) -> bool {
        let works = |session: &SimSession| session.has_work() && session.has_capacity();
        self.session.as_ref().is_some_and(works)
    }
}
