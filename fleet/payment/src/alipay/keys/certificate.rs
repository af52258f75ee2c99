//! Certificates as Alipay issues them: their serial numbers, and the roots under which they were issued.

use std::time::Duration;

use md5::{Digest, Md5};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
    ring::RSA_PKCS1_2048_8192_SHA256,
};
use x509_cert::{Certificate as Parsed, der::Decode};

use crate::wire::PublicKey;

/// Algorithms of RSA. Alipay's roots are of SM2 and of elliptic curves, too, and those have no part in RSA2.
const RSA: &str = "1.2.840.113549.1.1.";
/// The most certificates of one file.
const FILE_MAX: usize = 16;

/// A certificate, with those of its issuers that came with it.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) sn: String,
    pub(super) key: PublicKey,
    pub(super) issuer: String,
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
    /// Itself first.
    chain: Vec<CertificateDer<'static>>,
}

impl Certificate {
    /// Reads PEM: the first certificate is meant, the others are of its issuers.
    pub(super) fn parse(pem: &str) -> Option<Self> {
        let chain = read(pem)?;
        let parsed = parsed(&chain[0])?;
        let key = EndEntityCert::try_from(&chain[0]).ok()?.subject_public_key_info();
        let ms = |time: Duration| i64::try_from(time.as_millis()).ok();
        let validity = &parsed.tbs_certificate.validity;
        Some(Self {
            sn: sn(&parsed),
            key: PublicKey::of_info(key)?,
            issuer: parsed.tbs_certificate.issuer.to_string(),
            from_ms: ms(validity.not_before.to_unix_duration())?,
            until_ms: ms(validity.not_after.to_unix_duration())?,
            chain,
        })
    }

    pub(super) fn is_in_force(&self, now_ms: i64) -> bool {
        (self.from_ms..=self.until_ms).contains(&now_ms)
    }
}

/// The roots of Alipay.
#[derive(Debug)]
pub(super) struct Roots {
    /// The numbers of those that are of RSA.
    pub(super) sn: String,
    roots: Vec<CertificateDer<'static>>,
    names: Vec<String>,
}

