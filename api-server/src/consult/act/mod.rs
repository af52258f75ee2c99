//! The acts of users in a consult. `life` decides an act without a database; this folder carries it out.

pub(crate) mod add_doctor;
pub(crate) mod cancel;
pub(crate) mod create;
pub(crate) mod finish;
pub(crate) mod hand_over;
pub(crate) mod hide;
pub(crate) mod remove_doctor;

use database::Transaction;
use journal::{
    Journal,
    record::{self, NewParticipant, Unpublished},
};
use proto::{
    UserId,
    wire::{Role, StatusEvent},
};

use super::{
    event::{Event, Happened, Subscriber},
    life::{Act, Candidate, Effect, Entry},
    record::Record,
    table,
};
use crate::{
    account,
    app::{App, Written},
    caller::{Seated, User},
    clock::now_ms,
    http::{answer::Answer, error::Error, input::Id, once::Once},
    team,
};

/// An act as a request names it.
#[derive(Clone, Copy)]
enum Asked {
    Add(UserId),
    Remove(UserId),
    HandOver(UserId),
    Finish,
    Cancel,
}

impl Asked {
    /// Locks a candidate's membership in the team before the consult: a removal from the team waits for the act.
    async fn lock(self, tx: &mut Transaction<'_>, consult: i64) -> Result<Act, Error> {
        Ok(match self {
            Self::Add(doctor) => Act::Add(candidate(tx, consult, doctor).await?),
            Self::HandOver(doctor) => Act::HandOver(candidate(tx, consult, doctor).await?),
            Self::Remove(doctor) => Act::Remove(doctor),
            Self::Finish => Act::Finish,
            Self::Cancel => Act::Cancel,
        })
    }
}

async fn candidate(tx: &mut Transaction<'_>, consult: i64, doctor: UserId) -> Result<Candidate, Error> {
    // The team of a consult never changes, so it may be read before the consult is locked.
    let team = table::team_of(tx, consult).await?;
    let mut name = None;
    if team::lock_doctor(tx, team, doctor).await? {
        name = account::identity(tx, doctor).await?.map(|identity| identity.name);
    }
    Ok(Candidate { doctor, name })
}

async fn act(app: &App, user: User, consult: Id, once: Once, asked: Asked) -> Result<Answer, Error> {
    let (journal, subscribers) = (app.journal.clone(), app.subscribers.consult);
    app.write(once, move |tx| {
        Box::pin(async move {
            let act = asked.lock(tx, consult.get()).await?;
            let consult = Seated::<Record>::lock(tx, consult.get(), &user).await?;
            let seat = consult.seat();
            let effects = consult.life().decide(user.id, seat, act)?;
            let actor = Actor {
                by: user.id,
                now_ms: now_ms(),
                journal,
                subscribers,
            };
            let unpublished = actor.carry_out(tx, &consult, effects).await?;
            let answer = match asked {
                // A doctor who left can no longer read the consult.
                Asked::Remove(doctor) => consult.into_inner().without(doctor).answer(seat)?,
                Asked::HandOver(successor) => answer_to(tx, &consult, successor).await?,
                Asked::Add(_) | Asked::Finish | Asked::Cancel => answer_to(tx, &consult, user.id).await?,
            };
            Ok(Written::new(answer).publishing(unpublished))
        })
    })
    .await
}

async fn answer_to(tx: &mut Transaction<'_>, consult: &Record, user: UserId) -> Result<Answer, Error> {
    let (consult, seat) = table::consult_in(tx, consult.id.get(), user).await?;
    consult.answer(seat)
}

/// The user who acts, and the means to carry out what comes of it.
struct Actor {
    by: UserId,
    now_ms: i64,
    journal: Journal,
    subscribers: &'static [Subscriber],
}

impl Actor {
    async fn carry_out(
        &self,
        tx: &mut Transaction<'_>,
        consult: &Record,
        effects: Vec<Effect>,
    ) -> Result<Unpublished, Error> {
        let mut unpublished = Unpublished::default();
        for effect in effects {
            match effect {
                Effect::Enter(next) => table::enter(tx, consult, next, self.now_ms).await?,
                Effect::Seat(doctor) => table::seat_doctor(tx, consult, doctor, self.now_ms).await?,
                Effect::Unseat(doctor) => table::unseat_doctor(tx, consult.id, doctor).await?,
                Effect::Record(conversation, entry) => {
                    let (conversation, entry) = (consult.conversation(conversation), event_of(entry));
                    let record = self.journal.record(tx, conversation, self.by, entry, self.now_ms);
                    unpublished.extend(record.await?);
                }
                Effect::Raise(event) => unpublished.extend(self.raise(tx, consult, event).await?),
            }
        }
        Ok(unpublished)
    }

    async fn raise(
        &self,
        tx: &mut Transaction<'_>,
        consult: &Record,
        event: Event,
    ) -> Result<Unpublished, Error> {
        let happened = Happened {
            event,
            consult: consult.id,
            by: self.by,
            now_ms: self.now_ms,
            journal: self.journal.clone(),
        };
        let mut unpublished = Unpublished::default();
        for subscriber in self.subscribers {
            unpublished.extend(subscriber(tx, &happened).await?);
        }
        Ok(unpublished)
    }
}

fn event_of(entry: Entry) -> record::Event {
    match entry {
        Entry::Joined { doctor, name } => record::Event::Joined(NewParticipant {
            user: doctor,
            role: Role::Doctor,
            name,
        }),
        Entry::Left(doctor) => record::Event::Left(doctor),
        Entry::Status(status) => record::Event::Status(StatusEvent {
            status: status.as_str().to_owned(),
            open: status.is_open(),
        }),
    }
}
