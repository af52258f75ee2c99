//! Good clients by the thousands, and what becomes of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use proto::client::{
    Address, Client, Directory, DirectoryError, Event, Events, Password, Settings, Snapshot,
};
use proto::rest::RestDirectory;
use proto::wire::Platform;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::process::report;
use super::{Order, Orders, Ready, State};
use crate::world::rest::Rest;

/// How many calls to REST are under way at once: each takes a file of this process, which the clients need.
const CALLS_AT_ONCE: usize = 256;
/// Events that may wait for a listener; nothing comes here but what a login brings.
const EVENTS: usize = 8;

/// A client's events since the mark.
#[derive(Clone, Copy, Debug, Default)]
struct Note {
    is_here: bool,
    failures: u32,
    byes: u32,
    /// Unix time, µs.
    back_us: Option<u64>,
}

#[derive(Debug)]
struct Notes(Mutex<Vec<Note>>);

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Vec<Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self) {
        for note in self.lock().iter_mut() {
            *note = Note {
                is_here: note.is_here,
                ..Note::default()
            };
        }
    }

    fn state(&self, since_us: u64) -> State {
        let notes = self.lock();
        let mut state = State::default();
        for note in &*notes {
            state.here += u64::from(note.is_here);
            state.failures += u64::from(note.failures);
            state.most_failures = state.most_failures.max(note.failures.into());
            state.byes += u64::from(note.byes);
            if note.failures > 0 {
                state.disconnected += 1;
                if let (true, Some(back_us)) = (note.is_here, note.back_us) {
                    state.back_ms.push(back_us.saturating_sub(since_us) / 1000);
                }
            }
        }
        state.back_ms.sort_unstable();
        state
    }
}

/// The directory of one client; calls of all clients take turns.
struct InTurn {
    directory: RestDirectory,
    calls: Arc<Semaphore>,
}

impl Directory for InTurn {
    async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
        // It is never closed.
        let _turn = self.calls.acquire().await;
        self.directory.servers().await
    }

    async fn password(&self) -> Result<Password, DirectoryError> {
        let _turn = self.calls.acquire().await;
        self.directory.password().await
    }
}

pub(super) async fn run(orders: Orders, mut lines: mpsc::Receiver<String>) -> Result<()> {
    let rest = Rest::new(&orders.rest.join(","))?;
    let calls = Arc::new(Semaphore::new(CALLS_AT_ONCE));
    let count = orders.accounts.len();
    let notes = Arc::new(Notes(Mutex::new(vec![Note::default(); count])));
    let mut clients = Vec::with_capacity(count);
    for (place, account) in orders.accounts.into_iter().enumerate() {
        let mut settings = Settings::new(account.user_id, account.device_id, Platform::Android);
        settings.event_capacity = EVENTS;
        let directory = InTurn {
            directory: rest.directory(&account.access_token),
            calls: calls.clone(),
        };
        let (client, events) = Client::start(directory, settings, Snapshot::default());
        tokio::spawn(listen(events, place, notes.clone()));
        clients.push(client);
    }
    let mut sent_away = 0;
    loop {
        sleep(Duration::from_millis(50)).await;
        let state = notes.state(0);
        if state.here == count as u64 {
            sent_away += state.byes;
            break;
        }
    }
    report(&Ready {
        clients: count as u64,
        took_s: 0.0,
        sent_away,
    })?;
    let mut since_us = 0;
    while let Some(line) = lines.recv().await {
        match serde_json::from_str(&line)? {
            Order::Mark(at_us) => {
                since_us = at_us;
                notes.mark();
            }
            Order::Report => report(&notes.state(since_us))?,
        }
    }
    Ok(())
}

async fn listen(mut events: Events, place: usize, notes: Arc<Notes>) {
    while let Some(event) = events.next().await {
        match event {
            Event::Synced { .. } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let note = &mut notes.lock()[place];
                note.is_here = true;
                note.back_us = Some(now.as_micros() as u64);
            }
            Event::Disconnected { .. } => {
                let note = &mut notes.lock()[place];
                note.is_here = false;
                note.failures += 1;
            }
            Event::Bye { .. } => notes.lock()[place].byes += 1,
            _ => {}
        }
    }
}
