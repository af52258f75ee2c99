//! The loop between a chat's face and its client.

mod connection;
mod conversation;
mod typed;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    future::pending,
    time::Duration,
};

use anyhow::bail;
use proto::{
    client::{Client, Event, Events, Settings, Snapshot},
    rest::{Rest, RestDirectory},
    wire::{Conversation, Entry, HistoryPage},
};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use self::conversation::Opening;
use super::{face::Face, language::Language, people::People, waiting::WaitingList};
use crate::access::Access;

/// Messages that the client holds at once. A pipe is not read on while so many wait for their acknowledgement.
const MAX_UNANSWERED: usize = 32;
/// How often marks are sent.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How long the client may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How to connect.
pub(super) struct Caller {
    pub(super) rest: Rest,
    pub(super) settings: Settings,
}

impl Caller {
    fn call(&self, snapshot: Snapshot) -> (Client, Events) {
        let directory = RestDirectory::new(self.rest.clone());
        Client::start(directory, self.settings.clone(), snapshot)
    }
}

/// One conversation for a person, or all of them as JSON.
pub(super) struct Talk {
    caller: Caller,
    client: Client,
    face: Face,
    language: Language,
    me: i64,
    people: People,
    /// Given by a flag, or chosen after the first Sync.
    conversation: Option<i64>,
    conversations: BTreeMap<i64, Conversation>,
    stage: Stage,
    /// Entries that came before the conversation was chosen and its people were known.
    early: VecDeque<Entry>,
    /// Older entries that were asked for.
    older: Option<JoinHandle<Option<HistoryPage>>>,
    /// Which entries of the conversation were shown.
    shown: Shown,
    /// Conversations of which it was said that something is new there.
    announced: HashSet<i64>,
    waiting: WaitingList,
    /// Lines that were typed before it was known where they go.
    unaddressed: VecDeque<String>,
    /// Messages of this run whose entries need not be shown, since they stand where they were typed.
    echoed: HashSet<String>,
    marked: i64,
    seen: i64,
    link: Link,
    /// How to leave and to get help was said.
    is_greeted: bool,
    leaving: Leaving,
    well: bool,
}

/// How far the start is.
enum Stage {
    /// Waiting for the first Sync to be complete.
    Syncing,
    /// Waiting for the oldest entries and the consult's record, which say who people are.
    Opening(JoinHandle<Opening>),
    /// Showing what comes.
    Live,
}

/// The first and the last entry that were shown; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    first: i64,
    last: i64,
}

/// The state of the connection, and the notices about it, so that each is shown once.
#[derive(Debug, Default)]
struct Link {
    was_synced: bool,
    is_lost: bool,
    /// The reason of the last Bye, until a Sync is complete.
    bye: Option<i32>,
    /// Reasons that were shown since the connection was lost.
    told: HashSet<i32>,
    is_delayed: bool,
    /// Another session of this device runs instead.
    is_replaced: bool,
}

/// Whether the chat is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// When everything is acknowledged.
    WhenSent,
    /// Now.
    Now,
}

impl Talk {
    /// Connects, and gives what the client tells beside.
    pub(super) fn start(
        me: Access,
        caller: Caller,
        face: Face,
        conversation: Option<i64>,
        language: Language,
    ) -> (Self, Events) {
        let mut people = People::new(language, face.breaks(), me.user_id);
        people.know(me.user_id, &me.name);
        let (client, events) = caller.call(Snapshot::default());
        let talk = Self {
            caller,
            client,
            face,
            language,
            me: me.user_id,
            people,
            conversation,
            conversations: BTreeMap::new(),
            stage: Stage::Syncing,
            early: VecDeque::new(),
            older: None,
            shown: Shown::default(),
            announced: HashSet::new(),
            waiting: WaitingList::default(),
            unaddressed: VecDeque::new(),
            echoed: HashSet::new(),
            marked: 0,
            seen: 0,
            link: Link::default(),
            is_greeted: false,
            leaving: Leaving::No,
            well: true,
        };
        (talk, events)
    }

