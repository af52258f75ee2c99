//! The wall clock at the start. A machine without a battery boots in 1970: timestamps of that time stay wrong for ever, and
//! its logins expire once the clock is set.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;

/// The beginning of 2026, epoch milliseconds. This program is younger, so an earlier clock is wrong.
pub const OLDEST_MS: i64 = 1_767_225_600_000;

/// Refuses to start in the past.
///
/// # Errors
/// The remedy.
pub fn refuse_past() -> anyhow::Result<()> {
    refuse_before_oldest(SystemTime::now())
}

fn refuse_before_oldest(now: SystemTime) -> anyhow::Result<()> {
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    if now_ms >= OLDEST_MS {
        return Ok(());
    }
    let shown =
        jiff::Timestamp::from_millisecond(now_ms).map_or_else(|_| "1970".into(), |now| now.to_string());
    bail!(
        "the clock of this machine says {shown}, a time before this program was written: messages would keep that timestamp, \
         and logins would expire once the clock is right. Set it (sudo timedatectl set-ntp true), then start again"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_before_the_program_is_refused_with_what_to_do() {
        let at = |ms: i64| UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs());
        let refusal = refuse_before_oldest(at(0)).unwrap_err().to_string();
        assert!(
            refusal.contains("1970-01-01") && refusal.contains("set-ntp"),
            "{refusal}"
        );
        assert!(refuse_before_oldest(UNIX_EPOCH - Duration::from_secs(1)).is_err());
        assert!(refuse_before_oldest(at(OLDEST_MS - 1)).is_err());
        refuse_before_oldest(at(OLDEST_MS)).unwrap();
        refuse_past().unwrap();
    }
}
