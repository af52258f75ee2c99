//! Doctors who are brought into conversations and taken out again, all the while: what they get is exactly the entries
//! of their spans of participation (invariant I5).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::client::{Client, Directory, Event, Events, Snapshot};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Notes;
use super::audit::Record;
use super::device::settings;
use super::history::Who;
use super::spans::{Spans, Visit, Wrong};
use crate::generator::schedule::Chance;
use crate::world::User;
use crate::world::rest::{CallError, Rest};

/// The pause between two changes, over all visitors.
const CHANGE_EVERY: Duration = Duration::from_millis(150);

/// One visitor of one conversation.
pub(super) struct Visitor {
    /// Its client; it ends when this is dropped.
    pub(super) client: Client,
    who: Who,
    visit: Arc<Mutex<Visit>>,
    assistant_token: String,
}

impl Visitor {
    /// Starts the visitor's client. The visitor is in no conversation yet.
    pub(super) fn start(
        directory: impl Directory,
        user: &User,
        who: Who,
        assistant: &User,
        notes: Arc<Notes>,
    ) -> Self {
        let (client, events) = Client::start(directory, settings(user), Snapshot::default());
        let visit = Arc::new(Mutex::new(Visit::default()));
        tokio::spawn(listen(events, who, visit.clone(), notes));
        Self {
            client,
            who,
            visit,
            assistant_token: assistant.access_token.clone(),
        }
    }

    /// What is wrong with what this visitor got so far, and how many spans it had.
    pub(super) fn judge(&self, journal: &[Record]) -> (Wrong, usize) {
        let spans = Spans::of(self.who.user_id, journal);
        let visit = self.visit.lock().unwrap_or_else(PoisonError::into_inner);
        (visit.judge(&spans, journal), spans.len())
    }

    /// Which conversation it visits, by its place.
    pub(super) fn conversation(&self) -> usize {
        self.who.conversation
    }

    /// Brings it in or takes it out; gives whether it is in now, if that is known.
    async fn change(&self, rest: &Rest, is_in: bool) -> Result<bool, CallError> {
        let doctors = format!("/consult/{}/doctor", self.who.conversation_id);
        let outcome: Result<Value, CallError> = if is_in {
            let path = format!("{doctors}/{}", self.who.user_id);
            rest.call(Method::DELETE, &path, &self.assistant_token, None)
                .await
        } else {
            let body = json!({"doctor_id": self.who.user_id});
            rest.call(Method::POST, &doctors, &self.assistant_token, Some(body))
                .await
        };
        match outcome {
            Ok(_) => Ok(!is_in),
            // An earlier call had done it, and its answer was lost.
            Err(CallError::Refused {
                status: StatusCode::CONFLICT | StatusCode::NOT_FOUND,
                ..
            }) => Ok(!is_in),
            Err(error) => Err(error),
        }
    }
}

/// Lets visitors come and go until `ended`; gives how many changes were made.
pub(super) async fn come_and_go(
    visitors: Arc<Vec<Visitor>>,
    rest: Rest,
    seed: u64,
    ended: Arc<AtomicBool>,
) -> u64 {
    let mut chance = Chance::new(seed ^ 0x00c0_3e60);
    let mut inside = vec![false; visitors.len()];
    let mut changes = 0;
    while !ended.load(Ordering::Relaxed) && !visitors.is_empty() {
        sleep(CHANGE_EVERY).await;
        let one = chance.below(visitors.len());
        // What failed is tried again another time: whether it was done shows then.
        if let Ok(is_in) = visitors[one].change(&rest, inside[one]).await {
            inside[one] = is_in;
            changes += 1;
        }
    }
    changes
}

async fn listen(mut events: Events, who: Who, visit: Arc<Mutex<Visit>>, notes: Arc<Notes>) {
    while let Some(event) = events.next().await {
        notes.reading().await;
        match event {
            Event::Conversation(conversation) if conversation.conversation_id == who.conversation_id => {
                let mut visit = visit.lock().unwrap_or_else(PoisonError::into_inner);
                visit.conversation(conversation.from_seq);
                notes
                    .history
                    .conversation(notes.now_us(), who, conversation.from_seq, conversation.reset);
            }
            Event::Entry(entry) if entry.conversation_id == who.conversation_id => {
                let Record { seq, mark, .. } = Record::of(&entry);
                visit
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(seq, mark);
                notes.history.entry(notes.now_us(), who, seq, mark);
            }
            Event::Disconnected {
                cause,
                retry_in: None,
            } => notes.fault(format!("visitor {} stays away: {cause}", who.user_id)),
            _ => {}
        }
    }
}
