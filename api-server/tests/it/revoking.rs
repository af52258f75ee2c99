//! A revoked login has ended on every api-server, also for concurrent requests and logins that it opened.

use bytes::Bytes;
use database::params;
use proto::{UserId, wire::ByeReason};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    devices::{im_password, is_good, logged_out, notices},
    operators::operator,
    people::{Person, Team, new_team},
    pushes::{Device, start_node},
    scene::eventually,
    service::Service,
};

const PASSWORD: &str = "correct horse battery";

/// A request whose head was sent and whose caller was authenticated; its body is still to come.
struct Underway {
    stream: TcpStream,
    body: String,
}

/// The service asks for the body (100 Continue) when a handler reads it, which is after the caller was authenticated.
async fn begin(service: &Service, method: &str, path: &str, token: &str, body: &Value) -> Underway {
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nX-AUTH-TOKEN: {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(asked, *b"HTTP/1.1 100 Continue\r\n\r\n");
    Underway { stream, body }
}

impl Underway {
    /// Sends the body; status and word of the answer.
    async fn finish(mut self) -> (u16, String) {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        let status = answer[9..12].parse().unwrap();
        let json: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        (status, json["error"].as_str().unwrap_or_default().to_owned())
    }
}

async fn count(service: &Service, sql: String) -> i64 {
    service.database.query(sql, vec![]).await.unwrap()[0]
        .get(0)
        .unwrap()
}

async fn is_logged_in(service: &Service, person: &Person) -> bool {
    let reply = person.get(service, "/account/devices").send().await;
    if reply.status != 200 {
        reply.refused(401, "auth.required");
    }
    reply.status == 200
}

/// Logs the team's assistant in once more.
async fn assistant(service: &Service, team: &Team, device_id: &str) -> Person {
    let path = format!("/team/{}/assistant/login", team.id);
    let body = json!({"device_id": device_id, "platform": "web"});
    let login = team.owner.post(service, &path, body).send().await.result();
    Person {
        token: login["access_token"].as_str().unwrap().to_owned(),
        device_id: device_id.to_owned(),
        ..team.assistant.clone()
    }
}

async fn change_password(service: &Service, who: &Person, new: &str) -> u16 {
    let body = json!({"current_password": PASSWORD, "new_password": new});
    who.put(service, "/account/password", body).send().await.status
}

async fn disable(service: &Service, operator: &Person, id: i64) {
    let path = format!("/operator/account/{id}/disable");
    let body = json!({"reason": "冒用他人手机号"});
    operator.post(service, &path, body).send().await.result();
}

#[tokio::test]
async fn a_token_that_has_ended_on_one_server_has_ended_on_all() {
    let service = Service::start().await;
    let other = service.beside().await;
    let (operator, _) = operator(&service, "张伟").await;
    let here = service.register("Pat", "member", Some(PASSWORD)).await;
    let there = service.log_in(&here, PASSWORD, "tablet").await;
    let third = service.log_in(&here, PASSWORD, "third").await;
    for person in [&here, &there, &third] {
        assert!(is_logged_in(&service, person).await && is_logged_in(&other, person).await);
    }
    there
        .post(&service, "/account/logout", json!({}))
        .send()
        .await
        .result();
    assert!(!is_logged_in(&other, &there).await);
    there
        .get(&other, "/im/password")
        .send()
        .await
        .refused(401, "auth.required");
    let again = other.log_in(&here, PASSWORD, "third").await;
    assert!(
        !is_logged_in(&service, &third).await,
        "the same device has a newer token"
    );
    assert_eq!(change_password(&other, &here, "another password").await, 200);
    assert!(!is_logged_in(&service, &again).await);
    assert!(
        is_logged_in(&service, &here).await,
        "the device that changed it goes on"
    );
    disable(&other, &operator, here.id).await;
    assert!(!is_logged_in(&service, &here).await);
}

#[tokio::test]
async fn an_assistant_ends_with_the_doctor_who_logged_them_in() {
    let service = Service::start().await;
    let other = service.beside().await;
    let (operator, _) = operator(&service, "张伟").await;
    let team = service.team("儿科").await;
    let desks = [
        team.assistant.clone(),
        assistant(&other, &team, "desk-2").await,
        assistant(&service, &team, "desk-3").await,
    ];
    let mut passwords = Vec::new();
    for desk in &desks {
        assert!(is_logged_in(&service, desk).await && is_logged_in(&other, desk).await);
        passwords.push(im_password(&other, desk).await);
    }
    let seen = notices(&service, &team.assistant).await;
    disable(&service, &operator, team.owner.id).await;
    for (desk, password) in desks.iter().zip(&passwords) {
        assert!(!is_logged_in(&service, desk).await && !is_logged_in(&other, desk).await);
        assert!(!is_good(&service, desk, password).await);
        assert!(seen.lock().contains(&logged_out(&desk.device_id)));
    }
    let path = format!("/operator/account/{}/enable", team.owner.id);
    let body = json!({"reason": "身份已核实"});
    operator.post(&service, &path, body).send().await.result();
    assert!(!is_logged_in(&other, &desks[1]).await, "enabling logs nobody in");
}

#[tokio::test]
async fn an_assistant_ends_with_the_password_of_the_doctor_who_logged_them_in() {
    let service = Service::start().await;
    let owner = service.register("Dr. A", "doctor", Some(PASSWORD)).await;
    let team = service.team_of(&owner, "儿科").await;
    let stranger = service.team("内科").await;
    let password = im_password(&service, &team.assistant).await;
    let seen = notices(&service, &team.assistant).await;
    let wrong = json!({"current_password": "not the one", "new_password": "another one"});
    owner
        .put(&service, "/account/password", wrong)
        .send()
        .await
        .refused(403, "account.password_refused");
    assert!(is_logged_in(&service, &team.assistant).await);
    assert_eq!(change_password(&service, &owner, "another password").await, 200);
    assert!(!is_logged_in(&service, &team.assistant).await);
    assert!(!is_good(&service, &team.assistant, &password).await);
    assert_eq!(*seen.lock(), [logged_out("desk")]);
    assert!(is_logged_in(&service, &stranger.assistant).await);
    assert!(is_logged_in(&service, &assistant(&service, &team, "desk").await).await);
}

#[tokio::test]
async fn an_assistant_ends_when_the_doctor_who_logged_them_in_leaves_the_team() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    for by_themselves in [true, false] {
        let doctor = service.doctor_of(&team, "Dr. B").await;
        let desks = [
            assistant(&service, &team, "desk-1").await,
            assistant(&service, &team, "desk-2").await,
        ];
        // The owner alone logs the assistant in today, and never leaves.
        let (opener, user) = (doctor.id, team.assistant.id);
        service
            .database
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE device SET opened_by = $1 WHERE user_id = $2 AND device_id = 'desk-1'";
                    tx.execute(sql, params![opener, user]).await
                })
            })
            .await
            .unwrap();
        if by_themselves {
            let path = format!("/team/{}/leave", team.id);
            doctor.post(&service, &path, json!({})).send().await.result();
        } else {
            let path = format!("/team/{}/doctor/{}", team.id, doctor.id);
            team.owner.delete(&service, &path).send().await.result();
        }
        assert!(!is_logged_in(&service, &desks[0]).await);
        assert!(is_logged_in(&service, &desks[1]).await);
    }
}

