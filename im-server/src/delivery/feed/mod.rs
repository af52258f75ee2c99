//! Catching up: a session pulls from the journal until it is live, or until its Sync's limit.
//!
//! Runs in the session's own task, one at a time; so `reached` has one owner at each moment. Whatever is awaited, the world
//! may move meanwhile: nothing here relies on an earlier look, but on what each page says of itself.

use std::sync::Arc;

use journal::{Published, history::Feed, order::Horizon, overview::Overview};
use proto::{ConversationId, Seq};

use super::{
    Pushed, Receiver,
    books::Kept,
    room::{Attempt, Position, Room},
    source::{Notes, Source, Stopped},
};

/// Entries of the first page; the next ones grow while they find room, so that a page of large bodies is not read in vain.
const FIRST_PAGE: usize = 16;
const LARGEST_PAGE: usize = 128;

/// A Sync, or one part of it: conversations with `from <= id < before`.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) copies: Copies,
    /// Entries of each conversation.
    pub(crate) limit: usize,
    pub(crate) before: ConversationId,
    pub(crate) from: ConversationId,
}

/// The app's copies, as it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    /// (conversation, epoch, have_seq), sorted: held while the Sync lasts, so without a map's empty places.
    items: Box<[(i64, i64, i64)]>,
    unnamed: Unnamed,
}

/// Conversations that the app does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// They are new to the app: it has synced never before.
    #[default]
    New,
    /// The app may have a copy, and knows everything below this number of the order.
    KnownBelow(i64),
    /// The app may have a copy.
    Unknown,
}

/// The app's copy of one conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    /// Everything up to this.
    Have(Seq),
    /// None.
    New,
    /// It may have one that it did not name.
    Unnamed,
    /// One that it must forget.
    Stale,
}

impl Copies {
    /// Copies of (conversation, epoch, have_seq). Of a conversation that is named twice the first one counts.
    pub(crate) fn new(items: impl Iterator<Item = (i64, i64, i64)>, unnamed: Unnamed) -> Self {
        let mut items: Vec<_> = items.collect();
        items.sort_by_key(|(conversation, ..)| *conversation);
        items.dedup_by_key(|(conversation, ..)| *conversation);
        Self {
            items: items.into_boxed_slice(),
            unnamed,
        }
    }

    fn find(&self, conversation: i64) -> Option<(i64, i64)> {
        let at = self
            .items
            .binary_search_by_key(&conversation, |(of, ..)| *of)
            .ok()?;
        let (_, epoch, have_seq) = self.items[at];
        Some((epoch, have_seq))
    }

    pub(crate) fn of(&self, overview: &Overview) -> Copy {
        let conversation = &overview.conversation;
        match self.find(conversation.id.get()) {
            // An app that names a conversation without knowing its epoch has nothing of it.
            Some((epoch, 0)) if epoch == conversation.epoch || epoch == 0 => Copy::New,
            Some((epoch, have_seq))
                if epoch == conversation.epoch && have_seq <= conversation.last_seq.get() =>
            {
                Copy::Have(Seq::from_database(have_seq))
            }
            Some(_) => Copy::Stale,
            None => match self.unnamed {
                Unnamed::New => Copy::New,
                Unnamed::KnownBelow(number) if overview.changed_no < number => {
                    Copy::Have(overview.last_visible())
                }
                Unnamed::KnownBelow(_) | Unnamed::Unknown => Copy::Unnamed,
            },
        }
    }
}

/// Where a session stands in a conversation before it catches up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// A room pushes to it.
    Live,
    /// This session was given everything up to this.
    Reached(Seq),
    /// It awaits a Sync, and was given everything up to this.
    Paused(Seq),
    /// This session was given nothing that the baseline does not cover.
    Unknown,
}

/// How it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// Nothing is owed, or is owed by another.
    Nothing,
    /// Behind this.
    After(Seq),
    /// With the newest entries.
    Newest { reset: bool },
}

/// Why a session catches up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A Sync that has this session's first look at the conversation, or found it paused.
    Sync { copy: Copy, limit: usize },
    /// A notice, or a Sync of a conversation that this session has synced before.
    Notice,
}

