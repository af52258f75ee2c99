//! The decision about an act.

use proto::UserId;

use super::{Seat, Status};
use crate::{
    consult::Event,
    http::error::{Error, ErrorCode},
};

/// The facts of a consult on which decisions rest.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) status: Status,
    /// The doctors in it.
    pub(crate) doctors: Vec<UserId>,
}

/// A doctor who is to join a consult.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) doctor: UserId,
    /// None when the doctor does not belong to the consult's team.
    pub(crate) name: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// The assistant adds a doctor of the team.
    Add(Candidate),
    /// The assistant removes a doctor, or a doctor leaves.
    Remove(UserId),
    /// A doctor hands their seat to another doctor of the team.
    HandOver(Candidate),
    Finish,
    Cancel,
}

/// One of a consult's two conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversation {
    /// Everybody in the consult.
    Main,
    /// The staff room, which the patient never sees.
    Staff,
}

impl Conversation {
    pub(crate) const BOTH: [Self; 2] = [Self::Main, Self::Staff];
}

/// An entry of a conversation's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Joined { doctor: UserId, name: String },
    Left(UserId),
    Status(Status),
}

/// A change that an act brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The consult enters a state.
    Enter(Status),
    Seat(UserId),
    Unseat(UserId),
    Record(Conversation, Entry),
    /// Other domains act on the event now: their entries precede the entries of later effects.
    Raise(Event),
}

impl Life {
    /// Decides about the act of a seated user.
    pub(crate) fn decide(&self, user: UserId, seat: Seat, act: Act) -> Result<Vec<Effect>, Error> {
        match act {
            Act::Add(candidate) => {
                allow(seat == Seat::Assistant)?;
                self.check_open()?;
                self.add(candidate)
            }
            Act::Remove(doctor) => {
                allow(seat == Seat::Assistant || doctor == user)?;
                self.check_open()?;
                self.remove(doctor)
            }
            Act::HandOver(successor) => {
                allow(seat == Seat::Doctor)?;
                self.check_open()?;
                self.hand_over(user, successor)
            }
            Act::Finish => {
                allow(seat.is_staff())?;
                match self.status {
                    Status::Waiting => Err(ErrorCode::ConsultWaiting.into()),
                    _ => self.end(Status::Finished),
                }
            }
            Act::Cancel => {
                allow(matches!(seat, Seat::Assistant | Seat::Patient))?;
                self.end(Status::Cancelled)
            }
        }
    }

    /// The first doctor ends the wait.
    fn add(&self, candidate: Candidate) -> Result<Vec<Effect>, Error> {
        let (doctor, joined) = self.admit(candidate)?;
        let mut effects = vec![Effect::Seat(doctor)];
        effects.extend(Conversation::BOTH.map(|conversation| Effect::Record(conversation, joined.clone())));
        if self.status == Status::Waiting {
            effects.insert(0, Effect::Enter(Status::InProcess));
            let started = Entry::Status(Status::InProcess);
            effects.push(Effect::Record(Conversation::Main, started));
        }
        Ok(effects)
    }

    /// A consult that loses its last doctor stays in process: the assistant adds another.
    fn remove(&self, doctor: UserId) -> Result<Vec<Effect>, Error> {
        if !self.doctors.contains(&doctor) {
            return Err(Error::new(ErrorCode::ConsultDoctorNotFound).field("doctor_id"));
        }
        let left = Conversation::BOTH.map(|conversation| Effect::Record(conversation, Entry::Left(doctor)));
        let mut effects = vec![Effect::Unseat(doctor), Effect::Raise(Event::DoctorLeft(doctor))];
        effects.extend(left);
        Ok(effects)
    }

    /// The successor joins each conversation before the other doctor leaves it: neither is ever without a doctor.
    fn hand_over(&self, doctor: UserId, successor: Candidate) -> Result<Vec<Effect>, Error> {
        let (successor, joined) = self.admit(successor)?;
        Ok(vec![
            Effect::Seat(successor),
            Effect::Unseat(doctor),
            Effect::Record(Conversation::Main, joined.clone()),
            Effect::Raise(Event::DoctorLeft(doctor)),
            Effect::Record(Conversation::Main, Entry::Left(doctor)),
            Effect::Record(Conversation::Staff, joined),
            Effect::Record(Conversation::Staff, Entry::Left(doctor)),
        ])
    }

    fn end(&self, end: Status) -> Result<Vec<Effect>, Error> {
        self.check_open()?;
        let closed = Conversation::BOTH.map(|conversation| Effect::Record(conversation, Entry::Status(end)));
        let mut effects = vec![Effect::Enter(end), Effect::Raise(Event::Ended(end))];
        effects.extend(closed);
        Ok(effects)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.status.is_open() {
            Ok(())
        } else {
            Err(ErrorCode::ConsultEnded.into())
        }
    }

