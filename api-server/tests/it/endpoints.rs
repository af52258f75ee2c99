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
        "DELETE /account/closing",
        "DELETE /account/devices/{device_id}",
        "DELETE /account/push_token",
        "DELETE /chat/{id}/block",
        "DELETE /chat/{id}/hide",
        "DELETE /clinic/{id}/block/{user_id}",
        "DELETE /clinic/{id}/doctor/{doctor_id}",
        "DELETE /clinic/{id}/invitation/{invitation_id}",
        "DELETE /clinic/{id}/supervisor/{doctor_id}",
        "DELETE /clinic/{id}/team/{team_id}",
        "DELETE /consult/about_me/refusal/{user_id}",
        "DELETE /consult/history_list",
        "DELETE /consult/history_list/{id}",
        "DELETE /consult/{id}/doctor/{doctor_id}",
        "DELETE /family/invitation/{id}",
        "DELETE /family/{relation_user_id}",
        "DELETE /team/{id}/block/{user_id}",
        "DELETE /team/{id}/doctor/{doctor_id}",
        "DELETE /team/{id}/invitation/{invitation_id}",
        "DELETE /team/{id}/member/{member_id}",
        "DELETE /vas",
        "DELETE /vas/{id}",
        "GET /account",
        "GET /account/devices",
        "GET /account/export",
        "GET /account/notice_list",
        "GET /chat_list",
        "GET /clinic",
        "GET /clinic/my_list",
        "GET /clinic/{id}",
        "GET /clinic/{id}/block_list",
        "GET /clinic/{id}/doctor_list",
        "GET /clinic/{id}/invitation_list",
        "GET /clinic/{id}/team_list",
        "GET /consult/about_me_list",
        "GET /consult/history_list",
        "GET /consult/in_process_list",
        "GET /consult/{id}",
        "GET /consult/{id}/messages",
        "GET /consult/{id}/refund_list",
        "GET /consult/{id}/vas",
        "GET /doctor/verification",
        "GET /doctor/{id}",
        "GET /family",
        "GET /family/invitation_list",
        "GET /family/sent_invitation_list",
        "GET /family/{relation_user_id}",
        "GET /im/password",
        "GET /im/servers",
        "GET /invitation_list",
        "GET /livez",
        "GET /media/{id}",
        "GET /media/{id}/content",
        "GET /member/consumption_list",
        "GET /member/detail",
        "GET /operator/audit",
        "GET /operator/bill_item_list",
        "GET /operator/commission_list",
        "GET /operator/credit_list",
        "GET /operator/doctor/{id}",
        "GET /operator/doctor_list",
        "GET /operator/job_list",
        "GET /operator/payout",
        "GET /operator/payout/export",
        "GET /operator/reconcile",
        "GET /operator/reversal_list",
        "GET /place_offer_list",
        "GET /readyz",
        "GET /team",
        "GET /team/my_list",
        "GET /team/{id}",
        "GET /team/{id}/agreement/{version}",
        "GET /team/{id}/block_list",
        "GET /team/{id}/consult_history",
        "GET /team/{id}/consult_list",
        "GET /team/{id}/desk",
        "GET /team/{id}/doctor_list",
        "GET /team/{id}/fee_balance_list",
        "GET /team/{id}/income",
        "GET /team/{id}/income/withdrawable",
        "GET /team/{id}/income/withdrawable/{doctor_id}",
        "GET /team/{id}/invitation_list",
        "GET /team/{id}/member_list",
        "GET /team/{id}/my_consult_list",
        "GET /team/{id}/my_vas_list",
        "GET /team/{id}/payee",
        "GET /team/{id}/poster",
        "GET /team/{id}/rating_list",
        "GET /team/{id}/statement/{month}",
        "GET /team/{id}/withdrawal_list",
        "GET /team/{id}/withdrawal_list/{month}",
        "GET /user/{id}",
        "GET /vas",
        "GET /vas/{id}",
        "GET /version",
        "GET /wallet",
        "GET /wallet/order/{id}",
        "GET /wallet/order_list",
        "GET /wallet/refund_list",
        "POST /account/closing",
        "POST /account/code",
        "POST /account/login",
        "POST /account/logout",
        "POST /account/notice_list/read",
        "POST /account/register",
        "POST /chat",
        "POST /chat/{id}/block",
        "POST /chat/{id}/hide",
        "POST /clinic",
        "POST /clinic/join",
        "POST /clinic/{id}/dissolve",
        "POST /clinic/{id}/doctor",
        "POST /clinic/{id}/founder",
        "POST /clinic/{id}/founder/accept",
        "POST /clinic/{id}/founder/decline",
        "POST /clinic/{id}/invitation",
        "POST /clinic/{id}/leave",
        "POST /clinic/{id}/phone_invitation",
        "POST /consult",
        "POST /consult/about_me/refusal",
        "POST /consult/history_list/{id}",
        "POST /consult/{id}/advice",
        "POST /consult/{id}/cancel",
        "POST /consult/{id}/claim",
        "POST /consult/{id}/doctor",
        "POST /consult/{id}/finish",
        "POST /consult/{id}/handover",
        "POST /consult/{id}/refund",
        "POST /consult/{id}/vas",
        "POST /doctor/detail",
        "POST /doctor/verification",
        "POST /family",
        "POST /family/invitation/{id}/accept",
        "POST /family/invitation/{id}/decline",
        "POST /invitation/{id}/accept",
        "POST /invitation/{id}/decline",
        "POST /media",
        "POST /media/{id}/content",
        "POST /media/{id}/finish",
        "POST /operator/account/{id}/disable",
        "POST /operator/account/{id}/enable",
        "POST /operator/account/{id}/end_sessions",
        "POST /operator/bill_item/{id}/close",
        "POST /operator/chat/{id}/read",
        "POST /operator/clinic/{id}/close",
        "POST /operator/clinic/{id}/reopen",
        "POST /operator/commission",
        "POST /operator/consult/{id}/read",
        "POST /operator/consults/search",
        "POST /operator/credit",
        "POST /operator/credit/{id}/approve",
        "POST /operator/credit/{id}/refuse",
        "POST /operator/doctor/{id}/approve",
        "POST /operator/doctor/{id}/decline",
        "POST /operator/doctor/{id}/reinstate",
        "POST /operator/doctor/{id}/suspend",
        "POST /operator/job/{name}/pause",
        "POST /operator/job/{name}/resume",
        "POST /operator/login",
        "POST /operator/media/{id}/read",
        "POST /operator/people/search",
        "POST /operator/reversal/{id}/approve",
        "POST /operator/reversal/{id}/refuse",
        "POST /operator/team/{id}/close",
        "POST /operator/team/{id}/reopen",
        "POST /operator/transfer/{id}/reverse",
        "POST /operator/withdrawal/{id}/approve",
        "POST /operator/withdrawal/{id}/enter",
        "POST /team",
        "POST /team/join",
        "POST /team/{id}/agreement/{version}/accept",
        "POST /team/{id}/assistant/login",
        "POST /team/{id}/dissolve",
        "POST /team/{id}/doctor",
        "POST /team/{id}/invitation",
        "POST /team/{id}/leave",
        "POST /team/{id}/owner",
        "POST /team/{id}/owner/accept",
        "POST /team/{id}/owner/decline",
        "POST /team/{id}/phone_invitation",
        "POST /team/{id}/withdrawal",
        "POST /vas/{id}/confirm",
        "POST /vas/{id}/decline",
        "POST /vas/{id}/refund",
        "POST /vas/{id}/withdraw",
        "POST /wallet/refund",
        "POST /wallet/top_up",
        "PUT /account/password",
        "PUT /account/phone",
        "PUT /account/push_token",
        "PUT /clinic/{id}",
        "PUT /clinic/{id}/block/{user_id}",
        "PUT /clinic/{id}/supervisor",
        "PUT /clinic/{id}/team/{team_id}",
        "PUT /consult/{id}/rating",
        "PUT /family/{relation_user_id}",
        "PUT /media/{id}/content",
        "PUT /member/detail",
        "PUT /team/{id}",
        "PUT /team/{id}/block/{user_id}",
        "PUT /team/{id}/payee",
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
        let content = responses["200"]["content"].as_object().unwrap();
        let has_schema = content.values().all(|shown| shown["schema"].is_object());
        assert!(!content.is_empty() && has_schema, "{name} shows no answer");
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
            "{month}" => "2026-12",
            part if part.starts_with('{') => "1",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}
