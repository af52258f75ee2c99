//! The event loop of a chat, between its face and its client.

mod connection;
mod conversation;
mod files;
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

use self::{conversation::Opening, files::Done};
use super::{face::Face, language::Language, participants::Participants, waiting::WaitingList};
use crate::access::Access;

/// The client's capacity, messages. While it is exhausted, a pipe is not read.
const MAX_UNANSWERED: usize = 32;
/// The interval between marks.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// The longest wait for the end of the client.
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

/// One conversation for a human reader, or all of them as JSON.
pub(super) struct Talk {
    caller: Caller,
    client: Client,
    face: Face,
    language: Language,
    me: i64,
    participants: Participants,
    /// Set by a flag, or chosen after the first Sync.
    conversation: Option<i64>,
    conversations: BTreeMap<i64, Conversation>,
    /// Conversations that the user took off their lists, through which entry.
    hidden: BTreeMap<i64, i64>,
    stage: Stage,
    /// Entries that arrived before the conversation was chosen and its participants were known.
    early: VecDeque<Entry>,
    /// The request for older entries.
    older: Option<JoinHandle<Option<HistoryPage>>>,
    /// Uploads and downloads, in the order of their commands.
    files: VecDeque<JoinHandle<Done>>,
    /// The range of entries shown.
    shown: Shown,
    /// Conversations with a notice about new messages.
    announced: HashSet<i64>,
    waiting: WaitingList,
    /// Lines that were typed before the conversation was chosen.
    unaddressed: VecDeque<String>,
    /// Messages of this run that the terminal has echoed; their entries need not be shown.
    echoed: HashSet<String>,
    marked: i64,
    seen: i64,
    link: Link,
    /// The hint about /help and /quit was shown.
    is_greeted: bool,
    leaving: Leaving,
    well: bool,
}

/// The progress of the start.
enum Stage {
    /// The first Sync is not complete.
    Syncing,
    /// The oldest entries and the consult's record are requested; they name the participants.
    Opening(JoinHandle<Opening>),
    /// Entries are shown as they arrive.
    Live,
}

/// The first and the last entry shown; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    first: i64,
    last: i64,
}

/// The state of the connection, and its notices shown so far.
#[derive(Debug, Default)]
struct Link {
    was_synced: bool,
    is_lost: bool,
    /// The reason of the last Bye, until the next complete Sync.
    bye: Option<i32>,
    /// Reasons shown since the connection was lost.
    shown_reasons: HashSet<i32>,
    is_delayed: bool,
    /// Another session of this device has replaced this one.
    is_replaced: bool,
}

/// Whether and when the chat ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// After the last acknowledgement.
    WhenSent,
    /// Now.
    Now,
}

impl Talk {
    /// Connects; the second value is the client's events.
    pub(super) fn start(
        me: Access,
        caller: Caller,
        face: Face,
        conversation: Option<i64>,
        language: Language,
    ) -> (Self, Events) {
        let mut participants = Participants::new(language, face.breaks(), me.user_id);
        participants.know(me.user_id, &me.name);
        let (client, events) = caller.call(Snapshot::default());
        let talk = Self {
            caller,
            client,
            face,
            language,
            me: me.user_id,
            participants,
            conversation,
            conversations: BTreeMap::new(),
            hidden: BTreeMap::new(),
            stage: Stage::Syncing,
            early: VecDeque::new(),
            older: None,
            files: VecDeque::new(),
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

    /// Runs the chat; true when every message is acknowledged.
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
        // A client that has ended already is as good.
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
                done = files::filed(&mut self.files) => self.filed(done),
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
            // A pipe may end before the first Sync is complete: its lines are sent after it.
            Leaving::WhenSent => {
                let is_settled = self.face.shows_waiting() || matches!(self.stage, Stage::Live);
                is_settled && self.waiting.is_empty() && self.unaddressed.is_empty() && self.files.is_empty()
            }
            Leaving::Now => true,
        }
    }

    /// Whether to read input: a terminal always, a pipe while its lines can be sent.
    fn takes_input(&self) -> bool {
        self.face.shows_waiting()
            || (matches!(self.stage, Stage::Live)
                && self.leaving == Leaving::No
                && !self.is_busy()
                && self.waiting.len() < MAX_UNANSWERED)
    }

    /// The texts of unacknowledged messages.
    fn unsent(&self) -> impl Iterator<Item = String> + '_ {
        self.waiting.texts().chain(self.unaddressed.iter().cloned())
    }

    /// Hands messages to the client, up to its capacity.
    async fn hand_over(&mut self) -> anyhow::Result<()> {
        if self.link.is_replaced {
            return Ok(());
        }
        while let Some(message) = self.waiting.next_to_hand_over(MAX_UNANSWERED) {
            // It cannot wait long: the client's capacity exceeds the number handed over. A client that has ended
            // explains it in its last event.
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

    /// Sends the marks of received and read entries.
    async fn mark(&mut self) {
        let Some(conversation) = self.conversation else {
            return;
        };
        if self.seen > self.marked {
            self.marked = self.seen;
            // Marks are cumulative: the next one repairs the loss of this one.
            let _ = self.client.received(conversation, self.seen).await;
            let _ = self.client.read(conversation, self.seen).await;
        }
    }

    /// Shows a line about the chat itself to a human reader.
    fn tell(&mut self, line: &str) {
        if !self.face.is_json() {
            self.show(line);
        }
    }

    fn show(&mut self, line: &str) {
        if !self.face.show(line) {
            // The reader is gone, which ends the chat like the end of input.
            self.leaving = Leaving::WhenSent;
        }
    }
}

/// The next event; pending while another session has replaced this one.
async fn next(events: &mut Events, link: &Link) -> Option<Event> {
    if link.is_replaced {
        return pending().await;
    }
    events.next().await
}

/// The answer of [`conversation::open`]; pending without a request.
async fn opened(stage: &mut Stage) -> Opening {
    match stage {
        Stage::Opening(asked) => asked.await.unwrap_or_default(),
        Stage::Syncing | Stage::Live => pending().await,
    }
}

/// The answer to a request; pending without one.
async fn answered<T>(asked: &mut Option<JoinHandle<Option<T>>>) -> Option<T> {
    let Some(handle) = asked else {
        return pending().await;
    };
    let answer = handle.await.unwrap_or_default();
    *asked = None;
    answer
}
