//! Refusals of a server that answers.

use ::redis::{ErrorKind, RedisError};

/// Whether a server that answers refuses writes: its memory is full, its disk or its replicas fail, or it is a replica.
pub(crate) fn takes_no_writes(error: &RedisError) -> bool {
    matches!(
        error.code(),
        Some("OOM" | "MISCONF" | "NOREPLICAS" | "READONLY" | "MASTERDOWN")
    )
}

/// Whether a retry fails until the settings change.
pub(crate) fn is_refusal(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || error.kind() == ErrorKind::RESP3NotSupported
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "NOPROTO"))
        || is_about_a_certificate(error)
}

/// Whether the other side's certificate is not trusted.
pub(crate) fn is_about_a_certificate(error: &RedisError) -> bool {
    error.to_string().contains("certificate")
}

/// The remedy for a server that takes no writes.
pub(crate) fn cure(error: &RedisError) -> &'static str {
    match error.code() {
        Some("OOM") => "raise maxmemory, or look at what else is kept in this Redis",
        Some("MISCONF") => {
            "look at Redis's log: it cannot save to its disk (free space?), and refuses writes since"
        }
        Some("NOREPLICAS") => "bring its replicas back, or lower min-replicas-to-write",
        Some("READONLY" | "MASTERDOWN") => {
            "name the master in --redis-url (or use redis+sentinel://), or promote this one: REPLICAOF NO ONE"
        }
        _ => "huizhen check --redis-url … names the right that is missing",
    }
}
