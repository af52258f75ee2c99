//! The loop between somebody's terminal and their client.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    future::pending,
    io::IsTerminal,
    time::Duration,
};

use anyhow::bail;
use proto::{
    client::{Client, Event, Events},
    wire::{Conversation, ConversationKind, Entry, History, client_frame, server_frame},
};
use serde_json::json;
use tokio::{
    sync::mpsc::Receiver,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    SHOWN_AT_START, json,
    language::Language,
    screen::{Screen, print},
};
use crate::{access::Access, rest::Rest};

/// Messages that may wait for their acknowledgement before more lines are read.
const MAX_UNANSWERED: usize = 32;
/// How often marks are sent.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How long the client may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// One conversation on a terminal, or all of them as JSON.
pub(super) struct Talk {
    client: Client,
    rest: Rest,
    /// Given by a flag, or chosen after the first Sync.
    conversation: Option<i64>,
    json: bool,
    /// Somebody sees what they type, so their own messages need only a tick.
    echoes: bool,
    language: Language,
    screen: Screen,
    conversations: BTreeMap<i64, Conversation>,
    /// Entries that came before the conversation was chosen and its people were known.
    early: VecDeque<Entry>,
    stage: Stage,
    unanswered: HashSet<String>,
    /// The names of messages that this run sent.
    mine: HashSet<String>,
    marked: i64,
    seen: i64,
    was_connected: bool,
    input_ended: bool,
    well: bool,
}

/// How far the start is.
enum Stage {
    /// Waiting for the first Sync to be complete.
    Syncing,
    /// Waiting for the oldest entries and the consult's record, which say who people are.
    Naming(JoinHandle<Beginning>),
    /// Showing what comes.
    Live,
}

/// Where names stand; what cannot be had is empty, and people without names have ids.
#[derive(Default)]
struct Beginning {
    entries: Vec<Entry>,
    /// Of the patient: one who came in later sees no entry with their name.
    patient: Option<(i64, String)>,
}

impl Talk {
    pub(super) fn new(
        me: Access,
        client: Client,
        rest: Rest,
        conversation: Option<i64>,
        json: bool,
        language: Language,
    ) -> Self {
        let mut screen = Screen::new(language);
        screen.know(me.user_id, &me.name);
        Self {
            client,
            rest,
            conversation,
            json,
            echoes: !json && std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            language,
            screen,
            conversations: BTreeMap::new(),
            early: VecDeque::new(),
            stage: Stage::Syncing,
            unanswered: HashSet::new(),
            mine: HashSet::new(),
            marked: 0,
            seen: 0,
            was_connected: false,
            input_ended: false,
            well: true,
        }
    }

