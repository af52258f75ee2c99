//! The scripts of consults, without a database: the decisions of consults and value-added services, and a model that obeys
//! their effects.

#[path = "../../tests/it/script.rs"]
mod script;

use std::collections::{BTreeMap, BTreeSet};

use proto::UserId;

use self::script::{DOCTORS, View, World};
use crate::{
    consult::{
        self,
        life::{Act, Candidate, Conversation, Effect, Entry, Life, Seat, Shelf, Status},
    },
    http::error::{Error, ErrorCode},
    vas::life::{self, Side, State, Step},
};

const NAMES: [&str; 8] = ["patient", "assistant", "owner", "ann", "bob", "cho", "dan", "eve"];

fn id(name: &str) -> UserId {
    let at = NAMES.iter().position(|known| *known == name);
    UserId::from_database(at.unwrap_or_else(|| panic!("no such user: {name}")) as i64)
}

fn name(id: UserId) -> &'static str {
    NAMES[id.get() as usize]
}

struct Consult {
    life: Life,
    seats: BTreeMap<UserId, (Seat, Shelf)>,
    main: Vec<String>,
    staff: Vec<String>,
}

struct Service {
    consult: usize,
    doctor: UserId,
    state: State,
}

struct Model {
    /// Doctors and members of the team.
    team: BTreeSet<UserId>,
    consults: Vec<Consult>,
    services: Vec<Service>,
}

impl Model {
    fn new() -> Self {
        Self {
            team: ["owner", "ann", "bob", "cho"].map(id).into(),
            consults: Vec::new(),
            services: Vec::new(),
        }
    }

    fn open(&mut self, patient: UserId) {
        let assistant = id("assistant");
        let seats = [(patient, Seat::Patient), (assistant, Seat::Assistant)];
        self.consults.push(Consult {
            life: Life {
                status: Status::Waiting,
                doctors: Vec::new(),
            },
            seats: seats.map(|(user, seat)| (user, (seat, Shelf::InProcess))).into(),
            main: vec![format!("+{}", name(patient)), "+assistant".into()],
            staff: vec!["+assistant".into()],
        });
    }

    fn seat(&self, consult: usize, user: UserId) -> Result<Seat, ErrorCode> {
        match self.consults[consult].seats.get(&user) {
            None | Some((_, Shelf::Removed)) => Err(ErrorCode::ConsultNotFound),
            Some((seat, _)) => Ok(*seat),
        }
    }

    fn candidate(&self, doctor: UserId) -> Candidate {
        let name = (self.team.contains(&doctor) && doctor != id("patient")).then(|| name(doctor).into());
        Candidate { doctor, name }
    }

    fn decide(&mut self, user: UserId, act: Act) -> Result<(), Error> {
        let at = self.consults.len() - 1;
        let seat = self.seat(at, user)?;
        for effect in self.consults[at].life.decide(user, seat, act)? {
            self.obey(at, effect);
        }
        Ok(())
    }

    fn obey(&mut self, at: usize, effect: Effect) {
        let consult = &mut self.consults[at];
        match effect {
            Effect::Enter(next) => {
                consult.life.status = next;
                if !next.is_open() {
                    for (_, shelf) in consult.seats.values_mut() {
                        *shelf = shelf.end();
                    }
                }
            }
            Effect::Seat(doctor) => {
                consult.seats.insert(doctor, (Seat::Doctor, Shelf::InProcess));
                consult.life.doctors.push(doctor);
            }
            Effect::Unseat(doctor) => {
                consult.seats.insert(doctor, (Seat::Doctor, Shelf::Removed));
                consult.life.doctors.retain(|known| *known != doctor);
            }
            Effect::Record(conversation, entry) => {
                let word = match entry {
                    Entry::Joined { doctor, .. } => format!("+{}", name(doctor)),
                    Entry::Left(doctor) => format!("-{}", name(doctor)),
                    Entry::Status(status) => {
                        let open = if status.is_open() { "open" } else { "closed" };
                        format!("{}/{open}", status.as_str())
                    }
                };
                match conversation {
                    Conversation::Main => consult.main.push(word),
                    Conversation::Staff => consult.staff.push(word),
                }
            }
            Effect::Raise(event) => self.raise(at, event),
        }
    }

    fn raise(&mut self, at: usize, event: consult::Event) {
        for number in 0..self.services.len() {
            let service = &self.services[number];
            let is_open = service.consult == at && service.state == State::Proposed;
            if is_open && life::retracts(event, service.doctor) {
                self.enter(number, State::Retracted);
            }
        }
    }

    fn enter(&mut self, number: usize, state: State) {
        let service = &mut self.services[number];
        service.state = state;
        let card = format!("vas_{}/{}", state.as_str(), number + 1);
        self.consults[service.consult].main.push(card);
    }

    fn propose(&mut self, doctor: UserId) -> Result<(), Error> {
        let at = self.consults.len() - 1;
        let seat = self.seat(at, doctor)?;
        let open = self.services.iter();
        let open = open.filter(|service| service.consult == at && service.state == State::Proposed);
        let state = life::propose(seat, self.consults[at].life.status, open.count() as i64)?;
        self.services.push(Service {
            consult: at,
            doctor,
            state,
        });
        self.enter(self.services.len() - 1, state);
        Ok(())
    }

