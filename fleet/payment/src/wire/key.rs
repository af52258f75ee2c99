//! RSA keys: ours sign requests, a provider's verify answers and notices. Both by PKCS #1 v1.5 with SHA-256.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, pem::PemObject};
use webpki::{EndEntityCert, RawPublicKeyEntity, ring::RSA_PKCS1_2048_8192_SHA256};

/// A merchant's private key.
pub(crate) struct PrivateKey(RsaKeyPair);

impl PrivateKey {
    /// Reads PEM (PKCS #8 or PKCS #1), or the bare base64 that Alipay's tools write. At least 2048 bits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let pair = match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            Ok(_) => return None,
            Err(_) => {
                let der = bare(text)?;
                RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der))
            }
        };
        pair.ok().map(Self)
    }

    /// Signs, in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.0.public().modulus_len()];
        let signed = self
            .0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        // It fails only where the machine has no randomness; an empty signature is refused by every provider.
        if signed.is_err() {
            signature.clear();
        }
        STANDARD.encode(signature)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// A provider's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey(SubjectPublicKeyInfoDer<'static>);

impl PublicKey {
    /// Reads PEM, or the bare base64 that Alipay's console shows.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
            .ok()
            .or_else(|| bare(text).map(SubjectPublicKeyInfoDer::from))?;
        Self::of_info(key)
    }

    /// As a certificate holds it.
    pub(crate) fn of_info(key: SubjectPublicKeyInfoDer<'static>) -> Option<Self> {
        RawPublicKeyEntity::try_from(&key).ok()?;
        Some(Self(key))
    }

    /// Reads the key of a certificate, PEM.
    pub(crate) fn of_certificate(pem: &[u8]) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(pem).ok()?;
        let certificate = EndEntityCert::try_from(&certificate).ok()?;
        Some(Self(certificate.subject_public_key_info()))
    }

    /// Whether a signature, in base64, is this key's.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        RawPublicKeyEntity::try_from(&self.0).is_ok_and(|key| {
            key.verify_signature(RSA_PKCS1_2048_8192_SHA256, message, &signature)
                .is_ok()
        })
    }
}

/// Base64 over any number of lines.
fn bare(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &str = include_str!("../../tests/it/testdata/platform.pem");
    const PUBLIC: &str = include_str!("../../tests/it/testdata/platform.pub");
    const CERTIFICATE: &str = include_str!("../../tests/it/testdata/platform.crt");
    /// Of wechatpay-go, `sha256withrsa_signer_test.go`: the signature of `source` by that key.
    const SIGNATURE: &str = "BKyAfU4iMCuvXMXS0Wzam3V/cnxZ+JaqigPM5OhljS2iOT95OO6Fsuml2JkFANJU9K6q9bLlDhPXuoVz+pp4hAm6pHU4ld815U4jsKu1RkyaII+1CYBUYC8TK0XtJ8FwUXXz8vZHh58rrAVN1XwNyvD1vfpxrMT4SL536GLwvpUHlCqIMzoZUguLli/K8V29QiOhuH6IEqLNJn8e9b3nwNcQ7be3CzYGpDAKBfDGPCqCv8Rw5zndhlffk2FEA70G4hvMwe51qMN/RAJbknXG23bSlObuTCN7Ndj1aJGH6/L+hdwfLpUtJm4QYVazzW7DFD27EpSQEqA8bX9+8m1rLg==";

    fn private() -> String {
        PRIVATE.replace("TESTING KEY", "PRIVATE KEY")
    }

    #[test]
    fn the_published_signature_is_made_and_verified() {
        let key = PrivateKey::parse(&private()).unwrap();
        assert_eq!(key.sign(b"source"), SIGNATURE);
        assert_eq!(format!("{key:?}"), "PrivateKey");
        let public = PublicKey::parse(PUBLIC).unwrap();
        assert_eq!(
            PublicKey::of_certificate(CERTIFICATE.as_bytes()),
            Some(public.clone())
        );
        assert!(public.verifies(b"source", SIGNATURE));
        assert!(!public.verifies(b"wrong source", SIGNATURE));
        for signature in ["", "invalid", &SIGNATURE[4..], &SIGNATURE.replace("BKy", "AKy")] {
            assert!(!public.verifies(b"source", signature), "{signature}");
        }
    }

    #[test]
    fn keys_come_with_lines_of_pem_or_without() {
        let bare = |pem: &str| {
            let lines = pem.lines().filter(|line| !line.starts_with('-'));
            lines.collect::<Vec<_>>().join("\n")
        };
        let key = PrivateKey::parse(&bare(&private())).unwrap();
        assert_eq!(key.sign(b"source"), SIGNATURE);
        assert_eq!(PublicKey::parse(&bare(PUBLIC)), PublicKey::parse(PUBLIC));
        for other in ["", "no key", PUBLIC, CERTIFICATE, &private()[..200]] {
            assert!(PrivateKey::parse(other).is_none(), "{other}");
        }
        for other in ["", "no key", &private(), CERTIFICATE, &PUBLIC[..200]] {
            assert!(PublicKey::parse(other).is_none(), "{other}");
        }
        assert!(PublicKey::of_certificate(PUBLIC.as_bytes()).is_none());
    }
}
