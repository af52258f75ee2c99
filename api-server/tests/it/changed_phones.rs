//! Invitations, when a phone gets another owner.

use serde_json::{Value, json};

use super::{
    families::{invite, received},
    invitations::World,
    people::new_phone,
    service::Service,
};

/// The old phone's next owner meets nothing of it, and the relative can still end it.
#[tokio::test]
async fn an_accepted_invitation_follows_its_relative_to_another_phone() {
    let service = Service::start().await;
    let inviter = service.member("李女士").await;
    let person = service.member("张先生").await;
    let sent = invite(&service, &inviter, &person.phone).await;
    let path = format!("/family/invitation/{}", sent["invitation_id"]);
    let accept = format!("{path}/accept");
    person.post(&service, &accept, json!({})).send().await.result();
    let moved = new_phone();
    // Another one of the same inviter, to the phone that becomes theirs.
    invite(&service, &inviter, &moved).await;
    service.change_phone(&person, &moved).await;
    let shown = received(&service, &person).await;
    assert_eq!(
        (shown.as_array().unwrap().len(), &shown[0]["state"]),
        (1, &json!("accepted"))
    );
    let phone = person.phone.clone();
    let next = service.register_by(phone, "王女士", "member", None).await;
    assert_eq!(received(&service, &next).await, json!([]));
    invite(&service, &inviter, &next.phone).await;
    let decline = format!("{path}/decline");
    person.post(&service, &decline, json!({})).send().await.result();
    let family = inviter.get(&service, "/family").send().await.result();
    assert_eq!(family, json!([]));
}

/// The old phone's next owner is not the doctor whom the place named.
#[tokio::test]
async fn an_invitation_of_a_doctor_by_id_follows_them_to_another_phone() {
    let world = World::new().await;
    let (guest, places) = (&world.guest, world.places());
    for place in &places {
        world.invite_id(place, guest).await.result();
    }
    world.service.change_phone(guest, &new_phone()).await;
    let phone = guest.phone.clone();
    let next = world.service.register_by(phone, "钱医生", "doctor", None).await;
    assert_eq!(world.list(&next, "/invitation_list").await, Vec::<Value>::new());
    let received = world.list(guest, "/invitation_list").await;
    assert_eq!(received.len(), places.len());
    for invitation in &received {
        let stranger = world.answer(&next, invitation, "decline").await;
        assert_eq!(stranger.status, 404, "{}", stranger.text);
        world.answer(guest, invitation, "accept").await.result();
    }
}
