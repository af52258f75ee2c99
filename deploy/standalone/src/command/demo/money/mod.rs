//! The demo's money: three months of a team, made at the first start through REST as apps do, with REST's clock in the past.
//! Messages keep the machine's time.

pub(super) mod operators;
mod story;

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::{Timestamp, ToSpan, civil::Time, tz::Offset};
use proto::rest::{CallError, Rest};
use serde_json::{Value, json};

use self::story::{COMMISSION_PER_MILLE, End, Event, STORY, Visit, When};
pub(super) use self::{
    operators::Operators,
    story::{CONSULT_PRICE_FEN, MEMBERSHIP_FEE_FEN},
};
use super::{number, state::State};
use crate::access::Access;

/// Asia/Shanghai.
const ZONE: Offset = Offset::constant(8);
/// The story ends this long before the present.
const MARGIN_MS: i64 = 3_600_000;
/// How long mockpay's notice may take.
const NOTICE: Duration = Duration::from_secs(10);
/// The pause between two looks at an order.
const LOOK: Duration = Duration::from_millis(20);

/// The accounts of the story.
pub(super) struct Cast<'s> {
    pub(super) rest: &'s Rest,
    pub(super) patients: [&'s Access; 3],
    /// The first one owns the team.
    pub(super) doctors: [&'s Access; 2],
    pub(super) assistant: &'s Access,
    pub(super) operators: &'s Operators,
    pub(super) team: i64,
    /// The password of the team's owner.
    pub(super) password: &'s str,
}

/// Plays the rest of the story.
pub(super) async fn play(cast: &Cast<'_>, state: &mut State) -> anyhow::Result<()> {
    let (now_ms, begun) = (api_server::now_ms(), Instant::now());
    let played = play_until(cast, state, now_ms - MARGIN_MS).await;
    let took = i64::try_from(begun.elapsed().as_millis()).unwrap_or_default();
    api_server::set_clock(now_ms + took);
    played
}

async fn play_until(cast: &Cast<'_>, state: &mut State, end_ms: i64) -> anyhow::Result<()> {
    // The months of the story are those before its first start.
    let mut is_resumed = state.story_ms.is_some();
    let started_ms = *state.story_ms.get_or_insert(end_ms);
    for (number, (when, event)) in (0_u32..).zip(STORY) {
        let at_ms = when.before(started_ms)?;
        if number < state.story || at_ms >= started_ms {
            continue;
        }
        api_server::set_clock(at_ms);
        match cast.event(number, event).await {
            // An earlier run was killed in this event, and some of its steps are done.
            Err(error) if is_resumed && is_done(&error) => {}
            played => played.with_context(|| format!("event {number} of the demo's money"))?,
        }
        is_resumed = false;
        state.story = number + 1;
        state.write()?;
    }
    Ok(())
}

/// Whether a step was refused because it is done.
fn is_done(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(CallError::Refused { status: 409, .. }))
}

impl When {
    /// As epoch milliseconds, of a story that begins to be played at `now_ms`.
    fn before(self, now_ms: i64) -> anyhow::Result<i64> {
        let now = ZONE.to_datetime(Timestamp::from_millisecond(now_ms)?);
        let month = now
            .date()
            .first_of_month()
            .checked_sub(self.months_ago.months())?;
        let day = month.checked_add((self.day - 1).days())?;
        let time = day.to_datetime(Time::constant(0, 0, 0, 0));
        let time = time.checked_add(self.hour.hours())?;
        Ok(ZONE.to_timestamp(time)?.as_millisecond())
    }
}

