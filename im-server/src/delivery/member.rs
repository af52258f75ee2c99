//! The sessions attached to a room and the position of each: pure decisions, made under the room's lock.

use journal::Published;
use proto::{
    Seq, UserId,
    wire::{EntryKind, entry::Event},
};

use super::Receiver;

/// The position of an attached session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The room pushes later entries to it.
    Live(Seq),
    /// Its task pulls from the journal, and owns the position.
    Feeding,
    /// It was pushed everything up to this, then its outbox was full; its task will pull the rest.
    Behind(Seq),
}

/// The outcome of going live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Live,
    /// The room has delivered more than the session.
    More,
    /// The session has ended.
    Detached,
}

/// An attached session.
struct Member<R> {
    receiver: R,
    position: Position,
    /// The room has delivered that the user left; the session's task is still to find out.
    left: bool,
}

/// A recipient of entries, and the number of leading ones that it has.
pub(super) type Recipient<R> = (R, usize);

/// A user who joined or left by an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    seq: Seq,
    user: i64,
    has_left: bool,
}

impl Change {
    /// The change of participants that an entry records.
    pub(super) fn of(entry: &Published) -> Option<Self> {
        if !changes_participants(entry.kind) {
            return None;
        }
        let Event::Participant(event) = entry.decode()?.event? else {
            return None;
        };
        Some(Self {
            seq: entry.seq,
            user: event.user_id,
            has_left: entry.kind == EntryKind::ParticipantLeft,
        })
    }

    pub(super) fn seq(self) -> Seq {
        self.seq
    }
}

/// Whether entries behind this one have other recipients.
pub(super) fn changes_participants(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::ParticipantJoined | EntryKind::ParticipantLeft)
}

pub(super) struct Members<R> {
    list: Vec<Member<R>>,
}

impl<R> Default for Members<R> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

impl<R: Receiver> Members<R> {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Attaches a session whose task feeds it; false when it was attached, and falls back to feeding.
    pub(super) fn attach(&mut self, receiver: &R) -> bool {
        if let Some(member) = self.find(receiver) {
            member.position = Position::Feeding;
            return false;
        }
        self.list.reserve_exact(1);
        self.list.push(Member {
            receiver: receiver.clone(),
            position: Position::Feeding,
            left: false,
        });
        true
    }

    pub(super) fn detach(&mut self, receiver: &R) {
        self.list.retain(|member| member.receiver.id() != receiver.id());
        if self.list.is_empty() {
            self.list = Vec::new();
        }
    }

    pub(super) fn position(&self, receiver: &R) -> Option<Position> {
        let member = self
            .list
            .iter()
            .find(|member| member.receiver.id() == receiver.id());
        member.map(|member| member.position)
    }

    /// Makes a session live that was fed up to `reached`, if the room has not delivered more.
    pub(super) fn go_live(&mut self, receiver: &R, reached: Seq, delivered: Seq) -> Attempt {
        match self.find(receiver) {
            None => Attempt::Detached,
            Some(_) if reached < delivered => Attempt::More,
            Some(member) => {
                member.position = Position::Live(reached);
                member.left = false;
                Attempt::Live
            }
        }
    }

    pub(super) fn has_user(&self, user: UserId) -> bool {
        let mut here = self.list.iter().filter(|member| !member.left);
        here.any(|member| member.receiver.user() == user)
    }

    /// The live sessions that lack some of these entries.
    pub(super) fn recipients(&self, entries: &[Published]) -> Vec<Recipient<R>> {
        let mut recipients = Vec::with_capacity(self.list.len());
        for member in &self.list {
            if let Position::Live(after) = member.position {
                let skip = entries.iter().take_while(|entry| entry.seq <= after).count();
                if skip < entries.len() {
                    recipients.push((member.receiver.clone(), skip));
                }
            }
        }
        recipients
    }

    /// The live sessions of users other than `but`.
    pub(super) fn live(&self, but: Option<UserId>) -> Vec<R> {
        let live = self
            .list
            .iter()
            .filter(|member| matches!(member.position, Position::Live(_)));
        live.map(|member| &member.receiver)
            .filter(|receiver| Some(receiver.user()) != but)
            .cloned()
            .collect()
    }

    /// Sets sessions behind. `full` holds their ids and the last seq that each was pushed; detached ones are ignored.
    /// Calls `feed` for each of the others.
    pub(super) fn fall_behind(&mut self, full: &mut [(u64, Seq)], mut feed: impl FnMut(&R)) {
        if full.is_empty() {
            return;
        }
        full.sort_unstable_by_key(|(id, _)| *id);
        for member in &mut self.list {
            if let Ok(at) = full.binary_search_by_key(&member.receiver.id(), |(id, _)| *id) {
                member.position = Position::Behind(full[at].1);
                feed(&member.receiver);
            }
        }
    }

    /// Detaches the live sessions of a user who has left, and calls `left` for each. The others find out from the
    /// pages that they read.
    pub(super) fn apply(&mut self, change: Change, mut left: impl FnMut(&R)) {
        self.list.retain_mut(|member| {
            match member.position {
                _ if member.receiver.user().get() != change.user => true,
                // The user has come back, and the session is ahead of the room.
                Position::Live(after) if after >= change.seq => true,
                Position::Live(_) if change.has_left => {
                    left(&member.receiver);
                    false
                }
                Position::Live(_) => true,
                Position::Feeding | Position::Behind(_) => {
                    member.left = change.has_left;
                    true
                }
            }
        });
    }

    fn find(&mut self, receiver: &R) -> Option<&mut Member<R>> {
        let id = receiver.id();
        self.list.iter_mut().find(|member| member.receiver.id() == id)
    }
}
