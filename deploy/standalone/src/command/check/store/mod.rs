//! Checks the data folder, the database in it, and the disk under it.

mod machines;

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::Path,
    time::{Duration, Instant},
};

use backplane::{Backplane, Identity};
use database::{Database, Outage, sqlite::is_served};

use journal::clocks::{Difference, GRAVE_MS, TOLERATED_MS};

pub(super) use self::machines::machines;
use super::Finding;
use crate::settings::Settings;

/// The number of syncs measured.
const SYNCS: usize = 20;
/// Above this users notice the wait for a single message.
const SLOW_SYNC: Duration = Duration::from_millis(20);
/// The longest wait for Redis.
const REDIS_LIMIT: Duration = Duration::from_secs(3);
/// Above this the disk has a fault.
const BROKEN_SYNC: Duration = Duration::from_millis(500);

/// Checks that the data folder exists and is writable.
pub(super) fn folder(settings: &Settings) -> Finding {
    let data = &settings.data;
    let name = data.display();
    if !data.exists() {
        return Finding::warn(
            "data folder",
            format!("{name} is not there yet; the first start makes it"),
            format!("huizhen init --data {name}"),
        );
    }
    match probe(data) {
        Ok(_) => Finding::ok("data folder", format!("{name} can be written")),
        Err(error) => Finding::fail(
            "data folder",
            format!("{name} cannot be written: {error}"),
            cure(&error, data),
        ),
    }
}

/// The remedy for a folder that is not writable.
fn cure(error: &std::io::Error, folder: &Path) -> String {
    let name = folder.display();
    match error.kind() {
        ErrorKind::StorageFull => format!("free or add disk space: df -h {name}"),
        ErrorKind::QuotaExceeded => {
            format!("raise the disk quota of this user (quota -s), or free space in {name}")
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!(
                "mount its file system for writing (findmnt -T {name}; the kernel's log says why it is not)"
            )
        }
        ErrorKind::PermissionDenied => format!("sudo chown -R \"$USER\" {name}"),
        _ => format!("ls -ld {name}"),
    }
}

/// Checks that the database opens, with the schema version of this program.
pub(super) async fn database(settings: &Settings) -> Finding {
    const ABOUT: &str = "database";
    let url = settings.database_url();
    if let Some(name) = server(&url) {
        return on_server(&url, &name).await;
    }
    let file = url.strip_prefix("sqlite://").map(Path::new);
    if file.is_some_and(|file| !file.exists()) {
        return Finding::ok(ABOUT, format!("{url} is not there yet; the first start makes it"));
    }
    if file.is_some_and(|file| is_served(file).unwrap_or(false)) {
        return served(&url).await;
    }
    let opened = async {
        let database = Database::open(&url).await?;
        let version = database.schema_version().await;
        let writable = database.is_writable().await;
        database.close().await;
        writable.and(version)
    };
    match opened.await {
        Ok(version) => Finding::ok(ABOUT, format!("{url} opens; its schema has version {version}")),
        Err(error) => Finding::fail(
            ABOUT,
            error.to_string(),
            error.outage().map_or(
                "use the version of huizhen that wrote it, or restore a backup",
                Outage::cure,
            ),
        ),
    }
}

/// Checks a file that a running process owns: reads it beside that process, and does not migrate it.
async fn served(url: &str) -> Finding {
    const ABOUT: &str = "database";
    let looked = async {
        let database = Database::look(url).await?;
        let version = database.schema_version().await;
        database.close().await;
        version
    };
    match looked.await {
        Ok(version) => Finding::ok(
            ABOUT,
            format!("{url} is served by a running process; its schema has version {version}"),
        ),
        Err(error) => Finding::fail(
            ABOUT,
            format!("{url} is served by a running process, and cannot be read: {error}"),
            "huizhen check as the user that serves; docs/operations.md, Damage",
        ),
    }
}

/// The server and database of a URL, without user and password; `None` for SQLite.
pub(super) fn server(url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))?;
    let rest = rest.split('?').next().unwrap_or_default();
    let place = rest.rsplit('@').next().unwrap_or_default();
    Some(format!("postgres://{place}"))
}

async fn on_server(url: &str, name: &str) -> Finding {
    const ABOUT: &str = "database";
    let opened = async {
        let database = Database::open_as_it_is(url).await?;
        let version = database.schema_version().await;
        let version = match version {
            // A new database has no rows to write.
            Ok(version) if version >= database::LATEST_VERSION => {
                database.is_writable().await.map(|()| version)
            }
            other => other,
        };
        database.close().await;
        version
    };
    match opened.await {
        Ok(version) if version < database::LATEST_VERSION => Finding::ok(
            ABOUT,
            format!("{name} opens; its schema has version {version}, the first start brings it up to date"),
        ),
        Ok(version) => Finding::ok(ABOUT, format!("{name} opens; its schema has version {version}")),
        Err(error) => Finding::fail(
            ABOUT,
            format!("{name}: {error}"),
            match error.outage() {
                Some(outage @ (Outage::Busy | Outage::Full | Outage::ReadOnly | Outage::Standby)) => {
                    outage.cure()
                }
                _ => "psql with the same URL says the same? docs/operations.md, Database",
            },
        ),
    }
}

