//! The scripts of consults, without a database: the decisions of consults, value-added services and money, and a model that
//! obeys their effects.

#[path = "../../tests/it/script.rs"]
mod script;

use std::collections::{BTreeMap, BTreeSet};

use journal::record::NewParticipant;
use ledger::{Account, Commission, Fen, Movement, Split};
use proto::{UserId, wire::Role};

use self::script::{DOCTORS, View, World};
use crate::{
    consult::{
        self,
        life::{Act, Candidate, ChargeState, Conversation, Effect, Entry, Life, Seat, Shelf, Status},
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

/// The team.
const TEAM: i64 = 1;

fn fen(amount: i64) -> Fen {
    Fen::new(amount).unwrap()
}

struct Consult {
    life: Life,
    patient: UserId,
    price: Fen,
    split: Split,
    /// The membership whose fee paid.
    membership: i64,
    seats: BTreeMap<UserId, (Seat, Shelf)>,
    /// Of doctors who left: the doctors who stayed.
    left: BTreeMap<UserId, Vec<UserId>>,
    main: Vec<String>,
    staff: Vec<String>,
}

struct Service {
    consult: usize,
    doctor: UserId,
    price: Fen,
    state: State,
}

struct Model {
    /// Doctors and members of the team.
    team: BTreeSet<UserId>,
    consults: Vec<Consult>,
    services: Vec<Service>,
    /// Whether doctors claim consults.
    claims: bool,
    price: Fen,
    fee: Fen,
    /// How often a member joined.
    times: i64,
    balances: BTreeMap<String, i64>,
}

impl Model {
    fn new() -> Self {
        Self {
            team: ["owner", "ann", "bob", "cho"].map(id).into(),
            consults: Vec::new(),
            services: Vec::new(),
            claims: false,
            price: Fen::ZERO,
            fee: Fen::ZERO,
            times: 0,
            balances: BTreeMap::new(),
        }
    }

    fn balance(&self, account: Account) -> i64 {
        let balance = self.balances.get(&account.to_string());
        balance.copied().unwrap_or_default()
    }

    /// All of it or nothing.
    fn post(&mut self, movement: &Movement) -> Result<(), Error> {
        let mut balances = self.balances.clone();
        for leg in movement.legs() {
            let balance = balances.entry(leg.account.to_string()).or_default();
            *balance += leg.amount_fen;
            if leg.account.is_guarded() && *balance < 0 {
                return Err(ledger::Error::Insufficient(leg.account).into());
            }
        }
        self.balances = balances;
        Ok(())
    }

    fn settle(&mut self, at: usize, next: ChargeState) {
        let consult = &self.consults[at];
        let (number, member, price) = (at as i64, consult.patient, consult.price);
        let movement = match next {
            ChargeState::Held => return,
            ChargeState::Earned => Movement::finish(number, TEAM, price, Commission::NONE),
            ChargeState::Returned => {
                let mut split = consult.split;
                if !self.team.contains(&member) || consult.membership != self.times {
                    split = Split::of(price, Fen::ZERO);
                }
                Movement::cancel(number, TEAM, member, split)
            }
        };
        self.post(&movement).unwrap();
    }

    fn member_joins(&mut self, member: UserId) -> Result<(), Error> {
        self.post(&Movement::join(TEAM, member, self.times + 1, self.fee))?;
        self.times += 1;
        assert!(self.team.insert(member), "{member:?} is in the team");
        Ok(())
    }

    fn open(&mut self, patient: UserId) -> Result<(), Error> {
        let member = patient;
        let rest = fen(self.balance(Account::Fee { team: TEAM, member }));
        let split = Split::of(self.price, rest);
        let number = self.consults.len() as i64;
        self.post(&Movement::begin(number, TEAM, patient, split))?;
        let assistant = id("assistant");
        let seats = [(patient, Seat::Patient), (assistant, Seat::Assistant)];
        self.consults.push(Consult {
            life: Life {
                status: Status::Waiting,
                is_charged: !self.price.is_zero(),
                doctors: Vec::new(),
            },
            patient,
            price: self.price,
            split,
            membership: self.times,
            seats: seats.map(|(user, seat)| (user, (seat, Shelf::InProcess))).into(),
            left: BTreeMap::new(),
            main: vec![format!("+{}", name(patient)), "+assistant".into()],
            staff: vec!["+assistant".into()],
        });
        Ok(())
    }

    fn seat(&self, consult: usize, user: UserId) -> Result<Seat, ErrorCode> {
        match self.consults[consult].seats.get(&user) {
            None | Some((_, Shelf::Removed)) => Err(ErrorCode::ConsultNotFound),
            Some((seat, _)) => Ok(*seat),
        }
    }

    fn candidate(&self, doctor: UserId) -> Candidate {
        let may_join = self.team.contains(&doctor) && doctor != id("patient");
        let joining = may_join.then(|| NewParticipant::new(doctor, Role::Doctor, name(doctor)));
        Candidate { doctor, joining }
    }

    fn claim(&mut self, user: UserId) -> Result<(), Error> {
        let candidate = self.candidate(user);
        let seat = match self.seat(self.consults.len() - 1, user) {
            Err(_) if candidate.joining.is_some() => Seat::Colleague,
            seat => seat?,
        };
        let allowed = self.claims;
        self.decide_on(user, seat, Act::Claim { candidate, allowed })
    }

    fn remove(&mut self, user: UserId, doctor: UserId) -> Result<(), Error> {
        let at = self.consults.len() - 1;
        let mut services = self.services.iter();
        let served = services.any(|service| service.consult == at && service.doctor == doctor);
        self.decide(user, Act::Remove { doctor, served })
    }

    fn decide(&mut self, user: UserId, act: Act) -> Result<(), Error> {
        let seat = self.seat(self.consults.len() - 1, user)?;
        self.decide_on(user, seat, act)
    }

    fn decide_on(&mut self, user: UserId, seat: Seat, act: Act) -> Result<(), Error> {
        let at = self.consults.len() - 1;
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
            Effect::Unseat { doctor, .. } => {
                consult.seats.insert(doctor, (Seat::Doctor, Shelf::Removed));
                consult.life.doctors.retain(|known| *known != doctor);
                consult.left.insert(doctor, consult.life.doctors.clone());
            }
            Effect::Record(conversation, entry) => {
                let word = match entry {
                    Entry::Passed { kind, .. } => kind.to_owned(),
                    Entry::Advice(_) => "advice".to_owned(),
                    Entry::Joined(joining) => format!("+{}", name(joining.user)),
                    Entry::Left(doctor) => format!("-{}", name(doctor)),
                    Entry::Status(status) => {
                        let open = if status.is_open() { "open" } else { "closed" };
                        let word = format!("{}/{open}", status.as_str());
                        if consult.life.is_charged {
                            format!("{word}/{}", ChargeState::of(status).as_str())
                        } else {
                            word
                        }
                    }
                };
                match conversation {
                    Conversation::Main => consult.main.push(word),
                    Conversation::Staff => consult.staff.push(word),
                }
            }
            Effect::Settle(next) => self.settle(at, next),
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

    fn propose(&mut self, doctor: UserId, price: Fen) -> Result<(), Error> {
        let at = self.consults.len() - 1;
        let seat = self.seat(at, doctor)?;
        let open = self.services.iter();
        let open = open.filter(|service| service.consult == at && service.state == State::Proposed);
        let state = life::propose(seat, self.consults[at].life.status, open.count() as i64)?;
        self.services.push(Service {
            consult: at,
            doctor,
            price,
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
            if next == State::Confirmed {
                let vas = number as i64;
                self.post(&Movement::vas(vas, TEAM, user, service.price, Commission::NONE))?;
            }
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
            let (team, member) = (TEAM, user);
            let rest = fen(self.balance(Account::Fee { team, member }));
            self.post(&Movement::leave(team, member, self.times, rest))
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
        let consult = &self.consults[at];
        let (_, shelf) = consult.seats.get(&user).ok_or(ErrorCode::ConsultNotFound)?;
        // A doctor who left sees it as it was then.
        let (status, doctors, list) = match shelf {
            Shelf::Removed => (Status::InProcess, &consult.left[&user], "left"),
            Shelf::InProcess => (consult.life.status, &consult.life.doctors, "in process"),
            Shelf::History => (consult.life.status, &consult.life.doctors, "in the history"),
            Shelf::Hidden => (consult.life.status, &consult.life.doctors, "on no list"),
        };
        let doctors: Vec<&str> = doctors.iter().map(|doctor| name(*doctor)).collect();
        Ok(format!("{} [{}], {list}", status.as_str(), doctors.join(" ")))
    }

    fn command(&mut self, who: &str, act: &str, about: Option<&str>) -> Result<Option<String>, Error> {
        let user = id(who);
        let about = about.unwrap_or_default();
        let number = || about.parse::<usize>().expect(about) - 1;
        let amount = || fen(about.parse().unwrap_or_default());
        match act {
            "opens" if ["patient", "eve"].contains(&who) => self.open(user)?,
            "opens" => return Err(ErrorCode::MembersOnly.into()),
            "adds" => self.decide(user, Act::Add(self.candidate(id(about))))?,
            "claims" => self.claim(user)?,
            "lets" if who == "owner" => self.claims = about == "claim",
            "removes" => self.remove(user, id(about))?,
            "hands-over" => self.decide(user, Act::HandOver(self.candidate(id(about))))?,
            "finishes" => self.decide(user, Act::Finish)?,
            "cancels" => self.decide(user, Act::Cancel { late: true })?,
            "hides" => self.hide(user)?,
            "proposes" => self.propose(user, amount())?,
            "confirms" => self.step(user, number(), Step::Confirm)?,
            "declines" => self.step(user, number(), Step::Decline)?,
            "retracts" => self.step(user, number(), Step::Retract)?,
            "joins" if who == "patient" => self.member_joins(user)?,
            "joins" => assert!(self.team.insert(user), "{who} is in the team"),
            "leaves" => self.leave(user)?,
            "dismisses" => return self.dismiss(user, id(about)).map(Some),
            "asks" => self.price = amount(),
            "demands" => self.fee = amount(),
            "has" => self.post(&Movement::credit(1, user, amount()))?,
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
        let (team, member) = (TEAM, id("patient"));
        let held = Account::Held(self.consults.len() as i64 - 1);
        let money = script::money([
            ("wallet", self.balance(Account::Wallet(member))),
            ("fee", self.balance(Account::Fee { team, member })),
            ("held", self.balance(held)),
            ("income", self.balance(Account::Income(team))),
        ]);
        let Some(consult) = self.consults.last() else {
            return View {
                money,
                ..View::default()
            };
        };
        View {
            status: consult.life.status.as_str().to_owned(),
            main: consult.main.clone(),
            staff: consult.staff.clone(),
            money,
        }
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
