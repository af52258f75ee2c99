//! The demo's accounts, their team and their consult, made through REST as an app does.

use std::path::{Path, PathBuf};

use anyhow::Context;
use database::Database;
use proto::rest::{CallError, Rest};
use serde_json::{Value, json};

use super::{
    money::{self, Cast, Operators, operators},
    number, samples,
    sms::Sms,
    state::State,
};
use crate::access::Access;

/// A user of the demo.
struct Account {
    /// The name of the token file and of the device.
    key: &'static str,
    phone: &'static str,
    name: &'static str,
    role: &'static str,
}

const PATIENT: Account = Account {
    key: "patient",
    phone: "13800000001",
    name: "张女士",
    role: "member",
};
const SECOND_PATIENT: Account = Account {
    key: "patient2",
    phone: "13800000002",
    name: "王先生",
    role: "member",
};
const THIRD_PATIENT: Account = Account {
    key: "patient3",
    phone: "13800000005",
    name: "Emily Carter",
    role: "member",
};
const DOCTOR: Account = Account {
    key: "doctor",
    phone: "13800000003",
    name: "李医生",
    role: "doctor",
};
const SECOND_DOCTOR: Account = Account {
    key: "doctor2",
    phone: "13800000004",
    name: "陈医生",
    role: "doctor",
};
/// Waits for an operator's approval.
const WAITING_DOCTOR: Account = Account {
    key: "doctor3",
    phone: "13800000006",
    name: "赵医生",
    role: "doctor",
};

/// The subjects of the invitation.
pub(super) struct Scene {
    pub(super) patient_token: PathBuf,
    pub(super) patient_name: &'static str,
    pub(super) doctor_token: PathBuf,
    pub(super) doctor_name: &'static str,
    pub(super) curl: PathBuf,
    pub(super) operators: [PathBuf; 2],
}

/// The REST service, its database, and the state to keep.
struct Setup<'s> {
    rest: &'s Rest,
    database: &'s Database,
    base: &'s str,
    folder: &'s Path,
    sms: &'s Sms,
    state: State,
}

/// The running service.
#[derive(Clone, Copy)]
pub(super) struct Running<'s> {
    pub(super) rest: &'s Rest,
    pub(super) base: &'s str,
    pub(super) database: &'s Database,
}

/// Makes the accounts, the team, its money and the consult that are missing.
pub(super) async fn set_up(
    Running { rest, base, database }: Running<'_>,
    folder: &Path,
    sms: &Sms,
) -> anyhow::Result<Scene> {
    let mut setup = Setup {
        rest,
        database,
        base,
        folder,
        sms,
        state: State::read(folder)?,
    };
    let patient = setup.account(&PATIENT).await?;
    let second_patient = setup.account(&SECOND_PATIENT).await?;
    let third_patient = setup.account(&THIRD_PATIENT).await?;
    let doctor = setup.account(&DOCTOR).await?;
    let second_doctor = setup.account(&SECOND_DOCTOR).await?;
    let waiting_doctor = setup.account(&WAITING_DOCTOR).await?;
    setup.ask_verification(&waiting_doctor).await?;
    samples::write(folder)?;
    for doctor in [&doctor, &second_doctor] {
        api_server::verify_doctor(database, doctor.user_id).await?;
    }
    let team = setup.team(&doctor, &second_doctor).await?;
    let assistant = setup.assistant(&doctor, team).await?;
    let operators = Operators([setup.operator(0).await?, setup.operator(1).await?]);
    let password = setup.state.passwords.get(DOCTOR.phone).cloned();
    let cast = Cast {
        rest,
        patients: [&patient, &second_patient, &third_patient],
        doctors: [&doctor, &second_doctor],
        assistant: &assistant,
        operators: &operators,
        team,
        password: &password.context("the first doctor has no password")?,
    };
    Box::pin(money::play(&cast, &mut setup.state)).await?;
    setup.consult(&patient, &doctor, &assistant, team).await?;
    Ok(Scene {
        patient_token: setup.token_file(PATIENT.key),
        patient_name: PATIENT.name,
        doctor_token: setup.token_file(DOCTOR.key),
        doctor_name: DOCTOR.name,
        curl: Access::beside(&setup.token_file(DOCTOR.key)),
        operators: operators::KEYS.map(|key| Access::beside(&setup.token_file(key))),
    })
}