#[tokio::test]
async fn a_write_underway_is_refused_when_its_token_ends() {
    let service = Service::start().await;
    let other = service.beside().await;
    let doctor = service.doctor("Dr. A").await;
    let underway = begin(&service, "POST", "/team", &doctor.token, &new_team("儿科")).await;
    let profile = json!({"title": "主任医师"});
    let second = begin(&service, "POST", "/doctor/detail", &doctor.token, &profile).await;
    doctor
        .post(&other, "/account/logout", json!({}))
        .send()
        .await
        .result();
    for underway in [underway, second] {
        assert_eq!(underway.finish().await, (401, "auth.required".to_owned()));
    }
    assert_eq!(count(&service, "SELECT count(*) FROM team".into()).await, 0);
    assert_eq!(
        count(&service, "SELECT count(*) FROM doctor_profile".into()).await,
        0
    );
    let sql = format!("SELECT team_count FROM account WHERE id = {}", doctor.id);
    assert_eq!(count(&service, sql).await, 0);
}

#[tokio::test]
async fn a_disabled_doctor_logs_no_assistant_in_by_a_request_underway() {
    let service = Service::start().await;
    let other = service.beside().await;
    let (operator, _) = operator(&service, "张伟").await;
    let team = service.team("儿科").await;
    let path = format!("/team/{}/assistant/login", team.id);
    let body = json!({"device_id": "evil", "platform": "web"});
    let underway = begin(&service, "POST", &path, &team.owner.token, &body).await;
    disable(&other, &operator, team.owner.id).await;
    assert_eq!(underway.finish().await, (403, "account.disabled".to_owned()));
    // A token that has ended in another way logs none in either.
    let team = service.team("内科").await;
    let path = format!("/team/{}/assistant/login", team.id);
    let underway = begin(&service, "POST", &path, &team.owner.token, &body).await;
    team.owner
        .post(&other, "/account/logout", json!({}))
        .send()
        .await
        .result();
    assert_eq!(underway.finish().await, (401, "auth.required".to_owned()));
    let sql = "SELECT count(*) FROM device WHERE device_id = 'evil'";
    assert_eq!(count(&service, sql.into()).await, 0);
}

