//! Logins, TLS, and what is said when they are wrong.

use backplane::{Backplane, OpenError};
use proto::{UserId, wire::Platform};
use testkit::redis::{Certificate, Options, Redis};

use crate::{IDENTITY, open};

/// A certificate for loopback.
pub fn certificate() -> Certificate {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
    Certificate {
        chain_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
    }
}

/// The path of a foreign certificate.
pub fn foreign_authority(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("other.crt");
    std::fs::write(&path, certificate().chain_pem).unwrap();
    path.display().to_string()
}

fn guarded() -> Redis {
    Redis::start(Options {
        user: Some("huizhen".into()),
        password: Some("geheim".into()),
        certificate: Some(certificate()),
        ..Options::default()
    })
    .unwrap()
}

async fn refused(url: &str) -> String {
    match Backplane::open(url, &IDENTITY).await {
        Ok(_) => panic!("{url} was taken"),
        Err(error @ OpenError::Refused { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_password_and_certificate_are_needed() {
    let redis = guarded();
    let backplane = open(&redis.url()).await;
    let user = UserId::from_database(1);
    backplane
        .claim_session(user, "phone", Platform::Ios)
        .await
        .unwrap();
    assert_eq!(backplane.presence(&[user]).await.unwrap()[0].devices.len(), 1);

    let error = refused(&redis.url().replace("geheim", "falsch")).await;
    assert!(
        error.contains("user and password") && !error.contains("falsch"),
        "{error}"
    );
    let error = refused(&redis.url().replace("huizhen:geheim@", "")).await;
    assert!(error.contains("user and password"), "{error}");
    let without_authority = redis.url();
    let error = refused(without_authority.split('?').next().unwrap()).await;
    assert!(error.contains("ca_cert=FILE"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let (before, _) = without_authority.split_once("ca_cert=").unwrap();
    let error = refused(&format!("{before}ca_cert={}", foreign_authority(&folder))).await;
    assert!(
        error.contains("certificate") && error.contains("ca_cert=FILE"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_waited_for() {
    let redis = Redis::start(Options::default()).unwrap();
    redis.stop().unwrap();
    let backplane = Backplane::open(&redis.url(), &IDENTITY).await.unwrap();
    assert!(!backplane.is_available().await);
    redis.start_again().unwrap();
    crate::eventually("it is connected", async || backplane.is_available().await).await;
}

#[tokio::test]
async fn a_wrong_address_is_told() {
    let Err(error) = Backplane::open("postgres://h", &IDENTITY).await else {
        panic!("it was taken");
    };
    assert!(
        error
            .to_string()
            .starts_with("--redis-url: it must begin with redis://"),
        "{error}"
    );
}
