//! The decision about an act.

use bytes::Bytes;
use journal::record::NewParticipant;
use proto::UserId;

use super::{ChargeState, Seat, Status};
use crate::{
    consult::Event,
    http::error::{Error, ErrorCode},
};

/// The facts of a consult on which decisions rest.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) status: Status,
    /// Whether its price was paid when it began.
    pub(crate) is_charged: bool,
    /// The doctors in it.
    pub(crate) doctors: Vec<UserId>,
}

/// A doctor who is to join a consult.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) doctor: UserId,
    /// The participant of the conversations; none when the doctor does not belong to the consult's team.
    pub(crate) joining: Option<NewParticipant>,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// The assistant adds a doctor of the team.
    Add(Candidate),
    /// A doctor of the team takes a consult that has none, where the team allows it.
    Claim {
        candidate: Candidate,
        allowed: bool,
    },
    /// The assistant removes a doctor, or a doctor leaves.
    Remove {
        doctor: UserId,
        /// Whether they wrote or proposed something in it.
        served: bool,
    },
    /// A doctor hands their seat to another doctor of the team.
    HandOver(Candidate),
    Finish,
    Cancel {
        /// Whether the patient may cancel once a doctor came in.
        late: bool,
    },
    /// A doctor in it writes advice.
    Advise,
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
    Joined(NewParticipant),
    Left(UserId),
    Status(Status),
    /// A deadline has passed.
    Passed {
        kind: &'static str,
        due_ms: i64,
    },
    /// A doctor's advice, as the card of the wire.
    Advice(Bytes),
}

