//! The demo's two operators: one enters what the other one approves.

use anyhow::Context;
use database::Database;
use jiff::Timestamp;
use proto::rest::Rest;
use serde_json::{Value, json};

use super::{super::state::State, ZONE};
use crate::access::Access;

/// Their names: a cashier and an accountant.
const NAMES: [&str; 2] = ["出纳小周", "会计老吴"];
/// The names of their token files.
pub(in super::super) const KEYS: [&str; 2] = ["operator", "operator2"];

/// Both, logged in.
pub(in super::super) struct Operators(pub(in super::super) [Access; 2]);

/// The password of an operator, made when there is none.
pub(in super::super) async fn password(
    database: &Database,
    state: &mut State,
    which: usize,
) -> anyhow::Result<String> {
    let name = NAMES[which];
    if let Some(password) = state.passwords.get(name) {
        return Ok(password.clone());
    }
    let made = match api_server::operator::add(database, name).await {
        Ok(made) => made,
        // An earlier run ended between the account and its password.
        Err(_) => api_server::operator::reset(database, name)
            .await
            .with_context(|| format!("the operator {name} cannot be made"))?,
    };
    state.passwords.insert(name.to_owned(), made.password.clone());
    state.write()?;
    Ok(made.password)
}

/// The login of an operator; its answer.
pub(in super::super) async fn log_in(
    rest: &Rest,
    which: usize,
    password: &str,
    device_id: &str,
) -> anyhow::Result<Value> {
    let login = json!({
        "name": NAMES[which], "password": password, "device_id": device_id, "platform": "desktop",
    });
    rest.post("/operator/login", login)
        .await
        .with_context(|| format!("the operator {} cannot log in", NAMES[which]))
}

/// The name of an operator.
pub(in super::super) const fn name(which: usize) -> &'static str {
    NAMES[which]
}

impl Operators {
    fn by(&self, rest: &Rest, which: usize) -> Rest {
        rest.by(&self.0[which].access_token)
    }

    /// From the next second on.
    pub(super) async fn set_commission(&self, rest: &Rest, per_mille: i64) -> anyhow::Result<()> {
        let from_ms = api_server::now_ms() + 1000;
        let body = json!({"per_mille": per_mille, "from_ms": from_ms});
        self.by(rest, 0).post("/operator/commission", body).await?;
        Ok(())
    }

    /// Pays out all that was asked for: one exports and enters, the other one approves.
    pub(super) async fn pay_out(&self, rest: &Rest) -> anyhow::Result<()> {
        let now = ZONE.to_datetime(Timestamp::from_millisecond(api_server::now_ms())?);
        let path = format!("/operator/payout?month={}&state=asked", now.strftime("%Y-%m"));
        let asked = self.by(rest, 0).get(&path).await?;
        for withdrawal in asked.as_array().into_iter().flatten() {
            let id = super::super::number(withdrawal, "withdrawal_id")?;
            let entry = json!({"outcome": "paid", "reference": format!("ICBC-{id:08}")});
            let path = format!("/operator/withdrawal/{id}");
            self.by(rest, 0).post(&format!("{path}/enter"), entry).await?;
            self.by(rest, 1)
                .post(&format!("{path}/approve"), json!({"outcome": "paid"}))
                .await?;
        }
        Ok(())
    }
}
