//! Users of the service.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::service::{Call, Reply, Service};

/// A logged-in user.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: i64,
    pub token: String,
    pub phone: String,
    pub name: String,
    pub device_id: String,
}

/// A team with its owner and its assistant, logged in.
#[derive(Clone, Debug)]
pub struct Team {
    pub id: i64,
    pub owner: Person,
    pub assistant: Person,
}

static NEXT: AtomicU32 = AtomicU32::new(1);

/// An unregistered phone, in the stored form.
pub fn new_phone() -> String {
    format!("+861380{:07}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Person {
    pub fn get<'s>(&self, service: &'s Service, path: &str) -> Call<'s> {
        service.get(path).token(&self.token)
    }

    pub fn post<'s>(&self, service: &'s Service, path: &str, body: Value) -> Call<'s> {
        service.post(path).token(&self.token).json(body)
    }

    pub fn put<'s>(&self, service: &'s Service, path: &str, body: Value) -> Call<'s> {
        service.put(path).token(&self.token).json(body)
    }

    pub fn delete<'s>(&self, service: &'s Service, path: &str) -> Call<'s> {
        service.delete(path).token(&self.token)
    }
}

impl Service {
    /// Asks for a code and reads it from the phone.
    pub async fn code(&self, phone: &str) -> String {
        self.post("/account/code")
            .json(json!({"phone": phone}))
            .send()
            .await
            .result();
        self.sms.code(phone).expect("the phone got a code")
    }

    /// Permits a phone's next code at once.
    pub async fn pass_the_minute(&self, phone: &str) {
        let phone = phone.to_owned();
        self.database
            .transaction(move |tx| {
                Box::pin(async move {
                    tx.execute(
                        "UPDATE sms_code SET created_ms = created_ms - 60000 WHERE phone = $1",
                        database::params![phone],
                    )
                    .await
                })
            })
            .await
            .unwrap();
    }

    pub async fn member(&self, name: &str) -> Person {
        self.register(name, "member", None).await
    }

    pub async fn doctor(&self, name: &str) -> Person {
        self.register(name, "doctor", None).await
    }

    pub async fn register(&self, name: &str, role: &str, password: Option<&str>) -> Person {
        self.register_by(new_phone(), name, role, password).await
    }

    /// Registers by a phone.
    pub async fn register_by(&self, phone: String, name: &str, role: &str, password: Option<&str>) -> Person {
        let code = self.code(&phone).await;
        let mut body = json!({
            "phone": phone, "code": code, "name": name, "role": role, "device_id": "phone-1", "platform": "ios",
        });
        if let Some(password) = password {
            body["password"] = password.into();
        }
        let result = self.post("/account/register").json(body).send().await.result();
        person(&result, phone, name, "phone-1")
    }

    /// Gives a user another phone, proven by a code to each.
    pub async fn change_phone(&self, who: &Person, phone: &str) {
        self.pass_the_minute(&who.phone).await;
        let (code, new_code) = (self.code(&who.phone).await, self.code(phone).await);
        let body = json!({"code": code, "new_phone": phone, "new_code": new_code});
        let change = self.put("/account/phone").token(&who.token).json(body);
        change.send().await.result();
        self.pass_the_minute(&who.phone).await;
    }

    /// Logs in by password on another device.
    pub async fn log_in(&self, who: &Person, password: &str, device_id: &str) -> Person {
        let body = json!({
            "phone": who.phone, "password": password, "device_id": device_id, "platform": "android",
        });
        let result = self.post("/account/login").json(body).send().await.result();
        person(&result, who.phone.clone(), &who.name, device_id)
    }

    /// A team whose owner is a new doctor.
    pub async fn team(&self, name: &str) -> Team {
        let owner = self.doctor("Dr. Owner").await;
        self.team_of(&owner, name).await
    }

