//! One's own data as a file: all of one's own, and nothing of others.

use serde_json::{Value, json};

use super::{
    messages::Pen,
    people::{Person, new_consult},
    scene::Scene,
    service::{Reply, Service},
};

async fn export(service: &Service, who: &Person) -> Reply {
    who.get(service, "/account/export").send().await
}

/// A whole file.
async fn file(service: &Service, who: &Person) -> (Value, String) {
    let reply = export(service, who).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(
        reply.header("content-disposition"),
        format!("attachment; filename=\"huizhen-{}.json\"", who.id)
    );
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(
        (&reply.json["format"], &reply.json["complete"]),
        (&json!("huizhen-export-1"), &json!(true))
    );
    (reply.json, reply.text)
}

fn list<'f>(file: &'f Value, name: &str) -> &'f Vec<Value> {
    file[name]
        .as_array()
        .unwrap_or_else(|| panic!("no list {name}: {file}"))
}

/// The texts of messages, the oldest first.
fn texts(entries: &Value) -> Vec<&str> {
    let texts = entries.as_array().unwrap().iter().rev();
    texts.filter_map(|entry| entry["text"].as_str()).collect()
}

fn seqs(entries: &Value) -> Vec<i64> {
    let entries = entries.as_array().unwrap().iter().rev();
    entries.map(|entry| entry["seq"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_member_gets_all_that_is_their_own_and_nothing_of_others() {
    let scene = Scene::on(Service::with_media().await).await;
    let (service, patient, doctor) = (&scene.service, &scene.patient, &scene.doctor);
    let pen = Pen::new(service);
    let child = json!({"relation_type": "child", "name": "小明", "birth_date": "2020-03-01"});
    scene.post(patient, "/family".into(), child).await.result();
    let picture = service.picture(patient, "message").await;
    let consult = scene.consult().await;
    let shown = service.bring_in(&scene.team, consult, doctor).await;
    let room = shown["staff_conversation_id"].as_i64().unwrap();
    pen.write(consult, patient, "text/plain", "体温三八度").await;
    pen.write(consult, doctor, "text/plain", "多喝水").await;
    pen.write(room, doctor, "text/plain", "病房里的话").await;
    scene.end(doctor, consult, "finish").await.result();
    let rating = json!({"stars": 5, "words": "很耐心"});
    patient
        .put(service, &format!("/consult/{consult}/rating"), rating)
        .send()
        .await
        .result();
    let with = json!({"user_id": doctor.id});
    let chat = scene.post(patient, "/chat".into(), with).await.result()["conversation_id"]
        .as_i64()
        .unwrap();
    pen.write(chat, doctor, "text/plain", "复查结果好").await;
    // Hidden ones are one's own, too.
    scene.delete(patient, "/consult/history_list".into()).await;
    scene
        .post(patient, format!("/chat/{chat}/hide"), json!({}))
        .await
        .result();
    let other = service.member("旁人").await;
    let foreign = service.consult(&other, &scene.team).await;
    pen.write(foreign, &other, "text/plain", "别人的话").await;

    let (file, text) = file(service, patient).await;
    assert_eq!(file["account"]["phone"], *patient.phone);
    assert_eq!(file["member"]["name"], *patient.name);
    assert_eq!(list(&file, "family")[0]["name"], "小明");
    let consults = list(&file, "consults");
    assert_eq!(consults.len(), 1);
    let own = &consults[0];
    assert_eq!(own["consult"]["consultation_id"], consult);
    assert_eq!(own["consult"]["rating"]["words"], "很耐心");
    assert_eq!(texts(&own["entries"]), ["体温三八度", "多喝水"]);
    assert_eq!(own.get("staff_entries"), None);
    let chats = list(&file, "chats");
    assert_eq!(
        (&chats[0]["chat"]["conversation_id"], &chats[0]["chat"]["hidden"]),
        (&json!(chat), &json!(true))
    );
    assert_eq!(texts(&chats[0]["entries"]), ["复查结果好"]);
    let media = list(&file, "media");
    assert_eq!(media.len(), 1);
    assert_eq!(
        (&media[0]["media_id"], &media[0]["address"]),
        (&json!(picture), &json!(format!("/media/{picture}")))
    );
    for empty in [
        "notices",
        "teams",
        "consults_about_me",
        "services",
        "hidden_services",
        "wallet",
        "orders",
        "refunds",
    ] {
        assert!(list(&file, empty).is_empty(), "{empty}");
    }
    for name in ["doctor", "verification", "clinics"] {
        assert_eq!(file.get(name), None, "{name}");
    }
    let of_others = [
        &doctor.phone,
        &other.phone,
        &scene.team.owner.phone,
        &other.name,
        &patient.token,
    ];
    for private in of_others
        .map(String::as_str)
        .into_iter()
        .chain(["别人的话", "病房里的话"])
    {
        assert!(!text.contains(private), "{private}");
    }
}

#[tokio::test]
async fn a_doctor_gets_what_they_saw_up_to_their_leaving() {
    let scene = Scene::new().await;
    let (service, patient, doctor) = (&scene.service, &scene.patient, &scene.doctor);
    let pen = Pen::new(service);
    let consult = scene.consult().await;
    let shown = service.bring_in(&scene.team, consult, doctor).await;
    let room = shown["staff_conversation_id"].as_i64().unwrap();
    pen.write(consult, patient, "text/plain", "体温三八度").await;
    pen.write(room, doctor, "text/plain", "病房里的话").await;
    let other = service.doctor_of(&scene.team, "Dr. C").await;
    scene
        .post(
            doctor,
            format!("/consult/{consult}/handover"),
            json!({"doctor_id": other.id}),
        )
        .await
        .result();
    pen.write(consult, patient, "text/plain", "后来的话").await;
    pen.write(room, &other, "text/plain", "后来的病房").await;

    let (own, text) = file(service, doctor).await;
    assert_eq!(own["account"]["phone"], *doctor.phone);
    assert_eq!(own["doctor"]["name"], *doctor.name);
    assert_eq!(own["verification"]["state"], "none");
    assert_eq!(list(&own, "teams")[0]["team_id"], scene.team.id);
    let consults = list(&own, "consults");
    assert_eq!(texts(&consults[0]["entries"]), ["体温三八度"]);
    assert_eq!(texts(&consults[0]["staff_entries"]), ["病房里的话"]);
    assert!(consults[0]["consult"]["left_ms"].is_i64());
    for name in ["member", "wallet", "orders", "refunds", "family"] {
        assert_eq!(own.get(name), None, "{name}");
    }
    for private in [&*patient.phone, &*other.phone, "后来的话", "后来的病房"] {
        assert!(!text.contains(private), "{private}");
    }
    // Another doctor of the team was in no consult.
    let (owner, _) = file(service, &scene.team.owner).await;
    assert!(list(&owner, "consults").is_empty());
}

/// Money, and more of each list than a page holds.
#[tokio::test]
async fn a_file_has_all_pages_and_each_item_once() {
    let scene = Scene::charging().await;
    let (service, patient) = (&scene.service, &scene.patient);
    for _ in 0..3 {
        service.credit(patient, 10_000_000).await;
    }
    let mut consults = Vec::new();
    for at in 0..103 {
        let body = new_consult(patient, scene.team.id);
        let key = format!("one of many {at}");
        let begun = patient
            .post(service, "/consult", body)
            .key(&key)
            .send()
            .await
            .result();
        let consult = begun["consultation_id"].as_i64().unwrap();
        scene.end(patient, consult, "cancel").await.result();
        consults.push(consult);
    }
    let consult = scene.charged("the last").await;
    consults.push(consult);
    let pen = Pen::new(service);
    for at in 0..230 {
        pen.write(
            consult,
            patient,
            "text/plain",
            format!("{at} {}", "字".repeat(500)),
        )
        .await;
    }
    let (file, _) = file(service, patient).await;
    let found: Vec<i64> = list(&file, "consults")
        .iter()
        .map(|one| one["consult"]["consultation_id"].as_i64().unwrap())
        .collect();
    consults.reverse();
    assert_eq!(found, consults);
    let entries = &list(&file, "consults")[0]["entries"];
    let seqs = seqs(entries);
    assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
    assert!(texts(entries).len() >= 230);
    // Three credits, each price held, and all but one returned.
    assert_eq!(list(&file, "wallet").len(), 3 + 104 + 103);
}

#[tokio::test]
async fn a_file_is_made_three_times_a_day_for_members_and_doctors() {
    let scene = Scene::new().await;
    let service = &scene.service;
    for _ in 0..3 {
        file(service, &scene.patient).await;
    }
    let refused = export(service, &scene.patient).await;
    let wait: u64 = refused
        .refused(429, "account.export_limit_reached")
        .header("retry-after")
        .parse()
        .unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    // Of each user by themselves.
    file(service, &scene.doctor).await;
    export(service, &scene.team.assistant)
        .await
        .refused(403, "account.export_forbidden");
    service
        .get("/account/export")
        .send()
        .await
        .refused(401, "auth.required");
}
