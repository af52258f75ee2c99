//! Accounts and devices.

use serde_json::json;

use crate::service::Service;

#[tokio::test]
async fn smoke() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. A").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    let shown = service.bring_in(&team, consult, &doctor).await;
    assert_eq!(shown["doctor_ids"], json!([doctor.id]));
    let messages = doctor
        .get(&service, &format!("/consult/{consult}/messages"))
        .send()
        .await
        .result();
    println!("{messages}");
    doctor
        .post(&service, &format!("/consult/{consult}/finish"), json!({}))
        .send()
        .await
        .result();
    println!(
        "{}",
        patient.get(&service, "/consult/history_list").send().await.text
    );
    println!(
        "{}",
        patient.get(&service, "/openapi.json").send().await.text.len()
    );
    println!("{}", patient.get(&service, "/docs/").send().await.text.len());
}
