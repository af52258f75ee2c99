//! `rights.toml`: each cell of the table is a request of its own, allowed or refused as the table says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
};

use api_server::{Caller, Route};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    people::{Person, Team, new_phone},
    rights_table::{ACTORS, Expected, of, table},
    service::{Reply, Service},
};

static NEXT_KEY: AtomicU32 = AtomicU32::new(1);

/// The actors of the table, and the team.
pub(super) struct World {
    people: BTreeMap<&'static str, Person>,
    pub(super) team: Team,
    /// Founded by the team's owner, with the doctor in it.
    clinic: i64,
    clinic_name: String,
}

impl World {
    async fn new(service: &Service, number: usize) -> Self {
        let team = service.team("儿科").await;
        let foreign = service.team("内科").await;
        let (operator, _) = super::operators::operator(service, &format!("operator {number}")).await;
        let people = [
            ("patient", service.member("王芳").await),
            ("member", service.member("Sam").await),
            ("doctor", service.doctor_of(&team, "Dr. B").await),
            ("colleague", service.doctor_of(&team, "Dr. C").await),
            ("owner", team.owner.clone()),
            ("outsider", service.doctor("Dr. X").await),
            ("assistant", team.assistant.clone()),
            ("foreign_assistant", foreign.assistant),
            ("operator", operator),
        ];
        let clinic_name = format!("clinic-{number}");
        let body = json!({"name": clinic_name, "introduction": ""});
        let made = team.owner.post(service, "/clinic", body).send().await.result();
        let world = Self {
            people: people.into(),
            team,
            clinic: made["clinic_id"].as_i64().unwrap(),
            clinic_name,
        };
        world.join_clinic(service, world.person("doctor")).await;
        world
    }

    pub(super) fn person(&self, name: &str) -> &Person {
        &self.people[name]
    }

    async fn join_clinic(&self, service: &Service, doctor: &Person) {
        let path = format!("/clinic/{}/doctor", self.clinic);
        let body = json!({"doctor_id": doctor.id});
        self.team.owner.post(service, &path, body).send().await.result();
        service.accept(doctor).await.result();
    }

    /// Invites a phone.
    async fn invite(&self, service: &Service, path: &str, phone: &str) -> i64 {
        let owner = &self.team.owner;
        let body = json!({"phone": phone});
        let made = owner.post(service, path, body).send().await.result();
        made["invitation_id"].as_i64().unwrap()
    }

    /// A new consult with the doctor in it.
    pub(super) async fn consult(&self, service: &Service) -> i64 {
        let consult = service.consult(self.person("patient"), &self.team).await;
        service.bring_in(&self.team, consult, self.person("doctor")).await;
        consult
    }

    async fn vas(&self, service: &Service, consult: i64) -> i64 {
        let body = json!({"name": "n", "description": "", "price_fen": 1});
        let path = format!("/consult/{consult}/vas");
        let made = self
            .person("doctor")
            .post(service, &path, body)
            .send()
            .await
            .result();
        made["vas_id"].as_i64().unwrap()
    }