/// Compares this machine's clock with those of PostgreSQL and Redis, where they answer, and with the newest timestamp of
/// the database.
pub(super) async fn clocks(settings: &Settings) -> Vec<Finding> {
    // A store without an answer has a line of its own, and a missing one needs none.
    let Ok(database) = Database::look(&settings.database_url()).await else {
        return Vec::new();
    };
    let backplane = match settings.common.redis_url.as_deref() {
        Some(redis) => Backplane::open_to_look(redis, None).await.ok(),
        None => None,
    };
    let backplane = backplane.unwrap_or_else(Backplane::memory);
    let deadline = Instant::now() + REDIS_LIMIT;
    while !backplane.is_available().await && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let journal = journal::Journal::new(database.clone(), backplane);
    let differences = journal.clock_differences().await;
    let newest = journal.newest_ahead_ms().await;
    database.close().await;
    let mut findings: Vec<Finding> = differences.into_iter().map(clock_finding).collect();
    findings.extend(newest.ok().flatten().and_then(newest_finding));
    findings
}

/// Reports a clock that is behind earlier writes.
fn newest_finding(ahead_ms: i64) -> Option<Finding> {
    (ahead_ms > GRAVE_MS).then(|| {
        Finding::warn(
            "clock",
            format!(
                "the newest conversation of the database is {} s ahead of it: it is wrong now, or was then",
                ahead_ms / 1000
            ),
            "sudo timedatectl set-ntp true",
        )
    })
}

fn clock_finding(difference: Difference) -> Finding {
    const ABOUT: &str = "clock";
    const MEND: &str = "let both machines follow a time server: sudo timedatectl set-ntp true";
    let Difference { of, ahead_ms } = difference;
    let text = format!(
        "that of {of} is {} ms {} (up to {TOLERATED_MS} ms is usual)",
        ahead_ms.abs(),
        if ahead_ms < 0 { "behind" } else { "ahead" }
    );
    match ahead_ms.abs() {
        0..=TOLERATED_MS => Finding::ok(ABOUT, text),
        ..=GRAVE_MS => Finding::warn(ABOUT, text, MEND),
        _ => Finding::fail(ABOUT, text, MEND),
    }
}

/// Checks that Redis, where one is set, accepts the login, permits every command and evicts nothing.
pub(super) async fn redis(settings: &Settings) -> Vec<Finding> {
    const ABOUT: &str = "redis";
    let Some(url) = settings.common.redis_url.as_deref() else {
        return Vec::new();
    };
    let identity = identity(settings).await;
    let backplane = match Backplane::open_to_look(url, identity.as_ref()).await {
        Ok(backplane) => backplane,
        Err(error) => {
            return vec![Finding::fail(
                ABOUT,
                error.to_string(),
                "mend --redis-url (HUIZHEN_REDIS_URL)",
            )];
        }
    };
    let deadline = Instant::now() + REDIS_LIMIT;
    while Instant::now() < deadline {
        if backplane.is_available().await
            && let Ok(complaints) = backplane.complaints().await
        {
            let mut findings = vec![Finding::ok(ABOUT, "it answers")];
            findings.extend(complaints.into_iter().map(|complaint| {
                let say = if complaint.is_grave {
                    Finding::fail
                } else {
                    Finding::warn
                };
                say(ABOUT, complaint.problem, complaint.cure)
            }));
            return findings;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    vec![match backplane.is_ready().await {
        Err(why) if why.starts_with("takes no writes") => Finding::fail(
            ABOUT,
            format!("it {why}; nobody could log in"),
            "docs/operations.md, Readiness: OOM, MISCONF, NOREPLICAS, READONLY",
        ),
        _ => Finding::fail(
            ABOUT,
            format!(
                "no answer within {} s; logins would wait for it",
                REDIS_LIMIT.as_secs()
            ),
            "start Redis, or mend host and port in --redis-url",
        ),
    }]
}

/// The identity of the fleet that owns the database; `None` if it cannot be read or does not exist yet.
async fn identity(settings: &Settings) -> Option<Identity> {
    let database = Database::look(&settings.database_url()).await.ok()?;
    let fleet = database.find_fleet().await.ok().flatten();
    database.close().await;
    fleet.map(|fleet| Identity::new(fleet.id, fleet.key))
}

/// Measures a sync of this disk: each batch of messages waits for one.
pub(super) fn sync_time(settings: &Settings) -> Finding {
    const ABOUT: &str = "fsync";
    if !settings.data.exists() {
        return Finding::ok(ABOUT, "not measured: there is no data folder yet");
    }
    match probe(&settings.data) {
        Ok(median) => {
            let text = format!("{:.2} ms (median of {SYNCS})", median.as_secs_f64() * 1000.0);
            let mend = "huizhen serve --data on a local disk, better an SSD";
            if median > BROKEN_SYNC {
                Finding::fail(ABOUT, text, mend)
            } else if median > SLOW_SYNC {
                Finding::warn(ABOUT, text, mend)
            } else {
                Finding::ok(ABOUT, text)
            }
        }
        Err(error) => Finding::fail(
            ABOUT,
            format!("not measured: {error}"),
            "see the line about the data folder",
        ),
    }
}

/// Writes and syncs a temporary file several times; returns the median of a write with its sync.
fn probe(folder: &Path) -> std::io::Result<Duration> {
    let path = folder.join(format!(".check.{}", std::process::id()));
    let measured = measure(&path);
    let removed = std::fs::remove_file(&path);
    let median = measured?;
    removed?;
    Ok(median)
}

fn measure(path: &Path) -> std::io::Result<Duration> {
    let mut file = File::create(path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok(times[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::check::Verdict;

    #[test]
    fn clocks_may_differ_by_a_second() {
        let verdict = |ahead_ms| {
            clock_finding(Difference {
                of: "Redis",
                ahead_ms,
            })
            .verdict
        };
        assert_eq!(verdict(-1_000), Verdict::Ok);
        assert_eq!(verdict(1_001), Verdict::Warn);
        assert_eq!(verdict(-60_000), Verdict::Warn);
        assert_eq!(verdict(60_001), Verdict::Fail);
    }
}
