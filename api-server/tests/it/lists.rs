//! Paging: a walk repeats and skips nothing while rows are being added.

use serde_json::json;

use super::{
    people::{Person, new_consult},
    service::{Reply, Service},
};

/// Walks a list by pages of `limit`; `between` runs after each. Returns the ids in the order of the walk.
pub async fn walk(
    service: &Service,
    person: &Person,
    path: &str,
    limit: usize,
    between: impl AsyncFn(),
) -> Vec<i64> {
    let page = async |query: String| person.get(service, &format!("{path}{query}")).send().await;
    walk_by(page, limit, between).await
}

/// The same for a list that is asked for in another way.
pub async fn walk_by(page: impl AsyncFn(String) -> Reply, limit: usize, between: impl AsyncFn()) -> Vec<i64> {
    let mut ids = Vec::new();
    let mut query = format!("?limit={limit}");
    loop {
        let reply = page(query).await;
        let items = reply.result().as_array().unwrap().clone();
        assert!(items.len() <= limit);
        ids.extend(items.iter().map(|item| {
            [
                "seq",
                "notice_id",
                "vas_id",
                "consultation_id",
                "conversation_id",
                "relation_user_id",
                "invitation_id",
                "doctor_id",
                "member_id",
                "clinic_id",
                "team_id",
                "place_id",
                "user_id",
            ]
            .iter()
            .find_map(|name| item.get(*name))
            .unwrap()
            .as_i64()
            .unwrap()
        }));
        between().await;
        match reply.json["next_cursor"].as_str() {
            Some(cursor) => {
                assert_eq!(reply.json["has_more"], true);
                assert_eq!(items.len(), limit);
                query = format!("?limit={limit}&cursor={cursor}");
            }
            None => {
                assert_eq!(reply.json["has_more"], false);
                return ids;
            }
        }
    }
}

/// Lets rows have the same time, as a fast clock has them.
pub async fn coarsen(service: &Service, sql: &'static str) {
    service
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, vec![]).await }))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_walk_through_a_family_and_its_invitations_meets_each_once() {
    let service = Service::start().await;
    let parent = service.member("李女士").await;
    let invited = service.member("张先生").await;
    let child = async || {
        let body = json!({"relation_type": "child", "name": "小明"});
        let added = parent.post(&service, "/family", body).send().await.result();
        added["relation_user_id"].as_i64().unwrap()
    };
    let invite = async |inviter: &Person, phone: &str| {
        let body = json!({"relation_type": "other", "phone": phone});
        let sent = inviter.post(&service, "/family", body).send().await.result();
        sent["invitation_id"].as_i64().unwrap()
    };
    let (mut family, mut sent, mut received) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..7 {
        family.insert(0, child().await);
        sent.insert(0, invite(&parent, &super::people::new_phone()).await);
        let inviter = service.member("Inviter").await;
        received.insert(0, invite(&inviter, &invited.phone).await);
    }
    coarsen(&service, "UPDATE family SET created_ms = created_ms / 50 * 50").await;
    coarsen(
        &service,
        "UPDATE family_invitation SET created_ms = created_ms / 50 * 50",
    )
    .await;
    let walked = walk(&service, &parent, "/family", 2, async || {
        child().await;
    })
    .await;
    assert_eq!(walked, family);
    let path = "/family/sent_invitation_list";
    // A family of 7, 4 more who came in between, and 7 invitations: two places are left.
    let left = std::sync::atomic::AtomicI32::new(2);
    let walked = walk(&service, &parent, path, 3, async || {
        if left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) > 0 {
            invite(&parent, &super::people::new_phone()).await;
        }
    })
    .await;
    assert_eq!(walked, sent);
    let walked = walk(&service, &invited, "/family/invitation_list", 2, async || {
        let inviter = service.member("Inviter").await;
        invite(&inviter, &invited.phone).await;
    })
    .await;
    assert_eq!(walked, received);
    let counted = invited
        .get(&service, "/family/invitation_list?count=true&limit=1")
        .send()
        .await;
    assert_eq!(counted.json["total"], 7 + 4);
}

#[tokio::test]
async fn a_walk_through_doctors_and_members_meets_each_once() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let founder = &team.owner;
    let clinic = founder
        .post(
            &service,
            "/clinic",
            json!({"name": "仁心诊所", "introduction": ""}),
        )
        .send()
        .await
        .result()["clinic_id"]
        .clone();
    let add = async |doctor: &Person| {
        founder
            .post(
                &service,
                &format!("/clinic/{clinic}/doctor"),
                json!({"doctor_id": doctor.id}),
            )
            .send()
            .await
            .result();
        service.accept(doctor).await.result();
    };
    let join = async |member: &Person| {
        let body = json!({"team_id": team.id, "agreement_version": 1});
        member.post(&service, "/team/join", body).send().await.result();
    };
    let (mut doctors, mut members) = (vec![founder.id], Vec::new());
    for _ in 0..6 {
        let doctor = service.doctor_of(&team, "Dr.").await;
        add(&doctor).await;
        doctors.insert(0, doctor.id);
        let member = service.member("Pat").await;
        join(&member).await;
        members.insert(0, member.id);
    }
    for sql in [
        "UPDATE clinic_doctor SET joined_ms = joined_ms / 50 * 50",
        "UPDATE team_doctor SET joined_ms = joined_ms / 50 * 50",
        "UPDATE team_member SET joined_ms = joined_ms / 50 * 50",
    ] {
        coarsen(&service, sql).await;
    }
    let path = format!("/team/{}/doctor_list", team.id);
    let walked = walk(&service, founder, &path, 2, async || {
        service.doctor_of(&team, "Dr.").await;
    })
    .await;
    assert_eq!(walked, doctors);
    let path = format!("/clinic/{clinic}/doctor_list");
    let walked = walk(&service, founder, &path, 2, async || {
        add(&service.doctor("Dr.").await).await;
    })
    .await;
    assert_eq!(walked, doctors);
    let path = format!("/team/{}/member_list", team.id);
    let walked = walk(&service, founder, &path, 2, async || {
        join(&service.member("Pat").await).await;
    })
    .await;
    assert_eq!(walked, members);
}

