//! Certificate mode: numbers in requests, answers and notices by the certificates that they name, and a replaced one.

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use payment::{Driver, Event, Failure, Notice, NoticeError, OrderState};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256,
    SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

use super::{
    notices::{decide, fields, signed},
    stand_in::{Mood, StandIn, driver_with},
};
use crate::{
    certificates::ROTATED,
    keys::{self, MERCHANT, PLATFORM, private},
    server::now_ms,
};

const ISSUER: &str = "Test Class 2";
const LINES: &str = "app_certificate_file = \"app.crt\"\nalipay_certificate_file = \"alipay.crt\"\n\
                     alipay_root_certificate_file = \"root.crt\"";

fn pair(key: &str) -> KeyPair {
    KeyPair::from_pkcs8_pem_and_sign_algo(&private(key), &PKCS_RSA_SHA256).unwrap()
}

fn params(name: &str, serial: u64, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Test");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = params(name, serial, (2020, 2090));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A root, whose key is of a test.
fn root(key: &str) -> String {
    authority("Test Root", 1).self_signed(&pair(key)).unwrap().pem()
}

/// A certificate under a root, with that of its issuer.
struct Issued {
    pem: String,
    sn: String,
}

fn issue(issuer: &str, root_key: &str, key: &str, serial: u64, years: (i32, i32)) -> Issued {
    let between = authority(issuer, 2);
    let root = Issuer::new(authority("Test Root", 1), pair(root_key));
    let middle = between.signed_by(&pair(ROTATED), &root).unwrap().pem();
    let leaf = params("Alipay", serial, years)
        .signed_by(&pair(key), &Issuer::new(between, pair(ROTATED)))
        .unwrap();
    // The string is what Alipay's SDKs digest: the last part of the name first, then the serial.
    let sn = hex::encode(Md5::digest(format!("CN={issuer},O=Test{serial}")));
    Issued {
        pem: format!("{}{middle}", leaf.pem()),
        sn,
    }
}

fn good(key: &str, serial: u64) -> Issued {
    issue(ISSUER, ROTATED, key, serial, (2020, 2090))
}

fn app() -> Issued {
    issue("Test Class 1", ROTATED, MERCHANT, 10, (2020, 2090))
}

fn write(folder: &TempDir, app: &str, alipay: &str, root: &str) {
    keys::write(folder.path(), "app.crt", app);
    keys::write(folder.path(), "alipay.crt", alipay);
    keys::write(folder.path(), "root.crt", root);
}

fn driver(folder: &TempDir, gateway: &str) -> Driver {
    write(folder, &app().pem, &good(PLATFORM, 20).pem, &root(ROTATED));
    driver_with(folder, gateway, LINES).unwrap()
}

/// A stand-in whose answers name a certificate, which has one order.
async fn start(sn: &str, key: &'static str) -> StandIn {
    let vendor = StandIn::start_with(driver).await;
    vendor.has("T1", "TRADE_SUCCESS");
    vendor.books.lock().certificate = Some((sn.to_owned(), key));
    vendor
}

impl StandIn {
    fn sends(&self, sn: &str, pem: &str) {
        let sent = STANDARD.encode(pem);
        self.books.lock().certificates.insert(sn.to_owned(), sent);
    }

    fn downloads(&self) -> usize {
        let books = self.books.lock();
        let named = |(method, _): &&(String, _)| method.ends_with("alipaycert.download");
        books.calls.iter().filter(named).count()
    }

    async fn is_paid(&self) -> bool {
        matches!(self.driver.query("T1").await, Ok(OrderState::Paid(_)))
    }
}

#[tokio::test]
async fn requests_name_certificates_and_answers_are_verified_by_theirs() {
    let vendor = start(&good(PLATFORM, 20).sn, PLATFORM).await;
    assert!(vendor.is_paid().await);
    let asked = vendor.books.lock().asked.clone();
    assert_eq!(asked["app_cert_sn"], app().sn);
    let root = hex::encode(Md5::digest("CN=Test Root,O=Test1"));
    assert_eq!(asked["alipay_root_cert_sn"], root);
    // One that names none is by the certificate of the settings.
    vendor.books.lock().certificate = None;
    assert!(vendor.is_paid().await);
    vendor.mood(Mood::WrongSignature);
    assert!(!vendor.is_paid().await);
    vendor.mood(Mood::Honest);
    vendor.books.lock().certificate = Some((good(PLATFORM, 20).sn, ROTATED));
    let wrong = vendor.driver.query("T1").await.unwrap_err();
    assert_eq!(
        wrong,
        Failure::Away("an answer with a wrong signature".to_owned())
    );
    assert_eq!(vendor.downloads(), 0);
    assert_eq!(vendor.driver.in_force(), Ok(()));
}

#[tokio::test]
async fn a_replaced_certificate_is_downloaded_once() {
    let new = good(ROTATED, 21);
    let vendor = start(&new.sn, ROTATED).await;
    vendor.sends(&new.sn, &new.pem);
    for _ in 0..3 {
        assert!(vendor.is_paid().await);
    }
    assert_eq!(vendor.downloads(), 1);
    // The one of before still counts.
    vendor.books.lock().certificate = Some((good(PLATFORM, 20).sn, PLATFORM));
    assert!(vendor.is_paid().await);
}

#[tokio::test]
async fn a_certificate_of_another_is_not_taken() {
    let new = good(ROTATED, 21);
    for (sent, says) in [
        (good(ROTATED, 22).pem, "another number"),
        (
            issue(ISSUER, PLATFORM, ROTATED, 21, (2020, 2090)).pem,
            "another root",
        ),
        (
            new.pem[..new.pem.find("-----END").unwrap() + 26].to_owned(),
            "another root",
        ),
        (
            issue(ISSUER, ROTATED, ROTATED, 21, (2020, 2021)).pem,
            "not in force",
        ),
        ("no certificate".to_owned(), "no certificate"),
    ] {
        let vendor = start(&new.sn, ROTATED).await;
        vendor.sends(&new.sn, &sent);
        let failure = vendor.driver.query("T1").await.unwrap_err();
        assert!(
            matches!(&failure, Failure::Away(why) if why.contains(says)),
            "{says}: {failure}"
        );
    }
    // Apps get theirs under the same root, by another issuer: a merchant may not sign as Alipay does.
    let merchant = issue("Test Class 1", ROTATED, MERCHANT, 11, (2020, 2090));
    let vendor = start(&merchant.sn, MERCHANT).await;
    vendor.sends(&merchant.sn, &merchant.pem);
    let failure = vendor.driver.query("T1").await.unwrap_err();
    assert!(failure.to_string().contains("another issuer"), "{failure}");
    // Alipay has none, or the number is none.
    for (sn, says, downloads) in [
        (new.sn.as_str(), "isv.cert-not-exist", 1),
        ("../gateway", "not in force", 0),
        ("", "not in force", 0),
    ] {
        let vendor = start(sn, ROTATED).await;
        let failure = vendor.driver.query("T1").await.unwrap_err();
        // Never a refusal: a refund whose answer cannot be verified may have been made.
        assert!(
            matches!(&failure, Failure::Away(why) if why.contains(says)),
            "{sn}: {failure}"
        );
        assert_eq!(vendor.downloads(), downloads, "{sn}");
    }
}

fn notice(key: &str, sn: &str) -> String {
    signed(key, &fields(&[("alipay_cert_sn", sn)]))
}

async fn receive(driver: &Driver, body: &str) -> Result<Event, NoticeError> {
    let notice = Notice {
        headers: &[],
        body: body.as_bytes(),
        now_ms: now_ms(),
    };
    driver.receive(notice).await.map(|decided| decided.event)
}

#[tokio::test]
async fn a_notice_is_verified_by_the_certificate_that_it_names() {
    let (old, new) = (good(PLATFORM, 20), good(ROTATED, 21));
    let vendor = start(&old.sn, PLATFORM).await;
    vendor.sends(&new.sn, &new.pem);
    let driver = &vendor.driver;
    let plain = signed(PLATFORM, &fields(&[]));
    // The number is a part of the signed text, or stands beside it.
    let beside = format!("{plain}&alipay_cert_sn={}", old.sn);
    for body in [&plain, &notice(PLATFORM, &old.sn), &beside] {
        assert!(
            matches!(receive(driver, body).await, Ok(Event::Paid(_))),
            "{body}"
        );
    }
    for body in [
        notice(ROTATED, &old.sn),
        signed(ROTATED, &fields(&[])),
        beside.replace("T1", "T2"),
    ] {
        assert_eq!(receive(driver, &body).await, Err(NoticeError::Signature));
    }
    // Pure where nothing is asked, and once in a while where it is.
    let rotated = notice(ROTATED, &new.sn);
    assert!(decide(driver, &rotated).is_err());
    assert!(matches!(receive(driver, &rotated).await, Ok(Event::Paid(_))));
    for serial in 30..33 {
        let unknown = notice(ROTATED, &good(ROTATED, serial).sn);
        assert_eq!(receive(driver, &unknown).await, Err(NoticeError::UnknownSerial));
    }
    assert_eq!(vendor.downloads(), 1);
    assert_eq!(
        receive(driver, &notice(ROTATED, "x")).await,
        Err(NoticeError::UnknownSerial)
    );
}

#[test]
fn settings_with_a_wrong_certificate_are_refused_by_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (app, alipay, root) = (app().pem, good(PLATFORM, 20).pem, root(ROTATED));
    let foreign = issue(ISSUER, PLATFORM, PLATFORM, 20, (2020, 2090)).pem;
    let [app, alipay, root, foreign] = [&app, &alipay, &root, &foreign].map(String::as_str);
    let gateway = "https://openapi.alipay.com/gateway.do";
    let refusal = |files: [&str; 3], lines: &str| {
        write(&folder, files[0], files[1], files[2]);
        driver_with(&folder, gateway, lines).unwrap_err().to_string()
    };
    for (files, says) in [
        (
            [alipay, alipay, root],
            "app.crt is not the certificate of private_key_file",
        ),
        (
            [app, app, root],
            "alipay.crt is the certificate of the app, not that of Alipay",
        ),
        ([app, foreign, root], "alipay.crt was not issued under a root of "),
        (["", alipay, root], "app.crt is not a certificate"),
        ([app, "x", root], "alipay.crt is not a certificate"),
        ([app, alipay, ""], "root.crt has no root certificate"),
    ] {
        let found = refusal(files, LINES);
        assert!(found.contains(says), "{found}");
    }
    let one = LINES.lines().next().unwrap();
    let both = format!("{LINES}\nalipay_public_key_file = \"alipay.pub\"");
    for lines in ["", one, &both] {
        let found = refusal([app, alipay, root], lines);
        assert!(found.contains("in certificate mode"), "{found}");
    }
    // A sandbox gives Alipay's certificate alone, by an issuer that is not among the roots.
    let alone = alipay[..alipay.find("-----END").unwrap() + 26].to_owned();
    write(&folder, app, &alone, root);
    assert!(driver_with(&folder, gateway, LINES).is_ok());
}

