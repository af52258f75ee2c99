//! A consult and its users.

use serde_json::Value;

use super::{
    people::{Person, Team},
    service::{Reply, Service},
};

pub use testkit::{PATIENCE, eventually};

/// A service with a team, one of its doctors, and a patient.
pub struct Scene {
    pub service: Service,
    pub team: Team,
    pub doctor: Person,
    pub patient: Person,
}

impl Scene {
    pub async fn new() -> Self {
        Self::on(Service::start().await).await
    }

    /// On a service that charges. The team's fee is 10000 fen, its price of a consult 2000.
    pub async fn charging() -> Self {
        Self::on(Service::charging().await).await
    }

    pub async fn on(service: Service) -> Self {
        let team = service.team("儿科").await;
        let doctor = service.doctor_of(&team, "Dr. B").await;
        let patient = service.member("王芳").await;
        Self {
            service,
            team,
            doctor,
            patient,
        }
    }

    pub async fn consult(&self) -> i64 {
        self.service.consult(&self.patient, &self.team).await
    }

    /// A consult with the doctor in it.
    pub async fn in_process(&self) -> i64 {
        let consult = self.consult().await;
        self.service.bring_in(&self.team, consult, &self.doctor).await;
        consult
    }

    pub async fn post(&self, who: &Person, path: String, body: Value) -> Reply {
        who.post(&self.service, &path, body).send().await
    }

    pub async fn get(&self, who: &Person, path: String) -> Reply {
        who.get(&self.service, &path).send().await
    }

    pub async fn delete(&self, who: &Person, path: String) -> Reply {
        who.delete(&self.service, &path).send().await
    }

    pub async fn listed(&self, who: &Person, list: &str) -> Vec<i64> {
        let result = self.get(who, format!("/consult/{list}")).await.result();
        let items = result.as_array().unwrap().iter();
        items
            .map(|item| item["consultation_id"].as_i64().unwrap())
            .collect()
    }
}

/// The journal of a consult as its patient sees it: a word for each entry.
pub async fn story(scene: &Scene, conversation: i64) -> Vec<String> {
    let reply = scene
        .get(&scene.patient, format!("/consult/{conversation}/messages"))
        .await;
    let mut entries = reply.result().as_array().unwrap().clone();
    entries.reverse();
    entries
        .iter()
        .filter(|entry| entry["kind"] != "message")
        .map(|entry| match entry["kind"].as_str().unwrap() {
            "participant_joined" => format!("+{}", entry["participant"]["user_id"]),
            "participant_left" => format!("-{}", entry["participant"]["user_id"]),
            "status_changed" => {
                let status = &entry["status"];
                format!("{} {}", status["status"].as_str().unwrap(), status["open"])
            }
            "message" => "message".to_owned(),
            "refunded" => {
                let refund = &entry["refund"];
                format!("refunded {} of {}", refund["amount_fen"], refund["vas_id"])
            }
            kind if kind.starts_with("vas_") => {
                let vas = &entry["vas"];
                assert_eq!(kind, format!("vas_{}", vas["state"].as_str().unwrap()));
                format!("{kind} {}", vas["vas_id"])
            }
            other => panic!("{other}"),
        })
        .collect()
}
