//! Owners and founders hand on, supervisors are demoted, users are blocked, and the links of those who were removed end.

use serde_json::{Value, json};

use super::{
    people::{Person, new_phone},
    places::{add, clinic_doctor, new_clinic},
    scene::Scene,
    service::Reply,
};

/// A team and a clinic alike: the path of its leader's place, and the refusals.
struct Place {
    path: String,
    seat: &'static str,
    word: &'static str,
    holder: Person,
    other: Person,
}

async fn places(scene: &Scene) -> [Place; 2] {
    let owner = &scene.team.owner;
    let clinic = new_clinic(&scene.service, owner).await;
    let doctor = clinic_doctor(&scene.service, owner, clinic).await;
    [
        Place {
            path: format!("/team/{}", scene.team.id),
            seat: "owner",
            word: "team",
            holder: owner.clone(),
            other: scene.doctor.clone(),
        },
        Place {
            path: format!("/clinic/{clinic}"),
            seat: "founder",
            word: "clinic",
            holder: owner.clone(),
            other: doctor,
        },
    ]
}

impl Place {
    async fn offer(&self, scene: &Scene, to: &Person) -> Reply {
        let path = format!("{}/{}", self.path, self.seat);
        scene.post(&self.holder, path, json!({"doctor_id": to.id})).await
    }

    async fn answer(&self, scene: &Scene, by: &Person, answer: &str) -> Reply {
        scene
            .post(by, format!("{}/{}/{answer}", self.path, self.seat), json!({}))
            .await
    }

    async fn held_by(&self, scene: &Scene) -> Value {
        let shown = scene.get(&scene.patient, self.path.clone()).await.result();
        shown[format!("{}_id", self.seat)].clone()
    }
}

async fn offers(scene: &Scene, doctor: &Person) -> Vec<Value> {
    let reply = scene.get(doctor, "/place_offer_list?count=true".into()).await;
    let found = reply.result().as_array().unwrap().clone();
    assert_eq!(reply.json["total"], found.len());
    found
}

#[tokio::test]
async fn a_place_is_handed_on_when_the_other_accepts() {
    let scene = Scene::new().await;
    for place in places(&scene).await {
        let (holder, other) = (&place.holder, &place.other);
        let not_in = format!("{}.doctor_not_found", place.word);
        let stranger = scene.service.doctor("Dr. X").await;
        for nobody in [&stranger, holder, &scene.patient] {
            place
                .offer(&scene, nobody)
                .await
                .refused(404, &not_in)
                .field("doctor_id");
        }
        place
            .answer(&scene, other, "accept")
            .await
            .refused(404, "offer.not_found");
        let offer = place.offer(&scene, other).await.result();
        assert_eq!(
            (&offer["from_id"], &offer["to_id"]),
            (&json!(holder.id), &json!(other.id))
        );
        let found = offers(&scene, other).await;
        assert_eq!((found.len(), &found[0]), (1, &offer));
        assert_eq!(place.held_by(&scene).await, holder.id);
        for wrong in [&stranger, holder] {
            place
                .answer(&scene, wrong, "accept")
                .await
                .refused(404, "offer.not_found");
        }
        place
            .answer(&scene, &stranger, "decline")
            .await
            .refused(404, "offer.not_found");
        // Either side ends it.
        for side in [other, holder] {
            place.offer(&scene, other).await.result();
            place.answer(&scene, side, "decline").await.result();
            assert_eq!(offers(&scene, other).await.len(), 0);
            place
                .answer(&scene, other, "accept")
                .await
                .refused(404, "offer.not_found");
        }
        place.offer(&scene, other).await.result();
        let handed = place.answer(&scene, other, "accept").await.result();
        assert_eq!(handed[format!("{}_id", place.seat)], other.id);
        assert_eq!(place.held_by(&scene).await, other.id);
        // Once.
        place
            .answer(&scene, other, "accept")
            .await
            .refused(404, "offer.not_found");
        let forbidden = format!("{}.forbidden", place.word);
        place.offer(&scene, other).await.refused(403, &forbidden);
        // The former holder may leave now; the new one may not.
        let leave = async |who: &Person| scene.post(who, format!("{}/leave", place.path), json!({})).await;
        let stays = format!("{}.{}_stays", place.word, place.seat);
        leave(other).await.refused(409, &stays);
        leave(holder).await.result();
    }
}

