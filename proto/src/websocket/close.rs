//! Close codes (RFC 6455, 7.4).

use crate::wire::ByeReason;

/// A close code is this and the number of the Bye's reason; the range is for applications (RFC 6455, 7.4.2).
const BYE_CODES: u16 = 4000;

/// Why a WebSocket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The connection has done what it was for.
    pub const NORMAL: Self = Self(1000);
    /// The bytes are not WebSocket.
    pub(super) const PROTOCOL_ERROR: Self = Self(1002);
    /// A text message.
    pub(super) const UNSUPPORTED_DATA: Self = Self(1003);
    /// A message over the limit.
    pub(super) const TOO_BIG: Self = Self(1009);

    // protocol: "a close frame whose code is 4000 plus"
    /// The code beside a Bye.
    pub fn of(reason: ByeReason) -> Self {
        Self(BYE_CODES + reason as u16)
    }

    // protocol: "An app that closes gets its own code back"
    /// The answer to a close frame: its own code; none when it has none.
    pub(super) fn answer_to(payload: &[u8]) -> Option<Self> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return (!payload.is_empty()).then_some(Self::PROTOCOL_ERROR);
        };
        let code = u16::from_be_bytes(*code);
        // Other codes are reserved, or must not be sent.
        let is_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        Some(match is_sent && std::str::from_utf8(reason).is_ok() {
            true => Self(code),
            false => Self::PROTOCOL_ERROR,
        })
    }

    pub(super) fn number(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_close_code_of_a_bye_keeps_its_number() {
        for reason in crate::bye::ALL {
            assert_eq!(CloseCode::of(reason).0, 4000 + reason as u16);
        }
    }
}
