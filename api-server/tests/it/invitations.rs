//! Joining needs the doctor's consent: nobody is in a team or clinic who has not accepted.

use serde_json::{Value, json};

use super::{
    operators::operator,
    people::{Person, Team, new_phone, new_team},
    service::{Reply, Service},
};

/// A team and a clinic of one doctor, and a doctor who is in neither.
pub struct World {
    pub service: Service,
    pub team: Team,
    pub clinic: i64,
    pub guest: Person,
}

impl World {
    pub async fn new() -> Self {
        let service = Service::start().await;
        let team = service.team("儿科").await;
        let body = json!({"name": "仁心诊所", "introduction": ""});
        let made = team.owner.post(&service, "/clinic", body).send().await.result();
        let guest = service.doctor("赵医生").await;
        Self {
            clinic: made["clinic_id"].as_i64().unwrap(),
            service,
            team,
            guest,
        }
    }

    /// The paths of the team and the clinic.
    pub fn places(&self) -> [String; 2] {
        [
            format!("/team/{}", self.team.id),
            format!("/clinic/{}", self.clinic),
        ]
    }

    pub async fn post(&self, who: &Person, path: &str, body: Value) -> Reply {
        who.post(&self.service, path, body).send().await
    }

    async fn invite_phone(&self, place: &str, phone: &str) -> Value {
        let path = format!("{place}/phone_invitation");
        self.post(&self.team.owner, &path, json!({"phone": phone}))
            .await
            .result()
    }

    pub async fn invite_id(&self, place: &str, doctor: &Person) -> Reply {
        let path = format!("{place}/doctor");
        self.post(&self.team.owner, &path, json!({"doctor_id": doctor.id}))
            .await
    }

    pub async fn list(&self, who: &Person, path: &str) -> Vec<Value> {
        let reply = who.get(&self.service, &format!("{path}?count=true")).send().await;
        let items = reply.result().as_array().unwrap().clone();
        assert_eq!(reply.json["total"], items.len());
        items
    }

    pub async fn answer(&self, who: &Person, invitation: &Value, what: &str) -> Reply {
        let path = format!("/invitation/{}/{what}", invitation["invitation_id"]);
        self.post(who, &path, json!({})).await
    }

    async fn doctors(&self, place: &str) -> Vec<i64> {
        let items = self.list(&self.guest, &format!("{place}/doctor_list")).await;
        items
            .iter()
            .map(|item| item["doctor_id"].as_i64().unwrap())
            .collect()
    }
}