impl Setup<'_> {
    fn token_file(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.token"))
    }

    /// The access of a user: from a valid token file, else by a login, else by registering.
    async fn account(&mut self, account: &Account) -> anyhow::Result<Access> {
        if let Some(access) = self.kept(account.key).await? {
            return Ok(access);
        }
        let device_id = format!("demo-{}", account.key);
        let (password, is_new) = match self.state.passwords.get(account.phone) {
            Some(password) => (password.clone(), false),
            None => (format!("{:032x}", rand::random::<u128>()), true),
        };
        if is_new {
            self.state
                .passwords
                .insert(account.phone.to_owned(), password.clone());
            self.state.write()?;
        }
        let login = json!({
            "phone": account.phone,
            "password": password,
            "device_id": device_id,
            "platform": "desktop",
        });
        let answer = if is_new {
            self.register(account, &password, &device_id).await?
        } else {
            match self.rest.post("/account/login", login).await {
                // An earlier run ended between the password and the account.
                Err(CallError::Refused { status: 401, .. }) => {
                    self.register(account, &password, &device_id).await?
                }
                other => other.with_context(|| format!("{} cannot log in", account.key))?,
            }
        };
        self.keep(account.key, account.name, &device_id, &answer)
    }

    async fn register(&self, account: &Account, password: &str, device_id: &str) -> anyhow::Result<Value> {
        let ask = json!({"phone": account.phone});
        match self.rest.post("/account/code", ask.clone()).await {
            // An earlier run ended after its request: a phone gets one code a minute.
            Err(CallError::Refused {
                status: 429,
                retry_after: Some(wait),
                ..
            }) => {
                program::say!("waiting {} s for an SMS code for {}", wait.as_secs(), account.key);
                tokio::time::sleep(wait).await;
                self.rest
                    .post("/account/code", ask)
                    .await
                    .context("no SMS code was sent")?;
            }
            asked => {
                asked.context("no SMS code was sent")?;
            }
        }
        let code = self.sms.code(account.phone).await?;
        self.rest
            .post(
                "/account/register",
                json!({
                    "phone": account.phone,
                    "code": code,
                    "name": account.name,
                    "role": account.role,
                    "password": password,
                    "device_id": device_id,
                    "platform": "desktop",
                }),
            )
            .await
            .with_context(|| format!("{} cannot be registered", account.key))
    }

    /// The access in a token file, if it is still valid.
    async fn kept(&self, key: &str) -> anyhow::Result<Option<Access>> {
        let file = self.token_file(key);
        let Ok(access) = Access::read(&file) else {
            return Ok(None);
        };
        match self.rest.by(&access.access_token).get("/im/password").await {
            Ok(_) => {}
            Err(CallError::Refused { status: 401, .. }) => return Ok(None),
            Err(error) => return Err(error).context("the token of an earlier run cannot be tried"),
        }
        if access.api == self.base && Access::beside(&file).is_file() {
            return Ok(Some(access));
        }
        // This run has another port, or an earlier release wrote the folder.
        let access = Access {
            api: self.base.to_owned(),
            ..access
        };
        access.write(&file)?;
        Ok(Some(access))
    }

    fn keep(&self, key: &str, name: &str, device_id: &str, answer: &Value) -> anyhow::Result<Access> {
        let access = Access {
            api: self.base.to_owned(),
            user_id: number(answer, "user_id")?,
            name: name.to_owned(),
            device_id: device_id.to_owned(),
            access_token: answer["access_token"]
                .as_str()
                .context("the login gave no access_token")?
                .to_owned(),
        };
        access.write(&self.token_file(key))?;
        Ok(access)
    }

    /// Asks for the approval of a doctor who has not asked yet.
    async fn ask_verification(&self, doctor: &Access) -> anyhow::Result<()> {
        let rest = self.rest.by(&doctor.access_token);
        let verification = rest
            .get("/doctor/verification")
            .await
            .context("the verification")?;
        if verification["state"] != "none" {
            return Ok(());
        }
        let Some(licence) = samples::ARM.upload(&rest, "licence").await? else {
            return Ok(());
        };
        let asked = json!({
            "name": "赵敏",
            "licence_number": "110110000012345",
            "hospital": "北京市朝阳区妇幼保健院",
            "title": "主治医师",
            "practice_years": 12,
            "pictures": [licence],
        });
        let asked = rest.post("/doctor/verification", asked).await;
        asked.context("the verification cannot be asked for")?;
        Ok(())
    }

    /// The photo of the next consult, the same one however often that is begun.
    async fn photo(&mut self, rest: &Rest) -> anyhow::Result<Vec<String>> {
        if self.state.photo.is_none() {
            self.state.photo = samples::ARM.upload(rest, "symptom").await?;
            self.state.write()?;
        }
        Ok(self.state.photo.iter().cloned().collect())
    }

    /// The team of the first doctor, which the second one has joined.
    async fn team(&mut self, doctor: &Access, second: &Access) -> anyhow::Result<i64> {
        let rest = self.rest.by(&doctor.access_token);
        let id = match self.state.team_id {
            Some(id) => id,
            None => {
                let team = json!({
                    "name": "产科示范团队",
                    "introduction": "演示用的医生团队",
                    "agreement": "仅供演示",
                    "membership_fee_fen": money::MEMBERSHIP_FEE_FEN,
                    "consult_price_fen": money::CONSULT_PRICE_FEN,
                    "max_open_consults": 1000,
                });
                let made = rest
                    .post_once("/team", "huizhen-demo-team", team)
                    .await
                    .context("the team cannot be made")?;
                let id = number(&made, "team_id")?;
                self.state.team_id = Some(id);
                self.state.write()?;
                id
            }
        };
        let team = rest.get(&format!("/team/{id}")).await.context("the team")?;
        if !holds(&team["doctor_ids"], second.user_id) {
            rest.post(
                &format!("/team/{id}/doctor"),
                json!({"doctor_id": second.user_id}),
            )
            .await
            .context("the second doctor cannot be invited into the team")?;
            self.accept(second, id).await?;
        }
        Ok(id)
    }

    /// Accepts the invitation into a team.
    async fn accept(&self, doctor: &Access, team: i64) -> anyhow::Result<()> {
        let rest = self.rest.by(&doctor.access_token);
        let got = rest.get("/invitation_list").await.context("the invitations")?;
        let into_team = |item: &&Value| item["place"] == "team" && item["place_id"] == team;
        let invitation = got.as_array().into_iter().flatten().find(into_team);
        let id = number(
            invitation.context("the second doctor has no invitation")?,
            "invitation_id",
        )?;
        rest.post(&format!("/invitation/{id}/accept"), json!({}))
            .await
            .context("the second doctor cannot join the team")?;
        Ok(())
    }

    /// The team's assistant.
    async fn assistant(&self, owner: &Access, team: i64) -> anyhow::Result<Access> {
        const KEY: &str = "assistant";
        if let Some(access) = self.kept(KEY).await? {
            return Ok(access);
        }
        let device_id = "demo-assistant";
        let answer = self
            .rest
            .by(&owner.access_token)
            .post(
                &format!("/team/{team}/assistant/login"),
                json!({"device_id": device_id, "platform": "desktop"}),
            )
            .await
            .context("the team's assistant cannot log in")?;
        self.keep(KEY, "群助手", device_id, &answer)
    }

    /// An operator of the platform.
    async fn operator(&mut self, which: usize) -> anyhow::Result<Access> {
        let key = operators::KEYS[which];
        if let Some(access) = self.kept(key).await? {
            return Ok(access);
        }
        let password = operators::password(self.database, &mut self.state, which).await?;
        let device_id = format!("demo-{key}");
        let answer = operators::log_in(self.rest, which, &password, &device_id).await?;
        self.keep(key, operators::name(which), &device_id, &answer)
    }

    /// An open consult of patient and doctor; a new one if the last was closed.
    async fn consult(
        &mut self,
        patient: &Access,
        doctor: &Access,
        assistant: &Access,
        team: i64,
    ) -> anyhow::Result<()> {
        let rest = self.rest.by(&patient.access_token);
        let mut consult = None;
        if let Some(id) = self.state.consultation_id {
            let found = rest.get(&format!("/consult/{id}")).await.context("the consult")?;
            if matches!(found["status"].as_str(), Some("waiting" | "in_process")) {
                consult = Some((id, found));
            }
        }
        let (id, consult) = match consult {
            Some(open) => open,
            None => {
                let photo = self.photo(&rest).await?;
                let key = format!("huizhen-demo-consult-{}", self.state.consults + 1);
                let made = rest
                    .post_once(
                        "/consult",
                        &key,
                        json!({
                            "creator_member_id": patient.user_id,
                            "target_member_id": patient.user_id,
                            "team_id": team,
                            "symptom_content": "头痛三天，没有发热，手臂起疹子",
                            "symptom_type": "text/plain",
                            "images": photo,
                        }),
                    )
                    .await
                    .context("the consult cannot be created")?;
                let id = number(&made, "consultation_id")?;
                self.state.consults += 1;
                self.state.photo = None;
                self.state.consultation_id = Some(id);
                self.state.write()?;
                (id, made)
            }
        };
        if !holds(&consult["doctor_ids"], doctor.user_id) {
            self.rest
                .by(&assistant.access_token)
                .post(
                    &format!("/consult/{id}/doctor"),
                    json!({"doctor_id": doctor.user_id}),
                )
                .await
                .context("the doctor cannot be brought into the consult")?;
        }
        Ok(())
    }
}

fn holds(ids: &Value, id: i64) -> bool {
    ids.as_array()
        .is_some_and(|ids| ids.iter().any(|found| found.as_i64() == Some(id)))
}
