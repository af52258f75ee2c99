//! A team and a clinic that ended answer as the document says.

use serde_json::{Value, json};

use super::{
    accounts::PASSWORD,
    people::Person,
    service::{Reply, Service},
};

/// The changes of a place, by method and path.
const CHANGES: [&str; 3] = ["post", "put", "delete"];

/// The owner's request to an endpoint of a place, with the body of its example.
async fn ask(
    service: &Service,
    owner: &Person,
    (path, method): (&str, &str),
    place: i64,
    body: Value,
) -> Reply {
    let mut path = path.replace("{id}", &place.to_string()).replace("{version}", "1");
    for part in ["{doctor_id}", "{member_id}", "{user_id}"] {
        path = path.replace(part, &owner.id.to_string());
    }
    for part in ["{invitation_id}", "{team_id}"] {
        path = path.replace(part, &place.to_string());
    }
    let call = match method {
        "post" => owner.post(service, &path, body),
        "put" => owner.put(service, &path, body),
        _ => owner.delete(service, &path),
    };
    call.key(&format!("{method}{path}")).send().await
}

/// Asks all endpoints that change a place; returns those that answered that it has ended.
async fn ended(service: &Service, owner: &Person, at: &str, place: i64, code: &str) -> Vec<String> {
    let document = api_server::document();
    let mut ended = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in CHANGES.into_iter().filter(|method| item[*method].is_object()) {
            if path != at && !path.starts_with(&format!("{at}/")) {
                continue;
            }
            let content = &item[method]["requestBody"]["content"]["application/json"];
            let mut body = content["example"].clone();
            if body["password"].is_string() {
                body["password"] = PASSWORD.into();
            }
            if body.is_null() {
                body = json!({});
            }
            // The answer is held against the document.
            let reply = ask(service, owner, (path, method), place, body).await;
            if reply.json["error"] == code {
                ended.push(format!("{method} {path}"));
            }
        }
    }
    ended
}

#[tokio::test]
async fn what_a_dissolved_team_or_clinic_answers_stands_in_the_document() {
    let service = Service::charging().await;
    let owner = service.register("王芳", "doctor", Some(PASSWORD)).await;
    let team = service.team_of(&owner, "血压团队").await;
    let clinic = json!({"name": "血压诊所", "introduction": "高血压"});
    let clinic = owner.post(&service, "/clinic", clinic).send().await.result();
    let clinic = clinic["clinic_id"].as_i64().unwrap();
    for (place, id) in [("team", team.id), ("clinic", clinic)] {
        let path = format!("/{place}/{id}/dissolve");
        owner.post(&service, &path, json!({})).send().await.result();
    }
    let of_team = ended(&service, &owner, "/team/{id}", team.id, "team.dissolved").await;
    for endpoint in [
        "put /team/{id}/payee",
        "post /team/{id}/withdrawal",
        "put /team/{id}",
    ] {
        assert!(
            of_team.iter().any(|ended| ended == endpoint),
            "{endpoint}: {of_team:?}"
        );
    }
    let of_clinic = ended(&service, &owner, "/clinic/{id}", clinic, "clinic.dissolved").await;
    for endpoint in [
        "put /clinic/{id}",
        "put /clinic/{id}/supervisor",
        "post /clinic/{id}/leave",
    ] {
        assert!(
            of_clinic.iter().any(|ended| ended == endpoint),
            "{endpoint}: {of_clinic:?}"
        );
    }
}
