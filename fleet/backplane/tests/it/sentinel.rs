//! A master that fails and is replaced.

use backplane::{Backplane, OpenError};
use proto::{UserId, wire::Platform};
use testkit::sentinel::{Guard, MASTER_NAME, SentinelSet, Shape};

use crate::{
    IDENTITY, eventually,
    faults::{heard_again, told_to_compare},
    listening::{CHANNEL, Listener},
    open,
    refusals::{certificate, foreign_authority},
};

const USER: UserId = UserId::from_database(7);

const GUARD: Guard = Guard {
    user: "huizhen",
    password: "geheim",
    sentinel_password: "wache",
};

async fn start(shape: Shape) -> SentinelSet {
    tokio::task::spawn_blocking(move || SentinelSet::start(shape).unwrap())
        .await
        .unwrap()
}

async fn refused(url: &str) -> OpenError {
    match Backplane::open(url, &IDENTITY).await {
        Ok(_) => panic!("{url} was taken"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies_is_replaced() {
    let set = start(Shape::default()).await;
    let (speaks, hears) = (open(&set.url()).await, open(&set.url()).await);
    let listener = Listener::join(&hears);
    hears.subscribe(listener.id, CHANNEL).await.unwrap();
    heard_again(&speaks, &listener, "before").await;
    let older = speaks.claim_session(USER, "phone", Platform::Ios).await.unwrap();
    let mut resumed = hears.resumed();
    resumed.borrow_and_update();

    set.servers[0].kill().unwrap();
    heard_again(&speaks, &listener, "after").await;
    told_to_compare(&mut resumed).await;
    set.wait_until_master(1).unwrap();
    let newer = speaks.claim_session(USER, "phone", Platform::Ios).await.unwrap();
    assert!(newer > older);

    // The old one comes back, as a master until the sentinels see it, and is not connected to: it would give an older claim.
    set.servers[0].start_again().unwrap();
    let late = open(&set.url()).await;
    let latest = late.claim_session(USER, "phone", Platform::Ios).await.unwrap();
    assert!(latest > newer);
}

fn is_replica(set: &SentinelSet) -> bool {
    set.servers[0]
        .command(&["INFO", "replication"])
        .is_ok_and(|info| info.contains("role:slave"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_wakes_up_replaced_is_left() {
    let set = start(Shape::default()).await;
    let (speaks, hears) = (open(&set.url()).await, open(&set.url()).await);
    let listener = Listener::join(&hears);
    hears.subscribe(listener.id, CHANNEL).await.unwrap();

    set.servers[0].pause();
    heard_again(&speaks, &listener, "meanwhile").await;
    set.servers[0].resume();
    eventually("the old master is a replica", async || is_replica(&set)).await;
    heard_again(&speaks, &listener, "afterwards").await;
    speaks.claim_session(USER, "phone", Platform::Ios).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordered_change_of_the_master_is_followed() {
    let set = start(Shape::default()).await;
    let (speaks, hears) = (open(&set.url()).await, open(&set.url()).await);
    let listener = Listener::join(&hears);
    hears.subscribe(listener.id, CHANNEL).await.unwrap();
    set.sentinels[0]
        .command(&["SENTINEL", "FAILOVER", MASTER_NAME])
        .unwrap();
    set.wait_until_master(1).unwrap();
    heard_again(&speaks, &listener, "after").await;
    eventually("what is written is taken", async || {
        speaks.claim_session(USER, "phone", Platform::Ios).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_may_be_away_as_long_as_one_answers() {
    let set = start(Shape::default()).await;
    set.sentinels[0].kill().unwrap();
    set.sentinels[1].pause();
    let backplane = open(&set.url()).await;
    backplane
        .claim_session(USER, "phone", Platform::Ios)
        .await
        .unwrap();

    // No sentinel at all: the start waits.
    set.sentinels[2].kill().unwrap();
    let waits = Backplane::open(&set.url(), &IDENTITY).await.unwrap();
    assert!(!waits.is_available().await);
    set.sentinels[1].resume();
    eventually("it is connected", async || waits.is_available().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_is_behind_is_not_believed() {
    let set = start(Shape::default()).await;
    let stale = set.stale_sentinel().unwrap();
    let deceived = Backplane::open(&set.url_of(&[&stale]), &IDENTITY).await.unwrap();
    let [one, two, three] = &set.sentinels;
    let backplane = open(&set.url_of(&[&stale, one, two, three])).await;
    backplane
        .claim_session(USER, "phone", Platform::Ios)
        .await
        .unwrap();
    assert!(!deceived.is_available().await);

    let error = refused(&set.url().replace(MASTER_NAME, "other")).await;
    assert!(matches!(error, OpenError::Address(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("no master of this name") && text.contains("other"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_sentinels_have_logins_of_their_own() {
    let set = start(Shape {
        guard: Some(GUARD),
        ..Shape::default()
    })
    .await;
    let backplane = open(&set.url()).await;
    set.servers[0].kill().unwrap();
    eventually("it is another master", async || {
        backplane
            .claim_session(USER, "phone", Platform::Ios)
            .await
            .is_ok()
    })
    .await;
    // A server that cannot be reached refuses nobody.
    set.wait_until_master(1).unwrap();

    for (wrong, hint) in [
        (set.url().replace("=wache", "=falsch"), "sentinel_password="),
        (
            set.url().replace("?sentinel_password=wache", ""),
            "sentinel_password=",
        ),
        (set.url().replace("geheim", "falsch"), "user and password"),
    ] {
        let error = refused(&wrong).await;
        assert!(matches!(error, OpenError::Refused { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(hint) && !text.contains("falsch"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_and_sentinels_are_reached_over_tls_also_after_a_replacement() {
    let set = start(Shape {
        guard: Some(GUARD),
        certificate: Some(certificate()),
    })
    .await;
    let url = set.url();
    assert!(url.starts_with("rediss+sentinel://"), "{url}");
    let (speaks, hears) = (open(&url).await, open(&url).await);
    let listener = Listener::join(&hears);
    hears.subscribe(listener.id, CHANNEL).await.unwrap();
    heard_again(&speaks, &listener, "before").await;
    set.servers[0].kill().unwrap();
    heard_again(&speaks, &listener, "after").await;
    set.wait_until_master(1).unwrap();
    eventually("it is another master", async || {
        speaks.claim_session(USER, "phone", Platform::Ios).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_somebody_elses_is_refused() {
    let set = start(Shape {
        guard: Some(GUARD),
        certificate: Some(certificate()),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let url = set.url();
    let (before, options) = url.split_once("ca_cert=").unwrap();
    let (_, login) = options.split_once('&').unwrap();
    let wrong = format!("{before}ca_cert={}&{login}", foreign_authority(&folder));
    let none = format!("{before}{login}");
    for url in [wrong, none] {
        let error = refused(&url).await;
        assert!(matches!(error, OpenError::Refused { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("certificate") && text.contains("ca_cert=FILE"),
            "{text}"
        );
        // It names the certificate, not the login.
        assert!(
            !text.contains("want sentinel_password=") && !text.contains("wache"),
            "{text}"
        );
    }

    // A wrong login has a message of its own.
    let error = refused(&set.url().replace("=wache", "=falsch")).await;
    assert!(error.to_string().contains("sentinel_password="), "{error}");

    // Without TLS no sentinel is understood; the other end may mend that, so the start waits.
    let (plain, _) = url.split_once('?').unwrap();
    let plain = plain.replace("rediss+", "redis+");
    let waits = Backplane::open(&plain, &IDENTITY).await.unwrap();
    assert!(!waits.is_available().await);
}
