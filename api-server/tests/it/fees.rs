//! Membership fees, where the platform charges.

use serde_json::json;

use super::{money::fee, people::Person, scene::Scene, service::Reply};

impl Scene {
    pub async fn join(&self, who: &Person, version: i64) -> Reply {
        let body = json!({"team_id": self.team.id, "agreement_version": version});
        self.post(who, "/team/join".into(), body).await
    }

    pub async fn leave(&self, who: &Person) -> Reply {
        self.post(who, format!("/team/{}/leave", self.team.id), json!({}))
            .await
    }

    /// The rest of the patient's fee, and their wallet.
    async fn fee_and_wallet(&self) -> (i64, i64) {
        let rest = self.service.balance(fee(&self.team, &self.patient)).await;
        (rest, self.wallet().await)
    }

    async fn change(&self, change: serde_json::Value) {
        let path = format!("/team/{}", self.team.id);
        let call = self.team.owner.put(&self.service, &path, change);
        call.send().await.result();
    }
}

/// I6.
#[tokio::test]
async fn a_fee_is_paid_once_and_its_rest_comes_back() {
    let scene = Scene::charging().await;
    let patient = &scene.patient;
    scene.service.credit(patient, 9_999).await;
    scene.join(patient, 1).await.refused(402, "wallet.insufficient");
    // Not in the team: a refusal writes nothing.
    scene.leave(patient).await.refused(409, "team.not_in");
    scene.service.credit(patient, 15_001).await;
    let body = json!({"team_id": scene.team.id, "agreement_version": 1, "membership_fee_fen": 9_999});
    let changed = scene.post(patient, "/team/join".into(), body).await;
    changed
        .refused(409, "team.price_changed")
        .field("membership_fee_fen");
    let body = json!({"team_id": scene.team.id, "agreement_version": 1, "membership_fee_fen": 10_000});
    scene.post(patient, "/team/join".into(), body).await.result();
    assert_eq!(scene.fee_and_wallet().await, (10_000, 15_000));
    scene.join(patient, 1).await.refused(409, "team.already_in");
    // A newer agreement costs nothing, whatever the fee is now.
    scene
        .change(json!({"agreement": "第二版", "membership_fee_fen": 99_000}))
        .await;
    scene.join(patient, 2).await.result();
    assert_eq!(scene.fee_and_wallet().await, (10_000, 15_000));
    scene.change(json!({"membership_fee_fen": 10_000})).await;

    // A consult spends the fee first; what it lacks comes from the wallet.
    scene.charged("a").await;
    assert_eq!(scene.fee_and_wallet().await, (8_000, 15_000));
    scene.change(json!({"consult_price_fen": 9_000})).await;
    let consult = scene.charged("b").await;
    assert_eq!(scene.fee_and_wallet().await, (0, 14_000));
    scene.end(patient, consult, "cancel").await.result();
    assert_eq!(scene.fee_and_wallet().await, (8_000, 15_000));

    scene.leave(patient).await.result();
    assert_eq!(scene.fee_and_wallet().await, (0, 23_000));
    // Each membership has a fee of its own.
    scene.join(patient, 2).await.result();
    assert_eq!(scene.fee_and_wallet().await, (10_000, 13_000));
    let path = format!("/team/{}/member/{}", scene.team.id, patient.id);
    scene.delete(&scene.team.owner, path.clone()).await.result();
    assert_eq!(scene.fee_and_wallet().await, (0, 23_000));
    let again = scene.delete(&scene.team.owner, path).await;
    again.refused(404, "team.member_not_found");
    scene.service.balances().await;
}

#[tokio::test]
async fn the_fees_part_of_a_cancelled_price_goes_to_a_member_who_left() {
    let scene = Scene::charging().await;
    scene.service.credit(&scene.patient, 10_000).await;
    scene.join(&scene.patient, 1).await.result();
    let consult = scene.charged("a").await;
    assert_eq!(scene.fee_and_wallet().await, (8_000, 0));
    scene.leave(&scene.patient).await.result();
    assert_eq!(scene.fee_and_wallet().await, (0, 8_000));
    scene.end(&scene.patient, consult, "cancel").await.result();
    assert_eq!(scene.fee_and_wallet().await, (0, 10_000));
    scene.service.balances().await;
}

/// I6.
#[tokio::test]
async fn a_cancelled_price_does_not_go_into_the_fee_of_a_later_membership() {
    let scene = Scene::charging().await;
    scene.service.credit(&scene.patient, 20_000).await;
    scene.join(&scene.patient, 1).await.result();
    let of_first = scene.charged("a").await;
    assert_eq!(scene.fee_and_wallet().await, (8_000, 10_000));
    scene.leave(&scene.patient).await.result();
    scene.join(&scene.patient, 1).await.result();
    let of_second = scene.charged("b").await;
    assert_eq!(scene.fee_and_wallet().await, (8_000, 8_000));
    scene.end(&scene.patient, of_first, "cancel").await.result();
    assert_eq!(scene.fee_and_wallet().await, (8_000, 10_000));
    scene.end(&scene.patient, of_second, "cancel").await.result();
    assert_eq!(scene.fee_and_wallet().await, (10_000, 10_000));
    // Each membership gives back what it paid.
    scene.leave(&scene.patient).await.result();
    assert_eq!(scene.fee_and_wallet().await, (0, 20_000));
    scene.service.balances().await;
}

#[tokio::test]
async fn without_a_provider_a_membership_costs_nothing() {
    let scene = Scene::new().await;
    scene.join(&scene.patient, 1).await.result();
    scene.leave(&scene.patient).await.result();
    assert_eq!(scene.service.number("SELECT count(*) FROM transfer").await, 0);
}
