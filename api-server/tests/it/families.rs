//! Families: dependants, invitations, consults for relatives.

use serde_json::{Value, json};

use super::{
    people::{Person, new_consult, new_phone},
    service::Service,
};

async fn child(service: &Service, parent: &Person, name: &str) -> i64 {
    let body = json!({"relation_type": "child", "name": name});
    let added = parent.post(service, "/family", body).send().await.result();
    added["relation_user_id"].as_i64().unwrap()
}

pub async fn invite(service: &Service, inviter: &Person, phone: &str) -> Value {
    inviter
        .post(
            service,
            "/family",
            json!({"relation_type": "spouse", "phone": phone}),
        )
        .send()
        .await
        .result()
}

pub async fn received(service: &Service, person: &Person) -> Value {
    person
        .get(service, "/family/invitation_list")
        .send()
        .await
        .result()
}

/// Seed: 家庭成员创建、家庭成员信息修改、家庭成员信息删除等接口.
#[tokio::test]
async fn a_dependant_is_made_changed_and_removed() {
    let service = Service::start().await;
    let parent = service.member("李女士").await;
    let body = json!({
        "relation_type": "child", "name": "小明", "photo_id": "photo-31", "gender": "male", "birth_date": "2020-03-01",
    });
    let made = parent.post(&service, "/family", body).send().await;
    let id = made.json["result"]["relation_user_id"].as_i64().unwrap();
    assert!(id > 0 && id != parent.id);
    let created = made.json["result"]["created_ms"].clone();
    assert_eq!(
        made.json,
        json!({
            "success": true, "code": 200,
            "result": {
                "relation_user_id": id, "relation_type": "child", "name": "小明", "photo_id": "photo-31",
                "kind": "dependant", "gender": "male", "birth_date": "2020-03-01", "created_ms": created,
            },
        })
    );
    let path = format!("/family/{id}");
    let changed = parent
        .put(
            &service,
            &path,
            json!({"relation_type": "grandchild", "name": "小亮", "gender": null, "birth_date": "2020-03-02"}),
        )
        .send()
        .await;
    assert_eq!(
        changed.json,
        json!({
            "success": true, "code": 200,
            "result": {
                "relation_user_id": id, "relation_type": "grandchild", "name": "小亮", "photo_id": "photo-31",
                "kind": "dependant", "gender": null, "birth_date": "2020-03-02", "created_ms": created,
            },
        })
    );
    let removed = parent.delete(&service, &path).send().await;
    assert_eq!(removed.json, json!({"success": true, "code": 200, "result": {}}));
    for reply in [
        parent.get(&service, &path).send().await,
        parent.delete(&service, &path).send().await,
        parent.put(&service, &path, json!({})).send().await,
    ] {
        reply.refused(404, "family.not_found");
    }
}

/// Seed: 新增 - 家庭成员详情list， 返回一个人的所有家庭成员，以及返回指定成员.
#[tokio::test]
async fn the_family_is_listed_and_each_is_shown() {
    let service = Service::start().await;
    let parent = service.member("李女士").await;
    let stranger = service.member("Eve").await;
    let first = child(&service, &parent, "小明").await;
    let second = child(&service, &parent, "小红").await;
    let list = parent.get(&service, "/family").send().await;
    let shown = |id: i64, name: &str, at: usize| {
        json!({
            "relation_user_id": id, "relation_type": "child", "name": name, "photo_id": null, "kind": "dependant",
            "gender": null, "birth_date": null, "created_ms": list.json["result"][at]["created_ms"],
        })
    };
    assert_eq!(
        list.json,
        json!({
            "success": true, "code": 200, "result": [shown(second, "小红", 0), shown(first, "小明", 1)],
            "has_more": false,
        })
    );
    let one = parent.get(&service, &format!("/family/{first}")).send().await;
    assert_eq!(
        one.json,
        json!({"success": true, "code": 200, "result": shown(first, "小明", 1)})
    );
    // None and not yours are the same.
    let not_theirs = stranger.get(&service, &format!("/family/{first}")).send().await;
    let none = stranger.get(&service, "/family/999999").send().await;
    not_theirs.refused(404, "family.not_found");
    none.refused(404, "family.not_found");
    assert_eq!(not_theirs.json["message"], none.json["message"]);
    assert_eq!(
        stranger.get(&service, "/family").send().await.json["result"],
        json!([])
    );
}

