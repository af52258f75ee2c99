//! Media of the table of rights, of each kind.

use database::params;
use prost::Message;
use proto::wire;
use serde_json::json;

use super::{
    messages::{Pen, recall},
    people::{Person, new_consult},
    rights::World,
    service::Service,
    uploading::announced,
};

/// The body of each cell of a PUT: `{}`.
const BODY: &[u8] = b"{}";
const FILE: &str = "application/octet-stream";

impl World {
    /// A medium that a row names.
    pub(super) async fn medium(&self, service: &Service, name: &str) -> i64 {
        let (patient, doctor) = (self.person("patient"), self.person("doctor"));
        // A user has few unfinished uploads at a time.
        let given_up = service.database.transaction(|tx| {
            Box::pin(async move {
                tx.execute("UPDATE media SET state = 'gone' WHERE state = 'asked'", vec![])
                    .await
            })
        });
        given_up.await.unwrap();
        match name {
            "asked_media" => service.asked(patient, announced(FILE, "message", BODY)).await,
            "sent_media" => {
                let id = service.asked(patient, announced(FILE, "message", BODY)).await;
                service.put_content(patient, id, BODY.to_vec()).await.result();
                id
            }
            "new_media" => service.picture(patient, "message").await,
            "message_media" => self.photo(service, self.consult(service).await, patient).await.0,
            "recalled_media" => {
                let consult = self.consult(service).await;
                let (id, seq) = self.photo(service, consult, patient).await;
                recall(service, consult, patient, seq).await;
                id
            }
            "staff_media" => {
                let path = format!("/consult/{}", self.consult(service).await);
                let consult = doctor.get(service, &path).send().await.result();
                let room = consult["staff_conversation_id"].as_i64().unwrap();
                self.photo(service, room, doctor).await.0
            }
            "symptom_media" => {
                let id = service.picture(patient, "symptom").await;
                let mut body = new_consult(patient, self.team.id);
                body["images"] = json!([format!("media:{id}")]);
                let begun = patient.post(service, "/consult", body).send().await.result();
                let consult = begun["consultation_id"].as_i64().unwrap();
                service.bring_in(&self.team, consult, doctor).await;
                id
            }
            "doctor_photo" => {
                let id = service.picture(doctor, "profile").await;
                let body = json!({"photo_id": format!("media:{id}")});
                doctor.post(service, "/doctor/detail", body).send().await.result();
                id
            }
            "member_photo" => {
                self.consult(service).await;
                let id = service.picture(patient, "profile").await;
                let body = json!({"photo_id": format!("media:{id}")});
                patient.put(service, "/member/detail", body).send().await.result();
                id
            }
            "licence_media" => self.licence(service, self.person("outsider")).await,
            other => panic!("the table names {{{other}}}, which the scene does not have"),
        }
    }

    /// A picture that was sent, and its seq.
    async fn photo(&self, service: &Service, conversation: i64, sender: &Person) -> (i64, i64) {
        let id = service.picture(sender, "message").await;
        let image = wire::Image {
            uri: format!("media:{id}"),
            ..wire::Image::default()
        };
        let pen = Pen::new(service);
        let seq = pen.write(conversation, sender, "image/png", image.encode_to_vec());
        (id, seq.await)
    }

    /// A licence that a verification names.
    async fn licence(&self, service: &Service, applicant: &Person) -> i64 {
        let (id, applicant_id) = (service.picture(applicant, "licence").await, applicant.id);
        let named = service.database.transaction(move |tx| {
            Box::pin(async move {
                let used = "UPDATE media SET used_ms = 1 WHERE id = $1";
                tx.execute(used, params![id]).await?;
                let put =
                    "INSERT INTO media_record (media_id, record, record_id) VALUES ($1, 'verification', $2)";
                tx.execute(put, params![id, applicant_id]).await
            })
        });
        named.await.unwrap();
        id
    }
}
