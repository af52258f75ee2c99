//! The demo's accounts, their team and their consult, made through REST as an app does.

use std::path::{Path, PathBuf};

use anyhow::Context;
use proto::rest::{CallError, Rest};
use serde_json::{Value, json};

use super::{sms::Sms, state::State};
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

/// The subjects of the invitation.
pub(super) struct Scene {
    pub(super) patient_token: PathBuf,
    pub(super) patient_name: &'static str,
    pub(super) doctor_token: PathBuf,
    pub(super) doctor_name: &'static str,
    pub(super) curl: PathBuf,
}

/// The REST service, and the state to keep.
struct Setup<'s> {
    rest: &'s Rest,
    base: &'s str,
    folder: &'s Path,
    sms: &'s Sms,
    state: State,
}

/// Makes the accounts, the team and the consult that are missing.
pub(super) async fn set_up(rest: &Rest, base: &str, folder: &Path, sms: &Sms) -> anyhow::Result<Scene> {
    let mut setup = Setup {
        rest,
        base,
        folder,
        sms,
        state: State::read(folder)?,
    };
    let patient = setup.account(&PATIENT).await?;
    setup.account(&SECOND_PATIENT).await?;
    let doctor = setup.account(&DOCTOR).await?;
    let second_doctor = setup.account(&SECOND_DOCTOR).await?;
    let team = setup.team(&doctor, &second_doctor).await?;
    let assistant = setup.assistant(&doctor, team).await?;
    setup.consult(&patient, &doctor, &assistant, team).await?;
    Ok(Scene {
        patient_token: setup.token_file(PATIENT.key),
        patient_name: PATIENT.name,
        doctor_token: setup.token_file(DOCTOR.key),
        doctor_name: DOCTOR.name,
        curl: Access::beside(&setup.token_file(DOCTOR.key)),
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
                    "membership_fee_fen": 0,
                    "consult_price_fen": 0,
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
                let key = format!("huizhen-demo-consult-{}", self.state.consults + 1);
                let made = rest
                    .post_once(
                        "/consult",
                        &key,
                        json!({
                            "creator_member_id": patient.user_id,
                            "target_member_id": patient.user_id,
                            "team_id": team,
                            "symptom_content": "头痛三天，没有发热",
                            "symptom_type": "text/plain",
                            "images": [],
                        }),
                    )
                    .await
                    .context("the consult cannot be created")?;
                let id = number(&made, "consultation_id")?;
                self.state.consults += 1;
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

fn number(answer: &Value, key: &str) -> anyhow::Result<i64> {
    answer[key]
        .as_i64()
        .with_context(|| format!("the answer has no {key}"))
}

fn holds(ids: &Value, id: i64) -> bool {
    ids.as_array()
        .is_some_and(|ids| ids.iter().any(|found| found.as_i64() == Some(id)))
}
