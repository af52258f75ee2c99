//! The job that looks at deadlines when they are due.

use std::{collections::HashMap, sync::Arc, time::Duration};

use database::Transaction;
use jobs::{Failure, Job, Next, Refused, Turn};
use journal::record::{Event, Unpublished};
use parking_lot::Mutex;
use proto::{ConversationId, wire::Role};
use tokio::time::Instant;

use super::{
    decide::{Kind, Look, Promise, Step, look},
    event, note_answer, show,
};
use crate::{
    app::App,
    consult::{
        act::{Actor, Means, record_first},
        life::{Act, Entry, Seat, Status},
        table::{self, Timed},
    },
    http::error::Error,
    team,
};

/// Between two looks for deadlines that are due.
const EVERY: Duration = Duration::from_secs(5);
/// Consults of a turn.
const BOUND: i64 = 100;
/// How long a consult whose look failed is put off.
const LATER: Duration = Duration::from_secs(60);

// protocol: "that has fired, the STATUS_CHANGED of the end"
/// In the entry of a consult that ends by itself.
const CAUSE: &str = "silence";

pub(crate) fn job(app: &App) -> Job {
    let (app, put_off) = (app.clone(), PutOff::default());
    Job::new("deadlines", EVERY, BOUND, move |turn| {
        turn_of(app.clone(), put_off.clone(), turn)
    })
}

/// Consults whose look failed, and until when each is put off. Only this process knows: their deadlines stay when they
/// are, so that an answer that comes meanwhile is late, and an entry tells of the time that was promised.
#[derive(Clone, Default)]
struct PutOff(Arc<Mutex<HashMap<i64, Instant>>>);

impl PutOff {
    fn put(&self, consult: i64, now: Instant) {
        self.0.lock().insert(consult, now + LATER);
    }

    /// How many there are.
    fn count(&self, now: Instant) -> i64 {
        let mut all = self.0.lock();
        all.retain(|_, until| *until > now);
        i64::try_from(all.len()).unwrap_or(i64::MAX)
    }

    fn has(&self, consult: i64) -> bool {
        self.0.lock().contains_key(&consult)
    }
}