/// A change that an act brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The consult enters a state.
    Enter(Status),
    Seat(UserId),
    Unseat {
        doctor: UserId,
        /// Whether the consult stays in the doctor's lists and numbers.
        served: bool,
    },
    Record(Conversation, Entry),
    /// The held price moves on.
    Settle(ChargeState),
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
            Act::Claim { candidate, allowed } => {
                allow(matches!(seat, Seat::Doctor | Seat::Colleague))?;
                self.check_open()?;
                self.claim(candidate, allowed)
            }
            Act::Remove { doctor, served } => {
                allow(seat == Seat::Assistant || doctor == user)?;
                self.check_open()?;
                self.remove(doctor, served)
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
            Act::Cancel { late } => {
                allow(matches!(seat, Seat::Assistant | Seat::Patient))?;
                self.check_open()?;
                if seat == Seat::Patient && self.status == Status::InProcess && !late {
                    return Err(ErrorCode::ConsultAccepted.into());
                }
                self.end(Status::Cancelled)
            }
            Act::Advise => {
                allow(seat == Seat::Doctor)?;
                self.check_open()?;
                Ok(Vec::new())
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

    /// Of doctors who claim at once, the first one gets it.
    fn claim(&self, candidate: Candidate, allowed: bool) -> Result<Vec<Effect>, Error> {
        if !allowed {
            return Err(ErrorCode::ConsultNoClaims.into());
        }
        if self.doctors.contains(&candidate.doctor) {
            return Err(ErrorCode::ConsultAlreadyIn.into());
        }
        if !self.doctors.is_empty() {
            return Err(ErrorCode::ConsultClaimed.into());
        }
        self.add(candidate)
    }

    /// A consult that loses its last doctor stays in process: the assistant adds another, or one claims it.
    fn remove(&self, doctor: UserId, served: bool) -> Result<Vec<Effect>, Error> {
        if !self.doctors.contains(&doctor) {
            return Err(Error::new(ErrorCode::ConsultDoctorNotFound).field("doctor_id"));
        }
        let left = Conversation::BOTH.map(|conversation| Effect::Record(conversation, Entry::Left(doctor)));
        let unseat = Effect::Unseat { doctor, served };
        let mut effects = vec![unseat, Effect::Raise(Event::DoctorLeft(doctor))];
        effects.extend(left);
        Ok(effects)
    }

    /// The successor joins each conversation before the other doctor leaves it: neither is ever without a doctor.
    fn hand_over(&self, doctor: UserId, successor: Candidate) -> Result<Vec<Effect>, Error> {
        let (successor, joined) = self.admit(successor)?;
        Ok(vec![
            Effect::Seat(successor),
            Effect::Unseat { doctor, served: true },
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
        let mut effects = vec![Effect::Enter(end)];
        // Before the entries: who appends to the conversation does not wait for the accounts.
        if self.is_charged {
            effects.push(Effect::Settle(ChargeState::of(end)));
        }
        effects.push(Effect::Raise(Event::Ended(end)));
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
        let Candidate { doctor, joining } = candidate;
        let joining =
            joining.ok_or_else(|| Error::new(ErrorCode::ConsultDoctorNotFound).field("doctor_id"))?;
        if self.doctors.contains(&doctor) {
            return Err(Error::new(ErrorCode::ConsultAlreadyIn).field("doctor_id"));
        }
        Ok((doctor, Entry::Joined(joining)))
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
    use proto::wire::Role;

    use super::*;

    const ANN: UserId = UserId::from_database(1);
    const BOB: UserId = UserId::from_database(2);

    fn candidate(doctor: UserId) -> Candidate {
        let joining = Some(NewParticipant::new(doctor, Role::Doctor, "Dr."));
        Candidate { doctor, joining }
    }

    fn claim(doctor: UserId, allowed: bool) -> Act {
        let candidate = candidate(doctor);
        Act::Claim { candidate, allowed }
    }

    fn remove(doctor: UserId) -> Act {
        let served = false;
        Act::Remove { doctor, served }
    }

    /// The word of a refusal, or the state that the consult enters; none when it enters no other.
    fn outcome(status: Status, seat: Seat, act: Act) -> Result<Option<Status>, ErrorCode> {
        let doctors = vec![ANN];
        let user = match seat {
            Seat::Doctor => ANN,
            Seat::Colleague => BOB,
            Seat::Patient | Seat::Assistant => UserId::from_database(3),
        };
        let life = Life {
            status,
            is_charged: false,
            doctors,
        };
        let effects = life.decide(user, seat, act);
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
        let claimed = Err(ErrorCode::ConsultClaimed);
        let already = Err(ErrorCode::ConsultAlreadyIn);
        // add, claim, remove, hand over, finish, cancel
        let expected = [
            (Seat::Patient, Waiting, [no, no, no, no, no, Ok(Some(Cancelled))]),
            (
                Seat::Patient,
                InProcess,
                [no, no, no, no, no, Ok(Some(Cancelled))],
            ),
            (Seat::Patient, Finished, [no, no, no, no, no, ended]),
            (Seat::Patient, Cancelled, [no, no, no, no, no, ended]),
            (
                Seat::Assistant,
                Waiting,
                [
                    Ok(Some(InProcess)),
                    no,
                    Ok(None),
                    no,
                    waiting,
                    Ok(Some(Cancelled)),
                ],
            ),
            (
                Seat::Assistant,
                InProcess,
                [
                    Ok(None),
                    no,
                    Ok(None),
                    no,
                    Ok(Some(Finished)),
                    Ok(Some(Cancelled)),
                ],
            ),
            (Seat::Assistant, Finished, [ended, no, ended, no, ended, ended]),
            (Seat::Assistant, Cancelled, [ended, no, ended, no, ended, ended]),
            (
                Seat::Doctor,
                Waiting,
                [no, already, Ok(None), Ok(None), waiting, no],
            ),
            (
                Seat::Doctor,
                InProcess,
                [no, already, Ok(None), Ok(None), Ok(Some(Finished)), no],
            ),
            (Seat::Doctor, Finished, [no, ended, ended, ended, ended, no]),
            (Seat::Doctor, Cancelled, [no, ended, ended, ended, ended, no]),
            (Seat::Colleague, Waiting, [no, claimed, no, no, no, no]),
            (Seat::Colleague, InProcess, [no, claimed, no, no, no, no]),
            (Seat::Colleague, Finished, [no, ended, no, no, no, no]),
            (Seat::Colleague, Cancelled, [no, ended, no, no, no, no]),
        ];
        for (seat, status, outcomes) in expected {
            let acts = [
                Act::Add(candidate(BOB)),
                claim(if seat == Seat::Doctor { ANN } else { BOB }, true),
                remove(ANN),
                Act::HandOver(candidate(BOB)),
                Act::Finish,
                Act::Cancel { late: true },
            ];
            for (act, expected) in acts.into_iter().zip(outcomes) {
                let outcome = outcome(status, seat, act.clone());
                assert_eq!(outcome, expected, "{act:?} of {seat:?} in {status:?}");
            }
        }
    }

    #[test]
    fn a_consult_without_doctors_is_claimed_where_the_team_allows_it() {
        use Status::{Cancelled, Finished, InProcess, Waiting};
        let claimed = |status, allowed| {
            let life = Life {
                status,
                is_charged: false,
                doctors: Vec::new(),
            };
            life.decide(BOB, Seat::Colleague, claim(BOB, allowed))
        };
        for open in [Waiting, InProcess] {
            let effects = claimed(open, true).unwrap();
            assert!(effects.contains(&Effect::Seat(BOB)));
            assert_eq!(
                effects.contains(&Effect::Enter(InProcess)),
                open == Waiting,
                "a consult that lost its last doctor is in process"
            );
            let refused = claimed(open, false).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::ConsultNoClaims);
        }
        for ended in [Finished, Cancelled] {
            assert_eq!(claimed(ended, true).unwrap_err().code(), ErrorCode::ConsultEnded);
        }
    }

    #[test]
    fn a_doctor_who_hands_over_has_served_and_one_who_did_nothing_has_not() {
        let life = Life {
            status: Status::InProcess,
            is_charged: false,
            doctors: vec![ANN],
        };
        let served = |act| {
            let effects = life.decide(ANN, Seat::Doctor, act).unwrap();
            effects.into_iter().find_map(|effect| match effect {
                Effect::Unseat { doctor, served } => Some((doctor, served)),
                _ => None,
            })
        };
        assert_eq!(served(Act::HandOver(candidate(BOB))), Some((ANN, true)));
        assert_eq!(served(remove(ANN)), Some((ANN, false)));
        let served_and_left = Act::Remove {
            doctor: ANN,
            served: true,
        };
        assert_eq!(served(served_and_left), Some((ANN, true)));
    }

    #[test]
    fn a_patient_cancels_until_a_doctor_came_in_and_later_where_the_team_allows_it() {
        let cancel = |status, seat, late| outcome(status, seat, Act::Cancel { late });
        use Status::{Cancelled, Finished, InProcess, Waiting};
        for seat in [Seat::Patient, Seat::Assistant] {
            assert_eq!(cancel(Waiting, seat, false), Ok(Some(Cancelled)));
            assert_eq!(cancel(InProcess, seat, true), Ok(Some(Cancelled)));
            assert_eq!(cancel(Finished, seat, false), Err(ErrorCode::ConsultEnded));
        }
        assert_eq!(
            cancel(InProcess, Seat::Patient, false),
            Err(ErrorCode::ConsultAccepted)
        );
        assert_eq!(cancel(InProcess, Seat::Assistant, false), Ok(Some(Cancelled)));
    }

    #[test]
    fn only_a_doctor_in_an_open_consult_advises() {
        let advise = |status, seat| outcome(status, seat, Act::Advise);
        assert_eq!(advise(Status::InProcess, Seat::Doctor), Ok(None));
        assert_eq!(
            advise(Status::Finished, Seat::Doctor),
            Err(ErrorCode::ConsultEnded)
        );
        for seat in [Seat::Patient, Seat::Assistant, Seat::Colleague] {
            assert_eq!(advise(Status::InProcess, seat), Err(ErrorCode::ConsultForbidden));
        }
    }

    #[test]
    fn the_end_settles_a_price_once_and_nothing_else_does() {
        let settled = |status, is_charged, act| {
            let doctors = vec![ANN];
            let life = Life {
                status,
                is_charged,
                doctors,
            };
            let effects = life.decide(BOB, Seat::Assistant, act).unwrap_or_default();
            let settled = effects.into_iter().filter_map(|effect| match effect {
                Effect::Settle(state) => Some(state),
                _ => None,
            });
            settled.collect::<Vec<_>>()
        };
        use Status::{Cancelled, Finished, InProcess, Waiting};
        assert_eq!(settled(InProcess, true, Act::Finish), [ChargeState::Earned]);
        for open in [Waiting, InProcess] {
            assert_eq!(
                settled(open, true, Act::Cancel { late: true }),
                [ChargeState::Returned]
            );
            assert_eq!(settled(open, true, Act::Add(candidate(BOB))), []);
            assert_eq!(settled(open, true, remove(ANN)), []);
            assert_eq!(settled(open, false, Act::Cancel { late: true }), []);
        }
        for ended in [Finished, Cancelled] {
            assert_eq!(settled(ended, true, Act::Finish), []);
            assert_eq!(settled(ended, true, Act::Cancel { late: true }), []);
        }
    }

    #[test]
    fn refusals_about_a_doctor_name_the_field() {
        let life = Life {
            status: Status::InProcess,
            is_charged: false,
            doctors: vec![ANN],
        };
        let foreign = Candidate {
            doctor: BOB,
            joining: None,
        };
        for (act, code) in [
            (Act::Add(foreign), ErrorCode::ConsultDoctorNotFound),
            (Act::Add(candidate(ANN)), ErrorCode::ConsultAlreadyIn),
            (remove(BOB), ErrorCode::ConsultDoctorNotFound),
        ] {
            let refusal = life.decide(BOB, Seat::Assistant, act).unwrap_err();
            assert_eq!((refusal.code(), refusal.at()), (code, Some("doctor_id")));
        }
    }
}
