//! A process whose clock jumps: times that end something are those of the database's clock.

use database::params;
use jiff::{SignedDuration, Timestamp};
use payment::Day;
use serde_json::{Value, json};

use super::{
    accounts::{PASSWORD, register},
    apart::{self, set_clock},
    background::job,
    invitations::World,
    joining::join,
    links::link,
    operators::operator,
    people::{Person, new_phone},
    scene::{Scene, eventually},
    service::Service,
    settling::Fleet,
    uploading::{announced, png},
};

/// The clock of this process leaps ahead, further than any lifetime of these tests.
fn leap() {
    leap_by(100);
}

/// The same, by days, which are below zero for a leap back.
fn leap_by(days: i64) {
    let other = Timestamp::now() + SignedDuration::from_hours(days * 24);
    set_clock(&other.to_string());
}

fn return_to_now() {
    set_clock(&Timestamp::now().to_string());
}

/// Runs jobs to their end.
async fn turn(service: &Service, operator: &Person, names: &[&str]) {
    for name in names {
        for act in ["pause", "resume"] {
            let path = format!("/operator/job/{name}/{act}");
            operator.post(service, &path, json!({})).send().await.result();
        }
        eventually("the turn has ended", async || {
            let job = job(service, operator, name).await.unwrap();
            job["due_ms"].as_i64().unwrap() > 0 && job.get("holder").is_none()
        })
        .await;
        assert_eq!(
            job(service, operator, name).await.unwrap()["failures"],
            0,
            "{name}"
        );
    }
}

