//! A medium is seen by its uploader until it is used, then by those who see an entry or a record that names it. For all others it
//! does not exist.

use prost::Message;
use proto::wire;
use serde_json::json;

use super::{
    messages::{Pen, recall},
    operators::{acts, operator},
    people::{Person, new_consult},
    scene::Scene,
    service::Service,
    uploading::{announced, png},
};

async fn scene() -> Scene {
    Scene::on(Service::with_media().await).await
}

fn image(id: i64) -> Vec<u8> {
    let image = wire::Image {
        uri: format!("media:{id}"),
        ..wire::Image::default()
    };
    image.encode_to_vec()
}

async fn photo(pen: &Pen, conversation: i64, sender: &Person, id: i64) -> i64 {
    pen.write(conversation, sender, "image/png", image(id)).await
}

/// Which of these users see a medium.
async fn seen(scene: &Scene, id: i64, who: &[&Person]) -> Vec<bool> {
    let mut seen = Vec::new();
    for who in who {
        seen.push(scene.service.shows(who, id).await);
    }
    seen
}

#[tokio::test]
async fn a_photo_is_for_those_who_see_its_message() {
    let scene = scene().await;
    let service = &scene.service;
    let (patient, doctor, assistant) = (&scene.patient, &scene.doctor, &scene.team.assistant);
    let stranger = service.member("Sam").await;
    let colleague = service.doctor_of(&scene.team, "Dr. C").await;
    let (operator, _) = operator(service, "张伟").await;
    let consult = scene.in_process().await;
    let id = service.picture(patient, "message").await;
    let all = [patient, doctor, assistant, &colleague, &stranger, &operator];
    assert_eq!(
        seen(&scene, id, &all).await,
        [true, false, false, false, false, false],
        "before it is used"
    );
    let pen = Pen::new(service);
    let seq = photo(&pen, consult, patient, id).await;
    assert_eq!(
        seen(&scene, id, &all).await,
        [true, true, true, false, false, false]
    );
    // A doctor who was taken out sees what was sent before.
    let path = format!("/consult/{consult}/doctor/{}", doctor.id);
    scene.delete(assistant, path).await.result();
    let later = service.picture(patient, "message").await;
    photo(&pen, consult, patient, later).await;
    assert_eq!(seen(&scene, id, &[doctor]).await, [true]);
    assert_eq!(seen(&scene, later, &[doctor, assistant]).await, [false, true]);
    recall(service, consult, patient, seq).await;
    assert_eq!(seen(&scene, id, &all).await, [false; 6], "also for its sender");
    // It may be sent once more.
    photo(&pen, consult, patient, id).await;
    assert_eq!(
        seen(&scene, id, &[patient, assistant, doctor]).await,
        [true, true, false]
    );
}

#[tokio::test]
async fn the_staff_room_shows_the_patient_nothing() {
    let scene = scene().await;
    let service = &scene.service;
    let consult = scene.in_process().await;
    let shown = scene
        .get(&scene.doctor, format!("/consult/{consult}"))
        .await
        .result();
    let room = shown["staff_conversation_id"].as_i64().unwrap();
    let id = service.picture(&scene.doctor, "message").await;
    photo(&Pen::new(service), room, &scene.doctor, id).await;
    let all = [&scene.doctor, &scene.team.assistant, &scene.patient];
    assert_eq!(seen(&scene, id, &all).await, [true, true, false]);
}

#[tokio::test]
async fn a_send_names_finished_media_of_its_sender() {
    let scene = scene().await;
    let service = &scene.service;
    let consult = scene.in_process().await;
    let pen = Pen::new(service);
    let foreign = service.picture(&scene.doctor, "message").await;
    let symptom = service.picture(&scene.patient, "symptom").await;
    let unfinished = announced("image/png", "message", &png(1, 1, 1));
    let unfinished = service.asked(&scene.patient, unfinished).await;
    let file = service
        .upload(
            &scene.patient,
            "application/octet-stream",
            "message",
            b"x".to_vec(),
        )
        .await;
    for id in [foreign, symptom, unfinished, file, 9_007_199_254_740_991] {
        let sent = pen
            .try_write(consult, &scene.patient, "image/png", image(id))
            .await;
        let error = sent.unwrap_err();
        assert!(
            matches!(error, journal::Error::Invalid { field: "body", .. }),
            "{error:?}"
        );
    }
    let as_file = wire::File {
        uri: format!("media/{file}"),
        ..wire::File::default()
    };
    let as_file = as_file.encode_to_vec();
    pen.write(consult, &scene.patient, "application/octet-stream", as_file)
        .await;
    assert!(service.shows(&scene.doctor, file).await);
}