    /// A doctor of the team who is not in the consult may join it.
    fn admit(&self, candidate: Candidate) -> Result<(UserId, Entry), Error> {
        let Candidate { doctor, name } = candidate;
        let name = name.ok_or_else(|| Error::new(ErrorCode::ConsultDoctorNotFound).field("doctor_id"))?;
        if self.doctors.contains(&doctor) {
            return Err(Error::new(ErrorCode::ConsultAlreadyIn).field("doctor_id"));
        }
        Ok((doctor, Entry::Joined { doctor, name }))
    }
}

fn allow(may: bool) -> Result<(), Error> {
    if may {
        Ok(())
    } else {
        Err(ErrorCode::ConsultForbidden.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId::from_database(1);
    const BOB: UserId = UserId::from_database(2);

    fn candidate(doctor: UserId) -> Candidate {
        let name = Some("Dr.".to_owned());
        Candidate { doctor, name }
    }

    /// The word of a refusal, or the state that the consult enters; none when it enters no other.
    fn outcome(status: Status, seat: Seat, act: Act) -> Result<Option<Status>, ErrorCode> {
        let doctors = vec![ANN];
        let user = match seat {
            Seat::Doctor => ANN,
            Seat::Patient | Seat::Assistant => UserId::from_database(3),
        };
        let effects = Life { status, doctors }.decide(user, seat, act);
        let effects = effects.map_err(|refusal| refusal.code())?;
        Ok(effects.into_iter().find_map(|effect| match effect {
            Effect::Enter(next) => Some(next),
            _ => None,
        }))
    }

    /// The whole table: seats and states, then the outcome of each act.
    #[test]
    fn each_act_from_each_seat_in_each_state() {
        use Status::{Cancelled, Finished, InProcess, Waiting};
        let no = Err(ErrorCode::ConsultForbidden);
        let ended = Err(ErrorCode::ConsultEnded);
        let waiting = Err(ErrorCode::ConsultWaiting);
        // add, remove, hand over, finish, cancel
        let expected = [
            (Seat::Patient, Waiting, [no, no, no, no, Ok(Some(Cancelled))]),
            (Seat::Patient, InProcess, [no, no, no, no, Ok(Some(Cancelled))]),
            (Seat::Patient, Finished, [no, no, no, no, ended]),
            (Seat::Patient, Cancelled, [no, no, no, no, ended]),
            (
                Seat::Assistant,
                Waiting,
                [Ok(Some(InProcess)), Ok(None), no, waiting, Ok(Some(Cancelled))],
            ),
            (
                Seat::Assistant,
                InProcess,
                [Ok(None), Ok(None), no, Ok(Some(Finished)), Ok(Some(Cancelled))],
            ),
            (Seat::Assistant, Finished, [ended, ended, no, ended, ended]),
            (Seat::Assistant, Cancelled, [ended, ended, no, ended, ended]),
            (Seat::Doctor, Waiting, [no, Ok(None), Ok(None), waiting, no]),
            (
                Seat::Doctor,
                InProcess,
                [no, Ok(None), Ok(None), Ok(Some(Finished)), no],
            ),
            (Seat::Doctor, Finished, [no, ended, ended, ended, no]),
            (Seat::Doctor, Cancelled, [no, ended, ended, ended, no]),
        ];
        for (seat, status, outcomes) in expected {
            let acts = [
                Act::Add(candidate(BOB)),
                Act::Remove(ANN),
                Act::HandOver(candidate(BOB)),
                Act::Finish,
                Act::Cancel,
            ];
            for (act, expected) in acts.into_iter().zip(outcomes) {
                let outcome = outcome(status, seat, act.clone());
                assert_eq!(outcome, expected, "{act:?} of {seat:?} in {status:?}");
            }
        }
    }

    #[test]
    fn refusals_about_a_doctor_name_the_field() {
        let life = Life {
            status: Status::InProcess,
            doctors: vec![ANN],
        };
        let foreign = Candidate {
            doctor: BOB,
            name: None,
        };
        for (act, code) in [
            (Act::Add(foreign), ErrorCode::ConsultDoctorNotFound),
            (Act::Add(candidate(ANN)), ErrorCode::ConsultAlreadyIn),
            (Act::Remove(BOB), ErrorCode::ConsultDoctorNotFound),
        ] {
            let refusal = life.decide(BOB, Seat::Assistant, act).unwrap_err();
            assert_eq!((refusal.code(), refusal.at()), (code, Some("doctor_id")));
        }
    }
}