#[test]
fn a_clock_that_jumps_ends_nothing() {
    apart::run(module_path!());
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn jobs_of_a_process_that_is_ahead_end_nothing_early() {
    return_to_now();
    let service = Service::with_media().await;
    let (operator, _) = operator(&service, "张伟").await;
    let member = service.register("王芳", "member", Some(PASSWORD)).await;
    let asked = member.post(&service, "/account/closing", json!({"password": PASSWORD}));
    let closing_ms = asked.send().await.result()["closing_ms"].as_i64().unwrap();
    let picture = service.picture(&member, "message").await;
    let awaited = service
        .asked(&member, announced("image/png", "message", &png(3, 3, 3)))
        .await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    let keyed = async || {
        let call = member.post(
            &service,
            "/family",
            json!({"relation_type": "child", "name": "小明"}),
        );
        call.key("once").send().await
    };
    let first = keyed().await.result();
    leap();
    let jobs = ["close_accounts", "media_unused", "media_sweep", "forget"];
    turn(&service, &operator, &jobs).await;
    let account = member.get(&service, "/account").send().await.result();
    assert_eq!(account["closing_ms"], closing_ms);
    assert!(service.shows(&member, picture).await);
    service.put_content(&member, awaited, png(3, 3, 3)).await.result();
    assert_eq!(keyed().await.result(), first, "its key is known");
    let registered = service.post("/account/register").json(register(&phone, &code));
    registered.send().await.result();
    // A closing that such a process plans is due by the database's clock, too.
    member.delete(&service, "/account/closing").send().await.result();
    let asked = member.post(&service, "/account/closing", json!({"password": PASSWORD}));
    let again_ms = asked.send().await.result()["closing_ms"].as_i64().unwrap();
    let minute_ms = 60_000;
    assert!(
        (closing_ms..closing_ms + minute_ms).contains(&again_ms),
        "{again_ms}"
    );
    let due = service.database.transaction(|tx| {
        Box::pin(async move {
            let sql = "UPDATE account SET closing_ms = 1 WHERE closing_ms IS NOT NULL";
            tx.execute(sql, params![]).await
        })
    });
    due.await.unwrap();
    turn(&service, &operator, &["close_accounts"]).await;
    let closed = member.get(&service, "/account").send().await;
    closed.refused(401, "auth.required");
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn logins_codes_and_invitations_outlive_a_clock_that_is_ahead() {
    return_to_now();
    let world = World::new().await;
    let service = &world.service;
    let path = format!("/team/{}", world.team.id);
    let owner = &world.team.owner;
    let doctor = service.doctor("Dr. New").await;
    let link = link(service, &world.team, 1).await;
    let by_phone = owner.post(
        service,
        &format!("{path}/phone_invitation"),
        json!({"phone": doctor.phone}),
    );
    by_phone.send().await.result();
    let relative = service.member("王强").await;
    let body = json!({"relation_type": "spouse", "phone": relative.phone});
    owner_of_family(service)
        .await
        .post(service, "/family", body)
        .send()
        .await
        .result();
    leap();
    let received = doctor.get(service, "/invitation_list").send().await.result();
    assert_eq!(received.as_array().unwrap().len(), 1, "{received}");
    let sent = owner
        .get(service, &format!("{path}/invitation_list"))
        .send()
        .await
        .result();
    assert_eq!(sent.as_array().unwrap().len(), 1, "{sent}");
    let invited = relative
        .get(service, "/family/invitation_list")
        .send()
        .await
        .result();
    let id = invited[0]["invitation_id"].as_i64().unwrap();
    let accept = format!("/family/invitation/{id}/accept");
    relative.post(service, &accept, json!({})).send().await.result();
    join(service, &doctor, &link).await.result();
    // A login of this process ends by the database's clock.
    let phone = new_phone();
    let code = service.code(&phone).await;
    let login: Value = service
        .post("/account/register")
        .json(register(&phone, &code))
        .send()
        .await
        .result();
    let lifetime = SignedDuration::from_hours(91 * 24);
    let latest_ms = (Timestamp::now() + lifetime).as_millisecond();
    assert!(login["expires_at_ms"].as_i64().unwrap() < latest_ms);
}

async fn owner_of_family(service: &Service) -> Person {
    service.member("王芳").await
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn a_rating_and_further_questions_are_open_as_long_as_promised() {
    return_to_now();
    let scene = Scene::new().await;
    let (service, patient) = (&scene.service, &scene.patient);
    scene.set_clock(json!({"follow_up_days": 7})).await;
    let consult = scene.in_process().await;
    let finish = format!("/consult/{consult}/finish");
    scene.post(&scene.doctor, finish, json!({})).await.result();
    let rate = async |stars: i64| {
        let path = format!("/consult/{consult}/rating");
        let body = json!({"stars": stars});
        patient.put(service, &path, body).send().await
    };
    rate(5).await.result();
    leap();
    rate(4).await.result();
    let mut body = super::people::new_consult(patient, scene.team.id);
    body["follow_up_of"] = consult.into();
    let begun = patient.post(service, "/consult", body).key("follow-up").send();
    begun.await.result();
    let sql = "UPDATE consult_rating SET created_ms = created_ms - 700000000 WHERE consult_id = $1";
    let aged = service
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, params![consult]).await }));
    aged.await.unwrap();
    rate(3).await.refused(409, "consult.rating_settled");
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn an_end_by_silence_is_told_at_the_time_that_it_was_due_by() {
    return_to_now();
    let scene = Scene::new().await;
    scene.set_clock(json!({"silence_days": 7})).await;
    let consult = scene.consult().await;
    let before_ms = Timestamp::now().as_millisecond();
    // The clock of this process falls back.
    let earlier = Timestamp::now() - SignedDuration::from_hours(24);
    set_clock(&earlier.to_string());
    scene.expire(consult, "silence_end").await;
    scene.until(consult, "silence_end fired").await;
    for sql in [
        "SELECT ended_ms FROM consult",
        "SELECT min(created_ms) FROM entry",
    ] {
        let told_ms = scene.service.number(sql).await;
        assert!(told_ms >= before_ms - 60_000, "{sql}: {told_ms}");
    }
}