#[tokio::test]
async fn an_operator_who_is_disabled_finds_nothing_by_a_request_underway() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    let patient = service.member("Pat").await;
    let password = im_password(&service, &operator).await;
    let mut underway = Vec::new();
    for path in ["/operator/people/search", "/operator/consults/search"] {
        let body = json!({"user_id": patient.id});
        underway.push(begin(&service, "POST", path, &operator.token, &body).await);
    }
    api_server::operator::disable(&service.database, "张伟")
        .await
        .unwrap();
    for underway in underway {
        assert_eq!(underway.finish().await, (401, "auth.required".to_owned()));
    }
    let sql = "SELECT count(*) FROM audit WHERE act LIKE '%searched'";
    assert_eq!(count(&service, sql.into()).await, 0);
    // The command line has no backplane: a sweep of any server ends the rest.
    assert!(is_good(&service, &operator, &password).await);
    age_ended(&service).await;
    let sweeping = service.beside().await;
    eventually("the operator's IM password ends", async || {
        !is_good(&sweeping, &operator, &password).await
    })
    .await;
}

/// Ages unfinished logouts, so that a sweep completes them.
async fn age_ended(service: &Service) {
    service
        .database
        .transaction(|tx| {
            Box::pin(async move { tx.execute("UPDATE device_ended SET ended_ms = 1", vec![]).await })
        })
        .await
        .unwrap();
}

/// A login whose password was verified before a change and whose device would be opened after it.
#[tokio::test]
async fn a_login_underway_does_not_outlive_a_password_change() {
    let service = Service::start().await;
    let other = service.beside().await;
    let mut opened = 0;
    for _ in 0..10 {
        let here = service.register("Pat", "member", Some(PASSWORD)).await;
        let body = |at: i32| json!({"phone": here.phone, "password": PASSWORD, "device_id": format!("evil-{at}"), "platform": "ios"});
        let logins = (0..6).map(|at| {
            let server = if at % 2 == 0 { &service } else { &other };
            server.post("/account/login").json(body(at)).send()
        });
        let (changed, replies) = tokio::join!(
            change_password(&service, &here, "another password"),
            futures_util::future::join_all(logins)
        );
        assert_eq!(changed, 200);
        for reply in replies {
            if reply.status == 200 {
                opened += 1;
                let token = reply.result()["access_token"].as_str().unwrap().to_owned();
                let with_it = other.get("/account/devices").token(&token).send().await;
                with_it.refused(401, "auth.required");
            } else {
                reply.refused(401, "account.login_refused");
            }
        }
        let sql = format!("SELECT count(*) FROM device WHERE user_id = {}", here.id);
        assert_eq!(count(&service, sql).await, 1);
    }
    assert!(opened > 0, "no login was ever underway");
}

