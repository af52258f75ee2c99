//! The end of a run: everything becomes quiet, the truth is read past the servers, and the notes are judged by it, part
//! by part.

pub(super) mod audit;
pub(super) mod recovery;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::clients::device::Device;
use super::notes::Notes;
use super::notes::scribe::Scribe;
use crate::judge::database::Database;
use crate::judge::deadline::{Kind, State};
use crate::judge::history::History;
use crate::judge::tape::PARTS;
use crate::judge::{Findings, Seen, Trial, Truth, What, Who};
use crate::progress::Progress;
use crate::world::World;

/// How long after the last send everything must be acknowledged and delivered: a restart and a few attempts.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);

/// The findings of the checks.
#[derive(Default)]
pub(super) struct Found {
    pub(super) findings: Findings,
    /// Spans of participation of visitors.
    pub(super) spans: u64,
    /// How often a deadline of each kind came to each state, by the entries of consults.
    pub(super) deadlines: BTreeMap<(State, Kind), u64>,
    /// The longest time from when a deadline was due until it fired, ms.
    pub(super) latest_ms: i64,
}

impl Found {
    fn count(&mut self, truth: &Truth) {
        for (_, step) in truth.steps() {
            *self.deadlines.entry((step.state, step.kind)).or_default() += 1;
            if step.state == State::Fired {
                self.latest_ms = self.latest_ms.max(step.created_ms - step.due_ms);
            }
        }
    }
}

/// The journals as History has them, where no database can be read.
pub(super) type Journals = HashMap<usize, Vec<(i64, Truth)>>;

/// Waits until every send is answered, reads every journal by History, and waits until every device has all of it.
/// Devices that read pages get numbers from `first_reader` on.
pub(super) async fn settle(notes: &Notes, world: &World, devices: &[&Device], first_reader: u32) -> Journals {
    notes.quiet.send_replace(true);
    let begun = Instant::now();
    let mut progress = Progress::begin("waiting for the rest", 1);
    while notes.unanswered() > 0 && begun.elapsed() < SETTLE_LIMIT {
        progress.at(0, &format!("{} answers", notes.unanswered()));
        sleep(Duration::from_millis(100)).await;
    }
    if notes.unanswered() > 0 {
        let (limit, count) = (SETTLE_LIMIT, notes.unanswered());
        notes.fault(format!(
            "{limit:?} after the last send {count} sends had no answer"
        ));
    }
    let mut goals: Vec<(&Scribe, i64, i64)> = Vec::new();
    let mut journals = Journals::new();
    for (conversation, what) in world.conversations.iter().enumerate() {
        let of_it: Vec<&Device> = devices
            .iter()
            .filter(|device| device.scribe.who.conversation == conversation)
            .copied()
            .collect();
        let Some(client) = of_it.iter().find_map(|device| device.client()) else {
            continue;
        };
        let reader = first_reader + conversation as u32;
        let beside = notes.opened_beside(conversation);
        for id in std::iter::once(what.id).chain(beside.iter().map(|opened| opened.id)) {
            let truth = match audit::journal(client, notes, (conversation, id), id == what.id, reader).await {
                Ok(truth) => truth,
                Err(error) => {
                    notes.fault(format!(
                        "conversation {id}: the journal cannot be read: {error:#}"
                    ));
                    continue;
                }
            };
            goals.extend(of_it.iter().map(|device| {
                let scribe = &*device.scribe;
                let view = truth.view(scribe.who.user_id);
                let last = truth
                    .facts()
                    .map(|(seq, _)| seq)
                    .filter(|seq| view.has(*seq))
                    .last();
                (scribe, id, last.unwrap_or(0))
            }));
            journals.entry(conversation).or_default().push((id, truth));
        }
    }
    let begun = Instant::now();
    loop {
        goals.retain(|(scribe, id, goal)| !scribe.has(*id, *goal));
        if goals.is_empty() || begun.elapsed() > SETTLE_LIMIT {
            break;
        }
        progress.at(0, &format!("{} devices", goals.len()));
        sleep(Duration::from_millis(100)).await;
    }
    if !goals.is_empty() {
        let (limit, count) = (SETTLE_LIMIT, goals.len());
        notes.fault(format!(
            "{limit:?} after everything was quiet {count} devices lack entries"
        ));
    }
    journals
}

/// All devices by number, each with the place of its conversation: those that take part, and those that only read pages.
pub(super) fn watched(devices: &[&Device], world: &World, first_reader: u32) -> HashMap<u32, (usize, Who)> {
    let mut watched: HashMap<u32, (usize, Who)> = devices
        .iter()
        .map(|device| {
            let who = device.scribe.who;
            let name = Who {
                client: format!("{}.{}", who.conversation, who.place),
                user_id: who.user_id,
                stays: true,
            };
            (who.number, (who.conversation, name))
        })
        .collect();
    for (conversation, what) in world.conversations.iter().enumerate() {
        let reader = Who {
            client: format!("{conversation}.reader"),
            // The team's assistant, who reads the journal at the end.
            user_id: world.users[what.members[1] as usize].user_id,
            stays: false,
        };
        watched.insert(first_reader + conversation as u32, (conversation, reader));
    }
    watched
}