#[tokio::test]
async fn a_walk_through_invitations_meets_each_once() {
    let service = Service::start().await;
    let guest = service.doctor("Dr. Guest").await;
    let team = service.team("儿科").await;
    let body = json!({"name": "仁心诊所", "introduction": ""});
    let clinic = team.owner.post(&service, "/clinic", body).send().await.result()["clinic_id"].clone();
    let (teams_list, clinics_list) = (
        format!("/team/{}/invitation_list", team.id),
        format!("/clinic/{clinic}/invitation_list"),
    );
    let invite = async |place: &str| {
        let path = format!("{place}/phone_invitation");
        let body = json!({"phone": super::people::new_phone()});
        team.owner.post(&service, &path, body).send().await.result();
    };
    for _ in 0..5 {
        invite(&format!("/team/{}", team.id)).await;
        invite(&format!("/clinic/{clinic}")).await;
    }
    // The guest is invited by seven teams.
    let receive = async || {
        let team = service.team("内科").await;
        let path = format!("/team/{}/phone_invitation", team.id);
        let body = json!({"phone": guest.phone});
        team.owner.post(&service, &path, body).send().await.result();
    };
    for _ in 0..7 {
        receive().await;
    }
    coarsen(
        &service,
        "UPDATE doctor_invitation SET created_ms = created_ms / 50 * 50",
    )
    .await;
    for (list, place) in [
        (teams_list, format!("/team/{}", team.id)),
        (clinics_list, format!("/clinic/{clinic}")),
    ] {
        let before = walk(&service, &team.owner, &list, 200, async || {}).await;
        assert_eq!(before.len(), 5);
        let walked = walk(&service, &team.owner, &list, 2, async || invite(&place).await).await;
        assert_eq!(walked, before);
    }
    let before = walk(&service, &guest, "/invitation_list", 200, async || {}).await;
    assert_eq!(before.len(), 7);
    assert_eq!(
        walk(&service, &guest, "/invitation_list", 2, receive).await,
        before
    );
}

#[tokio::test]
async fn a_walk_through_ones_teams_and_clinics_meets_each_once() {
    let service = Service::start().await;
    let (doctor, member) = (service.doctor("Dr. A").await, service.member("Pat").await);
    let found = async |at: i32| {
        let body = json!({"name": format!("clinic {at}"), "introduction": ""});
        doctor.post(&service, "/clinic", body).send().await.result();
    };
    let join = async || {
        let team = service.team("儿科").await;
        let body = json!({"team_id": team.id, "agreement_version": 1});
        member.post(&service, "/team/join", body).send().await.result();
    };
    for at in 0..4 {
        let body = super::people::new_team("own");
        doctor.post(&service, "/team", body).send().await.result();
        found(at).await;
        join().await;
    }
    for sql in [
        "UPDATE clinic_doctor SET joined_ms = joined_ms / 50 * 50",
        "UPDATE team_doctor SET joined_ms = joined_ms / 50 * 50",
        "UPDATE team_member SET joined_ms = joined_ms / 50 * 50",
    ] {
        coarsen(&service, sql).await;
    }
    for (person, list) in [
        (&doctor, "/clinic/my_list"),
        (&doctor, "/team/my_list"),
        (&member, "/team/my_list"),
    ] {
        let before = walk(&service, person, list, 200, async || {}).await;
        assert_eq!(before.len(), 4);
        let walked = walk(&service, person, list, 3, async || {
            if person.id == member.id {
                join().await;
            }
        })
        .await;
        assert_eq!(walked, before);
    }
}

#[tokio::test]
async fn pages_are_asked_for_as_they_must_be() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let consult = patient
        .post(&service, "/consult", new_consult(&patient, team.id))
        .send()
        .await
        .result();
    let messages = format!("/consult/{}/messages", consult["consultation_id"]);
    let doctors = format!("/team/{}/doctor_list", team.id);
    for path in [
        "/consult/in_process_list",
        "/consult/history_list",
        "/chat_list",
        "/family",
        "/family/invitation_list",
        "/family/sent_invitation_list",
        &doctors,
        &messages,
    ] {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=x", "limit"),
            ("limit=-1", "limit"),
            ("cursor=", "cursor"),
            ("cursor=abc", "cursor"),
            ("cursor=%00", "cursor"),
            ("count=yes", "count"),
        ] {
            let reply = patient.get(&service, &format!("{path}?{query}")).send().await;
            reply.refused(400, "request.invalid").field(field);
        }
        patient
            .get(&service, &format!("{path}?limit=200&unknown=1"))
            .send()
            .await
            .result();
        service.get(path).send().await.refused(401, "auth.required");
    }
}