#[tokio::test]
async fn a_person_accepts_and_can_end_it() {
    let service = Service::start().await;
    let inviter = service.member("李女士").await;
    let person = service.member("张先生").await;
    let stranger = service.member("Eve").await;
    let sent = invite(&service, &inviter, &person.phone).await;
    let id = sent["invitation_id"].as_i64().unwrap();
    assert_eq!(
        sent,
        json!({
            "invitation_id": id, "phone": person.phone, "relation_type": "spouse", "state": "invited",
            "created_ms": sent["created_ms"], "expires_ms": sent["expires_ms"],
        })
    );
    let got = received(&service, &person).await;
    assert_eq!(
        got,
        json!([{
            "invitation_id": id, "inviter_id": inviter.id, "inviter_name": "李女士", "relation_type": "spouse",
            "state": "invited", "created_ms": sent["created_ms"], "expires_ms": sent["expires_ms"],
        }])
    );
    // Before acceptance the user is in no family.
    let mut consult = new_consult(&inviter, service.team("儿科").await.id);
    consult["target_member_id"] = person.id.into();
    inviter
        .post(&service, "/consult", consult.clone())
        .send()
        .await
        .refused(404, "consult.target_not_found")
        .field("target_member_id");
    let accept = format!("/family/invitation/{id}/accept");
    let decline = format!("/family/invitation/{id}/decline");
    for path in [&accept, &decline] {
        for other in [&stranger, &inviter] {
            other
                .post(&service, path, json!({}))
                .send()
                .await
                .refused(404, "family.invitation_not_found");
        }
    }
    let accepted = person.post(&service, &accept, json!({})).send().await.result();
    assert_eq!(accepted["state"], "accepted");
    // A repetition is harmless.
    assert_eq!(
        person.post(&service, &accept, json!({})).send().await.result(),
        accepted
    );
    let family = inviter.get(&service, "/family").send().await.result();
    assert_eq!(
        family,
        json!([{
            "relation_user_id": person.id, "relation_type": "spouse", "name": "张先生", "photo_id": null,
            "kind": "person", "gender": null, "birth_date": null, "created_ms": family[0]["created_ms"],
        }])
    );
    assert_eq!(
        inviter
            .get(&service, "/family/sent_invitation_list")
            .send()
            .await
            .result(),
        json!([])
    );
    inviter
        .post(&service, "/consult", consult.clone())
        .send()
        .await
        .result();
    // Their data are their own, also the ones that a dependant's record shows.
    person
        .put(
            &service,
            "/member/detail",
            json!({"gender": "male", "birth_date": "1988-01-02", "photo_id": "p"}),
        )
        .send()
        .await
        .result();
    let path = format!("/family/{}", person.id);
    let shown = inviter.get(&service, &path).send().await.result();
    assert_eq!(
        (&shown["photo_id"], &shown["gender"], &shown["birth_date"]),
        (&json!("p"), &Value::Null, &Value::Null)
    );
    for body in [
        json!({"name": "x"}),
        json!({"gender": null}),
        json!({"photo_id": "x"}),
    ] {
        inviter
            .put(&service, &path, body)
            .send()
            .await
            .refused(403, "family.not_dependant");
    }
    assert_eq!(
        inviter
            .put(&service, &path, json!({"relation_type": "other"}))
            .send()
            .await
            .result()["relation_type"],
        "other"
    );
    // The relative ends it.
    person.post(&service, &decline, json!({})).send().await.result();
    inviter
        .get(&service, &path)
        .send()
        .await
        .refused(404, "family.not_found");
    inviter
        .post(&service, "/consult", consult)
        .send()
        .await
        .refused(404, "consult.target_not_found");
    assert_eq!(received(&service, &person).await, json!([]));
}

