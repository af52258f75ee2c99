//! The second factor of an operator: six digits that change every half minute (RFC 6238, as authenticator apps make them).

use data_encoding::BASE32_NOPAD;
use ring::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key};
use subtle::ConstantTimeEq;

/// How long a code holds, milliseconds.
const STEP_MS: i64 = 30_000;
/// Clocks may differ by this many steps.
const SLACK: i64 = 1;
const DIGITS: u32 = 1_000_000;
/// 160 bits, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

/// The secret that an authenticator app and the database share.
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) fn random() -> Self {
        Self(rand::random::<[u8; SECRET_BYTES]>().to_vec())
    }

    pub(crate) fn from_database(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As an authenticator app takes it in, typed or as a QR code.
    pub(crate) fn address(&self, name: &str) -> String {
        let secret = BASE32_NOPAD.encode(&self.0);
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        // An app reads + as itself in a label.
        let name = name.replace('+', "%20");
        format!("otpauth://totp/Huizhen:{name}?secret={secret}&issuer=Huizhen")
    }

    /// The step whose code this is, one later than the last one that was used; a code is good once.
    pub(crate) fn step_of(&self, code: &str, used: i64, now_ms: i64) -> Option<i64> {
        let now = now_ms.div_euclid(STEP_MS);
        (now - SLACK..=now + SLACK)
            .filter(|step| *step > used)
            .find(|step| bool::from(code.as_bytes().ct_eq(self.code(*step).as_bytes())))
    }

    fn code(&self, step: i64) -> String {
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag[tag.len() - 1] & 0xf);
        let number = tag[at..at + 4]
            .iter()
            .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        format!("{:06}", (number & 0x7fff_ffff) % DIGITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the vectors in RFC 6238, appendix B; they have eight digits, of which these are the last six.
    fn of_the_rfc() -> Secret {
        Secret::from_database(b"12345678901234567890".to_vec())
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(of_the_rfc().code(seconds / 30), code, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_clocks_that_differ_by_a_step() {
        let secret = of_the_rfc();
        let code = secret.code(1000);
        for (step, good) in [
            (998, false),
            (999, true),
            (1000, true),
            (1001, true),
            (1002, false),
        ] {
            let found = secret.step_of(&code, 0, step * STEP_MS);
            assert_eq!(found.is_some(), good, "{step}");
        }
        assert_eq!(secret.step_of(&code, 1000, 1000 * STEP_MS), None, "used");
        assert_eq!(secret.step_of("", 0, 1000 * STEP_MS), None);
    }

    #[test]
    fn an_app_takes_the_secret_in() {
        assert_eq!(
            of_the_rfc().address("张 伟"),
            "otpauth://totp/Huizhen:%E5%BC%A0%20%E4%BC%9F?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Huizhen"
        );
    }
}