#[tokio::test]
async fn a_doctor_is_in_nothing_until_they_accept() {
    let world = World::new().await;
    let World {
        service, team, guest, ..
    } = &world;
    let [in_team, in_clinic] = world.places();
    let stranger = service.doctor("Dr. X").await;
    let shown = world.invite_id(&in_team, guest).await;
    assert_eq!(shown.result()["doctor_ids"], json!([team.owner.id]));
    let answer = world.invite_id(&in_clinic, guest).await.result();
    assert_eq!(
        answer,
        json!({
            "doctor_id": guest.id, "name": "赵医生", "photo_id": null, "title": "", "department": "",
            "inviter_id": team.owner.id, "is_supervisor": false, "supervisor_inviter_id": null, "joined_ms": 0,
        })
    );
    // Again is the same.
    assert_eq!(world.invite_id(&in_team, guest).await.json, shown.json);
    assert_eq!(world.invite_id(&in_clinic, guest).await.result(), answer);
    let got = world.list(guest, "/invitation_list").await;
    assert_eq!(got.len(), 2);
    assert_eq!(
        got[1],
        json!({
            "invitation_id": got[1]["invitation_id"], "place": "team", "place_id": team.id, "name": "儿科",
            "inviter_id": team.owner.id, "inviter_name": "Dr. Owner", "created_ms": got[1]["created_ms"],
            "expires_ms": got[1]["created_ms"].as_i64().unwrap() + 30 * 24 * 60 * 60 * 1000,
        })
    );
    // Neither the patients nor a chat see anything of it, and nothing is counted.
    for place in [&in_team, &in_clinic] {
        assert_eq!(world.doctors(place).await, [team.owner.id]);
    }
    let chat = json!({"user_id": guest.id});
    world
        .post(&team.owner, "/chat", chat.clone())
        .await
        .refused(404, "chat.person_not_found");
    for list in ["/team/my_list", "/clinic/my_list"] {
        assert_eq!(world.list(guest, list).await.len(), 0);
    }
    for invitation in &got {
        for what in ["accept", "decline"] {
            world
                .answer(&stranger, invitation, what)
                .await
                .refused(404, "invitation.not_found");
        }
        let accepted = world.answer(guest, invitation, "accept").await.result();
        assert_eq!(accepted, *invitation);
        world
            .answer(guest, invitation, "accept")
            .await
            .refused(404, "invitation.not_found");
    }
    for place in [&in_team, &in_clinic] {
        assert_eq!(world.doctors(place).await, [guest.id, team.owner.id]);
        world.invite_id(place, guest).await.field("doctor_id");
    }
    world
        .invite_id(&in_team, guest)
        .await
        .refused(409, "team.already_in");
    world
        .invite_id(&in_clinic, guest)
        .await
        .refused(409, "clinic.already_in");
    world.post(&team.owner, "/chat", chat).await.result();
    let teams = world.list(guest, "/team/my_list").await;
    assert_eq!(
        teams,
        [json!({
            "team_id": team.id, "name": "儿科", "introduction": "介绍", "owner_id": team.owner.id,
            "owner_name": "Dr. Owner", "joined_ms": teams[0]["joined_ms"],
        })]
    );
    let clinics = world.list(guest, "/clinic/my_list").await;
    assert_eq!(
        clinics,
        [json!({
            "clinic_id": world.clinic, "name": "仁心诊所", "introduction": "", "founder_id": team.owner.id,
            "inviter_id": team.owner.id, "is_supervisor": false, "joined_ms": clinics[0]["joined_ms"],
        })]
    );
    // And they leave as they like.
    for place in [&in_team, &in_clinic] {
        world
            .post(guest, &format!("{place}/leave"), json!({}))
            .await
            .result();
        assert_eq!(world.doctors(place).await, [team.owner.id]);
    }
    world
        .post(guest, &format!("{in_team}/leave"), json!({}))
        .await
        .refused(409, "team.not_in");
    world
        .post(guest, &format!("{in_clinic}/leave"), json!({}))
        .await
        .refused(409, "clinic.not_in");
    world
        .post(guest, "/clinic/999999/leave", json!({}))
        .await
        .refused(404, "clinic.not_found");
    world
        .post(&team.owner, &format!("{in_clinic}/leave"), json!({}))
        .await
        .refused(409, "clinic.founder_stays");
}

/// Five teams of strangers do not use up a doctor's five.
#[tokio::test]
async fn invitations_use_up_nothing() {
    let service = Service::start().await;
    let guest = service.doctor("赵医生").await;
    for at in 0..7 {
        let team = service.team(&format!("team {at}")).await;
        let path = format!("/team/{}/doctor", team.id);
        let body = json!({"doctor_id": guest.id});
        team.owner.post(&service, &path, body).send().await.result();
    }
    for _ in 0..4 {
        guest
            .post(&service, "/team", new_team("own"))
            .send()
            .await
            .result();
    }
    service.accept(&guest).await.result();
    service.accept(&guest).await.refused(409, "team.limit_reached");
    let left = guest.get(&service, "/invitation_list").send().await.result();
    assert_eq!(left.as_array().unwrap().len(), 6, "what was refused stays open");
}

