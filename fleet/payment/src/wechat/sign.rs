//! Our signatures, and the headers of WeChat Pay's.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::rand::{SecureRandom, SystemRandom};

use super::keys::Keys;
use crate::{NoticeError, wire::PrivateKey};

/// How far the time of a signature may be from ours.
pub(super) const MAX_SKEW_S: i64 = 5 * 60;
/// The schema of our requests' Authorization header.
const SCHEMA: &str = "WECHATPAY2-SHA256-RSA2048";

/// The merchant, as a signer.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) mch_id: String,
    pub(super) serial: String,
    pub(super) key: PrivateKey,
}

impl Signer {
    /// The Authorization header of a request. `path` is with its query; `time_s` is epoch seconds.
    pub(super) fn authorization(
        &self,
        method: &str,
        path: &str,
        body: &str,
        time_s: i64,
        nonce: &str,
    ) -> String {
        let signature = self.sign(&[method, path, &time_s.to_string(), nonce, body]);
        format!(
            "{SCHEMA} mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{signature}\",timestamp=\"{time_s}\",serial_no=\"{}\"",
            self.mch_id, self.serial
        )
    }

    /// Signs lines, each with its end.
    pub(super) fn sign(&self, lines: &[&str]) -> String {
        self.key.sign(joined(lines).as_bytes())
    }
}

fn joined(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

/// 128 random bits as text.
pub(super) fn nonce() -> String {
    let mut bytes = [0; 24];
    // Without randomness the nonce is constant: WeChat Pay then refuses repetitions, and no secret is exposed.
    let _ = SystemRandom::new().fill(&mut bytes);
    let text = STANDARD.encode(bytes);
    text.replace(['+', '/'], "0")
}

/// The headers that WeChat Pay signs an answer or a notice with.
#[derive(Clone, Copy)]
pub(super) struct Signed<'h> {
    pub(super) serial: &'h str,
    pub(super) signature: &'h str,
    pub(super) timestamp: &'h str,
    pub(super) nonce: &'h str,
}

impl<'h> Signed<'h> {
    /// Reads the headers. `header` gives the only value of a name.
    pub(super) fn read(header: impl Fn(&str) -> Option<&'h str>) -> Result<Self, NoticeError> {
        let read = |name| header(name).filter(|value| !value.is_empty());
        let headers = (
            read("wechatpay-serial"),
            read("wechatpay-signature"),
            read("wechatpay-timestamp"),
            read("wechatpay-nonce"),
        );
        let (Some(serial), Some(signature), Some(timestamp), Some(nonce)) = headers else {
            return Err(NoticeError::Signature);
        };
        Ok(Self {
            serial,
            signature,
            timestamp,
            nonce,
        })
    }