const ORDERS: &[&str] = &["orders_mockpay"];
const PAY_BACKS: &[&str] = &["pay_backs_mockpay"];

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn orders_of_a_process_that_is_ahead_or_behind_stay_open_as_long_as_promised() {
    return_to_now();
    let fleet = Fleet::start().await;
    let (operator, _) = operator(&fleet.service, "张伟").await;
    let before = fleet.top_up(100).await;
    for days in [100, -100] {
        leap_by(days);
        let order = fleet.top_up(200).await;
        turn(&fleet.service, &operator, ORDERS).await;
        for (made_by, order) in [("another clock", &before), ("this clock", &order)] {
            let asked = fleet.asked(order).await;
            assert_eq!(
                asked,
                ("open".to_owned(), 0, Some(60_000)),
                "{made_by}, {days} days"
            );
        }
        let created_ms = order["created_ms"].as_i64().unwrap();
        let now_ms = fleet.service.database.now_ms().await.unwrap();
        assert!((now_ms - 600_000..=now_ms).contains(&created_ms), "{created_ms}");
        fleet.service.press(&order, "pay").await;
        assert_eq!(fleet.asked(&order).await.0, "paid");
    }
    // Another process, whose clock is right, asks for what such a process made.
    leap();
    let order = fleet.top_up(300).await;
    fleet.service.press(&order, "never").await;
    return_to_now();
    fleet.make_due(&order).await;
    fleet.asked_is(&order, "paid", 0, None).await;
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn a_pay_back_of_a_process_that_is_ahead_is_handed_over_at_once() {
    return_to_now();
    let fleet = Fleet::start().await;
    let (operator, _) = operator(&fleet.service, "张伟").await;
    let order = fleet.top_up(1000).await;
    fleet.service.press(&order, "pay").await;
    for (at, days) in [400, -400].into_iter().enumerate() {
        let pause = "/operator/job/pay_backs_mockpay/pause";
        let paused = operator.post(&fleet.service, pause, json!({})).send().await;
        paused.result();
        // An order can take back for a year, by the database's clock.
        leap_by(days);
        fleet.pay_back(&format!("back-{at}"), 100).await;
        return_to_now();
        turn(&fleet.service, &operator, PAY_BACKS).await;
        let done = "SELECT count(*) FROM payment_refund WHERE state = 'done' AND ended_ms >= created_ms";
        let all = i64::try_from(at).unwrap() + 1;
        assert_eq!(fleet.service.number(done).await, all, "{days} days");
    }
    fleet.service.balances().await;
}

/// As a process of an earlier release made them.
#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn what_a_clock_that_was_ahead_put_off_for_years_is_asked_for_now() {
    return_to_now();
    let fleet = Fleet::start().await;
    let (operator, _) = operator(&fleet.service, "张伟").await;
    let paid = fleet.top_up(1000).await;
    fleet.service.press(&paid, "pay").await;
    for job in [ORDERS, PAY_BACKS].concat() {
        let pause = format!("/operator/job/{job}/pause");
        operator
            .post(&fleet.service, &pause, json!({}))
            .send()
            .await
            .result();
    }
    let order = fleet.top_up(200).await;
    fleet.pay_back("back", 100).await;
    for sql in [
        "UPDATE payment_order SET ask_ms = ask_ms + $1, created_ms = created_ms + $1 WHERE state = 'open'",
        "UPDATE payment_refund SET ask_ms = ask_ms + $1, created_ms = created_ms + $1",
    ] {
        let years_ms = 3 * 365 * 24 * 3_600_000_i64;
        fleet.set(sql, params![years_ms]).await;
    }
    turn(&fleet.service, &operator, PAY_BACKS).await;
    let done = "SELECT count(*) FROM payment_refund WHERE state = 'done'";
    assert_eq!(fleet.service.number(done).await, 1);
    // It is asked for, and not closed before its time has come by this clock.
    for _ in 0..2 {
        turn(&fleet.service, &operator, ORDERS).await;
        let asked = fleet.asked(&order).await;
        assert_eq!((asked.0.as_str(), asked.1), ("open", 1));
    }
    let ahead = "SELECT ask_ms FROM payment_order WHERE state = 'open'";
    let ahead_ms = fleet.service.number(ahead).await - fleet.service.database.now_ms().await.unwrap();
    assert!((0..=300_000).contains(&ahead_ms), "{ahead_ms}");
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn a_process_that_is_ahead_or_behind_compares_the_bills_of_days_that_are_over() {
    return_to_now();
    let fleet = Fleet::start().await;
    let (operator, _) = operator(&fleet.service, "张伟").await;
    let day_ms = 24 * 3_600_000;
    let order = fleet.top_up(1000).await;
    fleet.service.press(&order, "pay").await;
    for sql in [
        "UPDATE payment_order SET paid_ms = paid_ms - $1",
        "UPDATE mockpay_order SET paid_ms = paid_ms - $1",
    ] {
        fleet.set(sql, params![2 * day_ms]).await;
    }
    for days in [100, -100] {
        fleet.before_bills(&operator).await;
        leap_by(days);
        turn(&fleet.service, &operator, &["bills_mockpay"]).await;
        let now_ms = fleet.service.database.now_ms().await.unwrap();
        let newest = fleet
            .service
            .number("SELECT coalesce(max(day), 0) FROM bill")
            .await;
        let oldest = fleet
            .service
            .number("SELECT coalesce(min(day), 99999999) FROM bill")
            .await;
        assert!(
            (1..Day::at(now_ms).get()).contains(&newest),
            "{newest}, {days} days"
        );
        assert!(
            oldest >= Day::at(now_ms - 2 * day_ms).get(),
            "{oldest}, {days} days"
        );
    }
}
