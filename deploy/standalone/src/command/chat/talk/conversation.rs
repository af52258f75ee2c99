//! The conversation on display: its choice, its participants and its entries.

use anyhow::bail;
use proto::{
    client::Client,
    rest::Rest,
    wire::{
        Conversation, ConversationKind, Entry, EntryKind, History, HistoryPage, Participant, client_frame,
        entry, server_frame,
    },
};

use super::{Shown, Stage, Talk};
use crate::command::chat::SHOWN_AT_START;

/// The number of entries that `/history` shows.
const OLDER_ENTRIES: u32 = 20;

/// The beginning of a conversation. Missing parts are empty; users without names are shown by their ids.
#[derive(Default)]
pub(super) struct Opening {
    /// The oldest entries, which name those who joined.
    oldest: Vec<Entry>,
    /// The newest entries, unless Sync has delivered them.
    newest: Vec<Entry>,
    /// The patient of a consult: a later participant sees no entry with their name.
    patient: Option<(i64, String)>,
}

/// The source of a conversation's newest entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    /// Sync has just delivered them.
    Synced,
    /// History must be requested.
    Asked,
}

impl Talk {
    /// Chooses the conversation, after the first Sync.
    pub(super) fn choose(&mut self) -> anyhow::Result<()> {
        let chosen = match self.conversation {
            Some(id) if self.conversations.contains_key(&id) => Some(id),
            Some(id) => bail!(self.language.not_yours(id, &self.known())),
            None => self
                .conversations
                .values()
                .find(|conversation| conversation.kind() == ConversationKind::Consult && conversation.open)
                .map(|conversation| conversation.conversation_id),
        };
        match chosen {
            Some(id) => self.begin(id, Newest::Synced),
            // A program names the conversation in each message.
            None if self.face.is_json() => self.stage = Stage::Live,
            None => bail!(self.language.no_conversation(&self.known())),
        }
        Ok(())
    }

    pub(super) fn known(&self) -> Vec<i64> {
        self.conversations.keys().copied().collect()
    }

    /// Switches to another conversation.
    pub(super) fn go_to(&mut self, id: i64) {
        if !self.conversations.contains_key(&id) {
            let line = self.language.not_yours(id, &self.known());
            return self.tell(&line);
        }
        self.early.clear();
        self.older = None;
        self.begin(id, Newest::Asked);
    }

    /// Requests a conversation's beginning, which names its participants.
    fn begin(&mut self, id: i64, newest: Newest) {
        self.conversation = Some(id);
        self.announced.remove(&id);
        self.shown = Shown::default();
        let (last_seq, consult) = self.conversations.get(&id).map_or((0, 0), |conversation| {
            (conversation.last_seq, conversation.consultation_id)
        });
        // Entries of the Sync count as seen; later ones are counted as they arrive.
        self.seen = last_seq;
        self.marked = 0;
        let opening = open(self.client.clone(), self.caller.rest.clone(), id, consult, newest);
        self.stage = Stage::Opening(tokio::spawn(opening));
    }

    /// Shows the conversation: its beginning has arrived, or cannot be fetched.
    pub(super) fn opened(&mut self, opening: Opening) {
        for entry in &opening.oldest {
            self.participants.know_if_new(entry);
        }
        if let Some((id, name)) = opening.patient {
            self.participants.know(id, &name);
        }
        self.stage = Stage::Live;
        if !self.face.is_json() {
            if let Some(conversation) = self.conversation.and_then(|id| self.conversations.get(&id)) {
                let heading = self.participants.heading(conversation);
                let deadline = self.participants.next_deadline(conversation);
                self.show(&heading);
                if let Some(deadline) = deadline {
                    self.show(&deadline);
                }
            }
            if !self.is_greeted && self.face.shows_waiting() {
                self.is_greeted = true;
                self.tell(&self.language.hint());
            }
            for entry in opening.newest {
                self.entry(entry);
            }
            for entry in std::mem::take(&mut self.early) {
                self.entry(entry);
            }
        }
        for text in std::mem::take(&mut self.unaddressed) {
            self.say(&text);
        }
    }

    pub(super) fn entry(&mut self, entry: Entry) {
        self.participants.know_from(&entry);
        self.move_participant(&entry);
        // protocol: "An entry beyond through_seq brings the conversation back"
        let hidden = self.hidden.get(&entry.conversation_id);
        if hidden.is_some_and(|through| entry.seq > *through) {
            self.hidden.remove(&entry.conversation_id);
        }
        let is_here = self.conversation == Some(entry.conversation_id);
        if self.face.is_json() {
            if is_here {
                self.seen = self.seen.max(entry.seq);
            }
            return;
        }
        if !matches!(self.stage, Stage::Live) {
            if is_here || self.conversation.is_none() {
                self.early.push_back(entry);
            }
            return;
        }
        if !is_here {
            return self.announce(&entry);
        }
        // A requested entry may have been delivered, too.
        if entry.seq <= self.shown.last {
            return;
        }
        self.seen = self.seen.max(entry.seq);
        self.shown.last = entry.seq;
        if self.shown.first == 0 {
            self.shown.first = entry.seq;
        }
        if self.echoed.remove(&entry.client_msg_id) {
            return;
        }
        if entry.sender_id == self.me {
            self.waiting.shown(&entry.client_msg_id);
            // It leaves the live rows before it appears above them.
            self.show_waiting();
        }
        let line = self.participants.line(&entry);
        self.show(&line);
    }

