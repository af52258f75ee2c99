//! Beginning a consult where the team asks for more: membership, the current agreement, a limit.

use serde_json::{Value, json};

use super::{people::new_consult, scene::Scene, service::Reply};

async fn begin(scene: &Scene) -> Reply {
    let body = new_consult(&scene.patient, scene.team.id);
    scene.post(&scene.patient, "/consult".into(), body).await
}

async fn change(scene: &Scene, body: Value) -> Reply {
    let path = format!("/team/{}", scene.team.id);
    scene.team.owner.put(&scene.service, &path, body).send().await
}

async fn join(scene: &Scene, version: i64) -> Reply {
    let body = json!({"team_id": scene.team.id, "agreement_version": version});
    scene.post(&scene.patient, "/team/join".into(), body).await
}

async fn accept(scene: &Scene, version: i64) -> Reply {
    let path = format!("/team/{}/agreement/{version}/accept", scene.team.id);
    scene.post(&scene.patient, path, json!({})).await
}

#[tokio::test]
async fn a_team_serves_its_members_only_where_it_says_so() {
    let scene = Scene::new().await;
    let changed = change(&scene, json!({"members_only": true})).await.result();
    assert_eq!(changed["members_only"], true);
    let refused = begin(&scene).await;
    refused
        .refused(403, "consult.membership_required")
        .field("team_id");
    // The sentence says how to join.
    assert!(refused.json["message"].as_str().unwrap().contains("/team/join"));
    join(&scene, 1).await.result();
    begin(&scene).await.result();
    let left = scene
        .post(
            &scene.patient,
            format!("/team/{}/leave", scene.team.id),
            json!({}),
        )
        .await;
    left.result();
    begin(&scene).await.refused(403, "consult.membership_required");
    change(&scene, json!({"members_only": false})).await.result();
    begin(&scene).await.result();
}

#[tokio::test]
async fn a_member_has_as_many_open_consults_as_the_team_allows() {
    let scene = Scene::new().await;
    // A new team allows three.
    let body = json!({
        "name": "内科", "introduction": "", "agreement": "", "membership_fee_fen": 0, "consult_price_fen": 0,
    });
    let made = scene.post(&scene.team.owner, "/team".into(), body).await.result();
    assert_eq!(made["max_open_consults"], 3);
    change(&scene, json!({"max_open_consults": 2})).await.result();
    let first = scene.consult().await;
    // Of two that begin at once, one is the last.
    let (one, other) = tokio::join!(begin(&scene), begin(&scene));
    let (begun, refused) = if one.status == 200 {
        (one, other)
    } else {
        (other, one)
    };
    begun.result();
    refused.refused(409, "consult.open_limit_reached");
    assert_eq!(refused.json["limit"], 2);
    // Other members and other teams have theirs.
    let other = scene.service.member("Sam").await;
    scene.service.consult(&other, &scene.team).await;
    let body = new_consult(&scene.patient, made["team_id"].as_i64().unwrap());
    scene.post(&scene.patient, "/consult".into(), body).await.result();
    scene
        .post(&scene.patient, format!("/consult/{first}/cancel"), json!({}))
        .await
        .result();
    begin(&scene).await.result();
    for bad in [json!(0), json!(1001), Value::Null, json!("3")] {
        let status = change(&scene, json!({"max_open_consults": bad})).await.status;
        assert!(status == 400 || bad.is_null(), "{bad}");
    }
}

#[tokio::test]
async fn a_new_agreement_is_accepted_before_the_next_consult() {
    let scene = Scene::new().await;
    let mine = async || {
        let list = scene.get(&scene.patient, "/team/my_list?count=true".into()).await;
        list.result()[0].clone()
    };
    accept(&scene, 1).await.refused(409, "team.not_in");
    join(&scene, 1).await.result();
    assert_eq!(mine().await["agreement_version"], 1);
    assert!(mine().await.get("new_agreement_version").is_none());
    change(&scene, json!({"agreement": "第二版"})).await.result();
    assert_eq!(mine().await["new_agreement_version"], 2);
    let refused = begin(&scene).await;
    refused.refused(403, "consult.agreement_changed").field("team_id");
    for wrong in [1, 3] {
        accept(&scene, wrong)
            .await
            .refused(409, "team.agreement_changed")
            .field("version");
    }
    let accepted = accept(&scene, 2).await.result();
    assert_eq!(accepted, json!({"team_id": scene.team.id, "version": 2}));
    accept(&scene, 2).await.result();
    begin(&scene).await.result();
    let mine = mine().await;
    assert_eq!(mine["agreement_version"], 2);
    assert!(mine.get("new_agreement_version").is_none());
    // A doctor's list has no agreement.
    let list = scene.get(&scene.doctor, "/team/my_list".into()).await.result();
    assert!(list[0].get("agreement_version").is_none());
    // A patient who is no member has accepted none.
    change(&scene, json!({"agreement": "第三版"})).await.result();
    let other = scene.service.member("Sam").await;
    scene.service.consult(&other, &scene.team).await;
}