/// The answers are the same for a phone with an account, a phone whose owner declined, and an unregistered phone, whose owner
/// finds the invitation after registering.
#[tokio::test]
async fn a_phone_cannot_be_probed() {
    let service = Service::start().await;
    let inviter = service.member("李女士").await;
    let open = service.member("Open").await;
    let declining = service.member("Declining").await;
    let doctor = service.doctor("Dr. A").await;
    let nobody = new_phone();
    let phones = [&open.phone, &declining.phone, &doctor.phone, &nobody];
    let mut ids = Vec::new();
    for phone in phones {
        ids.push(invite(&service, &inviter, phone).await["invitation_id"].clone());
    }
    let path = format!("/family/invitation/{}/decline", ids[1]);
    declining.post(&service, &path, json!({})).send().await.result();
    assert_eq!(received(&service, &declining).await, json!([]));
    let sent = inviter
        .get(&service, "/family/sent_invitation_list?count=true")
        .send()
        .await;
    assert_eq!(sent.json["total"], 4);
    let mut shown = sent.result().as_array().unwrap().clone();
    shown.reverse();
    for (item, phone) in shown.iter().zip(phones) {
        assert_eq!(
            (&item["phone"], &item["state"]),
            (&json!(phone), &json!("invited"))
        );
        assert_eq!(item.as_object().unwrap().len(), 6);
    }
    let mut messages = Vec::new();
    for phone in phones {
        let again = inviter
            .post(
                &service,
                "/family",
                json!({"relation_type": "child", "phone": phone}),
            )
            .send()
            .await;
        again.refused(409, "family.already_invited").field("phone");
        messages.push(again.json["message"].clone());
    }
    assert!(messages.windows(2).all(|two| two[0] == two[1]));
    // The unregistered phone gets an account.
    let code = service.code(&nobody).await;
    let body = json!({
        "phone": nobody, "code": code, "name": "Late", "role": "member", "device_id": "d", "platform": "ios",
    });
    let login = service.post("/account/register").json(body).send().await.result();
    let token = login["access_token"].as_str().unwrap();
    let got = service
        .get("/family/invitation_list")
        .token(token)
        .send()
        .await
        .result();
    assert_eq!(got[0]["invitation_id"], ids[3]);
    // Revoked: gone for both sides, also the declined one.
    for id in &ids {
        let path = format!("/family/invitation/{id}");
        inviter.delete(&service, &path).send().await.result();
        inviter
            .delete(&service, &path)
            .send()
            .await
            .refused(404, "family.invitation_not_found");
    }
    assert_eq!(received(&service, &open).await, json!([]));
}

#[tokio::test]
async fn an_expired_invitation_is_gone_and_makes_room() {
    let service = Service::start().await;
    let inviter = service.member("李女士").await;
    let person = service.member("张先生").await;
    let id = invite(&service, &inviter, &person.phone).await["invitation_id"].clone();
    service
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute("UPDATE family_invitation SET expires_ms = 1", vec![])
                    .await
            })
        })
        .await
        .unwrap();
    assert_eq!(received(&service, &person).await, json!([]));
    for path in ["accept", "decline"] {
        person
            .post(&service, &format!("/family/invitation/{id}/{path}"), json!({}))
            .send()
            .await
            .refused(404, "family.invitation_not_found");
    }
    invite(&service, &inviter, &person.phone).await;
    assert_eq!(received(&service, &person).await.as_array().unwrap().len(), 1);
}

