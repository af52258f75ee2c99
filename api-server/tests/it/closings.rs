//! Ends of teams and clinics: an operator closes and opens them, a holder dissolves them.

use serde_json::{Value, json};

use super::{
    operators::{acts, operator},
    people::{Person, new_consult},
    places::{add, new_clinic},
    scene::{Scene, eventually, story},
    service::Reply,
};

const REASON: &str = "投诉 2026-118，核查中";

async fn act(scene: &Scene, operator: &Person, path: &str) -> Reply {
    let body = json!({"reason": REASON});
    scene.post(operator, format!("/operator/{path}"), body).await
}

async fn join(scene: &Scene, member: &Person) -> Reply {
    let body = json!({"team_id": scene.team.id, "agreement_version": 1});
    let call = member.post(&scene.service, "/team/join", body);
    call.key(&format!("join-{}", member.id)).send().await
}

async fn is_found(scene: &Scene) -> bool {
    let found = scene.get(&scene.patient, "/team?name=儿科".into()).await.result();
    !found.as_array().unwrap().is_empty()
}

#[tokio::test]
async fn a_closed_team_ends_its_consults_and_returns_their_prices() {
    let scene = Scene::charging().await;
    let (service, patient) = (&scene.service, &scene.patient);
    service.credit(patient, 50_000).await;
    let before = scene.get(patient, "/wallet".into()).await.result()["balance_fen"].clone();
    let waiting = scene.consult().await;
    let running = scene.in_process().await;
    let (operator, _) = operator(service, "李伟").await;
    let team = scene.team.id;
    let closed = act(&scene, &operator, &format!("team/{team}/close"))
        .await
        .result();
    assert_eq!(closed, json!({"team_ids": [team]}));
    for consult in [waiting, running] {
        let shown = scene.get(patient, format!("/consult/{consult}")).await.result();
        assert_eq!(
            (&shown["status"], &shown["charge_state"]),
            (&json!("cancelled"), &json!("returned"))
        );
        assert_eq!(story(&scene, consult).await.last().unwrap(), "cancelled false");
        let entries = scene
            .get(patient, format!("/consult/{consult}/messages"))
            .await
            .result();
        assert_eq!(entries[0]["status"]["cause"], "closed");
    }
    let after = scene.get(patient, "/wallet".into()).await.result()["balance_fen"].clone();
    assert_eq!(after, before);
    // It takes nobody, and is not found; its page says so.
    let page = scene.get(patient, format!("/team/{team}")).await.result();
    assert!(page["closed_ms"].is_i64() && page.get("dissolved_ms").is_none());
    assert!(!is_found(&scene).await);
    let begin = patient
        .post(service, "/consult", new_consult(patient, team))
        .key("closed")
        .send()
        .await;
    begin.refused(409, "team.closed").field("team_id");
    join(&scene, patient).await.refused(409, "team.closed");
    let made = scene
        .post(&scene.team.owner, format!("/team/{team}/invitation"), json!({}))
        .await
        .result();
    let doctor = service.doctor("Dr. New").await;
    let joined = scene
        .post(&doctor, "/team/join".into(), json!({"invitation": made["link"]}))
        .await;
    joined.refused(409, "team.closed");
    // A rename does not bring it back.
    let path = format!("/team/{team}");
    scene
        .team
        .owner
        .put(service, &path, json!({"name": "儿科门诊"}))
        .send()
        .await
        .result();
    assert!(!is_found(&scene).await);
    assert_eq!(service.get(&format!("/t/{team}")).send().await.status, 404);
    // Repetitions change nothing.
    let again = act(&scene, &operator, &format!("team/{team}/close"))
        .await
        .result();
    assert_eq!(again, json!({"team_ids": []}));
    act(&scene, &operator, &format!("team/{team}/reopen"))
        .await
        .result();
    let again = act(&scene, &operator, &format!("team/{team}/reopen"))
        .await
        .result();
    assert_eq!(again, json!({"team_ids": []}));
    assert!(is_found(&scene).await);
    join(&scene, patient).await;
    let begun = patient
        .post(service, "/consult", new_consult(patient, team))
        .key("open")
        .send()
        .await;
    begun.result();
    let acts = acts(service, &operator).await;
    let logged: Vec<_> = acts
        .iter()
        .filter(|act| act["team_id"] == team)
        .map(|act| (&act["act"], &act["reason"]))
        .collect();
    assert_eq!(
        logged,
        [
            (&json!("team_reopened"), &json!(REASON)),
            (&json!("team_closed"), &json!(REASON))
        ]
    );
    act(&scene, &operator, "team/9007199254740991/close")
        .await
        .refused(404, "team.not_found");
}

