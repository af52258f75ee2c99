//! Members' records.

use serde_json::{Value, json};

use super::service::Service;

/// Seed: 修改 - 个人信息返回：余额、已消费总数、怀孕次数、产几、月经周期、初潮年龄、家庭成员数组（relation_user_id、relation_type、name、
/// photo_id）.
#[tokio::test]
async fn a_members_record_has_the_fields_that_the_document_names() {
    let service = Service::start().await;
    let member = service.member("李女士").await;
    let unknown = member.get(&service, "/member/detail").send().await;
    assert_eq!(
        unknown.json,
        json!({
            "success": true, "code": 200,
            "result": {
                "member_id": member.id, "name": "李女士", "photo_id": null, "gender": null, "birth_date": null,
                "pregnancies": null, "births": null, "menstrual_cycle_days": null, "menarche_age": null, "balance_fen": 0,
                "total_consumed_fen": 0, "family": [],
            },
        })
    );
    let child = member
        .post(
            &service,
            "/family",
            json!({"relation_type": "child", "name": "小明", "photo_id": "photo-31"}),
        )
        .send()
        .await
        .result();
    let body = json!({
        "photo_id": "photo-12", "gender": "female", "birth_date": "1990-05-17", "pregnancies": 2, "births": 1,
        "menstrual_cycle_days": 28, "menarche_age": 13,
    });
    let changed = member.put(&service, "/member/detail", body).send().await;
    let whole = json!({
        "success": true, "code": 200,
        "result": {
            "member_id": member.id, "name": "李女士", "photo_id": "photo-12", "gender": "female",
            "birth_date": "1990-05-17", "pregnancies": 2, "births": 1, "menstrual_cycle_days": 28, "menarche_age": 13,
            "balance_fen": 0, "total_consumed_fen": 0,
            "family": [{
                "relation_user_id": child["relation_user_id"], "relation_type": "child", "name": "小明",
                "photo_id": "photo-31",
            }],
        },
    });
    assert_eq!(changed.json, whole);
    assert_eq!(member.get(&service, "/member/detail").send().await.json, whole);

    // An absent field stays, null clears it, an unknown field is ignored.
    let changed = member
        .put(
            &service,
            "/member/detail",
            json!({"pregnancies": 3, "menarche_age": null, "name": "李太太", "balance_fen": 100, "role": "doctor"}),
        )
        .send()
        .await
        .result();
    assert_eq!(changed["pregnancies"], 3);
    assert_eq!(changed["births"], 1);
    assert_eq!(changed["menarche_age"], Value::Null);
    assert_eq!(changed["name"], "李太太");
    assert_eq!(changed["balance_fen"], 0);
}

#[tokio::test]
async fn a_record_is_a_members_own_and_its_ranges_are_checked() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let team = service.team("儿科").await;
    for person in [&team.owner, &team.assistant] {
        person
            .get(&service, "/member/detail")
            .send()
            .await
            .refused(403, "member.members_only");
        person
            .put(&service, "/member/detail", json!({}))
            .send()
            .await
            .refused(403, "member.members_only");
    }
    service
        .get("/member/detail")
        .send()
        .await
        .refused(401, "auth.required");
    for (field, value) in [
        ("pregnancies", json!(-1)),
        ("pregnancies", json!(31)),
        ("pregnancies", json!(1.5)),
        ("pregnancies", json!("2")),
        ("births", json!(-1)),
        ("births", json!(31)),
        ("menstrual_cycle_days", json!(9)),
        ("menstrual_cycle_days", json!(121)),
        ("menarche_age", json!(5)),
        ("menarche_age", json!(26)),
        ("gender", json!("x")),
        ("birth_date", json!("1990-02-30")),
        ("birth_date", json!("1899-12-31")),
        ("birth_date", json!("2999-01-01")),
        ("birth_date", json!("19900517")),
        ("photo_id", json!("")),
        ("name", json!(" ")),
    ] {
        let mut body = json!({});
        body[field] = value;
        let reply = member
            .put(&service, "/member/detail", body)
            .header("Accept-Language", "en")
            .send()
            .await;
        reply.refused(400, "request.invalid").field(field);
    }
    // The message names the rule.
    let reply = member
        .put(&service, "/member/detail", json!({"menarche_age": 5}))
        .header("Accept-Language", "en")
        .send()
        .await;
    assert!(
        reply.json["message"]
            .as_str()
            .unwrap()
            .contains("an integer from 6 to 25")
    );
    for (known, wrong) in [
        (json!({"pregnancies": 1}), json!({"births": 2})),
        (json!({"births": 1}), json!({"pregnancies": 0})),
    ] {
        member
            .put(&service, "/member/detail", known)
            .send()
            .await
            .result();
        member
            .put(&service, "/member/detail", wrong)
            .send()
            .await
            .refused(400, "request.invalid")
            .field("births");
    }
    // At the ends of the ranges.
    member
        .put(
            &service,
            "/member/detail",
            json!({
                "pregnancies": 30, "births": 30, "menstrual_cycle_days": 10, "menarche_age": 6,
                "birth_date": "1900-01-01",
            }),
        )
        .send()
        .await
        .result();
}

/// Each of two changes at a time is whole: neither writes the other's old values back.
#[tokio::test]
async fn changes_that_race_lose_nothing() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let fields = [
        ("pregnancies", 5),
        ("births", 4),
        ("menstrual_cycle_days", 30),
        ("menarche_age", 14),
    ];
    let changes = fields.iter().map(|(field, value)| {
        let mut body = json!({});
        body[*field] = (*value).into();
        member.put(&service, "/member/detail", body).send()
    });
    for reply in futures_util::future::join_all(changes).await {
        reply.result();
    }
    let record = member.get(&service, "/member/detail").send().await.result();
    for (field, value) in fields {
        assert_eq!(record[field], value, "{field}");
    }
}