    /// Talks; true when everything that was to be sent is acknowledged.
    pub(super) async fn run(
        mut self,
        mut events: Events,
        mut lines: Receiver<String>,
    ) -> anyhow::Result<bool> {
        let mut marks = interval(MARK_EVERY);
        marks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.input_ended && matches!(self.stage, Stage::Live) && self.unanswered.is_empty() {
                self.mark().await;
                break;
            }
            let takes_lines = matches!(self.stage, Stage::Live)
                && !self.input_ended
                && self.unanswered.len() < MAX_UNANSWERED;
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.hear(event)?,
                    None => bail!(self.language.unanswered(self.unanswered.len())),
                },
                names = named(&mut self.stage) => self.name(names),
                line = lines.recv(), if takes_lines => match line {
                    Some(line) => self.say(&line).await?,
                    None => self.input_ended = true,
                },
                _ = marks.tick() => self.mark().await,
            }
        }
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
        Ok(self.well)
    }

    /// An event of the client.
    fn hear(&mut self, event: Event) -> anyhow::Result<()> {
        if self.json {
            self.show(&json::event(&event).to_string());
        }
        match event {
            Event::Connected { .. } => {
                if self.was_connected {
                    self.tell(&self.language.connected_again());
                }
                self.was_connected = true;
            }
            Event::Synced { .. } => self.synced()?,
            Event::Conversation(conversation) => {
                self.screen.know_roles(&conversation);
                self.conversations
                    .insert(conversation.conversation_id, *conversation);
            }
            Event::Entry(entry) => self.entry(*entry),
            Event::Sent {
                client_msg_id, seq, ..
            } => {
                if self.unanswered.remove(&client_msg_id) && !self.json {
                    self.show(&format!("✓ {seq}"));
                }
            }
            Event::SendFailed {
                client_msg_id, error, ..
            } => {
                self.unanswered.remove(&client_msg_id);
                self.well = false;
                self.tell(&self.language.refused(&error.message));
            }
            Event::Bye {
                reason,
                advice,
                detail,
            } => self.tell(&self.language.bye(reason, advice, &detail)),
            Event::Disconnected {
                cause,
                retry_in: Some(wait),
            } => self.tell(&self.language.disconnected(&cause, wait)),
            Event::Disconnected {
                cause,
                retry_in: None,
            } => bail!(self.language.gone(&cause)),
            Event::Marks(_) | Event::Typing(_) | Event::CallSignal(_) => {}
        }
        Ok(())
    }

    /// The first Sync is complete: choose the conversation, and ask for its beginning, which says who is who.
    fn synced(&mut self) -> anyhow::Result<()> {
        if !matches!(self.stage, Stage::Syncing) {
            return Ok(());
        }
        let known: Vec<i64> = self.conversations.keys().copied().collect();
        let chosen = match self.conversation {
            Some(id) if self.conversations.contains_key(&id) => Some(id),
            Some(id) => bail!(self.language.not_yours(id, &known)),
            None => self
                .conversations
                .values()
                .find(|conversation| conversation.kind() == ConversationKind::Consult && conversation.open)
                .map(|conversation| conversation.conversation_id),
        };
        self.conversation = chosen;
        let Some(id) = chosen else {
            // Somebody who scripts it may name a conversation in each message.
            if !self.json {
                bail!(self.language.no_conversation(&known));
            }
            self.stage = Stage::Live;
            return Ok(());
        };
        // What Sync brought counts as seen; what comes from now on is counted as it comes.
        self.seen = self
            .conversations
            .get(&id)
            .map_or(0, |conversation| conversation.last_seq);
        let consult = self
            .conversations
            .get(&id)
            .map_or(0, |conversation| conversation.consultation_id);
        let beginning = beginning(self.client.clone(), self.rest.clone(), id, consult);
        self.stage = Stage::Naming(tokio::spawn(beginning));
        Ok(())
    }

    /// The beginning of the conversation is here, or cannot be had.
    fn name(&mut self, beginning: Beginning) {
        for entry in &beginning.entries {
            self.screen.know_from(entry);
        }
        if let Some((id, name)) = beginning.patient {
            self.screen.know(id, &name);
        }
        self.stage = Stage::Live;
        if self.json {
            return;
        }
        if let Some(conversation) = self.conversation.and_then(|id| self.conversations.get(&id)) {
            self.show(&self.screen.title(conversation));
        }
        for entry in std::mem::take(&mut self.early) {
            self.entry(entry);
        }
    }

    fn entry(&mut self, entry: Entry) {
        self.screen.know_from(&entry);
        if self.json {
            if self.conversation == Some(entry.conversation_id) {
                self.seen = self.seen.max(entry.seq);
            }
            return;
        }
        if !matches!(self.stage, Stage::Live) {
            if self.conversation.is_none_or(|id| id == entry.conversation_id) {
                self.early.push_back(entry);
            }
            return;
        }
        if self.conversation != Some(entry.conversation_id) {
            return;
        }
        self.seen = self.seen.max(entry.seq);
        if self.echoes && self.mine.remove(&entry.client_msg_id) {
            return;
        }
        self.show(&self.screen.line(&entry));
    }

    /// A line that was typed.
    async fn say(&mut self, line: &str) -> anyhow::Result<()> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let message = if self.json {
            json::message(line, self.conversation, new_id)
        } else {
            // What somebody types is what they mean, braces or not.
            let text = json!({ "text": line }).to_string();
            json::message(&text, self.conversation, new_id)
        };
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                self.well = false;
                self.show(
                    &json!({"event": "input_error", "line": line, "message": format!("{error:#}")})
                        .to_string(),
                );
                return Ok(());
            }
        };
        self.unanswered.insert(message.client_msg_id.clone());
        if self.echoes {
            self.mine.insert(message.client_msg_id.clone());
        }
        // Cannot wait long: the client holds more unanswered messages than this loop lets be.
        if self.client.send_message(message).await.is_err() {
            bail!(self.language.unanswered(self.unanswered.len()));
        }
        Ok(())
    }

    /// Tells how far somebody has read.
    async fn mark(&mut self) {
        let Some(conversation) = self.conversation else {
            return;
        };
        if self.seen > self.marked {
            self.marked = self.seen;
            // Marks are cumulative: what is lost with a connection is told by the next one.
            let _ = self.client.received(conversation, self.seen).await;
            let _ = self.client.read(conversation, self.seen).await;
        }
    }

    /// A line about the connection, where people read.
    fn tell(&mut self, line: &str) {
        if !self.json {
            self.show(line);
        }
    }

    fn show(&mut self, line: &str) {
        if !print(line) {
            // Nobody reads: as good as the end of input.
            self.input_ended = true;
        }
    }
}

/// Asks for what says who people are.
async fn beginning(client: Client, rest: Rest, conversation_id: i64, consult: i64) -> Beginning {
    let oldest = client_frame::Body::History(History {
        conversation_id,
        before_seq: i64::from(SHOWN_AT_START) + 1,
        after_seq: 0,
        limit: SHOWN_AT_START,
    });
    let entries = match client.ask(oldest).await {
        Ok(server_frame::Body::HistoryPage(page)) => page.entries,
        _ => Vec::new(),
    };
    let record = match consult {
        0 => None,
        consult => rest.get(&format!("/consult/{consult}")).await.ok(),
    };
    let patient = record.and_then(|record| {
        let name = record["creator_member_name"].as_str()?.to_owned();
        Some((record["creator_member_id"].as_i64()?, name))
    });
    Beginning { entries, patient }
}

/// What [`beginning`] found; never when it was not asked.
async fn named(stage: &mut Stage) -> Beginning {
    match stage {
        Stage::Naming(asked) => asked.await.unwrap_or_default(),
        Stage::Syncing | Stage::Live => pending().await,
    }
}

fn new_id() -> String {
    // 128 random bits: unique without asking anybody.
    format!("{:032x}", rand::random::<u128>())
}