#[tokio::test]
async fn an_expired_certificate_is_named_and_verifies_nothing() {
    let expired = issue(ISSUER, ROTATED, PLATFORM, 20, (2020, 2021));
    let (old_app, later) = (
        issue("Test Class 1", ROTATED, MERCHANT, 10, (2020, 2021)).pem,
        issue(ISSUER, ROTATED, PLATFORM, 20, (2080, 2090)),
    );
    for (app, alipay, says) in [
        (
            &app().pem,
            &expired.pem,
            "alipay_certificate_file has expired on 2021-01-01 08:00:00",
        ),
        (
            &old_app,
            &good(PLATFORM, 20).pem,
            "app_certificate_file has expired on 2021-01-01",
        ),
        (
            &app().pem,
            &later.pem,
            "alipay_certificate_file is valid from 2080-01-01",
        ),
    ] {
        let vendor = StandIn::start_with(|folder, gateway| {
            write(folder, app, alipay, &root(ROTATED));
            driver_with(folder, gateway, LINES).unwrap()
        })
        .await;
        let found = vendor.driver.in_force().unwrap_err().to_string();
        assert!(found.contains(says), "{found}");
        if alipay == &expired.pem {
            vendor.has("T1", "TRADE_SUCCESS");
            assert!(!vendor.is_paid().await);
            let body = signed(PLATFORM, &fields(&[]));
            assert_eq!(
                receive(&vendor.driver, &body).await,
                Err(NoticeError::UnknownSerial)
            );
        }
    }
}