#[tokio::test]
async fn accepting_that_races_leaves_a_doctor_in_five_teams() {
    let service = Service::start().await;
    let other = service.beside().await;
    let guest = service.doctor("赵医生").await;
    for at in 0..8 {
        let team = service.team(&format!("team {at}")).await;
        let path = format!("/team/{}/phone_invitation", team.id);
        let body = json!({"phone": guest.phone});
        team.owner.post(&service, &path, body).send().await.result();
    }
    let got = guest.get(&service, "/invitation_list").send().await.result();
    let paths: Vec<String> = got
        .as_array()
        .unwrap()
        .iter()
        .map(|item| format!("/invitation/{}/accept", item["invitation_id"]))
        .collect();
    // Each twice, on two servers.
    let calls = paths.iter().chain(&paths).enumerate().map(|(at, path)| {
        let server = if at < 8 { &service } else { &other };
        guest.post(server, path, json!({})).send()
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 5);
    assert!(
        replies
            .iter()
            .all(|reply| [200, 404, 409].contains(&reply.status)),
        "{replies:?}"
    );
    let mine = guest.get(&service, "/team/my_list").send().await.result();
    assert_eq!(mine.as_array().unwrap().len(), 5);
}

/// Whether a phone has an account, whose it is, and what its owner has answered: the inviter learns none of it.
#[tokio::test]
async fn an_invitation_by_phone_tells_nothing_of_it() {
    let world = World::new().await;
    let World {
        service, team, guest, ..
    } = &world;
    let member = service.member("Pat").await;
    let nobody = new_phone();
    for place in world.places() {
        let mut shapes = Vec::new();
        for phone in [&guest.phone, &member.phone, &nobody, &team.owner.phone] {
            let mut sent = world.invite_phone(&place, phone).await;
            assert_eq!(world.invite_phone(&place, phone).await, sent, "again is the same");
            assert_eq!(sent["phone"], **phone);
            for field in ["phone", "invitation_id", "created_ms", "expires_ms"] {
                sent.as_object_mut().unwrap().remove(field).unwrap();
            }
            shapes.push(sent);
        }
        assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
        assert_eq!(
            shapes[0],
            json!({"doctor_id": null, "inviter_id": team.owner.id, "state": "invited"})
        );
        // By id too, where the phone is not told.
        world.invite_id(&place, guest).await.result();
        let list = format!("{place}/invitation_list");
        let before = world.list(&team.owner, &list).await;
        assert_eq!(before.len(), 5);
        assert_eq!(
            (&before[0]["doctor_id"], &before[0]["phone"]),
            (&json!(guest.id), &Value::Null)
        );
        // Who declines is not told of, nor invited anew by asking again.
        for invitation in world.list(guest, "/invitation_list").await {
            world.answer(guest, &invitation, "decline").await.result();
            world
                .answer(guest, &invitation, "decline")
                .await
                .refused(404, "invitation.not_found");
            world
                .answer(guest, &invitation, "accept")
                .await
                .refused(404, "invitation.not_found");
        }
        assert_eq!(world.list(&team.owner, &list).await, before);
        world.invite_phone(&place, &guest.phone).await;
        world.invite_id(&place, guest).await.result();
        assert_eq!(world.list(guest, "/invitation_list").await.len(), 0);
    }
    member
        .get(service, "/invitation_list")
        .send()
        .await
        .refused(403, "invitation.doctors_only");
    // Who registers with the phone later finds it.
    let code = service.code(&nobody).await;
    let body = json!({
        "phone": nobody, "code": code, "name": "新医生", "role": "doctor", "device_id": "d", "platform": "ios",
    });
    let login = service.post("/account/register").json(body).send().await.result();
    let token = login["access_token"].as_str().unwrap();
    let got = service.get("/invitation_list").token(token).send().await.result();
    assert_eq!(got.as_array().unwrap().len(), 2);
    for bad in [json!({}), json!({"phone": "12"}), json!({"phone": null})] {
        let path = format!("/team/{}/phone_invitation", team.id);
        world
            .post(&team.owner, &path, bad)
            .await
            .refused(400, "request.invalid")
            .field("phone");
    }
}

#[tokio::test]
async fn accepting_one_of_two_invitations_ends_the_other() {
    let world = World::new().await;
    for place in world.places() {
        world.invite_phone(&place, &world.guest.phone).await;
        world.invite_id(&place, &world.guest).await.result();
        assert_eq!(world.list(&world.guest, "/invitation_list").await.len(), 2);
        world.service.accept(&world.guest).await.result();
        assert_eq!(world.list(&world.guest, "/invitation_list").await.len(), 0);
        let list = format!("{place}/invitation_list");
        assert_eq!(world.list(&world.team.owner, &list).await.len(), 0);
    }
}

#[tokio::test]
async fn a_withdrawn_or_expired_invitation_is_none() {
    let world = World::new().await;
    let World {
        service, team, guest, ..
    } = &world;
    for place in world.places() {
        let sent = world.invite_phone(&place, &guest.phone).await;
        let path = format!("{place}/invitation/{}", sent["invitation_id"]);
        let word = if place.starts_with("/team") {
            "team"
        } else {
            "clinic"
        };
        let guests = guest.delete(service, &path).send().await;
        guests.refused(403, &format!("{word}.forbidden"));
        team.owner.delete(service, &path).send().await.result();
        let again = team.owner.delete(service, &path).send().await;
        again.refused(404, &format!("{word}.invitation_not_found"));
        world
            .answer(guest, &sent, "accept")
            .await
            .refused(404, "invitation.not_found");
        let sent = world.invite_phone(&place, &guest.phone).await;
        service
            .database
            .transaction(|tx| {
                Box::pin(async move {
                    tx.execute("UPDATE doctor_invitation SET expires_ms = 1", vec![])
                        .await
                })
            })
            .await
            .unwrap();
        for what in ["accept", "decline"] {
            world
                .answer(guest, &sent, what)
                .await
                .refused(404, "invitation.not_found");
        }
        assert_eq!(world.list(guest, "/invitation_list").await.len(), 0);
        let list = format!("{place}/invitation_list");
        assert_eq!(world.list(&team.owner, &list).await.len(), 0);
        let newer = world.invite_phone(&place, &guest.phone).await;
        world.answer(guest, &newer, "accept").await.result();
    }
}

#[tokio::test]
async fn a_team_and_a_clinic_have_a_hundred_open_invitations() {
    let world = World::new().await;
    for place in world.places() {
        for _ in 0..100 {
            world.invite_phone(&place, &new_phone()).await;
        }
        let word = if place.starts_with("/team") {
            "team"
        } else {
            "clinic"
        };
        let path = format!("{place}/phone_invitation");
        world
            .post(&world.team.owner, &path, json!({"phone": new_phone()}))
            .await
            .refused(409, &format!("{word}.invitation_limit_reached"));
        world
            .invite_id(&place, &world.guest)
            .await
            .refused(409, &format!("{word}.invitation_limit_reached"));
    }
}

/// An invitation ends with the rights of its inviter: taken out, or disabled.
#[tokio::test]
async fn who_may_not_invite_any_more_has_invited_nobody() {
    let world = World::new().await;
    let World {
        service, team, guest, ..
    } = &world;
    let [in_team, in_clinic] = world.places();
    let supervisor = service.doctor("钱医生").await;
    world.invite_id(&in_clinic, &supervisor).await.result();
    service.accept(&supervisor).await.result();
    let path = format!("{in_clinic}/supervisor");
    let body = json!({"doctor_id": supervisor.id});
    team.owner.put(service, &path, body).send().await.result();
    let path = format!("{in_clinic}/phone_invitation");
    let body = json!({"phone": guest.phone});
    let sent = world.post(&supervisor, &path, body).await.result();
    let link = world
        .post(&supervisor, &format!("{in_clinic}/invitation"), json!({}))
        .await
        .result();
    world
        .post(&supervisor, &format!("{in_clinic}/leave"), json!({}))
        .await
        .result();
    world
        .answer(guest, &sent, "accept")
        .await
        .refused(404, "invitation.not_found");
    let join = |link: &Value| json!({"invitation": link["link"]});
    world
        .post(guest, "/clinic/join", join(&link))
        .await
        .refused(409, "clinic.invitation_used_up");
    // Invitations of an owner whom an operator disables.
    world.invite_id(&in_team, guest).await.result();
    world.invite_id(&in_clinic, guest).await.result();
    let team_link = world
        .post(&team.owner, &format!("{in_team}/invitation"), json!({}))
        .await
        .result();
    let path = format!("{in_team}/invitation");
    let assistants = world.post(&team.assistant, &path, json!({})).await.result();
    let clinic_link = world
        .post(&team.owner, &format!("{in_clinic}/invitation"), json!({}))
        .await
        .result();
    let (operator, _) = operator(service, "张伟").await;
    let path = format!("/operator/account/{}/disable", team.owner.id);
    world
        .post(&operator, &path, json!({"reason": "冒用他人身份"}))
        .await
        .result();
    for invitation in world.list(guest, "/invitation_list").await {
        world
            .answer(guest, &invitation, "accept")
            .await
            .refused(404, "invitation.not_found");
    }
    for link in [&team_link, &assistants] {
        world
            .post(guest, "/team/join", join(link))
            .await
            .refused(409, "team.invitation_used_up");
    }
    world
        .post(guest, "/clinic/join", join(&clinic_link))
        .await
        .refused(409, "clinic.invitation_used_up");
    assert_eq!(world.list(guest, "/team/my_list").await.len(), 0);
    assert_eq!(world.list(guest, "/clinic/my_list").await.len(), 0);
}