impl Roots {
    /// Reads PEM.
    pub(super) fn parse(pem: &str) -> Option<Self> {
        let (mut numbers, mut roots, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for root in read(pem)? {
            let parsed = parsed(&root)?;
            if parsed.signature_algorithm.oid.to_string().starts_with(RSA) {
                numbers.push(sn(&parsed));
                names.push(parsed.tbs_certificate.subject.to_string());
                roots.push(root);
            }
        }
        let sn = numbers.join("_");
        (!roots.is_empty()).then_some(Self { sn, roots, names })
    }

    /// Whether a certificate was issued under one of them, at a time when it was in force.
    pub(super) fn issued(&self, certificate: &Certificate, now_ms: i64) -> bool {
        let now_ms = now_ms.clamp(certificate.from_ms, certificate.until_ms);
        let since_epoch = Duration::from_millis(now_ms.unsigned_abs());
        let anchors = self.roots.iter().map(|root| anchor_from_trusted_cert(root));
        let (Ok(anchors), Ok(leaf)) = (
            anchors.collect::<Result<Vec<_>, Error>>(),
            EndEntityCert::try_from(&certificate.chain[0]),
        ) else {
            return false;
        };
        let time = UnixTime::since_unix_epoch(since_epoch);
        let between = &certificate.chain[1..];
        leaf.verify_for_usage(
            &[RSA_PKCS1_2048_8192_SHA256],
            &anchors,
            between,
            time,
            Any,
            None,
            None,
        )
        .is_ok()
    }

    /// Whether a certificate came alone, and one that is not here has issued it: nothing says then whose it is.
    pub(super) fn cannot_tell(&self, certificate: &Certificate) -> bool {
        certificate.chain.len() == 1 && !self.names.contains(&certificate.issuer)
    }
}

/// Alipay's certificates sign messages, and name no such usage.
struct Any;

impl ExtendedKeyUsageValidator for Any {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

/// At least one certificate.
fn read(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(FILE_MAX + 1)
        .collect();
    found.ok().filter(|found| (1..=FILE_MAX).contains(&found.len()))
}

fn parsed(certificate: &CertificateDer<'_>) -> Option<Parsed> {
    Parsed::from_der(certificate).ok()
}

/// The number by which Alipay names a certificate: a digest of its issuer's name (RFC 2253) and its serial.
fn sn(certificate: &Parsed) -> String {
    let inner = &certificate.tbs_certificate;
    let named = format!("{}{}", inner.issuer, decimal(inner.serial_number.as_bytes()));
    hex::encode(Md5::digest(named.as_bytes()))
}

/// A number of any length in decimal digits.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u32];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    let digits = digits.iter().rev();
    digits.filter_map(|digit| char::from_digit(*digit, 10)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published by Alipay: its roots, and of its SDK for Node.js (`test/antcertutil.test.ts`) two certificates with their
    /// numbers.
    const ROOTS: &str = include_str!("../../../tests/it/testdata/alipay/roots.crt");
    const APP: &str = include_str!("../../../tests/it/testdata/alipay/published_app.crt");
    const ALIPAY: &str = include_str!("../../../tests/it/testdata/alipay/published_alipay.crt");
    /// The issuer of `ALIPAY`, under the roots.
    const ISSUER: &str = include_str!("../../../tests/it/testdata/alipay/published_issuer.crt");
    /// 2021-01-01.
    const THEN_MS: i64 = 1_609_459_200_000;

    #[test]
    fn the_published_numbers_are_found() {
        assert_eq!(
            Roots::parse(ROOTS).unwrap().sn,
            "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"
        );
        let app = Certificate::parse(APP).unwrap();
        assert_eq!(app.sn, "866efef280dec9137a87d047ac446315");
        let alipay = Certificate::parse(ALIPAY).unwrap();
        assert_eq!(alipay.sn, "7513daaaa48aa3ba2e4018d84402479c");
        assert!(alipay.is_in_force(THEN_MS) && !alipay.is_in_force(alipay.until_ms + 1));
        assert!(!alipay.is_in_force(alipay.from_ms - 1));
    }

    #[test]
    fn a_chain_leads_to_a_root_and_no_other_does() {
        let roots = Roots::parse(ROOTS).unwrap();
        let alone = Certificate::parse(ALIPAY).unwrap();
        assert!(roots.cannot_tell(&alone) && !roots.issued(&alone, THEN_MS));
        let whole = Certificate::parse(&format!("{ALIPAY}{ISSUER}")).unwrap();
        assert_eq!(whole.sn, alone.sn);
        // An expired one had its issuer, too.
        for now_ms in [THEN_MS, 0, i64::MAX] {
            assert!(
                roots.issued(&whole, now_ms) && !roots.cannot_tell(&whole),
                "{now_ms}"
            );
        }
        for other in [
            format!("{APP}{ISSUER}"),
            format!("{ALIPAY}{APP}"),
            format!("{ALIPAY}{ROOTS}"),
        ] {
            assert!(!roots.issued(&Certificate::parse(&other).unwrap(), THEN_MS));
        }
        // A certificate that may not issue others.
        assert!(!Roots::parse(APP).unwrap().issued(&whole, THEN_MS));
    }

    #[test]
    fn other_files_are_no_certificates() {
        let many = ISSUER.repeat(FILE_MAX + 1);
        for text in ["", "no certificate", &APP[..200], &many] {
            assert!(Certificate::parse(text).is_none() && Roots::parse(text).is_none());
        }
    }

    #[test]
    fn numbers_of_any_length_are_decimal() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 255]), "255");
        assert_eq!(decimal(&[1, 0]), "256");
        assert_eq!(decimal(&[255; 16]), u128::MAX.to_string());
        assert_eq!(decimal(&[0x20, 0x20, 0x05, 0x14]), 0x2020_0514.to_string());
    }
}