/// 50 requests race for the twentieth place.
#[tokio::test]
async fn a_family_has_twenty_people_and_open_invitations_together() {
    let service = Service::start().await;
    let parent = service.member("李女士").await;
    for at in 0..12 {
        child(&service, &parent, &format!("child {at}")).await;
    }
    for _ in 0..7 {
        invite(&service, &parent, &new_phone()).await;
    }
    let calls = (0..50).map(|at| {
        let body = if at % 2 == 0 {
            json!({"relation_type": "child", "name": "x"})
        } else {
            json!({"relation_type": "spouse", "phone": new_phone()})
        };
        parent.post(&service, "/family", body).send()
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, "family.limit_reached");
    }
}

#[tokio::test]
async fn family_bodies_are_checked_and_members_alone_have_one() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let team = service.team("儿科").await;
    for (body, field) in [
        (json!({"name": "x"}), "relation_type"),
        (json!({"relation_type": "cousin", "name": "x"}), "relation_type"),
        (json!({"relation_type": "child"}), "name"),
        (json!({"relation_type": "child", "name": " "}), "name"),
        (
            json!({"relation_type": "child", "name": "x", "birth_date": "x"}),
            "birth_date",
        ),
        (
            json!({"relation_type": "child", "name": "x", "gender": 1}),
            "gender",
        ),
        (json!({"relation_type": "spouse", "phone": "123"}), "phone"),
        (json!({"relation_type": "spouse", "phone": member.phone}), "phone"),
    ] {
        member
            .post(&service, "/family", body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    for person in [&team.owner, &team.assistant] {
        for reply in [
            person.get(&service, "/family").send().await,
            person.get(&service, "/family/1").send().await,
            person.get(&service, "/family/invitation_list").send().await,
            person.get(&service, "/family/sent_invitation_list").send().await,
            person
                .post(
                    &service,
                    "/family",
                    json!({"relation_type": "child", "name": "x"}),
                )
                .send()
                .await,
            person
                .post(&service, "/family/invitation/1/accept", json!({}))
                .send()
                .await,
        ] {
            reply.refused(403, "member.members_only");
        }
    }
}

/// Seed: 添加咨询type、语音字段、图片数组、家庭成员id（如何区分为自己咨询？）. Removal keeps old consults readable.
#[tokio::test]
async fn a_consult_is_begun_for_a_child_and_stays_readable() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let parent = service.member("李女士").await;
    let stranger = service.member("Eve").await;
    let id = child(&service, &parent, "小明").await;
    let mut body = new_consult(&parent, team.id);
    body["target_member_id"] = id.into();
    let begun = parent
        .post(&service, "/consult", body.clone())
        .send()
        .await
        .result();
    assert_eq!(
        begun,
        json!({
            "status": "waiting", "consultation_id": begun["consultation_id"], "creator_member_id": parent.id,
            "creator_member_name": "李女士", "target_member_id": id, "target_member_name": "小明", "team_id": team.id,
            "team_name": "儿科", "doctor_ids": [], "symptom_content": "头痛三天", "symptom_type": "text/plain",
            "images": ["media/1", "media/2"], "created": begun["created"], "relation": "child", "doctors": [],
        })
    );
    // Relatives of other members, and accounts of other kinds, are not found.
    for target in [id, parent.id, team.owner.id, team.assistant.id, 999_999] {
        let mut body = new_consult(&stranger, team.id);
        body["target_member_id"] = target.into();
        stranger
            .post(&service, "/consult", body)
            .send()
            .await
            .refused(404, "consult.target_not_found")
            .field("target_member_id");
    }
    parent
        .delete(&service, &format!("/family/{id}"))
        .send()
        .await
        .result();
    parent
        .post(&service, "/consult", body)
        .send()
        .await
        .refused(404, "consult.target_not_found");
    let path = format!("/consult/{}", begun["consultation_id"]);
    assert_eq!(parent.get(&service, &path).send().await.result(), begun);
    let listed = team
        .assistant
        .get(&service, "/consult/in_process_list")
        .send()
        .await
        .result();
    assert_eq!(listed[0]["target_member_name"], "小明");
}