fn begin(standing: Standing, overview: &Overview, cause: Cause, baseline: i64) -> Begin {
    let have = match cause {
        Cause::Sync {
            copy: Copy::Have(have),
            ..
        } => have,
        _ => Seq::ZERO,
    };
    match (standing, cause) {
        (Standing::Live, _) | (Standing::Paused(_), Cause::Notice) => Begin::Nothing,
        (Standing::Reached(reached) | Standing::Paused(reached), _) => Begin::After(reached.max(have)),
        (Standing::Unknown, Cause::Notice) => match overview.changed_since(baseline) {
            Some(span) => Begin::After(span.from.previous()),
            None => Begin::Nothing,
        },
        (Standing::Unknown, Cause::Sync { copy, limit }) => match copy {
            Copy::Have(have) => Begin::After(have),
            Copy::New => Begin::Newest { reset: false },
            Copy::Stale => Begin::Newest { reset: true },
            // A copy that ends before the newest entries would have a hole.
            Copy::Unnamed => Begin::Newest {
                reset: newest_from(overview, limit) > overview.first_visible_after(Seq::ZERO),
            },
        },
    }
}

/// Where the newest `limit` entries begin that a user may see; `None` when there are none. Spans hold each seq between
/// their ends (I2), so this is arithmetic.
fn newest_from(overview: &Overview, limit: usize) -> Option<Seq> {
    let mut wanted = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut from = None;
    for span in overview.spans.iter().rev() {
        let (low, high) = (
            span.from.get(),
            span.to.unwrap_or(overview.conversation.last_seq).get(),
        );
        if wanted <= 0 || high < low {
            continue;
        }
        let first = low.max(high.saturating_sub(wanted - 1));
        wanted -= high - first + 1;
        from = Some(Seq::from_database(first));
    }
    from
}

/// Syncs: catches up in each conversation of the request's range. True when the app must Sync again for more.
///
/// # Errors
/// [`Stopped`]; then the next Sync goes on exactly where this one stopped.
pub(crate) async fn sync<S: Source>(
    source: &S,
    request: &Request,
    horizon: Horizon,
) -> Result<bool, Stopped> {
    let books = source.receiver().books();
    let before = books.lock().begin_sync(request.from, horizon.number);
    let mut done = request.before;
    let outcome = sync_range(source, request, before, &mut done).await;
    if outcome.is_err() {
        books.lock().sync_failed(before, done);
    }
    outcome
}

async fn sync_range<S: Source>(
    source: &S,
    request: &Request,
    synced_from: i64,
    done: &mut ConversationId,
) -> Result<bool, Stopped> {
    let mut more = false;
    loop {
        let overviews = source.overviews(*done, request.from).await?;
        if overviews.is_empty() {
            return Ok(more);
        }
        // All at once, since each new room costs a look at the database.
        let rooms = source.open(&overviews).await?;
        for (overview, room) in overviews.iter().zip(rooms) {
            let id = overview.conversation.id;
            let kept = source.receiver().books().lock().kept(id);
            let cause = match kept {
                None | Some(Kept::Left(_)) if id.get() >= synced_from => Cause::Notice,
                _ => Cause::Sync {
                    copy: request.copies.of(overview),
                    limit: request.limit,
                },
            };
            more |= catch_up(source, overview, room, cause).await?;
            *done = id;
        }
    }
}

/// Looks after one conversation: a notice told of it, the session fell behind in it, or its user has left it.
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

/// Catches up in one conversation. `room` is there when the overview says that the user is in. True when more is owed that
/// the next Sync gives.
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
    let (reached, newest) = match begin(standing, overview, cause, baseline) {
        Begin::Nothing => return Ok(false),
        Begin::After(reached) => (reached, None),
        Begin::Newest { reset } => (
            newest_from(overview, limit).map_or(Seq::ZERO, Seq::previous),
            Some(reset),
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
        // Entries before the owed one are not the user's: a room that delivers them yet must not push them.
        reached: owed.map_or(reached.max(overview.last_visible()), |owed| {
            reached.max(owed.previous())
        }),
        // The newest entries were counted already; what comes meanwhile is few.
        budget: if newest.is_some() { usize::MAX } else { limit },
        given: standing != Standing::Unknown,
    };
    // A session that fell behind knows the conversation.
    let notes = (newest.is_some() || owed.is_some() && position.is_none()).then(|| Notes {
        reset: newest.unwrap_or(false),
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

/// A session pulling one conversation.
struct Pull<'s, S: Source> {
    source: &'s S,
    overview: &'s Overview,
    room: Option<Arc<Room<S::Receiver>>>,
    reached: Seq,
    /// Entries that may be sent yet.
    budget: usize,
    /// This session knows the conversation: was told of it, or was given entries of it.
    given: bool,
}

/// Where pulling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The room pushes from here on.
    Live,
    /// The user has left, and has everything.
    Left,
    /// The limit was reached.
    Cut,
}

/// How much of a page was sent.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    All,
    /// So many of its entries.
    Some(usize),
    /// None: the first one is as large as the outbox, which takes it only when nothing else waits.
    None,
}

