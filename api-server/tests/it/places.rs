//! Finding the way in: from a clinic to its teams, from a name to a team's page, and what the page shows.

use database::params;
use serde_json::{Value, json};

use super::{
    lists::{coarsen, walk},
    operators::operator,
    people::{Person, Team, new_phone},
    scene::Scene,
    service::{Reply, Service},
    verification,
};

/// The things of the table of rights that belong to the life of teams and clinics.
pub async fn thing(service: &Service, (team, clinic): (i64, i64), owner: &Person, name: &str) -> Option<i64> {
    Some(match name {
        "new_team" => service.team("内科").await.id,
        "new_clinic" => new_clinic(service, &service.doctor("Dr. New").await).await,
        "clinic_team" => {
            add(service, owner, clinic, team).await.result();
            team
        }
        "new_supervisor" => {
            let doctor = clinic_doctor(service, owner, clinic).await;
            let path = format!("/clinic/{clinic}/supervisor");
            let body = json!({"doctor_id": doctor.id});
            owner.put(service, &path, body).send().await.result();
            doctor.id
        }
        "blocked_member" => {
            let member = service.member("New").await;
            let path = format!("/team/{team}/block/{}", member.id);
            owner.put(service, &path, json!({})).send().await.result();
            member.id
        }
        "blocked_doctor" => {
            let doctor = service.doctor("Dr. New").await;
            let path = format!("/clinic/{clinic}/block/{}", doctor.id);
            owner.put(service, &path, json!({})).send().await.result();
            doctor.id
        }
        "asked_doctor" => {
            let doctor = service.doctor("Dr. New").await;
            verification::ask(service, &doctor).await.result();
            doctor.id
        }
        "approved_doctor" => {
            let doctor = service.doctor("Dr. New").await;
            verification::ask(service, &doctor).await.result();
            let (operator, _) = operator(service, &new_phone()).await;
            verification::decide(service, &operator, &doctor, "approve")
                .await
                .result();
            doctor.id
        }
        _ => return None,
    })
}

pub async fn new_clinic(service: &Service, founder: &Person) -> i64 {
    let body = json!({"name": format!("诊所{}", &new_phone()[1..]), "introduction": "介绍"});
    let made = founder.post(service, "/clinic", body).send().await.result();
    made["clinic_id"].as_i64().unwrap()
}

/// A new doctor in a clinic.
pub async fn clinic_doctor(service: &Service, leader: &Person, clinic: i64) -> Person {
    let doctor = service.doctor("Dr. New").await;
    let path = format!("/clinic/{clinic}/doctor");
    let body = json!({"doctor_id": doctor.id});
    leader.post(service, &path, body).send().await.result();
    service.accept(&doctor).await.result();
    doctor
}

pub async fn add(service: &Service, leader: &Person, clinic: i64, team: i64) -> Reply {
    let path = format!("/clinic/{clinic}/team/{team}");
    leader.put(service, &path, json!({})).send().await
}