    /// Verifies time, key and signature.
    pub(super) fn verify(&self, keys: &Keys, body: &[u8], now_ms: i64) -> Result<(), NoticeError> {
        let is_plain = self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let time_s: i64 = self.timestamp.parse().map_err(|_| NoticeError::Signature)?;
        if !is_plain || now_ms.div_euclid(1000).abs_diff(time_s) > MAX_SKEW_S.unsigned_abs() {
            return Err(NoticeError::Stale);
        }
        let key = keys.find(self.serial, now_ms).ok_or(NoticeError::UnknownSerial)?;
        let mut message = joined(&[self.timestamp, self.nonce]).into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        if key.verifies(&message, self.signature) {
            Ok(())
        } else {
            Err(NoticeError::Signature)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PublicKey;

    const CERTIFICATE: &str = include_str!("../../tests/it/testdata/platform.crt");
    const SERIAL: &str = "D7CE59D1F522D701";
    /// 2021-06-24, when WeChat Pay's library signed the notice below.
    const SIGNED_MS: i64 = 1_624_523_846_000;
    /// Of wechatpay-go, `notify_test.go`.
    const BODY: &str = "{\"id\":\"3119dfba-e649-5eec-ab1e-3412bc4d2e17\",\"create_time\":\"2021-06-24T16:37:26+08:00\",\"resource_type\":\"encrypt-resource\",\"event_type\":\"PAYSCORE.USER_OPEN_SERVICE\",\"summary\":\"签约成功\",\"resource\":{\"original_type\":\"payscore\",\"algorithm\":\"AEAD_AES_256_GCM\",\"ciphertext\":\"YDS3lKPaC4Y52Gf3uhft5qUBlIa8b428AWTtTauHQfQrRw+X1WpiuHIDy0vo1Vd6VEq67aVyqPdDYMkRVSDaZL3iZttevRMOoPKMifozg6XPWjIZumks/GpT48lI4NizyeaqLBokNebthah3o1H76qSlO9NkDjp9bzmKLEYYH9TEklFUpsvPqOTOcgSLgh21YJXYR7dEBXFgRLiNIKRgO5JdXh1hccRUAlyVWxE54PXpnQ==\",\"associated_data\":\"payscore\",\"nonce\":\"Kj7QIyUiYx1q\"}}";
    const SIGNATURE: &str = "tJHIiIS9eB2hAYstmAmbbD3ZE5LiIm/Ug5tuL4fC0YOFRWIHV39UFIZXC0e9Wl6lBu6sKvkqDkzpqzBsVHyXFlbYZTOQrVdG4b6LfTnK4mikv9++ixJMd3vTf2yCqvBkh98zs3Ds5zsYQakzbcwhmw4fMJs4nPLws28H0UW9FjDR//rxELLwXvV1VEA1IBLX70xptjL8hrfUjEE8kkry6yNJTHZRU8CAc7qHli2Ng1V1qb9ARbK8A3ThmFmPQvRGrapI/jS2laKKgYUmfdEdkNO6B2Cke5e8VTxY406ArAmQ90GAihDwIcb16TQMnzCMBoutnwZKNiKRACrFmtxw2Q==";

    fn keys() -> Keys {
        let key = PublicKey::of_certificate(CERTIFICATE.as_bytes()).unwrap();
        Keys::new(Some((SERIAL.to_owned(), key)), false)
    }

    fn signed() -> Signed<'static> {
        Signed {
            serial: SERIAL,
            signature: SIGNATURE,
            timestamp: "1624523846",
            nonce: "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz",
        }
    }

    #[test]
    fn the_published_notice_is_verified_for_five_minutes() {
        let (keys, body) = (keys(), BODY.as_bytes());
        for skew_s in [-MAX_SKEW_S, 0, MAX_SKEW_S] {
            assert_eq!(
                signed().verify(&keys, body, SIGNED_MS + skew_s * 1000),
                Ok(()),
                "{skew_s}"
            );
        }
        for skew_s in [-MAX_SKEW_S - 1, MAX_SKEW_S + 1, i64::MIN / 2000, i64::MAX / 2000] {
            let now_ms = SIGNED_MS + skew_s * 1000;
            assert_eq!(
                signed().verify(&keys, body, now_ms),
                Err(NoticeError::Stale),
                "{skew_s}"
            );
        }
        assert_eq!(
            signed().verify(&keys, b"{}", SIGNED_MS),
            Err(NoticeError::Signature)
        );
        let other = Signed {
            serial: "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
            ..signed()
        };
        assert_eq!(
            other.verify(&keys, body, SIGNED_MS),
            Err(NoticeError::UnknownSerial)
        );
        let later = Signed {
            timestamp: "1624523847",
            ..signed()
        };
        assert_eq!(later.verify(&keys, body, SIGNED_MS), Err(NoticeError::Signature));
        for timestamp in [
            "",
            "-1624523846",
            "+1624523846",
            "1624523846.0",
            "99999999999999999999",
        ] {
            let odd = Signed {
                timestamp,
                ..signed()
            };
            assert!(odd.verify(&keys, body, SIGNED_MS).is_err(), "{timestamp}");
        }
        // WeChat Pay sends such a signature to see whether it is refused.
        let probe = format!("WECHATPAY/SIGNTEST/{SIGNATURE}");
        let probe = Signed {
            signature: &probe,
            ..signed()
        };
        assert_eq!(probe.verify(&keys, body, SIGNED_MS), Err(NoticeError::Signature));
    }

    #[test]
    fn nonces_differ() {
        let nonce = nonce();
        assert!(nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(nonce, super::nonce());
    }
}