impl Cast<'_> {
    async fn event(&self, number: u32, event: &Event) -> anyhow::Result<()> {
        let key = format!("huizhen-demo-{number}");
        match *event {
            Event::Commission => {
                self.operators
                    .set_commission(self.rest, COMMISSION_PER_MILLE)
                    .await
            }
            Event::TopUp(patient, fen) => self.top_up(self.patients[patient], &key, fen).await,
            Event::Join(patient) => self.join(self.patients[patient]).await,
            Event::Visit(visit) => self.visit(visit, &key).await,
            Event::Payee => self.name_payee().await,
            Event::Withdraw => {
                let path = format!("/team/{}/withdrawal", self.team);
                self.doctor(0).post_once(&path, &key, json!({})).await?;
                Ok(())
            }
            Event::PayOut => self.operators.pay_out(self.rest).await,
        }
    }

    fn patient(&self, patient: &Access) -> Rest {
        self.rest.by(&patient.access_token)
    }

    fn doctor(&self, doctor: usize) -> Rest {
        self.rest.by(&self.doctors[doctor].access_token)
    }

    async fn top_up(&self, patient: &Access, key: &str, fen: i64) -> anyhow::Result<()> {
        let rest = self.patient(patient);
        let order = json!({"amount_fen": fen, "provider": "mockpay", "scene": "app"});
        let order = rest.post_once("/wallet/top_up", key, order).await?;
        let page = order["ticket"]["page"].as_str().context("no page of mockpay")?;
        rest.press(&format!("{page}/pay")).await?;
        let path = format!("/wallet/order/{}", number(&order, "order_id")?);
        let begun = Instant::now();
        while rest.get(&path).await?["state"] != "paid" {
            ensure!(begun.elapsed() < NOTICE, "mockpay sends no notice");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn join(&self, patient: &Access) -> anyhow::Result<()> {
        let team = self.doctor(0).get(&format!("/team/{}", self.team)).await?;
        let join = json!({"team_id": self.team, "agreement_version": number(&team, "agreement_version")?});
        self.patient(patient).post("/team/join", join).await?;
        Ok(())
    }

    async fn visit(&self, visit: &Visit, key: &str) -> anyhow::Result<()> {
        let patient = self.patients[visit.patient];
        let begin = json!({
            "creator_member_id": patient.user_id,
            "target_member_id": patient.user_id,
            "team_id": self.team,
            "symptom_content": visit.symptom,
            "symptom_type": "text/plain",
        });
        let patient = self.patient(patient);
        let consult = patient.post_once("/consult", key, begin).await?;
        let consult = number(&consult, "consultation_id")?;
        if matches!(visit.end, End::Cancelled) {
            patient
                .post(&format!("/consult/{consult}/cancel"), json!({}))
                .await?;
            return Ok(());
        }
        let bring_in = json!({"doctor_id": self.doctors[visit.doctor].user_id});
        let assistant = self.rest.by(&self.assistant.access_token);
        assistant
            .post(&format!("/consult/{consult}/doctor"), bring_in)
            .await?;
        let vas = self.service(visit, consult, &patient, key).await?;
        let doctor = self.doctor(visit.doctor);
        doctor
            .post(&format!("/consult/{consult}/finish"), json!({}))
            .await?;
        match visit.end {
            End::Finished | End::Cancelled => Ok(()),
            End::Refunded(reason) => {
                let path = format!("/consult/{consult}/refund");
                self.refund(&path, key, json!({"reason": reason})).await
            }
            End::ServiceRefunded(fen, reason) => {
                let path = format!("/vas/{}/refund", vas.context("no service was confirmed")?);
                self.refund(&path, key, json!({"reason": reason, "amount_fen": fen}))
                    .await
            }
        }
    }

    /// Proposes the service of a visit, and confirms it or not; its id.
    async fn service(
        &self,
        visit: &Visit,
        consult: i64,
        patient: &Rest,
        key: &str,
    ) -> anyhow::Result<Option<i64>> {
        let Some(service) = &visit.service else {
            return Ok(None);
        };
        let proposal = json!({
            "name": service.name, "description": service.description, "price_fen": service.price_fen,
        });
        let path = format!("/consult/{consult}/vas");
        let vas = self.doctor(visit.doctor).post_once(&path, key, proposal).await?;
        let vas = number(&vas, "vas_id")?;
        let step = if service.confirmed { "confirm" } else { "decline" };
        patient.post(&format!("/vas/{vas}/{step}"), json!({})).await?;
        Ok(Some(vas))
    }

    async fn refund(&self, path: &str, key: &str, body: Value) -> anyhow::Result<()> {
        self.doctor(0).post_once(path, key, body).await?;
        Ok(())
    }

    async fn name_payee(&self) -> anyhow::Result<()> {
        let payee = json!({
            "kind": "bank",
            "holder": self.doctors[0].name,
            "bank": "中国工商银行北京分行",
            "account_number": "6222020200112233445",
            "password": self.password,
        });
        let path = format!("/team/{}/payee", self.team);
        let owner = self.doctor(0);
        let named: Value = owner.call(reqwest::Method::PUT, &path, None, Some(payee)).await?;
        if named["account_number"] != "****3445" {
            bail!("the payee is not masked: {named}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_months_are_those_before_the_present() {
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let when = |months_ago, day, hour| When {
            months_ago,
            day,
            hour,
        };
        let now = ms("2027-01-31T15:59:00Z");
        assert_eq!(
            when(0, 1, 8).before(now).unwrap(),
            ms("2027-01-01T08:00:00+08:00")
        );
        assert_eq!(
            when(3, 26, 11).before(now).unwrap(),
            ms("2026-10-26T11:00:00+08:00")
        );
        assert_eq!(
            when(1, 2, 0).before(now).unwrap(),
            ms("2026-12-02T00:00:00+08:00")
        );
    }
}
