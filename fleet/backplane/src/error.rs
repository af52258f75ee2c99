//! Errors of the backplane, and findings for the operator.

/// Why a backplane cannot be opened; trying again would not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The address cannot be used.
    #[error("--redis-url: {0}")]
    Address(String),
    /// Redis answers, and refuses.
    #[error(
        "Redis at {redis} refuses: {reason}. Check user and password in --redis-url, whether it is redis:// or rediss:// \
         (TLS, with ca_cert=FILE for an authority of your own), and that the user may run all commands on the prefix"
    )]
    Refused {
        /// Its address.
        redis: String,
        /// Its error.
        reason: String,
    },
    /// Publications cannot be sealed.
    #[error("this machine's build has no AES-256-GCM")]
    Cipher,
}

/// The backplane cannot be reached now. Nothing was accepted unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backplane cannot be reached now")]
pub struct Unavailable;

/// A finding about a backplane that answers, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The fleet will not work as it should; else it will, for a while.
    pub is_grave: bool,
    /// The problem.
    pub problem: String,
    /// The remedy.
    pub cure: String,
}
