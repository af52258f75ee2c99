//! A certificate that changes while the node serves.

use std::fs;
use testkit::eventually;

use super::clients::{Answer, Paper, Way, client, node, pair, until};

/// Whether a client that trusts this certificate alone gets in.
async fn serves(fleet: &super::fleet::Fleet, paper: &Paper) -> bool {
    let open = client(Way::Tls).right(fleet, paper, 1).await;
    open.0 == Answer::In
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_written_long_before_its_key_is_taken_when_both_are_there() {
    let (fleet, mut paper) = node(&[]).await;
    let mut kept = client(Way::Tls).right(&fleet, &paper, 2).await;
    assert_eq!(kept.0, Answer::In);
    let new = pair();
    fs::write(paper.folder.path().join("cert.pem"), &new.chain).unwrap();
    let said = || crate::captured::log().lines(&["is refused", paper.folder.path().to_str().unwrap()]);
    crate::captured::log();
    // A second write, so that the node certainly has seen a mismatch after the log was there.
    fs::write(paper.folder.path().join("cert.pem"), &new.chain).unwrap();
    eventually("the mismatch is said", async || !said().is_empty()).await;
    assert!(serves(&fleet, &paper).await, "the old pair stays in force");
    assert_eq!(said().len(), 1, "{:?}", said());
    fs::write(paper.folder.path().join("key.pem"), &new.key).unwrap();
    let old = std::mem::replace(&mut paper.der, new.der);
    eventually("the new pair is in force", async || serves(&fleet, &paper).await).await;
    paper.der = old;
    assert!(!serves(&fleet, &paper).await, "the old one is gone");
    // Connections of before live on.
    assert!(kept.1.take().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_expired_does_not_replace_a_good_one() {
    let (fleet, paper) = node(&[]).await;
    let log = crate::captured::log();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let expired = params.self_signed(&key).unwrap();
    fs::write(paper.folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(paper.folder.path().join("cert.pem"), expired.pem()).unwrap();
    let folder = paper.folder.path().to_str().unwrap();
    eventually("it is said", async || {
        !log.lines(&["is refused", folder, "has expired at 2021"])
            .is_empty()
    })
    .await;
    until(Answer::In, async || {
        client(Way::Tls).right(&fleet, &paper, 1).await.0
    })
    .await;
}

/// Faults of a certificate are logged at the start, and the node starts: plain ports and balancers still work.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_certificate_is_told_at_the_start() {
    use std::os::unix::fs::PermissionsExt;

    let log = crate::captured::log();
    let paper = Paper::new();
    let mut params = rcgen::CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 3, 4);
    let key = rcgen::KeyPair::generate().unwrap();
    let expired = params.self_signed(&key).unwrap();
    let file = |name: &str| paper.folder.path().join(name);
    fs::write(file("cert.pem"), expired.pem()).unwrap();
    fs::write(file("key.pem"), key.serialize_pem()).unwrap();
    fs::set_permissions(file("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let flags = paper.flags(&["--advertise", "localhost"]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let fleet = super::fleet::Fleet::start_with(&flags, 1).await;
    let folder = paper.folder.path().to_str().unwrap().to_owned();
    for said in [
        "has expired at 2021-03-04",
        "is not for localhost",
        "others may read or change",
    ] {
        let lines = log.lines(&[&folder, said]);
        assert_eq!(lines.len(), 1, "{said}: {lines:?}");
    }
    assert_eq!(client(Way::Tcp).right(&fleet, &paper, 1).await.0, Answer::In);
}
