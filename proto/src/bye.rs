//! An app's next step after a `Bye`: the range of its number says it, also to an app that is older than the reason.

use crate::wire::ByeReason;

/// An app's next step after a `Bye`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// 1–99 (and numbers of no range): come back after `retry_after_ms`, to another node if there is one.
    ComeBack,
    /// 100–199: get a new IM password first.
    NewPassword,
    /// 200–299: do not come back by yourself.
    StayAway,
}

/// The advice of a `Bye` with this number.
pub fn advice(reason: i32) -> Advice {
    match reason {
        100..=199 => Advice::NewPassword,
        200..=299 => Advice::StayAway,
        _ => Advice::ComeBack,
    }
}

/// Every reason there is, for documentation and metrics.
pub const ALL: [ByeReason; 15] = [
    ByeReason::Draining,
    ByeReason::Overloaded,
    ByeReason::Unavailable,
    ByeReason::Slow,
    ByeReason::Idle,
    ByeReason::Expired,
    ByeReason::AuthFailed,
    ByeReason::TooManyAttempts,
    ByeReason::Replaced,
    ByeReason::LoggedOut,
    ByeReason::Disabled,
    ByeReason::UnsupportedVersion,
    ByeReason::NotLoggedIn,
    ByeReason::BadFrame,
    ByeReason::InvalidLogin,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_lies_in_the_range_of_its_advice() {
        for reason in ALL {
            let expected = match reason {
                ByeReason::Expired | ByeReason::AuthFailed | ByeReason::TooManyAttempts => {
                    Advice::NewPassword
                }
                ByeReason::Draining
                | ByeReason::Overloaded
                | ByeReason::Unavailable
                | ByeReason::Slow
                | ByeReason::Idle => Advice::ComeBack,
                _ => Advice::StayAway,
            };
            assert_eq!(advice(reason as i32), expected, "{reason:?}");
        }
    }
}
