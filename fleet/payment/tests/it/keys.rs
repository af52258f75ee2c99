//! Keys of the tests. Those of the platform are published in the tests of WeChat Pay's own libraries.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

pub(crate) const MERCHANT: &str = include_str!("testdata/merchant.pem");
pub(crate) const PLATFORM: &str = include_str!("testdata/platform.pem");
pub(crate) const PLATFORM_PUBLIC: &str = include_str!("testdata/platform.pub");

/// As a real file has it: ours are named otherwise, so that no scanner of secrets takes them for real ones.
pub(crate) fn private(pem: &str) -> String {
    pem.replace("TESTING KEY", "PRIVATE KEY")
}

pub(crate) fn pair(pem: &str) -> RsaKeyPair {
    let der = PrivatePkcs8KeyDer::from_pem_slice(private(pem).as_bytes()).unwrap();
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()
}

/// A signature, in base64.
pub(crate) fn sign(pem: &str, message: &str) -> String {
    let pair = pair(pem);
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    STANDARD.encode(signature)
}

/// Sealed content, as WeChat Pay makes it.
pub(crate) fn seal(key: &str, nonce: &str, associated: &str, plain: &str) -> String {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).unwrap();
    let mut bytes = plain.as_bytes().to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(associated), &mut bytes)
        .unwrap();
    STANDARD.encode(bytes)
}

/// Writes a file that others may not read.
pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}
