//! The endpoints of the OpenAPI document are those that are served.

use serde_json::json;

use super::{
    document::{METHODS, document, operations},
    service::Service,
};

/// Paths are additive for ever: the ones that the design names are there.
#[test]
fn every_endpoint_is_there() {
    let listed: Vec<String> = operations(&document())
        .into_iter()
        .map(|(method, path, _)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let expected = [
        "DELETE /account/devices/{device_id}",
        "DELETE /clinic/{id}/doctor/{doctor_id}",
        "DELETE /clinic/{id}/invitation/{invitation_id}",
        "DELETE /consult/history_list",
        "DELETE /consult/history_list/{id}",
        "DELETE /consult/{id}/doctor/{doctor_id}",
        "DELETE /family/invitation/{id}",
        "DELETE /family/{relation_user_id}",
        "DELETE /team/{id}/doctor/{doctor_id}",
        "DELETE /team/{id}/invitation/{invitation_id}",
        "DELETE /team/{id}/member/{member_id}",
        "DELETE /vas",
        "DELETE /vas/{id}",
        "GET /account/devices",
        "GET /chat_list",
        "GET /clinic",
        "GET /clinic/my_list",
        "GET /clinic/{id}",
        "GET /clinic/{id}/doctor_list",
        "GET /clinic/{id}/invitation_list",
        "GET /consult/history_list",
        "GET /consult/in_process_list",
        "GET /consult/{id}",
        "GET /consult/{id}/messages",
        "GET /consult/{id}/vas",
        "GET /doctor/{id}",
        "GET /family",
        "GET /family/invitation_list",
        "GET /family/sent_invitation_list",
        "GET /family/{relation_user_id}",
        "GET /im/password",
        "GET /im/servers",
        "GET /invitation_list",
        "GET /livez",
        "GET /member/detail",
        "GET /operator/audit",
        "GET /readyz",
        "GET /team",
        "GET /team/my_list",
        "GET /team/{id}",
        "GET /team/{id}/agreement/{version}",
        "GET /team/{id}/consult_history",
        "GET /team/{id}/consult_list",
        "GET /team/{id}/doctor_list",
        "GET /team/{id}/invitation_list",
        "GET /team/{id}/member_list",
        "GET /team/{id}/my_consult_list",
        "GET /team/{id}/my_vas_list",
        "GET /vas",
        "GET /vas/{id}",
        "GET /version",
        "POST /account/code",
        "POST /account/login",
        "POST /account/logout",
        "POST /account/register",
        "POST /chat",
        "POST /clinic",
        "POST /clinic/join",
        "POST /clinic/{id}/doctor",
        "POST /clinic/{id}/invitation",
        "POST /clinic/{id}/leave",
        "POST /clinic/{id}/phone_invitation",
        "POST /consult",
        "POST /consult/{id}/cancel",
        "POST /consult/{id}/doctor",
        "POST /consult/{id}/finish",
        "POST /consult/{id}/handover",
        "POST /consult/{id}/vas",
        "POST /doctor/detail",
        "POST /family",
        "POST /family/invitation/{id}/accept",
        "POST /family/invitation/{id}/decline",
        "POST /invitation/{id}/accept",
        "POST /invitation/{id}/decline",
        "POST /operator/account/{id}/disable",
        "POST /operator/account/{id}/enable",
        "POST /operator/consult/{id}/read",
        "POST /operator/consults/search",
        "POST /operator/login",
        "POST /operator/people/search",
        "POST /team",
        "POST /team/join",
        "POST /team/{id}/assistant/login",
        "POST /team/{id}/doctor",
        "POST /team/{id}/invitation",
        "POST /team/{id}/leave",
        "POST /team/{id}/phone_invitation",
        "POST /vas/{id}/confirm",
        "POST /vas/{id}/decline",
        "POST /vas/{id}/withdraw",
        "PUT /account/password",
        "PUT /account/push_token",
        "PUT /clinic/{id}",
        "PUT /clinic/{id}/supervisor",
        "PUT /family/{relation_user_id}",
        "PUT /member/detail",
        "PUT /team/{id}",
    ];
    let mut listed = listed;
    listed.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn routes_served_are_routes_documented() {
    let service = Service::start().await;
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = concrete(path);
        for method in METHODS {
            let call = service.call(method.to_uppercase().parse().unwrap(), &concrete);
            let reply = call.send().await;
            if item.get(method).is_some() {
                assert!(
                    ![404, 405].contains(&reply.status),
                    "{method} {path}: {}",
                    reply.text
                );
            } else {
                reply.refused(405, "request.method_not_allowed").header("allow");
            }
        }
    }
}

#[tokio::test]
async fn what_is_secured_asks_for_a_token_and_lists_its_refusals() {
    let service = Service::start().await;
    let document = document();
    assert!(document["components"]["schemas"]["Failure"].is_object());
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(
            !operation["summary"].as_str().unwrap_or_default().is_empty(),
            "{name}"
        );
        assert!(operation["tags"].is_array(), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        let schema = &responses["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{name} shows no answer");
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Failure", "{name} {status}");
            // Every word that it names is one of ours, of this status.
            let words = response["description"].as_str().unwrap().split(", ");
            for word in words.map(|word| word.trim_matches('`')) {
                let known = api_server::error::ErrorCode::ALL
                    .iter()
                    .find(|known| known.as_str() == word);
                let known = known.unwrap_or_else(|| panic!("{name} names {word}"));
                assert_eq!(known.status().as_str(), status, "{name} {word}");
            }
        }
        for status in ["429", "500", "503"] {
            assert!(responses.contains_key(status), "{name} {status}");
        }
        let concrete = concrete(&path);
        let reply = service
            .call(method.to_uppercase().parse().unwrap(), &concrete)
            .send()
            .await;
        if operation["security"] != json!([]) {
            assert!(responses.contains_key("401"), "{name}");
            reply.refused(401, "auth.required");
        } else {
            assert_ne!(reply.status, 401, "{name}");
        }
        if operation.get("requestBody").is_some() {
            assert!(
                responses.contains_key("400") && responses.contains_key("413"),
                "{name}"
            );
        }
    }
}

/// A path with something in its braces.
pub(super) fn concrete(path: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{device_id}" => "x",
            part if part.starts_with('{') => "1",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}
