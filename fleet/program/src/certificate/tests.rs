use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls_pki_types::CertificateDer;

use super::*;
use crate::output::{Advice, Severity};

struct Folder {
    folder: tempfile::TempDir,
}

/// A pair of PEM texts.
struct Pair {
    chain: String,
    key: String,
    der: CertificateDer<'static>,
}

/// A pair for these hosts, good in these years.
fn pair(hosts: &[&str], from: i32, until: i32) -> Pair {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Pair {
        chain: certificate.pem(),
        key: key.serialize_pem(),
        der: certificate.der().clone(),
    }
}

fn good() -> Pair {
    pair(&["im1.example.com", "*.im.example.com", "192.0.2.7"], 2020, 2060)
}

impl Folder {
    fn new(pair: &Pair) -> Self {
        let made = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        made.write("chain", &pair.chain);
        made.write("key", &pair.key);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn files(&self) -> Files {
        Files::of(Some(&self.path("chain")), Some(&self.path("key"))).unwrap()
    }

    fn load(&self) -> Arc<Certificate> {
        Certificate::load(&self.files(), &[]).unwrap()
    }
}

fn in_force(certificate: &Certificate) -> CertificateDer<'static> {
    certificate.current.load().key.cert[0].clone()
}

fn refused(certificate: &Certificate) -> Option<String> {
    certificate.watch.lock().refused.clone()
}

#[test]
fn a_certificate_written_before_its_key_is_taken_when_the_key_is_there() {
    let (old, new) = (good(), good());
    let folder = Folder::new(&old);
    let certificate = folder.load();
    folder.write("chain", &new.chain);
    for _ in 0..5 {
        certificate.refresh();
        assert_eq!(in_force(&certificate), old.der, "never a mismatch");
        let why = refused(&certificate).unwrap();
        assert!(why.contains("do not belong together"), "{why}");
    }
    folder.write("key", &new.key);
    certificate.refresh();
    assert_eq!(in_force(&certificate), new.der);
    assert_eq!(refused(&certificate), None);
}

#[test]
fn a_key_written_before_its_certificate_is_taken_when_that_is_there() {
    let (old, new) = (good(), good());
    let folder = Folder::new(&old);
    let certificate = folder.load();
    folder.write("key", &new.key);
    certificate.refresh();
    assert_eq!(in_force(&certificate), old.der);
    assert!(refused(&certificate).is_some());
    folder.write("chain", &new.chain);
    certificate.refresh();
    assert_eq!(in_force(&certificate), new.der);
}

#[test]
fn a_new_key_for_the_same_names_is_taken_with_files_of_the_same_age_and_size() {
    let (old, new) = (good(), good());
    let folder = Folder::new(&old);
    let certificate = folder.load();
    let age = |name: &str| fs::metadata(folder.path(name)).unwrap().modified().unwrap();
    let (chain_age, key_age) = (age("chain"), age("key"));
    for (name, text, age) in [("chain", &new.chain, chain_age), ("key", &new.key, key_age)] {
        folder.write("next", text);
        let file = fs::File::options().write(true).open(folder.path("next")).unwrap();
        file.set_modified(age).unwrap();
        fs::rename(folder.path("next"), folder.path(name)).unwrap();
    }
    certificate.refresh();
    assert_eq!(in_force(&certificate), new.der);
}

/// As Kubernetes replaces a mounted secret: a link to a folder moves, and both files change at once.
#[test]
fn a_moved_link_is_a_change() {
    let (old, new) = (good(), good());
    let folder = Folder::new(&old);
    for (name, pair) in [("one", &old), ("two", &new)] {
        fs::create_dir(folder.path(name)).unwrap();
        folder.write(&format!("{name}/tls.crt"), &pair.chain);
        folder.write(&format!("{name}/tls.key"), &pair.key);
    }
    let point = |to: &str| {
        std::os::unix::fs::symlink(folder.path(to), folder.path("next")).unwrap();
        fs::rename(folder.path("next"), folder.path("data")).unwrap();
    };
    point("one");
    let files = Files::of(
        Some(&folder.path("data/tls.crt")),
        Some(&folder.path("data/tls.key")),
    );
    let certificate = Certificate::load(&files.unwrap(), &[]).unwrap();
    point("two");
    certificate.refresh();
    assert_eq!(in_force(&certificate), new.der);
}

#[test]
fn what_is_no_pair_leaves_the_old_one_in_force_and_is_said_once() {
    let (old, new) = (good(), good());
    let folder = Folder::new(&old);
    let certificate = folder.load();
    let half = &new.chain[..new.chain.len() / 2];
    for (chain, key, why) in [
        ("", new.key.as_str(), "holds no PEM certificates"),
        (half, &new.key, "holds no PEM certificates"),
        (&new.chain, "", "holds no PEM private key"),
        (&new.chain, &new.chain, "holds no PEM private key"),
        (&new.chain, &old.key, "do not belong together"),
        (
            "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
            &new.key,
            "is no certificate",
        ),
    ] {
        folder.write("chain", chain);
        folder.write("key", key);
        certificate.refresh();
        assert_eq!(in_force(&certificate), old.der, "{why}");
        let said = refused(&certificate).unwrap();
        assert!(said.contains(why), "{said}");
    }
    fs::remove_file(folder.path("chain")).unwrap();
    certificate.refresh();
    assert!(refused(&certificate).is_some());
    folder.write("chain", &new.chain);
    folder.write("key", &new.key);
    certificate.refresh();
    assert_eq!(in_force(&certificate), new.der);
}