#[tokio::test]
async fn a_clinic_is_closed_with_its_teams_and_opened_with_those() {
    let scene = Scene::new().await;
    let (service, owner, patient) = (&scene.service, &scene.team.owner, &scene.patient);
    let clinic = new_clinic(service, owner).await;
    let other = service.team_of(owner, "内科").await;
    for team in [scene.team.id, other.id] {
        add(service, owner, clinic, team).await.result();
    }
    let consult = scene.in_process().await;
    let (operator, _) = operator(service, "李伟").await;
    // One of them was closed for a reason of its own.
    act(&scene, &operator, &format!("team/{}/close", other.id))
        .await
        .result();
    let closed = act(&scene, &operator, &format!("clinic/{clinic}/close"))
        .await
        .result();
    assert_eq!(closed["team_ids"], json!([scene.team.id]));
    let shown = scene.get(patient, format!("/consult/{consult}")).await.result();
    assert_eq!(shown["status"], "cancelled");
    let page = scene.get(patient, format!("/clinic/{clinic}")).await.result();
    let name = page["name"].as_str().unwrap();
    assert!(page["closed_ms"].is_i64());
    let find = async || scene.get(patient, format!("/clinic?name={name}")).await;
    find().await.refused(404, "clinic.not_found");
    let made = scene
        .post(owner, format!("/clinic/{clinic}/invitation"), json!({}))
        .await
        .result();
    let doctor = service.doctor("Dr. New").await;
    let link = json!({"invitation": made["link"]});
    scene
        .post(&doctor, "/clinic/join".into(), link.clone())
        .await
        .refused(409, "clinic.closed");
    let third = service.team_of(owner, "外科").await;
    add(service, owner, clinic, third.id)
        .await
        .refused(409, "clinic.closed");
    let opened = act(&scene, &operator, &format!("clinic/{clinic}/reopen"))
        .await
        .result();
    assert_eq!(opened["team_ids"], json!([scene.team.id]));
    find().await.result();
    scene.consult().await;
    scene.post(&doctor, "/clinic/join".into(), link).await.result();
    let begin = patient
        .post(service, "/consult", new_consult(patient, other.id))
        .send()
        .await;
    begin.refused(409, "team.closed");
    let acts = acts(service, &operator).await;
    let logged: Vec<_> = acts
        .iter()
        .filter(|act| act["clinic_id"] == clinic)
        .map(|act| &act["act"])
        .collect();
    assert_eq!(logged, [&json!("clinic_reopened"), &json!("clinic_closed")]);
}

/// A consult that began in the moment of the closing is ended by the job.
#[tokio::test]
async fn a_consult_that_was_left_behind_ends() {
    let scene = Scene::new().await;
    let (consult, team) = (scene.in_process().await, scene.team.id);
    let closed = scene.service.database.transaction(move |tx| {
        Box::pin(async move {
            tx.execute(
                "UPDATE team SET closed_ms = 1 WHERE id = $1",
                database::params![team],
            )
            .await?;
            tx.execute("UPDATE job SET due_ms = 0 WHERE name = 'closings'", vec![])
                .await
        })
    });
    closed.await.unwrap();
    eventually("the consult has ended", async || {
        let shown = scene
            .get(&scene.patient, format!("/consult/{consult}"))
            .await
            .result();
        shown["status"] == "cancelled"
    })
    .await;
}