    /// The thing that a name in braces stands for; made for this cell alone.
    async fn thing(&self, service: &Service, name: &str) -> String {
        if let Some(person) = self.people.get(name) {
            return person.id.to_string();
        }
        let id = match name {
            "team" => self.team.id,
            "new_phone" => return new_phone(),
            "new_doctor" => service.doctor("Dr. New").await.id,
            "new_member" => service.member("New").await.id,
            "new_team_doctor" => service.doctor_of(&self.team, "Dr. New").await.id,
            "new_team_member" => {
                let member = service.member("New").await;
                let body = json!({"team_id": self.team.id, "agreement_version": 1});
                member.post(service, "/team/join", body).send().await.result();
                member.id
            }
            "team_invitation" => {
                let path = format!("/team/{}/invitation", self.team.id);
                let made = self
                    .team
                    .owner
                    .post(service, &path, json!({}))
                    .send()
                    .await
                    .result();
                made["invitation_id"].as_i64().unwrap()
            }
            "team_phone_invitation" => {
                let path = format!("/team/{}/phone_invitation", self.team.id);
                self.invite(service, &path, &new_phone()).await
            }
            "clinic_phone_invitation" => {
                let path = format!("/clinic/{}/phone_invitation", self.clinic);
                self.invite(service, &path, &new_phone()).await
            }
            "outsiders_invitation" => {
                let path = format!("/team/{}/phone_invitation", self.team.id);
                self.invite(service, &path, &self.person("outsider").phone).await
            }
            "clinic_invitation" => {
                let path = format!("/clinic/{}/invitation", self.clinic);
                let owner = &self.team.owner;
                let made = owner.post(service, &path, json!({})).send().await.result();
                made["invitation_id"].as_i64().unwrap()
            }
            "clinic" => self.clinic,
            "clinic_name" => return self.clinic_name.clone(),
            "new_clinic_doctor" => {
                let doctor = service.doctor("Dr. New").await;
                self.join_clinic(service, &doctor).await;
                doctor.id
            }
            "relative" => {
                let body = json!({"relation_type": "child", "name": "小明"});
                let made = self
                    .person("patient")
                    .post(service, "/family", body)
                    .send()
                    .await
                    .result();
                made["relation_user_id"].as_i64().unwrap()
            }
            "family_invitation" => {
                let inviter = service.member("New").await;
                let body = json!({"relation_type": "parent", "phone": self.person("patient").phone});
                let made = inviter.post(service, "/family", body).send().await.result();
                made["invitation_id"].as_i64().unwrap()
            }
            "sent_invitation" => {
                let body = json!({"relation_type": "parent", "phone": new_phone()});
                let made = self
                    .person("patient")
                    .post(service, "/family", body)
                    .send()
                    .await
                    .result();
                made["invitation_id"].as_i64().unwrap()
            }
            "consult" => self.consult(service).await,
            "claimable_consult" => service.claimable(self.person("patient"), &self.team).await,
            "opener" => service.about(self.person("patient"), &self.team).await.0,
            "consult_about_patient" => service.about(self.person("patient"), &self.team).await.1,
            "consult_doctor" => {
                self.consult(service).await;
                self.person("doctor").id
            }
            "ended_consult" => {
                let consult = self.consult(service).await;
                let path = format!("/consult/{consult}/finish");
                self.person("doctor")
                    .post(service, &path, json!({}))
                    .send()
                    .await
                    .result();
                consult
            }
            "vas" => self.vas(service, self.consult(service).await).await,
            "vas_consult" => {
                let consult = self.consult(service).await;
                self.vas(service, consult).await;
                consult
            }
            "decided_vas" => {
                let vas = self.vas(service, self.consult(service).await).await;
                let path = format!("/vas/{vas}/decline");
                self.person("patient")
                    .post(service, &path, json!({}))
                    .send()
                    .await
                    .result();
                vas
            }
            "credit" => {
                let (other, _) = super::operators::operator(service, &new_phone()).await;
                let body = json!({"user_id": self.person("patient").id, "amount_fen": 1, "reason": "a test"});
                let asked = other.post(service, "/operator/credit", body).key("a test");
                asked.send().await.result()["credit_id"].as_i64().unwrap()
            }
            "transfer" => {
                service.credit(self.person("patient"), 1).await;
                service.newest("credit").await
            }
            "reversal" => {
                service.credit(self.person("patient"), 1).await;
                let (other, _) = super::operators::operator(service, &new_phone()).await;
                let transfer = service.newest("credit").await;
                let asked = service.ask_reversal(&other, transfer).await.result();
                asked["reversal_id"].as_i64().unwrap()
            }
            "chat" => {
                self.consult(service).await;
                let body = json!({"user_id": self.person("doctor").id});
                let chat = self
                    .person("patient")
                    .post(service, "/chat", body)
                    .send()
                    .await
                    .result();
                chat["conversation_id"].as_i64().unwrap()
            }
            other => {
                let found =
                    super::places::thing(service, (self.team.id, self.clinic), &self.team.owner, other).await;
                match found {
                    Some(id) => id,
                    None => self.medium(service, other).await,
                }
            }
        };
        id.to_string()
    }

    async fn fill(&self, service: &Service, text: &str) -> String {
        let mut filled = text.to_owned();
        for name in names(text) {
            let thing = self.thing(service, &name).await;
            filled = filled.replace(&format!("{{{name}}}"), &thing);
        }
        filled
    }

    async fn send(&self, service: &Service, actor: &str, method: &Method, path: &str, body: &Value) -> Reply {
        let mut call = service
            .call(method.clone(), path)
            .header("X-Request-Id", "same")
            .json(body.clone());
        // Writes that move money demand one.
        if *method != Method::GET {
            call = call.key(&format!("cell-{}", NEXT_KEY.fetch_add(1, Ordering::Relaxed)));
        }
        if let Some(person) = self.people.get(actor) {
            call = call.token(&person.token);
        }
        call.send().await
    }
}

/// The names in braces: letters and `_` alone, so that JSON's own braces are none.
fn names(text: &str) -> BTreeSet<String> {
    let parts = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
    parts
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        .collect()
}

/// Every route that is served, with its caller.
fn served() -> BTreeMap<String, Caller> {
    let named = |route: &Route| (format!("{} {}", route.method, route.path), route.caller);
    api_server::ROUTES.iter().map(named).collect()
}