#[tokio::test]
async fn of_two_password_changes_by_one_password_one_is_refused() {
    let service = Service::start().await;
    let other = service.beside().await;
    for _ in 0..5 {
        let here = service.register("Pat", "member", Some(PASSWORD)).await;
        let there = service.log_in(&here, PASSWORD, "tablet").await;
        let (one, two) = tokio::join!(
            change_password(&service, &here, "another password"),
            change_password(&other, &there, "a third password")
        );
        let mut both = [one, two];
        both.sort_unstable();
        assert!(both[0] == 200 && [401, 403].contains(&both[1]), "{both:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_ended_at_once_is_ended_later() {
    let service = Service::start().await;
    let here = service.register("Pat", "member", Some(PASSWORD)).await;
    let password = im_password(&service, &here).await;
    let backplane::Backplane::Memory(memory) = &service.backplane else {
        panic!("not in memory")
    };
    memory.set_away(true);
    let again = service.log_in(&here, PASSWORD, "phone-1").await;
    memory.set_away(false);
    assert!(is_good(&service, &here, &password).await, "nobody could end it");
    age_ended(&service).await;
    let seen = notices(&service, &here).await;
    let sweeping = service.beside().await;
    eventually("the sweep ends it", async || {
        !is_good(&sweeping, &here, &password).await
    })
    .await;
    eventually("nothing is left over", async || {
        count(&service, "SELECT count(*) FROM device_ended".into()).await == 0
    })
    .await;
    assert_eq!(*seen.lock(), [logged_out("phone-1")]);
    // A login before the sweep ends it itself, and is not ended by the sweep.
    memory.set_away(true);
    service.log_in(&again, PASSWORD, "phone-1").await;
    memory.set_away(false);
    age_ended(&service).await;
    let newest = service.log_in(&again, PASSWORD, "phone-1").await;
    let password = im_password(&service, &newest).await;
    assert_eq!(
        count(&service, "SELECT count(*) FROM device_ended".into()).await,
        0
    );
    assert!(is_good(&service, &newest, &password).await);
}

#[tokio::test]
async fn live_sessions_end_with_what_opened_them() {
    let service = Service::start().await;
    let node = start_node(&service).await;
    let (operator, _) = operator(&service, "张伟").await;
    let team = service.team("儿科").await;
    let here = service.register("Pat", "member", Some(PASSWORD)).await;
    let mut desk = Device::online(&service, &team.assistant).await;
    let mut phone = Device::online(&service, &here).await;
    service.log_in(&here, PASSWORD, &here.device_id).await;
    phone.is_sent_away(ByeReason::LoggedOut).await;
    disable(&service, &operator, team.owner.id).await;
    desk.is_sent_away(ByeReason::LoggedOut).await;
    node.drain(std::time::Duration::from_secs(1)).await;
}

/// A logged-out user does not get the answer stored under an Idempotency-Key.
#[tokio::test]
async fn a_kept_answer_is_not_for_a_token_that_has_ended() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let call = || doctor.post(&service, "/team", new_team("儿科")).key("k");
    call().send().await.result();
    call().send().await.result();
    doctor
        .post(&service, "/account/logout", json!({}))
        .send()
        .await
        .result();
    call().send().await.refused(401, "auth.required");
}

/// The devices of assistants that were logged in before their openers were recorded belong to the team's owner.
#[tokio::test]
async fn the_openers_of_assistants_are_recorded() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let rows = service
        .database
        .query(
            "SELECT user_id, opened_by, token_hash FROM device ORDER BY user_id",
            vec![],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let opened_by: Option<i64> = row.get(1).unwrap();
        let user = UserId::from_database(row.get(0).unwrap());
        let expected = (user.get() == team.assistant.id).then_some(team.owner.id);
        assert_eq!(opened_by, expected);
        assert_eq!(row.get::<Bytes>(2).unwrap().len(), 32);
    }
}
