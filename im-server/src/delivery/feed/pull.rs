//! A session pulling one conversation, page by page.

use std::sync::Arc;

use journal::{
    Published,
    history::{Feed, spans::reveal_since},
    overview::Overview,
};
use proto::Seq;

use super::source::{Notes, Source, Stopped};
use crate::delivery::{Pushed, Receiver, books::Kept, member::Attempt, room::Room};

/// Entries of the first page; later pages grow while they fit, so that no page of large bodies is read in vain.
const FIRST_PAGE: usize = 16;
const LARGEST_PAGE: usize = 128;

pub(super) struct Pull<'s, S: Source> {
    pub(super) source: &'s S,
    pub(super) overview: &'s Overview,
    pub(super) room: Option<Arc<Room<S::Receiver>>>,
    pub(super) reached: Seq,
    /// Entries that may still be sent.
    pub(super) budget: usize,
    /// The session knows the conversation: it was announced, or entries of it were delivered.
    pub(super) is_known: bool,
    /// A Sync pulls: what it does not send, the next one does.
    pub(super) syncs: bool,
}

/// How pulling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The room pushes from here on.
    Live,
    /// The user has left, and has everything.
    Left,
    /// The limit was reached.
    Cut,
}

/// The sent part of a page.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    All,
    /// This many of its entries.
    Some(usize),
    /// None: the first one is as large as the outbox, which must be empty for it.
    None,
}

impl<S: Source> Pull<'_, S> {
    /// Announces the conversation if `notes` say so, then sends pages.
    pub(super) async fn run(&mut self, notes: Option<Notes>) -> Result<End, Stopped> {
        if let Some(notes) = notes {
            self.source.announce(self.overview, notes).await?;
            self.is_known = true;
        }
        let mut page = FIRST_PAGE;
        // A room may be behind the overview, and the Sync promises what the overview saw. An overview older than the
        // position may not know that the user has left.
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
                self.source.has_capacity().await?;
                let id = self.overview.conversation.id;
                let feed = self.source.feed(id, self.reached, page.min(self.budget)).await?;
                if self.is_revealed(&feed) {
                    return Ok(self.look_again());
                }
                let sent = self.send(&feed)?;
                page = match &sent {
                    Sent::All => (page * 2).min(LARGEST_PAGE),
                    Sent::Some(count) => *count,
                    Sent::None => 1,
                };
                if sent == Sent::None {
                    // It is read again: a session that does not read must not hold a page.
                    drop(feed);
                    self.source.is_drained().await?;
                    continue;
                }
                if sent != Sent::All || feed.has_more {
                    continue;
                }
                self.reached = feed.through;
                // A user who has come back after this overview has a notice that waits for this task.
                if feed.has_left || self.room.is_none() {
                    return Ok(End::Left);
                }
                break;
            }
        }
    }

    /// Whether the user left and came back since the overview, and is shown entries behind the position: the app must drop
    /// its copy before more comes.
    fn is_revealed(&self, feed: &Feed) -> bool {
        reveal_since(&feed.spans, self.overview.spans.len(), self.reached)
    }

    /// Ends where the user left, as far as this session knows; another look announces the rest.
    fn look_again(&self) -> End {
        if self.syncs {
            return End::Cut;
        }
        self.source.receiver().feed(self.overview.conversation.id);
        End::Left
    }

    /// The end, if the session has everything according to the overview or to the last page.
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

    /// Sends the entries of a page that fit. The others are dropped and read again: a session that does not read must
    /// not hold a page.
    fn send(&mut self, feed: &Feed) -> Result<Sent, Stopped> {
        let receiver = self.source.receiver();
        let mut sent = Sent::All;
        for (at, entry) in feed.entries.iter().enumerate() {
            let frame = Published::new(entry.clone()).frame();
            match receiver.queue(&frame) {
                Pushed::Taken => self.delivered(entry.seq),
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

    fn delivered(&mut self, seq: Seq) {
        self.reached = seq;
        self.budget = self.budget.saturating_sub(1);
        self.is_known = true;
    }

    /// Records the position.
    pub(super) fn finish(self, outcome: Result<End, Stopped>, baseline: i64) -> Result<bool, Stopped> {
        let receiver = self.source.receiver();
        let id = self.overview.conversation.id;
        let kept = match &outcome {
            Ok(End::Live) | Err(Stopped::Ended) => return outcome.map(|_| false),
            Ok(End::Left) => Some(Kept::Left(self.reached)),
            Ok(End::Cut) => Some(Kept::Paused(self.reached)),
            Err(Stopped::Unavailable(_) | Stopped::Partly) => {
                self.is_known.then_some(Kept::Paused(self.reached))
            }
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