    pub async fn team_of(&self, owner: &Person, name: &str) -> Team {
        let team = owner.post(self, "/team", new_team(name)).send().await.result();
        let id = team["team_id"].as_i64().unwrap();
        let login = owner
            .post(
                self,
                &format!("/team/{id}/assistant/login"),
                json!({"device_id": "desk", "platform": "web"}),
            )
            .send()
            .await
            .result();
        let assistant = person(&login, String::new(), "assistant", "desk");
        assert_eq!(team["assistant_id"], assistant.id);
        Team {
            id,
            owner: owner.clone(),
            assistant,
        }
    }

    /// The doctor accepts their newest invitation.
    pub async fn accept(&self, doctor: &Person) -> Reply {
        let list = doctor.get(self, "/invitation_list").send().await.result();
        let path = format!("/invitation/{}/accept", list[0]["invitation_id"]);
        doctor.post(self, &path, json!({})).send().await
    }

    /// A new doctor of a team, who has accepted its invitation.
    pub async fn doctor_of(&self, team: &Team, name: &str) -> Person {
        let doctor = self.doctor(name).await;
        team.owner
            .post(
                self,
                &format!("/team/{}/doctor", team.id),
                json!({"doctor_id": doctor.id}),
            )
            .send()
            .await
            .result();
        self.accept(&doctor).await.result();
        doctor
    }

    /// Takes a member into another one's family.
    pub async fn relate(&self, member: &Person, relative: &Person) {
        let body = json!({"relation_type": "parent", "phone": relative.phone});
        let made = member.post(self, "/family", body).send().await.result();
        let path = format!("/family/invitation/{}/accept", made["invitation_id"]);
        relative.post(self, &path, json!({})).send().await.result();
    }

    /// A consult that waits.
    pub async fn consult(&self, patient: &Person, team: &Team) -> i64 {
        let mut body = new_consult(patient, team.id);
        if self.media.is_some() {
            // They would have to be uploads.
            body["images"] = json!([]);
        }
        let consult = patient
            .post(self, "/consult", body)
            .key(&format!("consult-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
            .send()
            .await
            .result();
        consult["consultation_id"].as_i64().unwrap()
    }

    /// A consult that waits in a team whose doctors claim.
    pub async fn claimable(&self, patient: &Person, team: &Team) -> i64 {
        let path = format!("/team/{}", team.id);
        let claims = json!({"claims": true});
        team.owner.put(self, &path, claims).send().await.result();
        self.consult(patient, team).await
    }

    /// A new member who has another one in their family, and a consult that they opened about that one.
    pub async fn about(&self, relative: &Person, team: &Team) -> (i64, i64) {
        let opener = self.member("New").await;
        self.relate(&opener, relative).await;
        let mut body = new_consult(&opener, team.id);
        body["target_member_id"] = relative.id.into();
        let begun = opener.post(self, "/consult", body).key("about").send().await;
        (opener.id, begun.result()["consultation_id"].as_i64().unwrap())
    }

    /// Brings a doctor in.
    pub async fn bring_in(&self, team: &Team, consult: i64, doctor: &Person) -> Value {
        team.assistant
            .post(
                self,
                &format!("/consult/{consult}/doctor"),
                json!({"doctor_id": doctor.id}),
            )
            .send()
            .await
            .result()
    }
}

pub fn new_team(name: &str) -> Value {
    json!({
        "name": name, "introduction": "介绍", "agreement": "会员加入协议",
        "membership_fee_fen": 10_000, "consult_price_fen": 2_000, "max_open_consults": 1000,
    })
}

pub fn new_consult(patient: &Person, team: i64) -> Value {
    json!({
        "creator_member_id": patient.id,
        "target_member_id": patient.id,
        "team_id": team,
        "symptom_content": "头痛三天",
        "symptom_type": "text/plain",
        "images": ["media/1", "media/2"],
    })
}

fn person(login: &Value, phone: String, name: &str, device_id: &str) -> Person {
    Person {
        id: login["user_id"].as_i64().unwrap(),
        token: login["access_token"].as_str().unwrap().to_owned(),
        phone,
        name: name.to_owned(),
        device_id: device_id.to_owned(),
    }
}
