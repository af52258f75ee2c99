//! Content that WeChat Pay seals with the APIv3 key.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::aead::{Aad, LessSafeKey, Nonce};
use serde::Deserialize;

/// A sealed content: AES-256-GCM.
#[derive(Debug, Deserialize)]
pub(super) struct Sealed {
    algorithm: String,
    ciphertext: String,
    nonce: String,
    #[serde(default)]
    associated_data: Option<String>,
}

impl Sealed {
    /// The plain bytes; `None` where they were sealed otherwise, or with another key.
    pub(super) fn open(&self, key: &LessSafeKey) -> Option<Vec<u8>> {
        if self.algorithm != "AEAD_AES_256_GCM" {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(self.nonce.as_bytes()).ok()?;
        let associated = Aad::from(self.associated_data.as_deref().unwrap_or_default());
        let mut bytes = STANDARD.decode(&self.ciphertext).ok()?;
        let plain = key.open_in_place(nonce, associated, &mut bytes).ok()?.len();
        bytes.truncate(plain);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use ring::aead::{AES_256_GCM, UnboundKey};

    use super::*;

    fn key(text: &str) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, text.as_bytes()).unwrap())
    }

    fn vector() -> Sealed {
        Sealed {
            algorithm: "AEAD_AES_256_GCM".into(),
            ciphertext: "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=".into(),
            nonce: "uluk4a9R25RW".into(),
            associated_data: Some("associatedData".into()),
        }
    }

    /// The vector of wechatpay-java, `AeadAesCipherTest`.
    #[test]
    fn the_published_vector_is_opened() {
        let ours = key("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb");
        assert_eq!(vector().open(&ours).as_deref(), Some(&b"message"[..]));
        type Change = fn(&mut Sealed);
        let changes: [Change; 7] = [
            |sealed| sealed.algorithm = "AEAD_SM4_GCM".into(),
            |sealed| sealed.ciphertext = "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwM=".into(),
            |sealed| sealed.ciphertext = "!".into(),
            |sealed| sealed.ciphertext = String::new(),
            |sealed| sealed.nonce = "bad-4a9R25RW".into(),
            |sealed| sealed.nonce = "short".into(),
            |sealed| sealed.associated_data = None,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut sealed = vector();
            change(&mut sealed);
            assert_eq!(sealed.open(&ours), None, "{number}");
        }
        assert_eq!(vector().open(&key("b7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb")), None);
    }
}