#[tokio::test]
async fn an_offer_ends_with_the_place_of_either_side() {
    let scene = Scene::new().await;
    for place in places(&scene).await {
        place.offer(&scene, &place.other).await.result();
        scene
            .post(&place.other, format!("{}/leave", place.path), json!({}))
            .await
            .result();
        place
            .answer(&scene, &place.other, "accept")
            .await
            .refused(404, "offer.not_found");
        assert_eq!(place.held_by(&scene).await, place.holder.id);
    }
    let expired = scene.service.database.transaction(|tx| {
        Box::pin(async move { tx.execute("UPDATE place_offer SET expires_ms = 1", vec![]).await })
    });
    expired.await.unwrap();
    let back = scene.service.doctor_of(&scene.team, "Dr. C").await;
    let [team, _] = places(&scene).await;
    team.offer(&scene, &back).await.result();
    let expired = scene.service.database.transaction(|tx| {
        Box::pin(async move { tx.execute("UPDATE place_offer SET expires_ms = 1", vec![]).await })
    });
    expired.await.unwrap();
    assert_eq!(offers(&scene, &back).await.len(), 0);
    team.answer(&scene, &back, "accept")
        .await
        .refused(404, "offer.not_found");
}

#[tokio::test]
async fn the_former_owner_loses_desk_links_and_payee() {
    let scene = Scene::new().await;
    let (service, team) = (&scene.service, scene.team.id);
    let owner = &scene.team.owner;
    let clinic = new_clinic(service, owner).await;
    add(service, owner, clinic, team).await.result();
    let made = scene
        .post(owner, format!("/team/{team}/invitation"), json!({}))
        .await
        .result();
    set_payee(&scene, owner).await.result();
    let [place, _] = places(&scene).await;
    place.offer(&scene, &place.other).await.result();
    place.answer(&scene, &place.other, "accept").await.result();
    scene
        .get(&scene.team.assistant, "/im/password".into())
        .await
        .refused(401, "auth.required");
    let path = format!("/team/{team}/assistant/login");
    let desk = json!({"device_id": "desk", "platform": "web"});
    scene
        .post(owner, path.clone(), desk.clone())
        .await
        .refused(403, "team.forbidden");
    scene.post(&place.other, path, desk).await.result();
    let doctor = service.doctor("Dr. New").await;
    let joined = scene
        .post(&doctor, "/team/join".into(), json!({"invitation": made["link"]}))
        .await;
    joined.refused(409, "team.invitation_used_up");
    scene
        .get(&place.other, format!("/team/{team}/payee"))
        .await
        .refused(409, "withdrawal.payee_missing");
    set_payee(&scene, owner).await.refused(403, "team.forbidden");
    // The clinic keeps no team whose owner is not in it.
    let page = scene.get(&scene.patient, format!("/team/{team}")).await.result();
    assert!(page.get("clinic").is_none());
    let set = set_payee(&scene, &place.other).await.result();
    // And rests for a day, as each new one.
    let day = set["usable_ms"].as_i64().unwrap() - set["created_ms"].as_i64().unwrap();
    assert_eq!(day, 24 * 3_600_000);
    // Handed back, the old payee stays forgotten.
    let back = Place {
        holder: place.other.clone(),
        other: owner.clone(),
        ..place
    };
    back.offer(&scene, owner).await.result();
    back.answer(&scene, owner, "accept").await.result();
    scene
        .get(owner, format!("/team/{team}/payee"))
        .await
        .refused(409, "withdrawal.payee_missing");
}

