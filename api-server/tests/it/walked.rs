//! Every list has its walk.

/// Every list of the OpenAPI document that has pages, with the test that walks it while rows come in.
const WALKED: [(&str, &str); 48] = [
    ("/account/notice_list", "notices_are_walked_and_read_as_a_list"),
    ("/chat_list", "a_walk_through_chats_meets_each_once"),
    (
        "/clinic/my_list",
        "a_walk_through_ones_teams_and_clinics_meets_each_once",
    ),
    (
        "/clinic/{id}/block_list",
        "a_walk_through_teams_blocks_and_offers_meets_each_once",
    ),
    (
        "/clinic/{id}/doctor_list",
        "a_walk_through_doctors_and_members_meets_each_once",
    ),
    (
        "/clinic/{id}/invitation_list",
        "a_walk_through_invitations_meets_each_once",
    ),
    (
        "/clinic/{id}/team_list",
        "a_walk_through_teams_blocks_and_offers_meets_each_once",
    ),
    (
        "/consult/about_me_list",
        "a_walk_through_a_clinics_day_meets_each_once",
    ),
    (
        "/consult/history_list",
        "a_walk_through_consults_meets_each_once_while_others_begin",
    ),
    (
        "/consult/in_process_list",
        "a_walk_through_consults_meets_each_once_while_others_begin",
    ),
    (
        "/consult/{id}/messages",
        "a_walk_through_the_journal_meets_everything_once_while_messages_come",
    ),
    (
        "/consult/{id}/refund_list",
        "a_walk_through_a_teams_money_meets_each_once",
    ),
    (
        "/consult/{id}/vas",
        "a_walk_through_services_meets_each_once_while_others_are_proposed",
    ),
    (
        "/family",
        "a_walk_through_a_family_and_its_invitations_meets_each_once",
    ),
    (
        "/family/invitation_list",
        "a_walk_through_a_family_and_its_invitations_meets_each_once",
    ),
    (
        "/family/sent_invitation_list",
        "a_walk_through_a_family_and_its_invitations_meets_each_once",
    ),
    ("/invitation_list", "a_walk_through_invitations_meets_each_once"),
    (
        "/member/consumption_list",
        "the_record_has_each_charge_and_each_refund_with_its_cause",
    ),
    ("/operator/audit", "a_walk_through_the_log_meets_each_act_once"),
    (
        "/operator/bill_item_list",
        "a_walk_through_operators_money_meets_each_once",
    ),
    (
        "/operator/chat/{id}/read",
        "a_walk_through_a_clinics_day_meets_each_once",
    ),
    (
        "/operator/commission_list",
        "a_walk_through_operators_money_meets_each_once",
    ),
    (
        "/operator/consult/{id}/read",
        "a_walk_of_an_operator_meets_each_once_while_more_is_said",
    ),
    (
        "/operator/consults/search",
        "a_walk_of_an_operator_meets_each_once_while_more_is_said",
    ),
    (
        "/operator/credit_list",
        "a_walk_through_operators_money_meets_each_once",
    ),
    (
        "/operator/doctor_list",
        "a_walk_through_verifications_meets_each_once",
    ),
    (
        "/operator/payout",
        "a_walk_through_operators_money_meets_each_once",
    ),
    ("/operator/people/search", "a_search_by_name_is_paged_and_logged"),
    (
        "/operator/reversal_list",
        "a_walk_through_operators_money_meets_each_once",
    ),
    (
        "/place_offer_list",
        "a_walk_through_teams_blocks_and_offers_meets_each_once",
    ),
    (
        "/team",
        "a_walk_through_a_search_meets_each_once_while_teams_are_made",
    ),
    (
        "/team/my_list",
        "a_walk_through_ones_teams_and_clinics_meets_each_once",
    ),
    (
        "/team/{id}/block_list",
        "a_walk_through_teams_blocks_and_offers_meets_each_once",
    ),
    (
        "/team/{id}/consult_list",
        "a_walk_through_a_teams_consults_meets_each_once_while_others_end",
    ),
    ("/team/{id}/desk", "a_walk_through_a_clinics_day_meets_each_once"),
    (
        "/team/{id}/doctor_list",
        "a_walk_through_doctors_and_members_meets_each_once",
    ),
    (
        "/team/{id}/fee_balance_list",
        "a_walk_through_a_teams_money_meets_each_once",
    ),
    (
        "/team/{id}/income/withdrawable/{doctor_id}",
        "the_withdrawable_sum_has_the_work_of_each_doctor",
    ),
    (
        "/team/{id}/invitation_list",
        "a_walk_through_invitations_meets_each_once",
    ),
    (
        "/team/{id}/member_list",
        "a_walk_through_doctors_and_members_meets_each_once",
    ),
    (
        "/team/{id}/my_consult_list",
        "a_walk_through_a_teams_consults_meets_each_once_while_others_end",
    ),
    (
        "/team/{id}/my_vas_list",
        "a_walk_through_services_meets_each_once_while_others_are_proposed",
    ),
    (
        "/team/{id}/rating_list",
        "a_walk_through_a_clinics_day_meets_each_once",
    ),
    (
        "/team/{id}/statement/{month}",
        "a_walk_through_a_teams_money_meets_each_once",
    ),
    (
        "/team/{id}/withdrawal_list",
        "a_walk_through_a_teams_money_meets_each_once",
    ),
    (
        "/vas",
        "a_walk_through_services_meets_each_once_while_others_are_proposed",
    ),
    (
        "/wallet/order_list",
        "a_walk_through_a_members_money_meets_each_once",
    ),
    (
        "/wallet/refund_list",
        "a_walk_through_a_members_money_meets_each_once",
    ),
];

#[test]
fn every_list_is_walked() {
    let document = api_server::document();
    let mut paged = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let has_pages = |operation: &serde_json::Value| {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.any(|parameter| parameter["$ref"] == "#/components/parameters/cursor")
        };
        if item.as_object().unwrap().values().any(has_pages) {
            paged.push(path.as_str());
        }
    }
    assert_eq!(paged, WALKED.map(|(path, _)| path));
    let sources = [
        include_str!("audits.rs"),
        include_str!("consult_lists.rs"),
        include_str!("desk.rs"),
        include_str!("incomes.rs"),
        include_str!("lists.rs"),
        include_str!("messages.rs"),
        include_str!("money_lists.rs"),
        include_str!("name_search.rs"),
        include_str!("notified.rs"),
        include_str!("operators.rs"),
        include_str!("places.rs"),
        include_str!("searching.rs"),
        include_str!("verification.rs"),
        include_str!("wallets.rs"),
    ];
    for (path, test) in WALKED {
        let written = format!("async fn {test}(");
        assert!(
            sources.iter().any(|source| source.contains(&written)),
            "{path}: {test}"
        );
    }
}
