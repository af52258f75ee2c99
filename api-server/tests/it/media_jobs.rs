//! Uploads that nothing names go after a day, and so do bytes without a row. What is named stays.

use std::{
    fs::{self, File},
    time::{Duration, SystemTime},
};

use database::params;
use prost::Message;
use proto::wire;
use serde_json::json;

use super::{
    background::job,
    messages::Pen,
    operators::operator,
    people::Person,
    scene::{Scene, eventually},
    service::Service,
    uploading::{announced, png},
};

/// Makes all uploads a day older.
pub async fn age(service: &Service) {
    let sql = "UPDATE media SET created_ms = created_ms - 86400001";
    let aged = service
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, params![]).await }));
    aged.await.unwrap();
}

pub async fn rows(service: &Service) -> i64 {
    let row = service
        .database
        .query_first("SELECT count(*) FROM media", params![]);
    row.await.unwrap().unwrap().get(0).unwrap()
}

/// Lets a job run now.
pub async fn turn(service: &Service, operator: &Person, name: &str) {
    for act in ["pause", "resume"] {
        let path = format!("/operator/job/{name}/{act}");
        operator.post(service, &path, json!({})).send().await.result();
    }
}

pub async fn ready(service: &Service, name: &str) -> Person {
    let (operator, _) = operator(service, "张伟").await;
    eventually("the first turn", async || {
        let job = job(service, &operator, name).await;
        job.is_some_and(|job| job["due_ms"].as_i64().unwrap() > 0)
    })
    .await;
    operator
}

#[tokio::test]
async fn unused_uploads_go_after_a_day_with_their_bytes() {
    let scene = Scene::on(Service::with_media().await).await;
    let service = &scene.service;
    let _beside = service.beside().await;
    let operator = ready(service, "media_unused").await;
    let consult = scene.in_process().await;
    let (patient, doctor) = (&scene.patient, &scene.doctor);
    let sent = service.picture(patient, "message").await;
    let image = wire::Image {
        uri: format!("media:{sent}"),
        ..wire::Image::default()
    };
    let pen = Pen::new(service);
    pen.write(consult, patient, "image/png", image.encode_to_vec())
        .await;
    let photo = service.picture(doctor, "profile").await;
    let body = json!({"photo_id": format!("media:{photo}")});
    scene.post(doctor, "/doctor/detail".into(), body).await.result();
    let kept = service.stored();
    // Unused ones: finished, begun, asked for, refused.
    let unused = service.picture(patient, "message").await;
    for bytes in [&png(3, 3, 3)[..5], b""] {
        let id = service
            .asked(patient, announced("image/png", "message", &png(3, 3, 3)))
            .await;
        service.put_content(patient, id, bytes.to_vec()).await;
    }
    let refused = service
        .asked(patient, announced("image/png", "message", b"x"))
        .await;
    service.put_content(patient, refused, b"x".to_vec()).await;
    service
        .finish(patient, refused)
        .await
        .refused(422, "media.refused");
    turn(service, &operator, "media_unused").await;
    assert!(service.shows(patient, unused).await, "a day has not passed");
    age(service).await;
    turn(service, &operator, "media_unused").await;
    eventually("the unused ones are gone", async || {
        rows(service).await == 2 && service.stored() == kept
    })
    .await;
    assert!(!service.shows(patient, unused).await);
    assert!(service.shows(doctor, sent).await && service.shows(patient, photo).await);
}

#[tokio::test]
async fn bytes_without_a_row_are_swept() {
    let service = Service::with_media().await;
    let operator = ready(&service, "media_sweep").await;
    let member = service.member("王芳").await;
    let kept = service.picture(&member, "message").await;
    let orphan = service.picture(&member, "message").await;
    let young = service.picture(&member, "message").await;
    let mut gone = Vec::new();
    for id in [orphan, young] {
        let key = service
            .database
            .query_first("SELECT store_key FROM media WHERE id = $1", params![id]);
        let key: String = key.await.unwrap().unwrap().get(0).unwrap();
        gone.push(key);
    }
    let forget = service.database.transaction(move |tx| {
        Box::pin(async move {
            let sql = "DELETE FROM media WHERE id = $1 OR id = $2";
            tx.execute(sql, params![orphan, young]).await
        })
    });
    forget.await.unwrap();
    let folder = service.media.as_ref().unwrap().path().to_owned();
    let days_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
    let mut open = vec![folder];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.to_string_lossy().contains(&gone[1]) {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(days_ago)
                .unwrap();
        }
    }
    let before = service.stored();
    turn(&service, &operator, "media_sweep").await;
    eventually("the orphan is gone", async || service.stored() == before - 1).await;
    assert!(service.shows(&member, kept).await);
}