async fn set_payee(scene: &Scene, owner: &Person) -> Reply {
    scene.service.pass_the_minute(&owner.phone).await;
    let code = scene.service.code(&owner.phone).await;
    let body =
        json!({"kind": "alipay", "holder": "王芳", "account_number": "wang@example.com", "code": code});
    owner
        .put(&scene.service, &format!("/team/{}/payee", scene.team.id), body)
        .send()
        .await
}

#[tokio::test]
async fn a_founder_of_five_clinics_takes_no_sixth() {
    let scene = Scene::new().await;
    let [_, clinic] = places(&scene).await;
    for _ in 0..5 {
        new_clinic(&scene.service, &clinic.other).await;
    }
    clinic.offer(&scene, &clinic.other).await.result();
    clinic
        .answer(&scene, &clinic.other, "accept")
        .await
        .refused(409, "clinic.limit_reached");
    assert_eq!(clinic.held_by(&scene).await, clinic.holder.id);
    // The refusal kept the offer.
    assert_eq!(offers(&scene, &clinic.other).await.len(), 1);
}

#[tokio::test]
async fn a_supervisor_is_demoted_by_the_founder_or_themselves() {
    let scene = Scene::new().await;
    let (service, founder) = (&scene.service, &scene.team.owner);
    let clinic = new_clinic(service, founder).await;
    let [first, second] = [
        clinic_doctor(service, founder, clinic).await,
        clinic_doctor(service, founder, clinic).await,
    ];
    let demote = async |by: &Person, doctor: &Person| {
        scene
            .delete(by, format!("/clinic/{clinic}/supervisor/{}", doctor.id))
            .await
    };
    for doctor in [&first, &second] {
        demote(founder, doctor)
            .await
            .refused(404, "clinic.doctor_not_found")
            .field("doctor_id");
        let path = format!("/clinic/{clinic}/supervisor");
        founder
            .put(service, &path, json!({"doctor_id": doctor.id}))
            .send()
            .await
            .result();
    }
    demote(&second, &first).await.refused(403, "clinic.forbidden");
    let link = scene
        .post(&first, format!("/clinic/{clinic}/invitation"), json!({}))
        .await
        .result();
    demote(founder, &first).await.result();
    demote(&second, &second).await.result();
    // They stay as doctors, and their invitations ended.
    let path = format!("/clinic/{clinic}/invitation");
    scene
        .post(&first, path, json!({}))
        .await
        .refused(403, "clinic.forbidden");
    let list = scene
        .get(founder, format!("/clinic/{clinic}/doctor_list?count=true"))
        .await;
    assert_eq!(list.json["total"], 3);
    let doctor = service.doctor("Dr. New").await;
    let joined = scene
        .post(
            &doctor,
            "/clinic/join".into(),
            json!({"invitation": link["link"]}),
        )
        .await;
    joined.refused(409, "clinic.invitation_used_up");
}

#[tokio::test]
async fn a_blocked_user_is_out_and_stays_out() {
    let scene = Scene::new().await;
    let (service, team) = (&scene.service, scene.team.id);
    let (owner, patient) = (&scene.team.owner, &scene.patient);
    let agree = json!({"team_id": team, "agreement_version": 1});
    scene
        .post(patient, "/team/join".into(), agree.clone())
        .await
        .result();
    let block = async |user: i64| {
        let path = format!("/team/{team}/block/{user}");
        owner.put(service, &path, json!({})).send().await
    };
    block(patient.id).await.result();
    block(patient.id).await.result();
    scene
        .post(patient, "/team/join".into(), agree.clone())
        .await
        .refused(403, "team.blocked");
    let body = super::people::new_consult(patient, team);
    scene
        .post(patient, "/consult".into(), body.clone())
        .await
        .refused(403, "team.blocked");
    // A doctor comes back neither by a link nor in person.
    let made = scene
        .post(owner, format!("/team/{team}/invitation"), json!({"max_uses": 3}))
        .await
        .result();
    block(scene.doctor.id).await.result();
    let link = json!({"invitation": made["link"]});
    scene
        .post(&scene.doctor, "/team/join".into(), link.clone())
        .await
        .refused(403, "team.blocked");
    let invite = json!({"doctor_id": scene.doctor.id});
    scene
        .post(owner, format!("/team/{team}/doctor"), invite)
        .await
        .result();
    service.accept(&scene.doctor).await.refused(403, "team.blocked");
    let list = scene
        .get(owner, format!("/team/{team}/block_list?count=true"))
        .await;
    assert_eq!(list.json["total"], 2);
    let first = &list.result()[1];
    assert_eq!(
        (&first["user_id"], &first["by_id"]),
        (&json!(patient.id), &json!(owner.id))
    );
    for part in [owner.id, scene.team.assistant.id] {
        block(part)
            .await
            .refused(409, "team.owner_stays")
            .field("user_id");
    }
    block(9_007_199_254_740_991)
        .await
        .refused(404, "team.member_not_found");
    for user in [patient.id, scene.doctor.id] {
        for _ in 0..2 {
            scene
                .delete(owner, format!("/team/{team}/block/{user}"))
                .await
                .result();
        }
    }
    scene.post(patient, "/team/join".into(), agree).await.result();
    scene.post(patient, "/consult".into(), body).await.result();
    scene
        .post(&scene.doctor, "/team/join".into(), link)
        .await
        .result();
}

