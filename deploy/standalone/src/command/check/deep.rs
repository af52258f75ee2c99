//! Reads and verifies the whole database.

use database::{Database, Engine, params, sqlite::Checked};
use journal::audit::{Audit, audit};

use super::{Finding, store};
use crate::settings::Settings;

const ABOUT: &str = "deep";
const MEND: &str = "docs/operations.md, Damage";
/// The maximum of pages named.
const NAMED_PAGES: usize = 100;

/// One line for the volume read, and one for each damage.
pub(super) async fn findings(settings: &Settings) -> Vec<Finding> {
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
        let mut findings = match (&audited, &pages) {
            (Ok(audit), _) => lines(&shown, audit),
            // The audit met it first; its page has a line.
            (Err(error @ database::Error::DamagedPage(_)), Some(_)) => vec![Finding::fail(
                ABOUT,
                format!("{shown}: entries cannot all be read: {error}"),
                MEND,
            )],
            (Err(_), _) => return audited.map(|_| Vec::new()),
        };
        findings.extend(pages);
        Ok::<_, database::Error>(findings)
    };
    read.await
        .unwrap_or_else(|error| vec![Finding::fail(ABOUT, format!("{shown}: {error}"), MEND)])
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

/// Checks that pages have checksums, which cover the tables without checksums of ours; those of SQLite are verified.
async fn pages(database: &Database) -> Option<Finding> {
    const SETTING: &str = "SELECT current_setting('data_checksums')";
    if let Engine::Sqlite(file) = database.engine() {
        return Some(file.check_pages().await.map_or_else(
            |error| Finding::fail(ABOUT, error.to_string(), MEND),
            |checked| file_pages(&checked),
        ));
    }
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

fn file_pages(checked: &Checked) -> Finding {
    match checked {
        Checked::WithoutSums => Finding::warn(
            ABOUT,
            "the pages of the file are not verified, so only entries are: it has no checksums of pages, or --sqlite-plain is set",
            "stop the server, then huizhen migrate --page-checksums",
        ),
        Checked::WithSums { pages, damaged } if damaged.is_empty() => {
            Finding::ok(ABOUT, format!("{pages} pages read, each is what was written"))
        }
        Checked::WithSums { pages, damaged } => {
            let named: Vec<String> = damaged.iter().take(NAMED_PAGES).map(u32::to_string).collect();
            Finding::fail(
                ABOUT,
                format!(
                    "{} of {pages} pages are damaged: {}",
                    damaged.len(),
                    named.join(", ")
                ),
                "restore a backup from before the damage; docs/operations.md, Damage",
            )
        }
    }
}