async fn teams(service: &Service, user: &Person, clinic: i64) -> Vec<i64> {
    let path = format!("/clinic/{clinic}/team_list?count=true");
    let reply = user.get(service, &path).send().await;
    let found = reply.result();
    assert_eq!(reply.json["total"], found.as_array().unwrap().len());
    let ids = found.as_array().unwrap().iter();
    ids.map(|team| team["team_id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_patient_finds_the_way_from_a_clinic_to_its_team_and_joins() {
    let scene = Scene::new().await;
    let (service, owner, patient) = (&scene.service, &scene.team.owner, &scene.patient);
    let clinic = new_clinic(service, owner).await;
    let second = service.team_of(owner, "内科").await;
    for team in [scene.team.id, second.id] {
        add(service, owner, clinic, team).await.result();
        // A repetition changes nothing.
        add(service, owner, clinic, team).await.result();
    }
    assert_eq!(teams(service, patient, clinic).await, [second.id, scene.team.id]);
    // By part of the name, for patients too.
    let found = patient.get(service, "/team?name=儿").send().await.result();
    assert_eq!(found[0]["team_id"], scene.team.id);
    let page = scene
        .get(patient, format!("/team/{}", scene.team.id))
        .await
        .result();
    assert_eq!(page["clinic"]["clinic_id"], clinic);
    assert_eq!(page["clinic_id"], clinic);
    let doctor = scene.get(patient, format!("/doctor/{}", owner.id)).await.result();
    let ids = |key: &str, id: &str| -> Vec<Value> {
        let items = doctor[key].as_array().unwrap().iter();
        items.map(|item| item[id].clone()).collect()
    };
    assert_eq!(ids("teams", "team_id"), [json!(second.id), json!(scene.team.id)]);
    assert_eq!(ids("clinics", "clinic_id"), [json!(clinic)]);
    scene
        .post(
            patient,
            "/team/join".into(),
            json!({"team_id": scene.team.id, "agreement_version": 1}),
        )
        .await
        .result();
    scene.consult().await;
}

#[tokio::test]
async fn a_team_belongs_to_one_clinic_whose_doctor_owns_it() {
    let scene = Scene::new().await;
    let (service, owner) = (&scene.service, &scene.team.owner);
    let team = scene.team.id;
    let stranger = service.doctor("Dr. X").await;
    let foreign = new_clinic(service, &stranger).await;
    add(service, &stranger, foreign, team)
        .await
        .refused(409, "clinic.team_owner_not_in");
    let clinic = new_clinic(service, owner).await;
    let supervisor = clinic_doctor(service, owner, clinic).await;
    add(service, &supervisor, clinic, team)
        .await
        .refused(403, "clinic.forbidden");
    let body = json!({"doctor_id": supervisor.id});
    let path = format!("/clinic/{clinic}/supervisor");
    owner.put(service, &path, body).send().await.result();
    add(service, &supervisor, clinic, team).await.result();
    // The owner is in another clinic, too: it cannot take the team.
    let path = format!("/clinic/{foreign}/doctor");
    stranger
        .post(service, &path, json!({"doctor_id": owner.id}))
        .send()
        .await
        .result();
    service.accept(owner).await.result();
    add(service, &stranger, foreign, team)
        .await
        .refused(409, "clinic.team_taken");
    add(service, owner, 9_007_199_254_740_991, team)
        .await
        .refused(404, "clinic.not_found");
    add(service, owner, clinic, 9_007_199_254_740_991)
        .await
        .refused(404, "team.not_found");
    let remove =
        async |user: &Person, clinic: i64| scene.delete(user, format!("/clinic/{clinic}/team/{team}")).await;
    remove(&stranger, clinic).await.refused(403, "clinic.forbidden");
    remove(&stranger, foreign)
        .await
        .refused(404, "clinic.team_not_found");
    remove(&supervisor, clinic).await.result();
    assert_eq!(teams(service, owner, clinic).await, [0_i64; 0]);
    // The team's owner takes it out of a clinic that others lead, and leaves with it.
    add(service, &stranger, foreign, team).await.result();
    remove(owner, foreign).await.result();
    add(service, &stranger, foreign, team).await.result();
    scene
        .post(owner, format!("/clinic/{foreign}/leave"), json!({}))
        .await
        .result();
    assert_eq!(teams(service, owner, foreign).await, [0_i64; 0]);
}

/// Another domain fills both tables.
async fn work(service: &Service, team: i64, days: &[(i64, i64, i64)], stars: &[i64]) {
    let (days, stars) = (days.to_vec(), stars.to_vec());
    let written = service.database.transaction(move |tx| {
        Box::pin(async move {
            for (day, answers, waited_ms) in days {
                let sql = "INSERT INTO team_answer (team_id, day, answers, waited_ms) VALUES ($1, $2, $3, $4)";
                tx.execute(sql, params![team, day, answers, waited_ms]).await?;
            }
            for (number, stars) in (1_i64..).zip(stars) {
                let sql = "INSERT INTO consult_rating (consult_id, team_id, member_id, stars, words, created_ms, changed_ms)
                     VALUES ($1, $2, 1, $3, '', $1, $1)";
                tx.execute(sql, params![number, team, stars]).await?;
            }
            Ok::<_, database::Error>(())
        })
    });
    written.await.unwrap();
}

#[tokio::test]
async fn a_page_shows_doctors_prices_and_how_the_team_works() {
    let scene = Scene::new().await;
    let (service, patient, team) = (&scene.service, &scene.patient, scene.team.id);
    let path = format!("/team/{team}");
    let page = scene.get(patient, path.clone()).await.result();
    for absent in [
        "answer_time",
        "rating",
        "clinic",
        "clinic_id",
        "closed_ms",
        "dissolved_ms",
    ] {
        assert!(page.get(absent).is_none(), "{absent}: {page}");
    }
    let body = json!({"title": "主任医师", "expertise": "儿童哮喘"});
    scene
        .post(&scene.doctor, "/doctor/detail".into(), body)
        .await
        .result();
    let today = payment::Day::at(api_server::now_ms()).get();
    work(
        service,
        team,
        &[(today, 3, 90_000), (20_200_101, 7, 70_000_000)],
        &[5, 4, 5],
    )
    .await;
    let page = scene.get(patient, path).await.result();
    assert_eq!(page["answer_time"], json!({"answers": 3, "mean_ms": 30_000}));
    assert_eq!(page["rating"], json!({"count": 3, "mean": 4.7}));
    for (key, value) in [
        ("introduction", json!("介绍")),
        ("agreement_version", json!(1)),
        ("membership_fee_fen", json!(10_000)),
        ("consult_price_fen", json!(2_000)),
        ("members_only", json!(false)),
        ("doctor_ids", json!([scene.team.owner.id, scene.doctor.id])),
    ] {
        assert_eq!(page[key], value, "{key}");
    }
    let shown = &page["doctors"][1];
    assert_eq!(
        (&shown["doctor_id"], &shown["title"], &shown["expertise"]),
        (&json!(scene.doctor.id), &json!("主任医师"), &json!("儿童哮喘"))
    );
    // They were not verified.
    assert!(shown.get("verified_since").is_none());
    let list = scene
        .get(patient, format!("/team/{team}/doctor_list"))
        .await
        .result();
    assert_eq!(list[0]["expertise"], "儿童哮喘");
}

/// The team that the owner of another one makes takes no clinic from it.
#[tokio::test]
async fn a_clinic_has_a_hundred_teams_at_most() {
    let scene = Scene::new().await;
    let (service, owner) = (&scene.service, &scene.team.owner);
    let clinic = new_clinic(service, owner).await;
    let team: Team = service.team_of(owner, "内科").await;
    let filled = service.database.transaction(move |tx| {
        Box::pin(async move {
            for id in 0..100_i64 {
                let sql = "INSERT INTO team (id, name, introduction, agreement, membership_fee_fen, consult_price_fen, owner_id,
                         assistant_id, created_ms, agreement_version, search_name, folded_from, clinic_id)
                     SELECT $1, 'n', '', '', 0, 0, owner_id, -CAST($1 AS BIGINT), 1, 1, 'n', 'n', $2 FROM team WHERE id = $3";
                tx.execute(sql, params![1_000_000 + id, clinic, team.id]).await?;
            }
            Ok::<_, database::Error>(())
        })
    });
    filled.await.unwrap();
    add(service, owner, clinic, scene.team.id)
        .await
        .refused(409, "clinic.team_limit_reached");
}

#[tokio::test]
async fn a_walk_through_teams_blocks_and_offers_meets_each_once() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let (owner, path) = (&team.owner, format!("/team/{}", team.id));
    let clinic = new_clinic(&service, owner).await;
    let clinic_path = format!("/clinic/{clinic}");
    let block = async |path: &str| {
        let user = service.doctor("Dr. New").await;
        let path = format!("{path}/block/{}", user.id);
        owner.put(&service, &path, json!({})).send().await.result();
    };
    // A team of a new doctor of the clinic.
    let join = async || {
        let doctor = clinic_doctor(&service, owner, clinic).await;
        let team = service.team_of(&doctor, "内科").await;
        add(&service, owner, clinic, team.id).await.result();
        (doctor, team)
    };
    let heir = service.doctor("Dr. Heir").await;
    // The heir is offered the team of a new owner.
    let offer = async || {
        let team = service.team("外科").await;
        let invite = json!({"doctor_id": heir.id});
        let path = format!("/team/{}", team.id);
        team.owner
            .post(&service, &format!("{path}/doctor"), invite.clone())
            .send()
            .await
            .result();
        service.accept(&heir).await.result();
        team.owner
            .post(&service, &format!("{path}/owner"), invite)
            .send()
            .await
            .result();
    };
    for _ in 0..3 {
        block(&path).await;
        block(&clinic_path).await;
        join().await;
        offer().await;
    }
    coarsen(
        &service,
        "UPDATE place_block SET created_ms = created_ms / 1000 * 1000",
    )
    .await;
    coarsen(
        &service,
        "UPDATE place_offer SET created_ms = created_ms / 1000 * 1000",
    )
    .await;
    for place in [&path, &clinic_path] {
        let list = format!("{place}/block_list");
        let before = walk(&service, owner, &list, 200, async || {}).await;
        assert_eq!(before.len(), 3);
        let walked = walk(&service, owner, &list, 2, async || block(place).await).await;
        assert_eq!(walked, before);
    }
    let list = format!("{clinic_path}/team_list");
    let before = walk(&service, owner, &list, 200, async || {}).await;
    assert_eq!(before.len(), 3);
    let come = async || {
        join().await;
    };
    assert_eq!(walk(&service, owner, &list, 2, come).await, before);
    let before = walk(&service, &heir, "/place_offer_list", 200, async || {}).await;
    assert_eq!(before.len(), 3);
    assert_eq!(walk(&service, &heir, "/place_offer_list", 2, offer).await, before);
}
