//! The acts of users in a consult. `life` decides an act without a database; this folder carries it out.

mod charge;
pub(crate) mod clock;
pub(crate) mod closing;
pub(crate) mod create;
pub(crate) mod end;
pub(crate) mod hide;
pub(crate) mod rate;
pub(crate) mod seat;

use bytes::Bytes;
use database::Transaction;
use journal::{
    Journal,
    record::{self, Shown, Unpublished},
};
use proto::{
    UserId, mime,
    wire::{DeadlineEvent, Role, StatusEvent},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    event::{Event, Happened, Subscriber, Subscribers},
    life::{Act, Candidate, ChargeState, Conversation, Effect, Entry},
    record::Record,
    table,
};
use crate::{
    account,
    app::{App, Written},
    caller::{Seated, User},
    clock::now_ms,
    http::{answer::Answer, error::Error, input::Id, once::Once},
    settings::DoctorVerification,
    team,
};

// protocol: "So do doctors and assistants who are brought into a consult and its staff room"
/// The entries of before that a doctor who is brought in sees.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConsultHistory)]
enum History {
    /// All of them.
    #[default]
    All,
    /// None, but for those of earlier stays.
    FromNow,
}

impl From<History> for Shown {
    fn from(history: History) -> Self {
        match history {
            History::All => Self::All,
            History::FromNow => Self::FromNow,
        }
    }
}

/// An act as a request names it.
#[derive(Clone, Copy)]
enum Asked {
    Add(UserId, Shown),
    /// By the caller.
    Claim(UserId),
    Remove(UserId),
    HandOver(UserId, Shown),
    Finish,
    Cancel,
    Advise,
}

impl Asked {
    /// Locks a candidate's membership in the team before the consult: a removal from the team waits for the act.
    async fn lock(
        self,
        tx: &mut Transaction<'_>,
        rule: DoctorVerification,
        consult: i64,
    ) -> Result<Act, Error> {
        Ok(match self {
            Self::Add(doctor, history) => Act::Add(candidate(tx, rule, consult, doctor, history).await?),
            Self::Claim(doctor) => {
                let team = table::team_of(tx, consult).await?;
                // Lock order: the team, then its doctor.
                let allowed = team::lock_claims(tx, team).await?;
                let candidate = candidate(tx, rule, consult, doctor, Shown::All).await?;
                Act::Claim { candidate, allowed }
            }
            Self::HandOver(doctor, history) => {
                Act::HandOver(candidate(tx, rule, consult, doctor, history).await?)
            }
            Self::Remove(doctor) => Act::Remove {
                doctor,
                served: false,
            },
            Self::Finish => Act::Finish,
            Self::Advise => Act::Advise,
            Self::Cancel => {
                let team = table::team_of(tx, consult).await?;
                let late = team::clock_of(tx, team).await?.late_cancel;
                Act::Cancel { late }
            }
        })
    }
}

async fn candidate(
    tx: &mut Transaction<'_>,
    rule: DoctorVerification,
    consult: i64,
    doctor: UserId,
    history: Shown,
) -> Result<Candidate, Error> {
    // The team of a consult never changes, so it may be read before the consult is locked.
    let team = table::team_of(tx, consult).await?;
    let mut joining = None;
    let is_there =
        team::lock_doctor(tx, team, doctor).await? && account::lock_verified(tx, rule, doctor).await?;
    // One who cannot log in would leave the patient alone.
    if is_there && account::is_enabled(tx, doctor).await? {
        let identity = account::identity(tx, doctor).await?;
        joining = identity.map(|identity| identity.joining(doctor, Role::Doctor, history));
    }
    Ok(Candidate { doctor, joining })
}

async fn act(
    app: &App,
    user: User,
    consult: Id,
    once: Once,
    asked: Asked,
    advice: Option<Bytes>,
) -> Result<Answer, Error> {
    let (journal, subscribers) = (app.journal.clone(), app.part::<Subscribers>().0);
    let rule = app.doctor_verification;
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let mut act = asked.lock(tx, rule, consult.get()).await?;
            let (consult, seat) = match &act {
                Act::Claim { candidate, .. } => {
                    seat::claim::lock(tx, rule, consult, &user, candidate).await?
                }
                _ => {
                    let consult = Seated::<Record>::lock(tx, consult.get(), &user).await?;
                    let seat = consult.seat();
                    (consult.into_inner(), seat)
                }
            };
            if let Act::Remove { doctor, served } = &mut act {
                *served = has_served(tx, &journal, &consult, *doctor).await?;
            }
            let mut effects = consult.life().decide(user.id, seat, act)?;
            if let Some(card) = advice {
                consult.life().decide(user.id, seat, Act::Advise)?;
                record_first(&mut effects, Entry::Advice(card));
            }
            let means = Means {
                journal,
                subscribers,
                transfer,
            };
            let actor = Actor::of(means, user.id, "");
            let unpublished = actor.carry_out(tx, &consult, effects).await?;
            let answer = match asked {
                // A doctor who left is shown who stays.
                Asked::Remove(doctor) => consult.without(doctor).answer(seat)?,
                Asked::HandOver(successor, _) => answer_to(tx, &consult, successor).await?,
                Asked::Add(..) | Asked::Claim(_) | Asked::Finish | Asked::Cancel | Asked::Advise => {
                    answer_to(tx, &consult, user.id).await?
                }
            };
            Ok(Written::new(answer).publishing(unpublished))
        })
    })
    .await
}

