//! Feeding a session from the journal: conversations that it was added to, or fell behind in, until it is live there.
//! Runs in the session's own task, one at a time, as Sync does: so nothing is ever sent to a session twice.

use std::sync::Arc;

use journal::{Entry, Published, history::Direction, overview::Overview};
use proto::{
    ConversationId, Seq, frame,
    wire::{self, ByeReason, server_frame::Body},
};

use crate::{
    clock,
    connection::{Ended, push_when_there_is_room, room_in_outbox},
    node::{Shared, spread_ms},
    outbox::Pushed,
    room::{Position, Room, Standing},
    session::{Session, ToFeed},
};

/// Entries fetched at once, to be sent as far as there is room for them.
const PAGE: usize = 50;
/// Participants named in a Conversation frame; see the .proto file.
const MAX_PARTICIPANTS: usize = 500;

/// Why feeding stopped.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The session has ended.
    Ended,
    /// Something that is needed is away.
    Unavailable(String),
}

impl From<Ended> for Stopped {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl From<database::Error> for Stopped {
    fn from(error: database::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<backplane::Unavailable> for Stopped {
    fn from(error: backplane::Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<journal::Error> for Stopped {
    fn from(error: journal::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Feeds a session in these conversations. One that cannot be fed now ends the session with UNAVAILABLE rather than
/// leaving it with less than it was promised; it syncs when it is back.
pub(crate) async fn feed_all(shared: Arc<Shared>, session: Arc<Session>, conversations: Vec<ToFeed>) {
    for to_feed in conversations {
        match feed(&shared, &session, to_feed).await {
            Ok(()) => {}
            Err(Stopped::Ended) => return,
            Err(Stopped::Unavailable(error)) => {
                tracing::warn!(%error, session = session.id, "a session could not be fed");
                let detail = "what was missed cannot be read now: come back and Sync";
                session.end(ByeReason::Unavailable, spread_ms(500, 3_000), detail);
                return;
            }
        }
    }
}

async fn feed(shared: &Arc<Shared>, session: &Arc<Session>, to_feed: ToFeed) -> Result<(), Stopped> {
    let here = shared.rooms.get(to_feed.conversation);
    let position = here.as_ref().and_then(|room| room.position(session));
    match (here, position) {
        (Some(room), Some(Position::Behind(reached))) => {
            room.set_position(session, Position::Feeding(reached));
            feed_until_live(shared, session, &room, reached).await
        }
        (_, Some(_)) => Ok(()),
        (_, None) => join(shared, session, to_feed).await,
    }
}

/// Brings a session into a conversation that its user was added to. Who was taken out again meanwhile, once or several
/// times, is fed what they may see of it all the same.
async fn join(shared: &Arc<Shared>, session: &Arc<Session>, to_feed: ToFeed) -> Result<(), Stopped> {
    let id = to_feed.conversation;
    let Some(mut overview) = shared.journal.overview(session.user, id).await? else {
        return Ok(());
    };
    let reached = reached(session, &overview, to_feed.since_ms);
    if overview.is_in() {
        let room = attach(shared, session, &overview, reached).await?;
        // Read again now that the session is in the room: leaving from now on is seen there.
        let Some(again) = shared.journal.overview(session.user, id).await? else {
            room.detach(session, clock::now_s());
            return Ok(());
        };
        if again.is_in() {
            let from_seq = first_visible_after(&again, reached);
            let notes = Notes {
                reset: false,
                from_seq,
            };
            send_conversation(shared, session, &again, notes).await?;
            // The room may be behind: what it has yet to deliver of the time in which they were not in is not theirs.
            return feed_until_live(shared, session, &room, from_seq.previous()).await;
        }
        room.detach(session, clock::now_s());
        overview = again;
    }
    let target = overview.last_visible();
    if reached >= target {
        return Ok(());
    }
    let notes = Notes {
        reset: false,
        from_seq: first_visible_after(&overview, reached),
    };
    send_conversation(shared, session, &overview, notes).await?;
    let mut reached = reached;
    while reached < target {
        reached = feed_page(shared, session, id, reached, target, PAGE).await?;
    }
    session.depart(id, target);
    Ok(())
}

/// Up to where a session that is not in a conversation's room has got it.
fn reached(session: &Session, overview: &Overview, since_ms: i64) -> Seq {
    let before_changes = || Some(overview.changed_since(since_ms)?.from.previous());
    let before_last = || {
        let open = overview.spans.last().filter(|span| span.to.is_none())?;
        Some(open.from.previous())
    };
    session
        .departed_at(overview.conversation.id)
        .or_else(before_changes)
        .or_else(before_last)
        .unwrap_or_else(|| overview.last_visible())
}

/// The first seq after `reached` that a person may see.
fn first_visible_after(overview: &Overview, reached: Seq) -> Seq {
    let mut spans = overview.spans.iter();
    spans
        .find(|span| span.to.is_none_or(|to| to > reached))
        .map_or(reached.next(), |span| span.from.max(reached.next()))
}

/// Puts a session into a conversation's room, being fed from `reached` on.
pub(crate) async fn attach(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    overview: &Overview,
    reached: Seq,
) -> Result<Arc<Room>, Stopped> {
    let id = overview.conversation.id;
    let (room, is_new) = shared
        .rooms
        .open(
            id,
            overview.conversation.last_seq,
            &shared.backplane,
            shared.subscriber,
        )
        .await;
    if room.attach(session, Position::Feeding(reached)).is_some() {
        room.set_position(session, Position::Feeding(reached));
    }
    if is_new {
        for (_, seq) in shared.journal.last_seqs(&[id]).await? {
            room.exists(&shared.journal, seq);
        }
    }
    Ok(room)
}

/// Sends what a session has not got of a conversation, page by page as it reads, until it is live.
pub(crate) async fn feed_until_live(
    shared: &Shared,
    session: &Session,
    room: &Room,
    mut reached: Seq,
) -> Result<(), Stopped> {
    loop {
        // Beyond what the room has delivered nothing is taken: that comes live.
        let mut target = room.delivered();
        while reached < target {
            reached = feed_some(shared, session, room.id, reached, target).await?;
            target = target.max(reached);
        }
        match room.go_live(session, reached) {
            Standing::More(_) => {}
            Standing::Live | Standing::Gone => return Ok(()),
        }
    }
}

/// Sends entries after `reached` and up to `target`, as many as there is room for when there is some; tells how far the
/// session is then. What finds no room is let go and read again later: whoever does not read must not hold a page too.
async fn feed_some(
    shared: &Shared,
    session: &Session,
    conversation: ConversationId,
    mut reached: Seq,
    target: Seq,
) -> Result<Seq, Stopped> {
    room_in_outbox(session).await?;
    let page = shared
        .journal
        .history(conversation, session.user, Direction::After(reached), PAGE)
        .await?;
    let all_there = !page.has_more;
    let mut large = None;
    for (at, entry) in page.entries.into_iter().enumerate() {
        let seq = entry.seq;
        if seq > target {
            session.flush();
            return Ok(target);
        }
        let frame = Published::new(entry).frame();
        match session.queue(&frame) {
            Pushed::Taken => reached = seq,
            Pushed::Ended => return Err(Stopped::Ended),
            // One that is as large as the outbox: only when it is empty there is room.
            Pushed::Full if at == 0 => {
                large = Some((frame, seq));
                break;
            }
            Pushed::Full => {
                session.flush();
                return Ok(reached);
            }
        }
    }
    if let Some((frame, seq)) = large {
        push_when_there_is_room(session, vec![frame]).await?;
        return Ok(seq);
    }
    session.flush();
    Ok(if all_there { target } else { reached })
}

/// Sends one page of entries after `reached` and up to `target`; tells how far the session is then.
pub(crate) async fn feed_page(
    shared: &Shared,
    session: &Session,
    conversation: ConversationId,
    reached: Seq,
    target: Seq,
    limit: usize,
) -> Result<Seq, Stopped> {
    room_in_outbox(session).await?;
    let page = shared
        .journal
        .history(conversation, session.user, Direction::After(reached), limit)
        .await?;
    let beyond = page.entries.iter().position(|entry| entry.seq > target);
    let mut entries = page.entries;
    let all_there = match beyond {
        Some(at) => {
            entries.truncate(at);
            true
        }
        None => !page.has_more,
    };
    let last = entries.last().map_or(reached, |entry| entry.seq);
    push_entries(session, entries).await?;
    Ok(if all_there { target } else { last })
}

/// Sends entries, waiting for room as need be.
pub(crate) async fn push_entries(session: &Session, entries: Vec<Entry>) -> Result<(), Ended> {
    let frames = entries
        .into_iter()
        .map(|entry| Published::new(entry).frame())
        .collect();
    push_when_there_is_room(session, frames).await
}

/// What a Conversation frame says beside the conversation itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notes {
    /// The app must forget its copy.
    pub(crate) reset: bool,
    /// Where the entries that follow begin; 0 when none do.
    pub(crate) from_seq: Seq,
}

/// Sends the frame that stands before a conversation's entries.
pub(crate) async fn send_conversation(
    shared: &Shared,
    session: &Session,
    overview: &Overview,
    notes: Notes,
) -> Result<(), Stopped> {
    let conversation = &overview.conversation;
    let mut participants = shared.journal.participants(conversation.id).await?;
    let participant_count = u32::try_from(participants.len()).unwrap_or(u32::MAX);
    participants.truncate(MAX_PARTICIPANTS);
    // Who has left sees nothing of how the conversation went on, not even who is in it.
    if !overview.is_in() {
        participants.clear();
    }
    let unread = shared.journal.unread(session.user, overview).await?;
    let frame = wire::Conversation {
        conversation_id: conversation.id.get(),
        epoch: conversation.epoch,
        kind: conversation.kind as i32,
        title: conversation.title.clone(),
        participants: participants
            .into_iter()
            .map(|participant| wire::Participant {
                user_id: participant.user.get(),
                role: participant.role as i32,
            })
            .collect(),
        participant_count: if overview.is_in() { participant_count } else { 0 },
        last_seq: overview.last_visible().get(),
        read_seq: overview.read_seq.get(),
        unread: u32::try_from(unread).unwrap_or(0),
        open: conversation.open && overview.is_in(),
        reset: notes.reset,
        from_seq: notes.from_seq.get(),
        consultation_id: conversation.consult_id.unwrap_or(0),
    };
    push_when_there_is_room(session, vec![frame::server(0, Body::Conversation(frame))]).await?;
    Ok(())
}
