//! The simulated world as a session's task sees it.

use std::{collections::BTreeMap, sync::Arc, task::Poll};

use journal::{
    hidden::Hidden,
    history::Feed,
    overview::{Overview, Page},
};
use proto::{ConversationId, Seq};

use super::{
    World,
    record::Record,
    session::{Frame, SimSession},
};
use crate::delivery::{
    Receiver,
    feed::source::{Notes, OpenRooms, Source, Stopped},
    room::Room,
};

/// Yields once.
async fn step() {
    let mut yielded = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

pub(super) struct SimSource {
    pub(super) world: Arc<World>,
    pub(super) session: SimSession,
}

impl SimSource {
    /// A read of the journal: anything may happen before and after it.
    async fn look<T>(&self, read: impl FnOnce(&BTreeMap<i64, Record>) -> T) -> Result<T, Stopped> {
        step().await;
        self.world.fails()?;
        let seen = read(&self.world.records.lock());
        step().await;
        Ok(seen)
    }

    fn user(&self) -> i64 {
        self.session.user().get()
    }
}

impl Source for SimSource {
    type Receiver = SimSession;

    fn receiver(&self) -> &SimSession {
        &self.session
    }

    fn now_s(&self) -> u32 {
        0
    }

    async fn overviews(&self, before: ConversationId, from: ConversationId) -> Result<Page, Stopped> {
        /// Conversations in a page.
        const PAGE: usize = 2;
        let user = self.user();
        let found: Vec<Overview> = self
            .look(|records| {
                let range = records.range(from.get()..before.get()).rev();
                range
                    .filter_map(|(id, record)| record.overview(*id, user))
                    .take(PAGE)
                    .collect()
            })
            .await?;
        let end = found.last().map(|overview| overview.conversation.id);
        let away = self.world.away.lock();
        let (missing, overviews): (Vec<Overview>, Vec<Overview>) = found
            .into_iter()
            .partition(|overview| away.contains(&overview.conversation.id.get()));
        Ok(Page {
            overviews,
            missing: missing
                .into_iter()
                .map(|overview| overview.conversation.id)
                .collect(),
            end,
        })
    }

    async fn overview(&self, id: ConversationId) -> Result<Option<Overview>, Stopped> {
        let user = self.user();
        self.world.reaches(id)?;
        self.look(|records| records.get(&id.get())?.overview(id.get(), user))
            .await
    }

    fn room(&self, id: ConversationId) -> Option<Arc<Room<SimSession>>> {
        self.world.rooms.lock().get(&id.get()).cloned()
    }

    async fn open(&self, overviews: &[Overview]) -> Result<OpenRooms<SimSession>, Stopped> {
        let mut rooms = Vec::new();
        let mut new = Vec::new();
        for overview in overviews {
            let conversation = &overview.conversation;
            let id = conversation.id.get();
            if !overview.is_in() {
                rooms.push(None);
                continue;
            }
            step().await;
            let mut open = self.world.rooms.lock();
            let room = open.entry(id).or_insert_with(|| {
                new.push(id);
                Arc::new(Room::new(conversation.id, conversation.last_seq))
            });
            rooms.push(Some(room.clone()));
        }
        for id in new {
            let last_seq = self.look(|records| records[&id].last_seq()).await?;
            if let Some(room) = self.room(ConversationId::from_database(id)) {
                room.exists(Seq::from_database(last_seq));
            }
        }
        Ok(rooms)
    }

    async fn feed(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Feed, Stopped> {
        let user = self.user();
        self.world.reaches(id)?;
        self.look(|records| records[&id.get()].feed(user, after.get(), limit, id.get()))
            .await
    }

    async fn announce(&self, overview: &Overview, notes: Notes) -> Result<(), Stopped> {
        self.look(|_| ()).await?;
        self.has_capacity().await?;
        let mut socket = self.session.inner.socket.lock();
        socket.capacity -= 1;
        socket.frames.push_back(Frame::Conversation {
            id: overview.conversation.id.get(),
            reset: notes.reset,
            from_seq: notes.from_seq.get(),
            last_seq: overview.last_visible().get(),
        });
        Ok(())
    }

    async fn hidden(&self, _: ConversationId, _: ConversationId, _: i64) -> Result<Vec<Hidden>, Stopped> {
        Ok(Vec::new())
    }

    async fn tell(&self, _: Hidden) -> Result<(), Stopped> {
        Ok(())
    }

    async fn has_capacity(&self) -> Result<(), Stopped> {
        loop {
            if self.session.has_ended() {
                return Err(Stopped::Ended);
            }
            if self.session.has_capacity() {
                return Ok(());
            }
            step().await;
        }
    }

    async fn is_drained(&self) -> Result<(), Stopped> {
        self.has_capacity().await
    }
}