    fn step(&mut self, user: UserId, number: usize, step: Step) -> Result<(), Error> {
        let service = self.services.get(number).ok_or(ErrorCode::VasNotFound)?;
        let side = match self.consults[service.consult].seats.get(&user) {
            Some((Seat::Patient, _)) => Side::Member,
            _ if service.doctor == user => Side::Doctor,
            None | Some((_, Shelf::Removed)) => return Err(ErrorCode::VasNotFound.into()),
            Some(_) => Side::Onlooker,
        };
        if let Some(next) = service.state.decide(side, step)? {
            self.enter(number, next);
        }
        Ok(())
    }

    fn hide(&mut self, user: UserId) -> Result<(), Error> {
        let consult = self.consults.last_mut().ok_or(ErrorCode::ConsultNotFound)?;
        let (_, shelf) = consult.seats.get_mut(&user).ok_or(ErrorCode::ConsultNotFound)?;
        *shelf = shelf.hide()?;
        Ok(())
    }

    fn leave(&mut self, user: UserId) -> Result<(), Error> {
        if user == id("owner") {
            return Err(ErrorCode::TeamOwnerStays.into());
        }
        if self.team.remove(&user) {
            Ok(())
        } else {
            Err(ErrorCode::TeamNotIn.into())
        }
    }

    fn dismiss(&mut self, by: UserId, doctor: UserId) -> Result<String, Error> {
        if ![id("owner"), id("assistant")].contains(&by) {
            return Err(ErrorCode::TeamForbidden.into());
        }
        self.leave(doctor).map_err(|refusal| match refusal.code() {
            ErrorCode::TeamNotIn => Error::new(ErrorCode::TeamDoctorNotFound).field("doctor_id"),
            _ => refusal,
        })?;
        let running = self.consults.iter();
        let running =
            running.filter(|consult| consult.seats.get(&doctor) == Some(&(Seat::Doctor, Shelf::InProcess)));
        Ok(format!("running consults: {}", running.count()))
    }

    fn look(&self, user: UserId) -> Result<String, Error> {
        let at = self.consults.len() - 1;
        self.seat(at, user)?;
        let consult = &self.consults[at];
        let doctors: Vec<&str> = consult.life.doctors.iter().map(|doctor| name(*doctor)).collect();
        let list = match consult.seats[&user].1 {
            Shelf::InProcess => "in process",
            Shelf::History => "in the history",
            Shelf::Hidden | Shelf::Removed => "on no list",
        };
        Ok(format!(
            "{} [{}], {list}",
            consult.life.status.as_str(),
            doctors.join(" ")
        ))
    }

    fn command(&mut self, who: &str, act: &str, about: Option<&str>) -> Result<Option<String>, Error> {
        let user = id(who);
        let about = about.unwrap_or_default();
        let number = || about.parse::<usize>().expect(about) - 1;
        match act {
            "opens" if ["patient", "eve"].contains(&who) => self.open(user),
            "opens" => return Err(ErrorCode::MembersOnly.into()),
            "adds" => self.decide(user, Act::Add(self.candidate(id(about))))?,
            "removes" => self.decide(user, Act::Remove(id(about)))?,
            "hands-over" => self.decide(user, Act::HandOver(self.candidate(id(about))))?,
            "finishes" => self.decide(user, Act::Finish)?,
            "cancels" => self.decide(user, Act::Cancel)?,
            "hides" => self.hide(user)?,
            "proposes" => self.propose(user)?,
            "confirms" => self.step(user, number(), Step::Confirm)?,
            "declines" => self.step(user, number(), Step::Decline)?,
            "retracts" => self.step(user, number(), Step::Retract)?,
            "joins" => assert!(self.team.insert(user), "{who} is in the team"),
            "leaves" => self.leave(user)?,
            "dismisses" => return self.dismiss(user, id(about)).map(Some),
            "looks" => return self.look(user).map(Some),
            _ => panic!("no such act: {act}"),
        }
        Ok(None)
    }
}

impl World for Model {
    async fn act(&mut self, who: &str, act: &str, about: Option<&str>) -> Result<Option<String>, String> {
        self.command(who, act, about).map_err(|refusal| {
            let field = refusal.at().map(|field| format!(" ({field})"));
            format!("{}{}", refusal.code().as_str(), field.unwrap_or_default())
        })
    }

    async fn view(&mut self) -> View {
        self.consults.last().map_or_else(View::default, |consult| View {
            status: consult.life.status.as_str().to_owned(),
            main: consult.main.clone(),
            staff: consult.staff.clone(),
        })
    }
}

#[tokio::test]
async fn scripts_have_the_effects_they_say() {
    assert!(DOCTORS.iter().all(|doctor| NAMES.contains(doctor)));
    let mut wrong = Vec::new();
    for (path, text) in script::all() {
        let played = script::play(&mut Model::new(), &text).await;
        if played == text {
            continue;
        }
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &played).unwrap();
        }
        wrong.push(format!("{}\n{played}", path.display()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_wrong_expectation_fails() {
    let right = "patient opens\n> waiting\n> main: +patient +assistant\n> staff: +assistant\n";
    assert_eq!(script::play(&mut Model::new(), right).await, right);
    for (said, wrong) in [("> waiting\n", "> in_process\n"), ("> staff: +assistant\n", "")] {
        let wrong = right.replace(said, wrong);
        assert_ne!(script::play(&mut Model::new(), &wrong).await, wrong);
    }
}
