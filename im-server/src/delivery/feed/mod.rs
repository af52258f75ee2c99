//! Feeding: a session pulls from the journal until it is live, or until its Sync reaches the limit.
//!
//! The session's task feeds one conversation at a time, so `reached` has one owner. Anything may happen during an
//! await: decisions rely on what each page says of itself, never on an earlier look.

mod begin;
pub(crate) mod copies;
pub(crate) mod hidden;
mod pull;
pub(crate) mod source;

use std::sync::Arc;

use journal::{order::Horizon, overview::Overview};
use proto::{ConversationId, Seq};

use self::{
    begin::{Begin, Cause, Standing, begin},
    copies::Copies,
    pull::Pull,
    source::{Notes, Source, Stopped},
};
use super::{
    Receiver,
    books::{Begun, Kept},
    member::Position,
    room::Room,
};

/// A Sync, or one part of it: conversations with `from <= id < before`.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) copies: Copies,
    /// Entries of each conversation.
    pub(crate) limit: usize,
    pub(crate) before: ConversationId,
    pub(crate) from: ConversationId,
}

// protocol: "Entries of a part's conversations flow from that part on"
/// Feeds each conversation of the requested range. True when the app must Sync again for more.
///
/// # Errors
/// [`Stopped`]; the next Sync continues exactly there.
pub(crate) async fn sync<S: Source>(
    source: &S,
    request: &Request,
    horizon: Horizon,
) -> Result<bool, Stopped> {
    let books = source.receiver().books();
    let range = request.from.get()..request.before.get();
    let begun = books.lock().begin_sync(range, horizon.number);
    let mut done = request.before;
    let outcome = sync_range(source, request, &begun, &mut done).await;
    if outcome.is_err() {
        books.lock().sync_failed(begun, done);
    }
    outcome
}

async fn sync_range<S: Source>(
    source: &S,
    request: &Request,
    begun: &Begun,
    done: &mut ConversationId,
) -> Result<bool, Stopped> {
    hidden::sync(source, request, begun.synced_from).await?;
    let (mut more, mut is_whole) = (false, true);
    loop {
        let page = source.overviews(*done, request.from).await?;
        // protocol: "Where one of several database machines is away"
        let Some(end) = page.end else {
            return match is_whole {
                true => Ok(more),
                false => Err(Stopped::Partly),
            };
        };
        let books = source.receiver().books();
        is_whole &= !books.lock().miss(begun, &page.missing);
        // All at once, since each new room costs a query.
        let rooms = source.open(&page.overviews).await?;
        for (overview, room) in page.overviews.iter().zip(rooms) {
            let id = overview.conversation.id;
            let kept = books.lock().kept(id);
            let cause = match kept {
                None | Some(Kept::Left(_)) if begun.was_synced(id) => Cause::Notice,
                _ => Cause::Sync {
                    copy: request.copies.of(overview),
                    limit: request.limit,
                },
            };
            more |= catch_up(source, overview, room, cause).await?;
            *done = id;
        }
        *done = end;
    }
}

/// Looks after one conversation: after a notice, after falling behind, or after its user has left.
///
/// # Errors
/// [`Stopped`].
pub(crate) async fn look_after<S: Source>(source: &S, id: ConversationId) -> Result<(), Stopped> {
    let receiver = source.receiver();
    if !receiver.books().lock().is_synced(id) {
        return Ok(());
    }
    let position = source.room(id).and_then(|room| room.position(receiver));
    let kept = receiver.books().lock().kept(id);
    if matches!(position, Some(Position::Live(_))) || matches!(kept, Some(Kept::Paused(_))) {
        return Ok(());
    }
    let Some(overview) = source.overview(id).await? else {
        return Ok(());
    };
    let room = source
        .open(std::slice::from_ref(&overview))
        .await?
        .pop()
        .flatten();
    catch_up(source, &overview, room, Cause::Notice).await?;
    Ok(())
}

/// Feeds one conversation. `room` is present when the user is in, according to the overview. True when the next Sync
/// owes more.
async fn catch_up<S: Source>(
    source: &S,
    overview: &Overview,
    room: Option<Arc<Room<S::Receiver>>>,
    cause: Cause,
) -> Result<bool, Stopped> {
    let receiver = source.receiver();
    let id = overview.conversation.id;
    // A user who has just left may still be live in the room, which then delivers the end.
    let room = match room {
        None => source.room(id).filter(|room| room.position(receiver).is_some()),
        room => room,
    };
    let position = room.as_ref().and_then(|room| room.position(receiver));
    let standing = standing(receiver, id, position);
    let baseline = receiver.books().lock().baseline();
    let limit = match cause {
        Cause::Sync { limit, .. } => limit,
        Cause::Notice => usize::MAX,
    };
    let (reached, reset, is_newest) = match begin(standing, overview, cause, baseline) {
        Begin::Nothing => return Ok(false),
        Begin::After { reached, reset } => (reached, reset, false),
        Begin::Newest { reset } => (
            overview.newest_from(limit).map_or(Seq::ZERO, Seq::previous),
            reset,
            true,
        ),
    };
    if let Some(room) = &room {
        room.attach(receiver);
    }
    let owed = overview.first_visible_after(reached);
    let mut pull = Pull {
        source,
        overview,
        room,
        // Entries before the owed one are not for this user: a room that delivers them late must not push them.
        reached: owed.map_or(reached.max(overview.last_visible()), |owed| {
            reached.max(owed.previous())
        }),
        // `newest_from` has applied the limit; few entries arrive meanwhile.
        budget: if is_newest { usize::MAX } else { limit },
        is_known: standing != Standing::Unknown,
        syncs: matches!(cause, Cause::Sync { .. }),
    };
    // protocol: "A live session learns by a Conversation frame that its user was brought in"
    // A session that fell behind knows the conversation.
    let announces = is_newest || reset || owed.is_some() && position.is_none();
    let notes = announces.then(|| Notes {
        reset,
        from_seq: owed.unwrap_or(Seq::ZERO),
    });
    let outcome = pull.run(notes).await;
    pull.finish(outcome, baseline)
}

fn standing<R: Receiver>(receiver: &R, id: ConversationId, position: Option<Position>) -> Standing {
    match position {
        Some(Position::Live(_)) => return Standing::Live,
        Some(Position::Behind(reached)) => return Standing::Reached(reached),
        Some(Position::Feeding) | None => {}
    }
    match receiver.books().lock().kept(id) {
        Some(Kept::Left(reached)) => Standing::Reached(reached),
        Some(Kept::Paused(reached)) => Standing::Paused(reached),
        None => Standing::Unknown,
    }
}