#[test]
fn a_good_certificate_is_not_replaced_by_one_that_apps_refuse() {
    let old = good();
    for (bad, why) in [
        (pair(&["im1.example.com"], 2020, 2021), "has expired"),
        (pair(&["im1.example.com"], 2050, 2060), "is not valid before"),
    ] {
        let folder = Folder::new(&old);
        let certificate = folder.load();
        folder.write("chain", &bad.chain);
        folder.write("key", &bad.key);
        certificate.refresh();
        assert_eq!(in_force(&certificate), old.der);
        assert!(refused(&certificate).unwrap().contains(why));
        // Put back: nothing is refused any more.
        folder.write("chain", &old.chain);
        folder.write("key", &old.key);
        certificate.refresh();
        assert_eq!(
            (in_force(&certificate), refused(&certificate)),
            (old.der.clone(), None)
        );
    }
    // One that is not valid yet is taken when it is, without being written again.
    let (soon, folder) = (pair(&["im1.example.com"], 2050, 2070), Folder::new(&old));
    let certificate = folder.load();
    folder.write("chain", &soon.chain);
    folder.write("key", &soon.key);
    certificate.refresh();
    assert_eq!(in_force(&certificate), old.der);
    certificate.refresh_at("2051-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(in_force(&certificate), soon.der);
    // And an expired one gives way to whatever comes.
    let (first, second) = (pair(&["a.example"], 2020, 2021), pair(&["a.example"], 2020, 2022));
    let folder = Folder::new(&first);
    let certificate = folder.load();
    folder.write("chain", &second.chain);
    folder.write("key", &second.key);
    certificate.refresh();
    assert_eq!(in_force(&certificate), second.der);
}

#[test]
fn a_start_without_a_pair_is_refused() {
    let (one, other) = (good(), good());
    for (chain, key, why) in [
        (one.chain.as_str(), other.key.as_str(), "do not belong together"),
        ("nothing", &one.key, "holds no PEM certificates"),
        (&one.chain, "nothing", "holds no PEM private key"),
    ] {
        let folder = Folder::new(&one);
        folder.write("chain", chain);
        folder.write("key", key);
        let error = Certificate::load(&folder.files(), &[]).unwrap_err();
        assert!(format!("{error:#}").contains(why), "{error:#}");
    }
}

fn findings(pair: &Pair, hosts: &[&str], mode: u32) -> Vec<Advice> {
    let folder = Folder::new(pair);
    fs::set_permissions(folder.path("key"), fs::Permissions::from_mode(mode)).unwrap();
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    examine(&folder.files(), &hosts, "2026-11-28T00:00:00Z".parse().unwrap())
}

fn wrong(pair: &Pair, hosts: &[&str], mode: u32) -> Vec<(Severity, String)> {
    findings(pair, hosts, mode)
        .into_iter()
        .filter(|advice| advice.severity != Severity::Fine)
        .map(|advice| (advice.severity, advice.text))
        .collect()
}

#[test]
fn dates_names_and_readers_are_examined() {
    let named = [
        "im1.example.com",
        "IM1.EXAMPLE.COM",
        "a.im.example.com",
        "192.0.2.7",
    ];
    assert_eq!(wrong(&good(), &named, 0o600), []);
    assert_eq!(wrong(&good(), &[], 0o440), []);
    assert!(
        findings(&good(), &[], 0o600)[1]
            .text
            .contains("only its owner may read")
    );
    for stranger in [
        "im2.example.com",
        "example.com",
        "a.b.im.example.com",
        "192.0.2.8",
        "::1",
        "",
    ] {
        let found = wrong(&good(), &[stranger], 0o600);
        assert_eq!(found.len(), 1, "{stranger}");
        assert_eq!(found[0].0, Severity::Warning);
        assert!(found[0].1.contains("is not for"), "{found:?}");
    }
    for (from, until, severity, text) in [
        (
            2020,
            2021,
            Severity::Failure,
            "has expired at 2021-01-01T00:00:00Z",
        ),
        (
            2027,
            2028,
            Severity::Failure,
            "is not valid before 2027-01-01T00:00:00Z",
        ),
    ] {
        let found = wrong(&pair(&["a.example"], from, until), &["a.example"], 0o600);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, severity);
        assert!(found[0].1.contains(text), "{found:?}");
    }
    for open in [0o644, 0o604, 0o620, 0o666] {
        let found = wrong(&good(), &[], open);
        assert_eq!(found.len(), 1, "{open:o}");
        assert!(found[0].1.contains("others may read"), "{found:?}");
    }
}

#[test]
fn the_end_is_near_within_three_weeks() {
    let folder = Folder::new(&pair(&["a.example"], 2020, 2027));
    let at = |now: &str| examine(&folder.files(), &[], now.parse().unwrap())[0].clone();
    assert_eq!(at("2026-12-11T00:00:00Z"), {
        let text = format!("{} is valid for 21 more days", folder.path("chain").display());
        Advice::fine(text)
    });
    let soon = at("2026-12-12T00:00:00Z");
    assert_eq!(soon.severity, Severity::Warning);
    assert!(soon.text.ends_with("is valid for 20 more days"), "{soon:?}");
}

#[test]
fn a_change_of_standing_is_a_change_of_state() {
    let folder = Folder::new(&pair(&["a.example"], 2020, 2060));
    let certificate = folder.load();
    let standing = |now: &str| {
        certificate.refresh_at(now.parse().unwrap());
        certificate.watch.lock().standing
    };
    assert_eq!(standing("2059-12-01T00:00:00Z"), Standing::Good);
    assert_eq!(standing("2059-12-20T00:00:00Z"), Standing::EndsSoon);
    assert_eq!(standing("2060-01-02T00:00:00Z"), Standing::Expired);
}