/// Why a look wrote nothing.
enum Stopped {
    /// A message came while the look decided: the next look sees it.
    Overtaken,
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<database::Error> for Stopped {
    fn from(error: database::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// A consult that fails is put off, and keeps none of the others waiting.
async fn turn_of(app: App, put_off: PutOff, turn: Turn) -> Result<Next, Failure> {
    // Those that are put off are the longest due: as many more are read.
    let limit = turn.bound().saturating_add(put_off.count(Instant::now()));
    let mut due = table::with_due(turn.database(), limit).await?;
    turn.set_backlog(i64::try_from(due.len()).unwrap_or(i64::MAX));
    due.retain(|consult| !put_off.has(*consult));
    let found = i64::try_from(due.len()).unwrap_or(i64::MAX);
    let (mut failed, mut again) = (None, found >= turn.bound());
    for consult in due {
        let means = Means::of(&app).await?;
        let looked = turn.transaction::<_, Stopped, _>(move |tx| {
            Box::pin(async move { look_at(tx, means, ConversationId::from_database(consult)).await })
        });
        match looked.await {
            Ok(unpublished) => app.journal.publish(unpublished),
            Err(Refused::Lost) => return Err(Failure::Lost),
            Err(Refused::Work(Stopped::Overtaken)) => again = true,
            Err(Refused::Work(Stopped::Failed(error))) => {
                let failure = Failure::from(error);
                // It is no fault of the consult.
                if matches!(failure, Failure::Outage(_)) {
                    return Err(failure);
                }
                put_off.put(consult, Instant::now());
                failed = Some(failure);
            }
        }
    }
    match failed {
        Some(failure) => Err(failure),
        None if again => Ok(Next::AtOnce),
        None => Ok(Next::Usual),
    }
}

/// Looks at one consult. The service acts on the assistant's seat, which is in every consult.
async fn look_at(
    tx: &mut Transaction<'_>,
    means: Means,
    consult: ConversationId,
) -> Result<Unpublished, Stopped> {
    table::lock_row(tx, consult.get()).await?;
    let timed = table::timed(tx, consult.get()).await?;
    let promises = table::promises(tx, consult.get()).await?;
    let now_ms = tx.now_ms().await?;
    if !timed.status.is_open() {
        // A release that knows no deadlines ended it.
        table::lift_all(tx, consult.get(), now_ms).await?;
        return Ok(Unpublished::default());
    }
    let at = Look {
        now_ms,
        clock: team::clock_of(tx, timed.team).await?,
        answer: means.journal.first_message_of(tx, consult, Role::Doctor).await?,
        newest: means.journal.last_message(tx, consult).await?,
    };
    if let Some(answer) = at.answer {
        note_answer(tx, consult.get(), &timed, answer.created_ms, now_ms).await?;
    }
    let steps = look(&promises, &at);
    let end = steps.iter().find(|step| is_end(**step)).copied();
    let journal = means.journal.clone();
    let unpublished = match end {
        Some(end) => end_by_silence(tx, means, consult, &timed, &at, end).await?,
        None => take(tx, &means, consult, &timed, &at, &promises, &steps).await?,
    };
    let has_fired = steps.iter().any(|step| matches!(step, Step::Fired(_)));
    // From its first entry on the transaction holds the conversation: what is read now stays true.
    if has_fired && journal.last_message(tx, consult).await? != at.newest {
        return Err(Stopped::Overtaken);
    }
    Ok(unpublished)
}

fn is_end(step: Step) -> bool {
    matches!(step, Step::Fired(promise) if promise.kind == Kind::SilenceEnd)
}

/// Writes what becomes of the deadlines of a consult that goes on.
async fn take(
    tx: &mut Transaction<'_>,
    means: &Means,
    consult: ConversationId,
    timed: &Timed,
    at: &Look,
    promises: &[Promise],
    steps: &[Step],
) -> Result<Unpublished, Error> {
    let mut unpublished = Unpublished::default();
    let mut set = promises.to_vec();
    for step in steps {
        let promise = step.promise();
        set.retain(|other| other.kind != promise.kind);
        if step.is_entry() {
            let by = match (step, at.answer) {
                (Step::Met(_), Some(answer)) => answer.sender,
                _ => timed.assistant,
            };
            let entry = Event::Deadline(event(*step));
            let record = means.journal.record(tx, consult, by, entry, at.now_ms);
            unpublished.extend(record.await?);
        }
        if let Step::Set(promise) = step {
            table::put_promise(tx, consult.get(), promise).await?;
            set.push(*promise);
        } else {
            table::settle_promise(tx, consult.get(), promise.kind, step.state(), at.now_ms).await?;
        }
    }
    if !steps.is_empty() {
        show(tx, &means.journal, consult, &set).await?;
    }
    Ok(unpublished)
}

/// Finishes a consult in which a doctor wrote, and cancels another one: its price goes back.
async fn end_by_silence(
    tx: &mut Transaction<'_>,
    means: Means,
    consult: ConversationId,
    timed: &Timed,
    at: &Look,
    end: Step,
) -> Result<Unpublished, Error> {
    let (record, _) = table::consult_in(tx, consult.get(), timed.assistant).await?;
    let act = match (timed.status, at.answer) {
        (Status::InProcess, Some(_)) => Act::Finish,
        _ => Act::Cancel { late: true },
    };
    let mut effects = record.life().decide(timed.assistant, Seat::Assistant, act)?;
    let Promise { kind, due_ms, .. } = end.promise();
    let passed = Entry::Passed {
        kind: kind.as_str(),
        due_ms,
    };
    record_first(&mut effects, passed);
    // By the clock that it was due by: the entry would tell of an end that comes too early.
    let actor = Actor {
        now_ms: at.now_ms,
        ..Actor::of(means, timed.assistant, CAUSE)
    };
    let unpublished = actor.carry_out(tx, &record, effects).await?;
    table::settle_promise(tx, consult.get(), kind, end.state(), at.now_ms).await?;
    Ok(unpublished)
}
