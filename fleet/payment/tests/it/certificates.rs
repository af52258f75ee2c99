//! Certificates of the platform, and the check of a merchant's signature.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use crate::keys::pair;

pub(crate) const PLATFORM_CERTIFICATE: &str = include_str!("testdata/platform.crt");
pub(crate) const ROTATED: &str = include_str!("testdata/rotated.pem");
pub(crate) const ROTATED_CERTIFICATE: &str = include_str!("testdata/rotated.crt");

/// The serials of the certificates.
pub(crate) const PLATFORM_SERIAL: &str = "D7CE59D1F522D701";
pub(crate) const ROTATED_SERIAL: &str = "5A11ED0000000002";

/// Whether a signature is of the owner of a private key.
pub(crate) fn verifies(pem: &str, message: &str, signature: &str) -> bool {
    let pair = pair(pem);
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref().to_vec());
    let signature = STANDARD.decode(signature).unwrap();
    key.verify(message.as_bytes(), &signature).is_ok()
}