/// Judges all parts. Without a database the journals as History has them are the truth.
pub(super) async fn judge(
    notes: &Notes,
    world: &World,
    watched: &HashMap<u32, (usize, Who)>,
    visitors: &[i64],
    database: Option<&Database>,
    mut journals: Journals,
    histories: Option<&Path>,
) -> Result<Found> {
    let mut history = histories.map(History::create).transpose()?;
    let mut found = Found::default();
    for part in 0..PARTS {
        let mut truths = HashMap::new();
        for conversation in (part..world.conversations.len()).step_by(PARTS) {
            let read = journals.remove(&conversation).unwrap_or_default();
            let of_it = truths_of(notes, world, conversation, database, read);
            for (id, truth) in Box::pin(of_it).await? {
                if id == world.conversations[conversation].id
                    && let Some(visitor) = visitors.get(conversation)
                {
                    found.spans += truth.times_in(*visitor) as u64;
                }
                truths.insert(id, truth);
            }
        }
        if let Some(database) = database {
            complete(notes, part, database, &mut truths).await?;
        }
        truths.values().for_each(|truth| found.count(truth));
        let devices: HashMap<u32, Who> = watched
            .iter()
            .filter(|(_, (conversation, _))| conversation % PARTS == part)
            .map(|(number, (_, who))| (*number, who.clone()))
            .collect();
        if let Some(history) = &mut history {
            write(history, notes, part, &devices, &truths)?;
        }
        let mut trial = Trial::new(&devices, truths);
        notes.tape.read(part, |note| trial.hear(note))?;
        found.findings.add(trial.end());
    }
    if let Some(mut history) = history {
        for (t_us, event, fault, target) in
            &*notes.disturbances.lock().unwrap_or_else(PoisonError::into_inner)
        {
            history.disturbance(*t_us, event, fault, *target)?;
        }
        history.close()?;
    }
    Ok(found)
}

/// A conversation and those that were opened beside it, with what was promised to who opened them. Without a database
/// they are as `read`.
async fn truths_of(
    notes: &Notes,
    world: &World,
    conversation: usize,
    database: Option<&Database>,
    read: Vec<(i64, Truth)>,
) -> Result<Vec<(i64, Truth)>> {
    let beside = notes.opened_beside(conversation);
    let mut asked = HashMap::from([(world.conversations[conversation].id, None)]);
    asked.extend(beside.into_iter().map(|opened| (opened.id, Some(opened))));
    let mut truths = read;
    if let Some(database) = database {
        truths.clear();
        for id in asked.keys() {
            let of_it = Box::pin(database.of_consult(*id)).await;
            truths.extend(of_it.context("the truth cannot be read")?);
        }
    }
    for (id, truth) in &mut truths {
        // A staff room has no deadlines.
        let opened = asked.get(id);
        if let Some(promise) = opened.and_then(|opened| notes.promise(conversation, *opened)) {
            truth.promise(promise);
        }
    }
    Ok(truths)
}

/// Adds conversations that only devices know of: a consult may be open although the answer was lost.
async fn complete(
    notes: &Notes,
    part: usize,
    database: &Database,
    truths: &mut HashMap<i64, Truth>,
) -> Result<()> {
    let mut heard: HashSet<i64> = HashSet::new();
    notes.tape.read(part, |note| match note.what {
        What::Conversation { conversation, .. } | What::Entry(Seen { conversation, .. }) => {
            heard.insert(conversation);
        }
        _ => {}
    })?;
    for id in heard {
        if let Entry::Vacant(place) = truths.entry(id)
            && let Some(truth) = database
                .conversation(id)
                .await
                .context("the truth cannot be read")?
        {
            place.insert(truth);
        }
    }
    Ok(())
}

fn write(
    history: &mut History<BufWriter<File>>,
    notes: &Notes,
    part: usize,
    devices: &HashMap<u32, Who>,
    truths: &HashMap<i64, Truth>,
) -> Result<()> {
    for who in devices.values().filter(|who| who.stays) {
        history.stays(who)?;
    }
    for (conversation, truth) in truths {
        history.truth(*conversation, truth)?;
    }
    let mut refused = Ok(());
    notes.tape.read(part, |note| {
        if let Some(who) = devices.get(&note.device)
            && refused.is_ok()
        {
            refused = history.note(who, note);
        }
    })?;
    refused.context("the histories cannot be written")
}