#[tokio::test]
async fn a_clinic_blocks_doctors_and_the_founder_alone_its_supervisors() {
    let scene = Scene::new().await;
    let (service, founder) = (&scene.service, &scene.team.owner);
    let clinic = new_clinic(service, founder).await;
    let [first, second] = [
        clinic_doctor(service, founder, clinic).await,
        clinic_doctor(service, founder, clinic).await,
    ];
    for doctor in [&first, &second] {
        let path = format!("/clinic/{clinic}/supervisor");
        founder
            .put(service, &path, json!({"doctor_id": doctor.id}))
            .send()
            .await
            .result();
    }
    let block = async |by: &Person, user: i64| {
        by.put(service, &format!("/clinic/{clinic}/block/{user}"), json!({}))
            .send()
            .await
    };
    block(&first, second.id).await.refused(403, "clinic.forbidden");
    block(&first, founder.id)
        .await
        .refused(409, "clinic.founder_stays");
    block(founder, second.id).await.result();
    let made = scene
        .post(
            founder,
            format!("/clinic/{clinic}/invitation"),
            json!({"max_uses": 3}),
        )
        .await
        .result();
    let link = json!({"invitation": made["link"]});
    scene
        .post(&second, "/clinic/join".into(), link.clone())
        .await
        .refused(403, "clinic.blocked");
    scene
        .delete(&first, format!("/clinic/{clinic}/block/{}", second.id))
        .await
        .result();
    scene.post(&second, "/clinic/join".into(), link).await.result();
}

/// The link of a doctor who was removed is no way back, for nobody; one who left by themselves may return.
#[tokio::test]
async fn the_link_of_a_doctor_who_was_removed_ends() {
    let scene = Scene::new().await;
    let (service, owner) = (&scene.service, &scene.team.owner);
    let clinic = new_clinic(service, owner).await;
    for (place, id) in [("team", scene.team.id), ("clinic", clinic)] {
        let path = format!("/{place}/{id}");
        let made = scene
            .post(owner, format!("{path}/invitation"), json!({"max_uses": 9}))
            .await
            .result();
        let link = json!({"invitation": made["link"]});
        let doctor = service.doctor(&new_phone()).await;
        let join = async |doctor: &Person| scene.post(doctor, format!("/{place}/join"), link.clone()).await;
        join(&doctor).await.result();
        scene
            .post(&doctor, format!("{path}/leave"), json!({}))
            .await
            .result();
        join(&doctor).await.result();
        scene
            .delete(owner, format!("{path}/doctor/{}", doctor.id))
            .await
            .result();
        let used_up = format!("{place}.invitation_used_up");
        join(&doctor).await.refused(409, &used_up);
        join(&service.doctor("Dr. Y").await).await.refused(409, &used_up);
    }
}
