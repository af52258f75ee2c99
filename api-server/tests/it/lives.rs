//! The scripts of consults, sent as requests to the service: it does what the decisions say, in the database and in both
//! journals.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

use journal::history::Direction;
use ledger::Account;
use proto::{
    ConversationId, Seq, UserId,
    wire::{self, EntryKind, entry::Event},
};
use serde_json::{Value, json};

use super::{
    money::{fee, income, wallet},
    people::{Person, Team, new_consult},
    service::{Reply, Service},
};
use crate::script::{self, DOCTORS, View, World};

static NEXT_KEY: AtomicU32 = AtomicU32::new(1);

struct Requests<'s> {
    service: &'s Service,
    team: Team,
    users: HashMap<&'static str, Person>,
    consult: Option<i64>,
    /// The user who opened it: they see its main conversation from entry 1.
    opener: i64,
    services: Vec<i64>,
}

impl<'s> Requests<'s> {
    async fn new(service: &'s Service) -> Self {
        let team = service.team("儿科").await;
        let free = json!({"membership_fee_fen": 0, "consult_price_fen": 0});
        let path = format!("/team/{}", team.id);
        team.owner.put(service, &path, free).send().await.result();
        let mut users = HashMap::from([
            ("owner", team.owner.clone()),
            ("assistant", team.assistant.clone()),
            ("patient", service.member("patient").await),
            ("eve", service.member("eve").await),
        ]);
        for name in DOCTORS {
            let doctor = match name {
                "dan" => service.doctor(name).await,
                _ => service.doctor_of(&team, name).await,
            };
            users.insert(name, doctor);
        }
        Self {
            service,
            team,
            users,
            consult: None,
            opener: 0,
            services: Vec::new(),
        }
    }

    fn name(&self, id: i64) -> &'static str {
        let mut users = self.users.iter();
        users.find(|(_, user)| user.id == id).unwrap().0
    }

    async fn send(&self, who: &str, act: &str, about: Option<&str>) -> Reply {
        let service = self.service;
        let user = &self.users[who];
        let consult = format!("/consult/{}", self.consult.unwrap_or_default());
        let team = format!("/team/{}", self.team.id);
        let doctor = || self.users[about.unwrap()].id;
        let vas = || {
            let number: usize = about.unwrap().parse().unwrap();
            let id = self.services.get(number - 1).copied();
            format!("/vas/{}", id.unwrap_or(9_007_199_254_740_991))
        };
        let post = async |path: String, body: Value| user.post(service, &path, body).send().await;
        let delete = async |path: String| user.delete(service, &path).send().await;
        match act {
            "opens" => {
                let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed).to_string();
                let call = user.post(service, "/consult", new_consult(user, self.team.id));
                call.key(&key).send().await
            }
            "adds" => post(format!("{consult}/doctor"), json!({"doctor_id": doctor()})).await,
            "claims" => post(format!("{consult}/claim"), json!({})).await,
            "lets" => {
                let claims = json!({"claims": about == Some("claim")});
                user.put(service, &team, claims).send().await
            }
            "removes" => delete(format!("{consult}/doctor/{}", doctor())).await,
            "hands-over" => post(format!("{consult}/handover"), json!({"doctor_id": doctor()})).await,
            "finishes" => post(format!("{consult}/finish"), json!({})).await,
            "cancels" => post(format!("{consult}/cancel"), json!({})).await,
            "hides" => {
                let id = self.consult.unwrap_or_default();
                delete(format!("/consult/history_list/{id}")).await
            }
            "proposes" => {
                let price = about.map_or(0, |price| price.parse::<i64>().unwrap());
                let body = json!({"name": "n", "description": "", "price_fen": price});
                post(format!("{consult}/vas"), body).await
            }
            "confirms" => post(format!("{}/confirm", vas()), json!({})).await,
            "declines" => post(format!("{}/decline", vas()), json!({})).await,
            "retracts" => post(format!("{}/withdraw", vas()), json!({})).await,
            "joins" if DOCTORS.contains(&who) => {
                let body = json!({"doctor_id": user.id});
                let path = format!("{team}/doctor");
                self.team.owner.post(service, &path, body).send().await.result();
                service.accept(user).await
            }
            "joins" => {
                let body = json!({"team_id": self.team.id, "agreement_version": 1});
                post("/team/join".into(), body).await
            }
            "leaves" => post(format!("{team}/leave"), json!({})).await,
            "dismisses" => delete(format!("{team}/doctor/{}", doctor())).await,
            "asks" | "demands" => {
                let name = match act {
                    "asks" => "consult_price_fen",
                    _ => "membership_fee_fen",
                };
                let price: i64 = about.unwrap().parse().unwrap();
                user.put(service, &team, json!({name: price})).send().await
            }
            "has" => {
                service.credit(user, about.unwrap().parse().unwrap()).await;
                user.get(service, "/team/my_list").send().await
            }
            "looks" => user.get(service, &consult).send().await,
            _ => panic!("no such act: {act}"),
        }
    }

    /// The list of a user on which the consult stands.
    async fn list_of(&self, user: &Person) -> &'static str {
        for (list, word) in [
            ("in_process_list", "in process"),
            ("history_list", "in the history"),
        ] {
            let path = format!("/consult/{list}");
            let result = user.get(self.service, &path).send().await.result();
            let mut items = result.as_array().unwrap().iter();
            if items.any(|item| item["consultation_id"].as_i64() == self.consult) {
                return word;
            }
        }
        "on no list"
    }

    async fn entries(&self, conversation: i64, reader: i64) -> Vec<String> {
        let conversation = ConversationId::from_database(conversation);
        let reader = UserId::from_database(reader);
        let end = Direction::Before(Seq::from_database(i64::MAX));
        let history = self.service.journal.history(conversation, reader, end, 200).await;
        let entries = history.unwrap().entries.into_iter();
        // The scripts know no messages: the complaint is one.
        let entries = entries.filter(|entry| entry.kind != EntryKind::Message);
        entries.map(|entry| self.word(entry.into_wire())).collect()
    }

    fn word(&self, entry: wire::Entry) -> String {
        let kind = EntryKind::try_from(entry.kind).unwrap();
        match (kind, entry.event.unwrap()) {
            (EntryKind::ParticipantJoined, Event::Participant(event)) => {
                format!("+{}", self.name(event.user_id))
            }
            (EntryKind::ParticipantLeft, Event::Participant(event)) => {
                format!("-{}", self.name(event.user_id))
            }
            (EntryKind::StatusChanged, Event::Status(event)) => {
                let open = if event.open { "open" } else { "closed" };
                let word = format!("{}/{open}", event.status);
                match event.charge_state.as_str() {
                    "" => word,
                    state => format!("{word}/{state}"),
                }
            }
            (kind, Event::Vas(event)) => {
                let name = kind.as_str_name().to_ascii_lowercase();
                assert_eq!(name, format!("entry_kind_vas_{}", event.state));
                let at = self.services.iter().position(|id| *id == event.vas_id);
                format!("vas_{}/{}", event.state, at.unwrap() + 1)
            }
            other => panic!("{other:?}"),
        }
    }
}