    /// Talks; true when everything that was to be sent is acknowledged.
    pub(super) async fn run(mut self, mut events: Events) -> anyhow::Result<bool> {
        let ended = self.until_the_end(&mut events).await;
        let unsent: Vec<String> = self.unsent().collect();
        if self.face.is_interactive() {
            for text in &unsent {
                let line = self.language.unsent(text);
                self.show(&line);
            }
        }
        ended?;
        // Ended already is ended as well.
        let _ = self.client.close().await;
        let rest = async {
            while let Some(event) = events.next().await {
                if !matches!(event, Event::Disconnected { .. }) {
                    self.hear(event)?;
                }
            }
            anyhow::Ok(())
        };
        if let Ok(heard) = timeout(CLOSE_TIMEOUT, rest).await {
            heard?;
        }
        Ok(self.well && unsent.is_empty())
    }

    async fn until_the_end(&mut self, events: &mut Events) -> anyhow::Result<()> {
        let mut marks = interval(MARK_EVERY);
        marks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.is_over() {
                self.mark().await;
                return Ok(());
            }
            let takes_input = self.takes_input();
            tokio::select! {
                event = next(events, &self.link) => match event {
                    Some(event) => self.hear(event)?,
                    None => bail!(self.language.unanswered(self.unsent().count())),
                },
                opening = opened(&mut self.stage) => self.opened(opening),
                page = answered(&mut self.older) => self.older_came(page),
                came = self.face.next(), if takes_input => self.came(came, events),
                _ = marks.tick() => self.mark().await,
            }
            self.hand_over().await?;
            self.show_waiting();
        }
    }

    fn is_over(&self) -> bool {
        match self.leaving {
            Leaving::No => false,
            // A pipe may end before the first Sync is complete: what it brought is read and sent after it.
            Leaving::WhenSent => {
                let is_settled = self.face.shows_waiting() || matches!(self.stage, Stage::Live);
                is_settled && self.waiting.is_empty() && self.unaddressed.is_empty()
            }
            Leaving::Now => true,
        }
    }

    /// A person is heard at any time; a pipe is read when its lines can be sent.
    fn takes_input(&self) -> bool {
        self.face.shows_waiting()
            || (matches!(self.stage, Stage::Live)
                && self.leaving == Leaving::No
                && self.waiting.len() < MAX_UNANSWERED)
    }

    /// The texts of messages that are not acknowledged.
    fn unsent(&self) -> impl Iterator<Item = String> + '_ {
        self.waiting.texts().chain(self.unaddressed.iter().cloned())
    }

    /// Gives the client what it may hold.
    async fn hand_over(&mut self) -> anyhow::Result<()> {
        if self.link.is_replaced {
            return Ok(());
        }
        while let Some(message) = self.waiting.next_to_hand_over(MAX_UNANSWERED) {
            // Cannot wait long: the client holds more unanswered messages than it is given here. One that has ended
            // says why in its last event.
            if self.client.send_message(message).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn show_waiting(&mut self) {
        if self.face.shows_waiting() {
            let language = self.language;
            let waiting = self.unsent().map(|text| language.waiting(&text)).collect();
            self.face.set_waiting(waiting);
        }
    }

    /// Sends the marks of what was received and read.
    async fn mark(&mut self) {
        let Some(conversation) = self.conversation else {
            return;
        };
        if self.seen > self.marked {
            self.marked = self.seen;
            // Marks are cumulative: the next one makes up for one that is lost with a connection.
            let _ = self.client.received(conversation, self.seen).await;
            let _ = self.client.read(conversation, self.seen).await;
        }
    }

    /// A line about the chat itself, where people read.
    fn tell(&mut self, line: &str) {
        if !self.face.is_json() {
            self.show(line);
        }
    }

    fn show(&mut self, line: &str) {
        if !self.face.show(line) {
            // The reader is gone: as good as the end of input.
            self.leaving = Leaving::WhenSent;
        }
    }
}

/// The next event; never while another session took this one's place.
async fn next(events: &mut Events, link: &Link) -> Option<Event> {
    if link.is_replaced {
        return pending().await;
    }
    events.next().await
}

/// The answer of [`conversation::open`]; never when it was not asked.
async fn opened(stage: &mut Stage) -> Opening {
    match stage {
        Stage::Opening(asked) => asked.await.unwrap_or_default(),
        Stage::Syncing | Stage::Live => pending().await,
    }
}

/// The answer to a question; never when none was asked.
async fn answered<T>(asked: &mut Option<JoinHandle<Option<T>>>) -> Option<T> {
    let Some(handle) = asked else {
        return pending().await;
    };
    let answer = handle.await.unwrap_or_default();
    *asked = None;
    answer
}