impl<S: Source> Pull<'_, S> {
    /// Announces the conversation if there is a reason, then sends pages.
    async fn run(&mut self, notes: Option<Notes>) -> Result<End, Stopped> {
        if let Some(notes) = notes {
            self.source.announce(self.overview, notes).await?;
            self.given = true;
        }
        let mut page = FIRST_PAGE;
        // A room may be behind the overview, and the Sync promises what the overview saw. An overview that is older than what
        // the session was given may not know that the user has left since.
        let mut known = self.room.is_none() || self.reached == self.overview.conversation.last_seq;
        loop {
            if known && let Some(end) = self.whole()? {
                return Ok(end);
            }
            known = true;
            loop {
                if self.budget == 0 {
                    return Ok(End::Cut);
                }
                self.source.has_room().await?;
                let id = self.overview.conversation.id;
                let feed = self.source.feed(id, self.reached, page.min(self.budget)).await?;
                let sent = self.send(&feed)?;
                page = match &sent {
                    Sent::All => (page * 2).min(LARGEST_PAGE),
                    Sent::Some(count) => *count,
                    Sent::None => 1,
                };
                if sent == Sent::None {
                    // It is read again then: a session that does not read must not hold it meanwhile.
                    drop(feed);
                    self.source.is_idle().await?;
                    continue;
                }
                if sent != Sent::All || feed.has_more {
                    continue;
                }
                self.reached = feed.through;
                // A user who is in again, unknown to the overview, has a notice that waits for this task.
                if feed.has_left || self.room.is_none() {
                    return Ok(End::Left);
                }
                break;
            }
        }
    }

    /// The end, if the session has everything: as the overview says, or a page that said there is no more.
    fn whole(&self) -> Result<Option<End>, Stopped> {
        let Some(room) = &self.room else {
            return Ok((self.reached >= self.overview.last_visible()).then_some(End::Left));
        };
        match room.go_live(self.source.receiver(), self.reached) {
            Attempt::Live => Ok(Some(End::Live)),
            Attempt::More => Ok(None),
            Attempt::Detached => Err(Stopped::Ended),
        }
    }

    /// Sends the entries of a page for which there is room; the rest is dropped and read again later: a session that does
    /// not read must not hold a page too.
    fn send(&mut self, feed: &Feed) -> Result<Sent, Stopped> {
        let receiver = self.source.receiver();
        let mut sent = Sent::All;
        for (at, entry) in feed.entries.iter().enumerate() {
            let frame = Published::new(entry.clone()).frame();
            match receiver.queue(&frame) {
                Pushed::Taken => self.gave(entry.seq),
                Pushed::Ended => return Err(Stopped::Ended),
                Pushed::Full => {
                    sent = if at == 0 { Sent::None } else { Sent::Some(at) };
                    break;
                }
            }
        }
        receiver.flush();
        Ok(sent)
    }

    fn gave(&mut self, seq: Seq) {
        self.reached = seq;
        self.budget = self.budget.saturating_sub(1);
        self.given = true;
    }

    /// Writes down where the session stands now.
    fn finish(self, outcome: Result<End, Stopped>, baseline: i64) -> Result<bool, Stopped> {
        let receiver = self.source.receiver();
        let id = self.overview.conversation.id;
        let kept = match &outcome {
            Ok(End::Live) | Err(Stopped::Ended) => return outcome.map(|_| false),
            Ok(End::Left) => Some(Kept::Left(self.reached)),
            Ok(End::Cut) => Some(Kept::Paused(self.reached)),
            Err(Stopped::Unavailable(_)) => self.given.then_some(Kept::Paused(self.reached)),
        };
        match &self.room {
            Some(room) => room.detach(receiver, kept, self.source.now_s()),
            // The baseline covers a conversation that was left before it.
            None if outcome.is_ok()
                && kept == Some(Kept::Left(self.overview.last_visible()))
                && self.overview.changed_no < baseline =>
            {
                receiver.books().lock().forget(id);
            }
            None => {
                if let Some(kept) = kept {
                    receiver.books().lock().keep(id, kept);
                }
            }
        }
        outcome.map(|end| end == End::Cut)
    }
}