#[tokio::test]
async fn a_team_is_dissolved_once_nothing_is_open() {
    let scene = Scene::charging().await;
    let (service, owner, patient) = (&scene.service, &scene.team.owner, &scene.patient);
    let path = format!("/team/{}/dissolve", scene.team.id);
    let dissolve = async |by: &Person| scene.post(by, path.clone(), json!({})).await;
    service.credit(patient, 50_000).await;
    join(&scene, patient).await.result();
    let consult = scene.in_process().await;
    dissolve(&scene.doctor).await.refused(403, "team.forbidden");
    dissolve(owner).await.refused(409, "team.has_consults");
    scene
        .post(&scene.doctor, format!("/consult/{consult}/finish"), json!({}))
        .await
        .result();
    dissolve(owner).await.refused(409, "team.has_fees");
    scene
        .delete(owner, format!("/team/{}/member/{}", scene.team.id, patient.id))
        .await
        .result();
    dissolve(owner).await.refused(409, "team.has_income");
    let because = json!({"reason": "服务未完成，协商退款"});
    let refund = owner
        .post(service, &format!("/consult/{consult}/refund"), because)
        .key("back")
        .send()
        .await;
    refund.result();
    let dissolved = dissolve(owner).await.result();
    assert!(dissolved["dissolved_ms"].is_i64() && dissolved["doctor_ids"] == json!([]));
    dissolve(owner).await.refused(409, "team.dissolved");
    scene
        .get(&scene.team.assistant, "/im/password".into())
        .await
        .refused(401, "auth.required");
    assert!(!is_found(&scene).await);
    for doctor in [owner, &scene.doctor] {
        let mine = scene.get(doctor, "/team/my_list?count=true".into()).await;
        assert_eq!((mine.result(), &mine.json["total"]), (json!([]), &json!(0)));
    }
    // Its records stay, and nothing changes any more.
    let shown = scene.get(patient, format!("/consult/{consult}")).await.result();
    assert_eq!(shown["team_name"], "儿科");
    join(&scene, patient).await;
    let begin = patient
        .post(service, "/consult", new_consult(patient, scene.team.id))
        .key("late")
        .send()
        .await;
    begin.refused(409, "team.dissolved");
    let change = owner
        .put(service, &format!("/team/{}", scene.team.id), json!({"name": "x"}))
        .send()
        .await;
    change.refused(409, "team.dissolved");
    let (operator, _) = operator(service, "李伟").await;
    act(&scene, &operator, &format!("team/{}/reopen", scene.team.id))
        .await
        .refused(409, "team.dissolved");
    // Its doctors are free for five others.
    for _ in 0..5 {
        service.team_of(owner, "外科").await;
    }
}

#[tokio::test]
async fn a_clinic_is_dissolved_once_no_team_belongs_to_it() {
    let scene = Scene::new().await;
    let (service, owner) = (&scene.service, &scene.team.owner);
    let clinic = new_clinic(service, owner).await;
    add(service, owner, clinic, scene.team.id).await.result();
    let path = format!("/clinic/{clinic}/dissolve");
    let dissolve = async |by: &Person| scene.post(by, path.clone(), json!({})).await;
    dissolve(&scene.doctor).await.refused(403, "clinic.forbidden");
    dissolve(owner).await.refused(409, "clinic.has_teams");
    scene
        .delete(owner, format!("/clinic/{clinic}/team/{}", scene.team.id))
        .await
        .result();
    let dissolved = dissolve(owner).await.result();
    assert!(dissolved["dissolved_ms"].is_i64());
    dissolve(owner).await.refused(409, "clinic.dissolved");
    add(service, owner, clinic, scene.team.id)
        .await
        .refused(409, "clinic.dissolved");
    let mine: Value = scene.get(owner, "/clinic/my_list".into()).await.result();
    assert_eq!(mine, json!([]));
    let (operator, _) = operator(service, "李伟").await;
    act(&scene, &operator, &format!("clinic/{clinic}/reopen"))
        .await
        .refused(409, "clinic.dissolved");
    // It does not count against five.
    for _ in 0..5 {
        new_clinic(service, owner).await;
    }
}