/// Whether a doctor wrote or proposed something, to the patient or among colleagues.
async fn has_served(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    consult: &Record,
    doctor: UserId,
) -> Result<bool, Error> {
    for conversation in [consult.id, consult.staff_room] {
        if journal.has_served(tx, conversation, doctor).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn answer_to(tx: &mut Transaction<'_>, consult: &Record, user: UserId) -> Result<Answer, Error> {
    let (consult, seat) = table::consult_in(tx, consult.id.get(), user).await?;
    consult.answer(seat)
}

/// Adds an entry of the main conversation that precedes the others. Accounts are locked before conversations: it comes after
/// their effects.
fn record_first(effects: &mut Vec<Effect>, entry: Entry) {
    let first = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Record(..)));
    let at = first.unwrap_or(effects.len());
    effects.insert(at, Effect::Record(Conversation::Main, entry));
}

/// The means to carry out an act.
struct Means {
    journal: Journal,
    subscribers: &'static [Subscriber],
    /// The id of a transfer, should the act move money.
    transfer: i64,
}

impl Means {
    async fn of(app: &App) -> Result<Self, Error> {
        Ok(Self {
            journal: app.journal.clone(),
            subscribers: app.part::<Subscribers>().0,
            transfer: app.database.allocate_id(ledger::SEQUENCE).await?,
        })
    }
}

/// The user who acts, and the means to carry out what comes of it.
struct Actor {
    by: UserId,
    now_ms: i64,
    means: Means,
    /// Why the consult changes without a request; empty for a request.
    cause: &'static str,
}

impl Actor {
    fn of(means: Means, by: UserId, cause: &'static str) -> Self {
        let now_ms = now_ms();
        Self {
            by,
            now_ms,
            means,
            cause,
        }
    }

    async fn carry_out(
        &self,
        tx: &mut Transaction<'_>,
        consult: &Record,
        effects: Vec<Effect>,
    ) -> Result<Unpublished, Error> {
        let mut unpublished = Unpublished::default();
        for effect in effects {
            match effect {
                Effect::Enter(next) => {
                    table::enter(tx, consult, next, self.now_ms).await?;
                    if !next.is_open() {
                        clock::end(tx, &self.means.journal, consult).await?;
                    }
                }
                Effect::Seat(doctor) => table::seat_doctor(tx, consult, doctor, self.now_ms).await?,
                Effect::Unseat { doctor, served } => {
                    table::unseat_doctor(tx, consult.id, doctor, served, self.now_ms).await?;
                }
                Effect::Record(conversation, entry) => {
                    unpublished.extend(self.record(tx, consult, conversation, entry).await?);
                }
                Effect::Settle(next) => {
                    let consult = consult.id.get();
                    charge::settle(tx, consult, next, self.means.transfer, self.by, self.now_ms).await?;
                }
                Effect::Raise(event) => unpublished.extend(self.raise(tx, consult, event).await?),
            }
        }
        Ok(unpublished)
    }

    async fn record(
        &self,
        tx: &mut Transaction<'_>,
        consult: &Record,
        conversation: Conversation,
        entry: Entry,
    ) -> Result<Unpublished, Error> {
        let is_advice = matches!(entry, Entry::Advice(_));
        let conversation = consult.conversation(conversation);
        let entry = event_of(entry, consult.price(), self.cause);
        let journal = &self.means.journal;
        let recorded = journal
            .record(tx, conversation, self.by, entry, self.now_ms)
            .await?;
        if let Some(seq) = recorded.last_seq().filter(|_| is_advice) {
            table::put_advice(tx, consult.id, seq).await?;
        }
        Ok(recorded)
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
            journal: self.means.journal.clone(),
        };
        let mut unpublished = Unpublished::default();
        for subscriber in self.means.subscribers {
            unpublished.extend(subscriber(tx, &happened).await?);
        }
        Ok(unpublished)
    }
}

/// `price_fen` is the price that the patient paid, or zero; `cause` is why the service itself acted, or empty.
fn event_of(entry: Entry, price_fen: i64, cause: &str) -> record::Event {
    match entry {
        Entry::Joined(joining) => record::Event::Joined(joining),
        Entry::Left(doctor) => record::Event::Left(doctor),
        Entry::Status(status) => record::Event::Status(StatusEvent {
            status: status.as_str().to_owned(),
            open: status.is_open(),
            price_fen,
            charge_state: match price_fen {
                0 => String::new(),
                _ => ChargeState::of(status).as_str().to_owned(),
            },
            cause: cause.to_owned(),
        }),
        Entry::Passed { kind, due_ms } => record::Event::Deadline(DeadlineEvent {
            kind: kind.to_owned(),
            due_ms,
            state: "fired".to_owned(),
        }),
        Entry::Advice(body) => record::Event::Message {
            mime_type: mime::ADVICE,
            body,
        },
    }
}