impl World for Requests<'_> {
    async fn act(&mut self, who: &str, act: &str, about: Option<&str>) -> Result<Option<String>, String> {
        let reply = self.send(who, act, about).await;
        if reply.status != 200 {
            let field = reply.json["field"].as_str();
            let field = field.map(|field| format!(" ({field})"));
            let code = reply.json["error"].as_str().unwrap();
            return Err(format!("{code}{}", field.unwrap_or_default()));
        }
        let result = &reply.json["result"];
        Ok(match act {
            "opens" => {
                self.consult = result["consultation_id"].as_i64();
                self.opener = self.users[who].id;
                None
            }
            "proposes" => {
                self.services.push(result["vas_id"].as_i64().unwrap());
                None
            }
            "dismisses" => Some(format!("running consults: {}", result["running_consults"])),
            "looks" => {
                let doctors = result["doctor_ids"].as_array().unwrap().iter();
                let doctors: Vec<&str> = doctors.map(|id| self.name(id.as_i64().unwrap())).collect();
                let list = match result["left_ms"].is_i64() {
                    true => "left",
                    false => self.list_of(&self.users[who]).await,
                };
                let status = &result["status"];
                Some(format!(
                    "{} [{}], {list}",
                    status.as_str().unwrap(),
                    doctors.join(" ")
                ))
            }
            _ => None,
        })
    }

    async fn view(&mut self) -> View {
        let balance = async |account| self.service.balance(account).await;
        let patient = &self.users["patient"];
        let money = script::money([
            ("wallet", balance(wallet(patient)).await),
            ("fee", balance(fee(&self.team, patient)).await),
            (
                "held",
                balance(Account::Held(self.consult.unwrap_or_default())).await,
            ),
            ("income", balance(income(&self.team)).await),
        ]);
        let Some(consult) = self.consult else {
            return View {
                money,
                ..View::default()
            };
        };
        let path = format!("/consult/{consult}");
        let shown = self.team.assistant.get(self.service, &path).send().await.result();
        View {
            status: shown["status"].as_str().unwrap().to_owned(),
            main: self.entries(consult, self.opener).await,
            staff: self
                .entries(
                    shown["staff_conversation_id"].as_i64().unwrap(),
                    self.team.assistant.id,
                )
                .await,
            money,
        }
    }
}

/// I2, I5, I6.
#[tokio::test]
async fn the_service_does_what_the_scripts_say() {
    let service = Service::charging().await;
    let scripts = script::all();
    let mut wrong = Vec::new();
    for (path, text) in scripts {
        let played = script::play(&mut Requests::new(&service).await, &text).await;
        if played != text {
            wrong.push(format!("{}\n{played}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    service.balances().await;
}