    /// Shows one notice for each other conversation with new messages.
    fn announce(&mut self, entry: &Entry) {
        let id = entry.conversation_id;
        let is_news = entry.kind() == EntryKind::Message && entry.sender_id != self.me;
        if !is_news || !self.face.is_interactive() || !self.announced.insert(id) {
            return;
        }
        let title = match self.conversations.get(&id) {
            Some(conversation) => self.participants.title(conversation),
            None => String::new(),
        };
        let line = self.language.news(id, &title);
        self.tell(&line);
    }

    /// Updates the participants of a conversation.
    fn move_participant(&mut self, entry: &Entry) {
        let Some(conversation) = self.conversations.get_mut(&entry.conversation_id) else {
            return;
        };
        match &entry.event {
            Some(entry::Event::Participant(moved)) => {
                let participants = &mut conversation.participants;
                participants.retain(|participant| participant.user_id != moved.user_id);
                if entry.kind() == EntryKind::ParticipantJoined {
                    participants.push(Participant {
                        user_id: moved.user_id,
                        role: moved.role,
                        name: moved.name.clone(),
                        title: moved.title.clone(),
                        ..Participant::default()
                    });
                }
            }
            Some(entry::Event::Status(status)) => conversation.open = status.open,
            _ => {}
        }
    }

    /// Requests the entries before those shown.
    pub(super) fn ask_for_older(&mut self) {
        let Some(conversation_id) = self.conversation.filter(|_| matches!(self.stage, Stage::Live)) else {
            return;
        };
        if self.older.is_some() {
            return;
        }
        let before_seq = if self.shown.first > 0 {
            self.shown.first
        } else {
            self.seen + 1
        };
        let question = History {
            conversation_id,
            before_seq,
            after_seq: 0,
            limit: OLDER_ENTRIES,
        };
        self.older = Some(tokio::spawn(ask(self.client.clone(), question)));
    }

    pub(super) fn older_came(&mut self, page: Option<HistoryPage>) {
        let Some(page) = page.filter(|page| self.conversation == Some(page.conversation_id)) else {
            return self.tell(&self.language.needs_connection());
        };
        let Some(first) = page.entries.first() else {
            return self.tell(&self.language.nothing_older());
        };
        self.shown.first = first.seq;
        self.tell(&self.language.older());
        for entry in &page.entries {
            self.participants.know_if_new(entry);
            let line = self.participants.line(entry);
            self.tell(&line);
        }
        self.tell(&self.language.up_to_here());
    }

    /// Lists the present participants.
    pub(super) fn who(&mut self) {
        let Some(conversation) = self.conversation.and_then(|id| self.conversations.get(&id)) else {
            return;
        };
        let id = conversation.conversation_id;
        let name = |participant: &Participant| {
            let name = self.participants.titled(id, participant.user_id);
            if participant.user_id == self.me {
                name + &self.language.yourself()
            } else {
                name
            }
        };
        let lines: Vec<String> = conversation.participants.iter().map(name).collect();
        self.tell(&lines.join("\n"));
    }

    // protocol: "Leave the conversation off your lists while its newest entry is not beyond through_seq"
    fn is_hidden(&self, conversation: &Conversation) -> bool {
        let through = self.hidden.get(&conversation.conversation_id);
        through.is_some_and(|through| conversation.last_seq <= *through)
    }

    pub(super) fn list(&mut self) {
        let listed = |conversation: &Conversation| {
            let title = self.participants.title(conversation);
            self.language.listed(conversation, &title)
        };
        let shown = self.conversations.values().filter(|one| !self.is_hidden(one));
        let lines: Vec<String> = shown.map(listed).collect();
        self.tell(&lines.join("\n"));
    }
}

/// Requests the entries and the record that name the participants, and the newest entries unless they are at hand.
async fn open(client: Client, rest: Rest, conversation_id: i64, consult: i64, newest: Newest) -> Opening {
    let page = |before_seq: i64| History {
        conversation_id,
        before_seq,
        after_seq: 0,
        limit: SHOWN_AT_START,
    };
    let entries = |page: Option<HistoryPage>| page.map(|page| page.entries).unwrap_or_default();
    let oldest = entries(ask(client.clone(), page(i64::from(SHOWN_AT_START) + 1)).await);
    let newest = match newest {
        Newest::Synced => Vec::new(),
        Newest::Asked => entries(ask(client, page(proto::ids::MAX_ID)).await),
    };
    let record = match consult {
        0 => None,
        consult => rest.get(&format!("/consult/{consult}")).await.ok(),
    };
    let patient = record.and_then(|record| {
        let name = record["creator_member_name"].as_str()?.to_owned();
        Some((record["creator_member_id"].as_i64()?, name))
    });
    Opening {
        oldest,
        newest,
        patient,
    }
}

/// A page of entries; empty without a connection.
pub(super) async fn ask(client: Client, question: History) -> Option<HistoryPage> {
    match client.ask(client_frame::Body::History(question)).await {
        Ok(server_frame::Body::HistoryPage(page)) => Some(page),
        _ => None,
    }
}