#[test]
fn every_route_that_is_served_is_documented() {
    let document = serde_json::to_value(api_server::document()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    assert_eq!(documented, served().into_keys().collect());
}

#[test]
fn every_route_that_is_served_has_a_row_and_every_row_a_route() {
    let rows: BTreeSet<String> = table().into_keys().map(|row| of(&row).to_owned()).collect();
    let served: BTreeSet<String> = served().into_keys().collect();
    let missing: Vec<_> = served.difference(&rows).collect();
    let left_over: Vec<_> = rows.difference(&served).collect();
    assert!(missing.is_empty(), "rights.toml has no row for {missing:?}");
    assert!(
        left_over.is_empty(),
        "rights.toml has rows for routes that are not served: {left_over:?}"
    );
}

/// A handler asks for what its row says: the other callers of a role are refused before it runs, all by the same code.
#[test]
fn handlers_ask_for_the_callers_of_their_rows() {
    let doctors: &[&str] = &["doctor", "colleague", "owner", "outsider"];
    let rows = table();
    for (route, caller) in served() {
        let row = &rows[&route];
        assert_eq!(row.public, caller == Caller::Anyone, "{route}");
        let served: &[&str] = match caller {
            Caller::Anyone | Caller::User => continue,
            Caller::Doctor => doctors,
            Caller::Member => &["patient", "member"],
            Caller::Operator => &["operator"],
        };
        let mut refusals = BTreeSet::new();
        for actor in ACTORS {
            if actor == "anonymous" || served.contains(&actor) {
                continue;
            }
            match row.expected(&route, actor) {
                Expected::Refused(403, code) => refusals.insert(code),
                other => panic!("{route} serves {caller:?} alone, and its row gives {actor} {other:?}"),
            };
        }
        assert_eq!(refusals.len(), 1, "{route}: {refusals:?}");
    }
}

#[test]
fn the_table_is_well_formed() {
    for (route, row) in table() {
        let known = |name: &String| name == "everybody" || ACTORS.contains(&name.as_str());
        for name in row.ok.iter().chain(&row.empty).chain(row.each.keys()) {
            assert!(known(name), "{route}: there is no {name}");
        }
        for actor in ACTORS {
            let Expected::Refused(status, word) = row.expected(&route, actor) else {
                continue;
            };
            let word = api_server::error::ErrorCode::ALL
                .iter()
                .find(|known| known.as_str() == word);
            let word = word.unwrap_or_else(|| panic!("{route}: there is no such word for {actor}"));
            assert_eq!(word.status().as_u16(), status, "{route}: {actor}");
        }
    }
}

#[tokio::test]
async fn each_cell_is_allowed_or_refused_as_the_table_says() {
    // Records of the others name media that no upload has.
    let services = [Service::start().await, Service::with_media().await];
    let mut number = 1;
    let mut worlds = [
        World::new(&services[0], 0).await,
        World::new(&services[1], 1).await,
    ];
    let mut wrong = Vec::new();
    let mut cells = 0;
    for (route, row) in table() {
        let at = usize::from(route.contains("/media"));
        let (service, shared) = (&services[at], &mut worlds[at]);
        if row.fresh {
            number += 1;
            *shared = World::new(service, number).await;
        }
        let (method, template) = of(&route).split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        for actor in ACTORS {
            cells += 1;
            let call = row.call.as_deref().unwrap_or(template);
            let body = row.body.as_deref().unwrap_or("{}");
            let filled = shared.fill(service, body).await;
            let body: Value = serde_json::from_str(&filled).unwrap_or_else(|_| panic!("{route}: {filled}"));
            let mut path = shared.fill(service, call).await;
            let query = match (row.list, path.contains('?')) {
                (false, _) => "",
                (true, false) => "?count=true",
                (true, true) => "&count=true",
            };
            path.push_str(query);
            let reply = shared.send(service, actor, &method, &path, &body).await;
            let items = reply.json["result"].as_array().map(Vec::len);
            let total = reply.json["total"].as_i64();
            let expected = row.expected(&route, actor);
            let right = match &expected {
                Expected::Ok if row.list => reply.status == 200 && items > Some(0) && total != Some(0),
                Expected::Ok => reply.status == 200,
                Expected::Empty => reply.status == 200 && items == Some(0) && total == Some(0),
                Expected::Refused(status, word) => reply.status == *status && reply.json["error"] == *word,
            };
            if !right {
                wrong.push(format!(
                    "{route} by {actor}: not {expected:?} but {} {}",
                    reply.status, reply.text
                ));
                continue;
            }
            // A hidden record looks like one that does not exist.
            if matches!(expected, Expected::Refused(404, _)) && !names(call).is_empty() {
                let nowhere = names(call).iter().fold(call.to_owned(), |path, name| {
                    path.replace(&format!("{{{name}}}"), "9007199254740991")
                });
                let nothing = shared
                    .send(service, actor, &method, &format!("{nowhere}{query}"), &body)
                    .await;
                if nothing.text != reply.text {
                    wrong.push(format!("{route} by {actor}: {} but {}", reply.text, nothing.text));
                }
            }
        }
        if row.fresh {
            number += 1;
            *shared = World::new(service, number).await;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cells} cells:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
