//! Checks limits and the clock.

use std::time::SystemTime;

use jiff::Timestamp;
use program::machine::{open_files as limits, wall_clock::OLDEST_MS};

use super::Finding;
use crate::settings::Settings;

/// The tolerated lead of a file over the clock: clock corrections are fractions of a second.
const MAX_AHEAD_MS: i64 = 2_000;

/// Checks that the open-file limit suffices for --max-sessions.
pub(super) fn open_files(settings: &Settings) -> Finding {
    const ABOUT: &str = "open files";
    let sessions = u64::from(settings.im.max_sessions);
    let limit = match limits::raise() {
        Ok(limit) => limit,
        Err(error) => {
            return Finding::warn(
                ABOUT,
                format!("the limit cannot be raised: {error}"),
                "ulimit -n 65536",
            );
        }
    };
    if limit.connections() >= sessions {
        return Finding::ok(
            ABOUT,
            format!(
                "{} may be open; --max-sessions {sessions} and {} for the rest fit",
                limit.soft,
                limits::RESERVE
            ),
        );
    }
    let needed = sessions + limits::RESERVE;
    Finding::fail(
        ABOUT,
        format!(
            "{} may be open, and --max-sessions {sessions} needs {needed}",
            limit.soft
        ),
        format!("ulimit -n {needed} (in a systemd unit: LimitNOFILE={needed})"),
    )
}

/// Checks that the clock is in the present, and not behind earlier writes.
pub(super) fn clock(settings: &Settings) -> Finding {
    const ABOUT: &str = "clock";
    const MEND: &str = "sudo timedatectl set-ntp true";
    let now = Timestamp::now();
    let now_ms = now.as_millisecond();
    if now_ms < OLDEST_MS {
        return Finding::fail(
            ABOUT,
            format!("it says {now:.0}, which is in the past; the start is refused"),
            MEND,
        );
    }
    let newest = std::fs::read_dir(&settings.data)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok())
        .max();
    match newest.and_then(ms) {
        Some(written_ms) if written_ms > now_ms + MAX_AHEAD_MS => Finding::warn(
            ABOUT,
            format!(
                "it says {now:.0}, which is {} s before the newest file of the data folder",
                (written_ms - now_ms) / 1000
            ),
            MEND,
        ),
        _ => Finding::ok(ABOUT, format!("it says {now:.0}")),
    }
}

fn ms(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}