#[tokio::test]
async fn a_complaint_names_finished_media_of_its_patient() {
    let scene = scene().await;
    let service = &scene.service;
    let patient = &scene.patient;
    let begin = async |images: Vec<String>, voice: Option<String>| {
        let mut body = new_consult(patient, scene.team.id);
        body["images"] = json!(images);
        if let Some(voice) = voice {
            body["symptom_type"] = json!("image/png");
            body["symptom_content"] = json!(voice);
        }
        scene.post(patient, "/consult".to_owned(), body).await
    };
    let uri = |id: i64| format!("media:{id}");
    let foreign = service.picture(&scene.doctor, "symptom").await;
    let message = service.picture(patient, "message").await;
    let unfinished = announced("image/png", "symptom", &png(1, 1, 1));
    let unfinished = service.asked(patient, unfinished).await;
    let file = service
        .upload(patient, "application/octet-stream", "symptom", b"x".to_vec())
        .await;
    let first = service.picture(patient, "symptom").await;
    let second = service.picture(patient, "symptom").await;
    for bad in [foreign, message, unfinished, file] {
        let refused = begin(vec![uri(first), uri(bad)], None).await;
        refused.refused(400, "request.invalid").field("images");
    }
    begin(vec!["media/7f3a".into()], None)
        .await
        .refused(400, "request.invalid")
        .field("images");
    let refused = begin(vec![], Some(uri(message))).await;
    refused.refused(400, "request.invalid").field("symptom_content");
    let stranger = service.member("Sam").await;
    let (doctor, assistant) = (&scene.doctor, &scene.team.assistant);
    assert_eq!(
        seen(&scene, first, &[patient, assistant]).await,
        [true, false],
        "no consult has begun"
    );
    let begun = begin(vec![uri(first)], Some(uri(second))).await.result();
    for id in [first, second] {
        assert_eq!(
            seen(&scene, id, &[patient, assistant, doctor, &stranger]).await,
            [true, true, false, false]
        );
    }
    let consult = begun["consultation_id"].as_i64().unwrap();
    service.bring_in(&scene.team, consult, doctor).await;
    assert_eq!(seen(&scene, first, &[doctor]).await, [true]);
    // The same photo may be named by a later consult.
    begin(vec![uri(first)], None).await.result();
}

#[tokio::test]
async fn photos_are_for_those_who_see_the_profile() {
    let scene = scene().await;
    let service = &scene.service;
    let (patient, doctor) = (&scene.patient, &scene.doctor);
    let stranger = service.member("Sam").await;
    let photo = |id: i64| json!({"photo_id": format!("media:{id}")});
    let of_doctor = service.picture(doctor, "profile").await;
    let wrong = service.picture(doctor, "message").await;
    let refused = scene.post(doctor, "/doctor/detail".into(), photo(wrong)).await;
    refused.refused(400, "request.invalid").field("photo_id");
    scene
        .post(doctor, "/doctor/detail".into(), photo(of_doctor))
        .await
        .result();
    assert_eq!(
        seen(&scene, of_doctor, &[doctor, patient, &stranger]).await,
        [true; 3]
    );

    let own = service.picture(patient, "profile").await;
    let foreign = patient
        .put(service, "/member/detail", photo(of_doctor))
        .send()
        .await;
    foreign.refused(400, "request.invalid").field("photo_id");
    patient
        .put(service, "/member/detail", photo(own))
        .send()
        .await
        .result();
    let all = [patient, doctor, &scene.team.assistant, &stranger];
    assert_eq!(seen(&scene, own, &all).await, [true, false, false, false]);
    scene.in_process().await;
    assert_eq!(seen(&scene, own, &all).await, [true, true, true, false]);
    // The same photo again, by its id alone.
    patient
        .put(service, "/member/detail", json!({"photo_id": own.to_string()}))
        .send()
        .await
        .result();

    let child = service.picture(patient, "profile").await;
    let mut body = json!({"relation_type": "child", "name": "小明"});
    body["photo_id"] = json!(format!("media:{child}"));
    let added = scene.post(patient, "/family".into(), body).await.result();
    assert_eq!(seen(&scene, child, &all).await, [true, false, false, false]);
    let path = format!("/family/{}", added["relation_user_id"]);
    let changed = patient.put(service, &path, photo(wrong)).send().await;
    changed.refused(400, "request.invalid").field("photo_id");
}

#[tokio::test]
async fn an_operator_reads_with_a_reason_that_is_logged() {
    let scene = scene().await;
    let service = &scene.service;
    let (operator, _) = operator(service, "张伟").await;
    let consult = scene.in_process().await;
    let id = service.picture(&scene.patient, "message").await;
    let read = async |id: i64, reason: &str| {
        let body = json!({"reason": reason});
        operator
            .post(service, &format!("/operator/media/{id}/read"), body)
            .send()
            .await
    };
    let reason = "投诉 2026-118，需核对照片";
    read(id, reason).await.refused(404, "media.not_found");
    let seq = photo(&Pen::new(service), consult, &scene.patient, id).await;
    read(id, "").await.refused(400, "request.invalid").field("reason");
    assert_eq!(read(id, reason).await.status, 200);
    recall(service, consult, &scene.patient, seq).await;
    let recalled = read(id, reason).await;
    assert_eq!(
        (recalled.status, recalled.header("content-type")),
        (200, "image/png")
    );
    let acts = acts(service, &operator).await;
    let subject = format!("media:{id}");
    let logged = acts.iter().filter(|act| act["subject"] == subject.as_str());
    let logged: Vec<_> = logged.map(|act| (&act["act"], &act["reason"])).collect();
    assert_eq!(logged, [(&json!("media_read"), &json!(reason)); 2]);
}
