//! The clock of a consult: a doctor answers in time, and a silent consult ends by itself.
//!
//! Deadlines are rows, an entry of the conversation for each change, and the next one in the conversation itself. A message
//! costs nothing: when a deadline is due, a job reads what was written since, and decides. Each turn of the job is fenced, and
//! each decision is a transaction that locks the consult, so that a deadline fires once. All times are the database's clock,
//! one for the fleet; what processes take for the time, and what messages carry, decides nothing alone.

mod decide;
pub(super) mod follow_up;
mod job;
#[cfg(test)]
mod tests;

use database::Transaction;
use journal::{
    Journal,
    conversation::Deadline,
    record::{Event, Unpublished},
};
use proto::{
    ConversationId, UserId,
    wire::{DeadlineEvent, Role},
};

pub(in crate::consult) use self::decide::{Kind, LONGEST_MS, Promise};
use self::decide::{Step, opening};
pub(crate) use self::job::job;
use crate::{
    consult::{
        life::Status,
        record::Record,
        table::{self, Timed},
    },
    http::error::Error,
    team::Clock,
};

/// Sets the deadlines of a consult that begins, in the name of its patient.
pub(super) async fn open(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    consult: ConversationId,
    patient: UserId,
    clock: &Clock,
) -> Result<Unpublished, Error> {
    let mut unpublished = Unpublished::default();
    if clock.answer_minutes.is_none() && clock.silence_days.is_none() {
        return Ok(unpublished);
    }
    let now_ms = tx.now_ms().await?;
    let promises = opening(clock, now_ms);
    for promise in promises.iter().filter(|promise| promise.kind.is_shown()) {
        let entry = Event::Deadline(event(Step::Set(*promise)));
        unpublished.extend(journal.record(tx, consult, patient, entry, now_ms).await?);
    }
    let seq = unpublished.last_seq().unwrap_or(proto::Seq::ZERO);
    for promise in &promises {
        table::put_promise(tx, consult.get(), &Promise { seq, ..*promise }).await?;
    }
    show(tx, journal, consult, &promises).await?;
    Ok(unpublished)
}

// protocol: "The deadlines of a consult end with it"
/// The deadlines of a locked consult end with it. A doctor's message that no look has noticed is noticed now.
pub(super) async fn end(tx: &mut Transaction<'_>, journal: &Journal, consult: &Record) -> Result<(), Error> {
    let (id, now_ms) = (consult.id.get(), tx.now_ms().await?);
    table::lift_all(tx, id, now_ms).await?;
    if consult.status == Status::Waiting {
        return Ok(());
    }
    let timed = table::timed(tx, id).await?;
    if timed.answered_ms.is_none()
        && let Some(answer) = journal.first_message_of(tx, consult.id, Role::Doctor).await?
    {
        note_answer(tx, id, &timed, answer.created_ms, now_ms).await?;
    }
    Ok(())
}

/// The message carries the time of the node that accepted it, whose clock may be wrong.
async fn note_answer(
    tx: &mut Transaction<'_>,
    consult: i64,
    timed: &Timed,
    created_ms: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let answered_ms = created_ms.clamp(timed.created_ms.min(now_ms), now_ms);
    table::put_answer(tx, consult, timed, answered_ms).await
}

// protocol: "the same for everybody in it, and each change is"
/// Shows the next deadline in the conversation.
async fn show(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    consult: ConversationId,
    promises: &[Promise],
) -> Result<(), Error> {
    let shown = promises.iter().filter(|promise| promise.kind.is_shown());
    let next = shown.min_by_key(|promise| promise.due_ms).map(|next| Deadline {
        kind: next.kind.as_str().to_owned(),
        due_ms: next.due_ms,
    });
    Ok(journal.set_deadline(tx, consult, next).await?)
}

fn event(step: Step) -> DeadlineEvent {
    let Promise { kind, due_ms, .. } = step.promise();
    DeadlineEvent {
        kind: kind.as_str().to_owned(),
        due_ms,
        state: step.state().to_owned(),
    }
}
