//! Uris of media: those of this service, and of hosts that its operator names.

use api_server::Settings;
use serde_json::{Value, json};

use super::{
    people::{Person, Team, new_consult},
    service::{Reply, Service, roomy},
};

const FOREIGN: &str = "https://media.example.com/1.jpg";

const BAD: [&str; 12] = [
    "",
    "javascript:alert(1)",
    "JAVASCRIPT:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "file:///etc/passwd",
    "http://127.0.0.1/",
    "https://evil.example/1",
    "//evil.example/1",
    "media/../account",
    "media/a\u{202e}b",
    "media/a b",
    "media/a\0",
];

async fn begin(service: &Service, patient: &Person, team: &Team, change: Value) -> Reply {
    let mut body = new_consult(patient, team.id);
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    patient.post(service, "/consult", body).send().await
}

// protocol: "REST accepts the same in images"
#[tokio::test]
async fn a_consult_names_media_of_this_service_only() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    for uri in BAD.into_iter().chain([FOREIGN]) {
        let images = json!({"images": ["media/1", uri]});
        let reply = begin(&service, &patient, &team, images).await;
        reply.refused(400, "request.invalid").field("images");
        let symptom = json!({"symptom_type": "audio/aac", "symptom_content": uri});
        let reply = begin(&service, &patient, &team, symptom).await;
        reply.refused(400, "request.invalid").field("symptom_content");
    }
    for uri in ["media/1", "/media/7f3a", "media:01J9", "media/2026/11/a.jpg"] {
        let change = json!({"symptom_type": "image/jpeg", "symptom_content": uri, "images": [uri]});
        let begun = begin(&service, &patient, &team, change).await.result();
        assert_eq!(
            (&begun["symptom_content"], &begun["images"]),
            (&json!(uri), &json!([uri]))
        );
    }
    // Text that looks like a uri is text.
    let change = json!({"symptom_content": "javascript:alert(1)"});
    begin(&service, &patient, &team, change).await.result();
}

#[tokio::test]
async fn a_host_that_the_operator_names_is_taken() {
    let settings = Settings {
        media_hosts: ["media.example.com".parse().unwrap()].into_iter().collect(),
        ..roomy()
    };
    let service = Service::start_with(settings).await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let change =
        json!({"symptom_type": "audio/aac", "symptom_content": FOREIGN, "images": [FOREIGN, "media/1"]});
    begin(&service, &patient, &team, change).await.result();
    for uri in BAD {
        let reply = begin(&service, &patient, &team, json!({"images": [uri]})).await;
        reply.refused(400, "request.invalid").field("images");
    }
}

#[tokio::test]
async fn a_photo_is_of_this_service() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let member = service.member("Pat").await;
    for bad in BAD.into_iter().chain([FOREIGN]) {
        let body = json!({"photo_id": bad});
        let replies = [
            doctor.post(&service, "/doctor/detail", body.clone()).send().await,
            member.put(&service, "/member/detail", body.clone()).send().await,
            member
                .post(
                    &service,
                    "/family",
                    json!({"relation_type": "child", "name": "小明", "photo_id": bad}),
                )
                .send()
                .await,
        ];
        for reply in replies {
            reply.refused(400, "request.invalid").field("photo_id");
        }
    }
    for good in ["photo-7", "media/8f14e45f", "/media/1", "media:1"] {
        let body = json!({"photo_id": good});
        let page = doctor
            .post(&service, "/doctor/detail", body.clone())
            .send()
            .await
            .result();
        assert_eq!(page["photo_id"], good);
        member.put(&service, "/member/detail", body).send().await.result();
    }
}
