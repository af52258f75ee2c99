//! Journal, rooms and socket of one session, as a source of feeding.

use std::sync::Arc;

use bytes::Bytes;
use journal::{
    conversation::{Deadline, Participant},
    hidden::Hidden,
    history::Feed,
    overview::{Overview, Page},
};
use prost::Message;
use proto::{
    ConversationId, Seq, frame,
    wire::{self, server_frame::Body},
};

use crate::{
    clock,
    delivery::{
        fanout,
        feed::source::{Notes, OpenRooms, Source, Stopped},
    },
    session::{
        Session, SessionRoom,
        capacity::{Ended, outbox_capacity, outbox_empty, push_all},
    },
    shared::Shared,
};

// protocol: "participants in a Conversation frame | 500"
/// Participants named in a Conversation frame; see the .proto file.
const MAX_PARTICIPANTS: usize = 500;

/// Hidden conversations in one read.
const HIDDEN_OF_PAGE: i64 = 500;

impl From<Ended> for Stopped {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

pub(crate) struct NodeSource<'n> {
    pub(crate) shared: &'n Arc<Shared>,
    pub(crate) session: &'n Arc<Session>,
}

impl Source for NodeSource<'_> {
    type Receiver = Arc<Session>;

    fn receiver(&self) -> &Arc<Session> {
        self.session
    }

    fn now_s(&self) -> u32 {
        clock::uptime_s()
    }

    async fn overviews(&self, before: ConversationId, from: ConversationId) -> Result<Page, Stopped> {
        let journal = &self.shared.journal;
        Ok(journal.overviews(self.session.user, before, from).await?)
    }

    async fn overview(&self, id: ConversationId) -> Result<Option<Overview>, Stopped> {
        Ok(self.shared.journal.overview(self.session.user, id).await?)
    }

    fn room(&self, id: ConversationId) -> Option<Arc<SessionRoom>> {
        self.shared.rooms.get(id)
    }

    async fn open(&self, overviews: &[Overview]) -> Result<OpenRooms<Arc<Session>>, Stopped> {
        let shared = self.shared;
        let mut rooms = Vec::with_capacity(overviews.len());
        let mut new = Vec::new();
        for overview in overviews {
            if !overview.is_in() {
                rooms.push(None);
                continue;
            }
            let (id, last_seq) = (overview.conversation.id, overview.conversation.last_seq);
            let (backplane, subscriber) = (&shared.backplane, shared.subscriber);
            let (room, is_new) = shared.rooms.open(id, last_seq, backplane, subscriber).await;
            if is_new {
                new.push(id);
            }
            rooms.push(Some(room));
        }
        // Announcements before a confirmed subscription missed the new rooms.
        for (id, seq) in shared.journal.last_seqs(&new).await? {
            if let Some(room) = shared.rooms.get(id) {
                fanout::exists(&room, &shared.journal, seq);
            }
        }
        Ok(rooms)
    }

    async fn feed(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Feed, Stopped> {
        let journal = &self.shared.journal;
        Ok(journal.feed(id, self.session.user, after, limit).await?)
    }

    async fn announce(&self, overview: &Overview, notes: Notes) -> Result<(), Stopped> {
        let frame = conversation_frame(self.shared, self.session, overview, notes).await?;
        push_all(self.session, vec![frame]).await?;
        Ok(())
    }

    async fn hidden(
        &self,
        before: ConversationId,
        from: ConversationId,
        since: i64,
    ) -> Result<Vec<Hidden>, Stopped> {
        let user = self.session.user;
        let journal = &self.shared.journal;
        Ok(journal
            .hidden_of(user, before, from, since, HIDDEN_OF_PAGE)
            .await?)
    }

    async fn tell(&self, hidden: Hidden) -> Result<(), Stopped> {
        let frame = wire::Hidden {
            conversation_id: hidden.conversation.get(),
            through_seq: hidden.through.get(),
        };
        push_all(self.session, vec![frame::server(0, Body::Hidden(frame))]).await?;
        self.session.flush();
        Ok(())
    }

    async fn has_capacity(&self) -> Result<(), Stopped> {
        Ok(outbox_capacity(self.session).await?)
    }

    async fn is_drained(&self) -> Result<(), Stopped> {
        Ok(outbox_empty(self.session).await?)
    }
}

// protocol: "The Conversation frame then has no participants"
async fn conversation_frame(
    shared: &Shared,
    session: &Session,
    overview: &Overview,
    notes: Notes,
) -> Result<Bytes, Stopped> {
    let conversation = &overview.conversation;
    let mut participants = shared.journal.participants(conversation.id).await?;
    let participant_count = u32::try_from(participants.len()).unwrap_or(u32::MAX);
    participants.truncate(MAX_PARTICIPANTS);
    // A user who has left learns nothing of the present conversation, not even its participants.
    if !overview.is_in() {
        participants.clear();
    }
    let unread = shared.journal.unread(session.user, overview).await?;
    // Nor does a user who has left learn of its deadline.
    let deadline = conversation.deadline.clone().filter(|_| overview.is_in());
    let frame = wire::Conversation {
        conversation_id: conversation.id.get(),
        epoch: conversation.epoch,
        kind: conversation.kind as i32,
        title: conversation.title.clone(),
        participants: named(participants, shared.settings.max_frame_bytes as usize),
        participant_count: if overview.is_in() { participant_count } else { 0 },
        last_seq: overview.last_visible().get(),
        read_seq: overview.read_seq.get(),
        unread: u32::try_from(unread).unwrap_or(0),
        open: conversation.open && overview.is_in(),
        reset: notes.reset,
        from_seq: notes.from_seq.get(),
        consultation_id: conversation.consult_id.unwrap_or(0),
        deadline: deadline.map(|Deadline { kind, due_ms }| wire::Deadline { kind, due_ms }),
    };
    // protocol: "Frames with request_id 0 (Entry, Conversation of a live session, Marks, Hidden, Typing)"
    Ok(frame::server(0, Body::Conversation(frame)))
}

// protocol: "500, fewer when they would not fit into a frame"
/// Participants with the names of the time, as many as fit into `room` bytes.
fn named(participants: Vec<Participant>, room: usize) -> Vec<wire::Participant> {
    let mut used = 0;
    let named = participants.into_iter().map(|participant| wire::Participant {
        user_id: participant.user.get(),
        role: participant.role as i32,
        name: participant.name,
        title: participant.title,
        photo: participant.photo,
    });
    named
        .take_while(|participant| {
            // A tag and a length before each.
            used += participant.encoded_len() + 5;
            used <= room
        })
        .collect()
}
