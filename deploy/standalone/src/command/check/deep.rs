//! Everything in the database, read and verified.

use database::{Database, Engine, params};
use journal::audit::{Audit, audit};

use super::{Finding, serve::Arguments, store};

const ABOUT: &str = "deep";

/// A line for what was read, and one for each thing that is damaged.
pub(super) async fn findings(settings: &Arguments) -> Vec<Finding> {
    let url = settings.database_url();
    let shown = store::server(&url).unwrap_or_else(|| url.clone());
    let is_there = url
        .strip_prefix("sqlite://")
        .is_none_or(|file| std::path::Path::new(file).exists());
    if !is_there {
        return vec![Finding::ok(ABOUT, format!("{shown} is not there yet"))];
    }
    let read = async {
        let database = Database::look(&url).await?;
        let version = database.schema_version().await?;
        if version < database::LATEST_VERSION {
            database.close().await;
            return Ok(vec![Finding::warn(
                ABOUT,
                format!("{shown} has schema version {version}, whose entries have no checksums yet"),
                "huizhen migrate, then huizhen check --deep",
            )]);
        }
        let audited = audit(&database).await;
        let pages = pages(&database).await;
        database.close().await;
        let mut findings = lines(&shown, &audited?);
        findings.extend(pages);
        Ok::<_, database::Error>(findings)
    };
    read.await.unwrap_or_else(|error| {
        vec![Finding::fail(
            ABOUT,
            format!("{shown}: {error}"),
            "docs/operations.md, Damage",
        )]
    })
}

fn lines(shown: &str, audit: &Audit) -> Vec<Finding> {
    let Audit {
        conversations,
        participants,
        entries,
        unsealed,
        damaged,
        ..
    } = audit;
    let counted = format!(
        "{shown}: {conversations} conversations, {participants} spans of participation, {entries} entries read, {} of them with \
         a checksum",
        entries - unsealed
    );
    if *damaged == 0 {
        return vec![Finding::ok(ABOUT, format!("{counted}; nothing is damaged"))];
    }
    let mut findings = vec![Finding::fail(
        ABOUT,
        format!("{counted}; {damaged} damaged"),
        "restore a backup from before the damage; docs/operations.md, Damage",
    )];
    findings.extend(audit.named.iter().map(|line| Finding {
        mend: None,
        ..Finding::fail(ABOUT, line.clone(), "")
    }));
    findings
}

/// Whether a server keeps checksums of its pages, which cover what has none of ours.
async fn pages(database: &Database) -> Option<Finding> {
    const SETTING: &str = "SELECT current_setting('data_checksums')";
    let Engine::Postgres(_) = database.engine() else {
        return None;
    };
    let row = database.query_first(SETTING, params![]).await.ok()??;
    match row.get::<String>(0).ok()?.as_str() {
        "on" => Some(Finding::ok(ABOUT, "the server keeps checksums of its pages")),
        _ => Some(Finding::warn(
            ABOUT,
            "the server keeps no checksums of its pages, so only entries are verified",
            "stop it, then pg_checksums --enable",
        )),
    }
}
