//! Media beside the database: the rows that claim bytes, their proof, and the folder beside a backup.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use database::{Database, Row, params};
use futures_util::stream::{self, TryStreamExt};
use media::{Claim, Claims, Copied, Depth, Fault, Key, Proof, Store, copy, prove};

/// The first version of the schema that has media.
const FIRST_VERSION: i64 = 17;
/// Rows that are read at once.
const PAGE: usize = 500;
const FINISHED: &str = "SELECT id, store_key, bytes, sha256 FROM media WHERE state = 'finished' AND store_key > $1 \
                        AND COALESCE(finished_ms, 0) <= $2 ORDER BY store_key LIMIT 500";
const COUNT: &str =
    "SELECT COUNT(*), COALESCE(CAST(SUM(bytes) AS BIGINT), 0) FROM media WHERE state = 'finished'";

/// Proves that each medium that was finished until a time has its bytes.
pub(in super::super) async fn prove_rows(
    database: &Database,
    store: &Store,
    depth: Depth,
    until_ms: i64,
) -> anyhow::Result<Proof> {
    if !has_media(database).await? {
        return Ok(Proof::default());
    }
    prove(store, claims(database.clone(), until_ms), depth).await
}

async fn has_media(database: &Database) -> anyhow::Result<bool> {
    Ok(database.schema_version().await? >= FIRST_VERSION)
}

/// The rows in the order of their keys, a page at a time.
fn claims(database: Database, until_ms: i64) -> Claims<anyhow::Error> {
    let pages = stream::try_unfold(Some(String::new()), move |after| {
        let database = database.clone();
        async move {
            let Some(after) = after else {
                return Ok(None);
            };
            let rows = database.query(FINISHED, params![after, until_ms]).await?;
            let page: Vec<Claim> = rows.iter().map(claim).collect::<Result<_, _>>()?;
            let last = page.last().filter(|_| page.len() == PAGE);
            let next = last.map(|last| last.key.as_str().to_owned());
            Ok::<_, anyhow::Error>(Some((stream::iter(page.into_iter().map(Ok)), next)))
        }
    });
    Box::pin(pages.try_flatten())
}

fn claim(row: &Row) -> anyhow::Result<Claim> {
    let id = row.get(0)?;
    let key: String = row.get(1)?;
    let sha256: Bytes = row.get(3)?;
    let sha256: Result<[u8; 32], _> = sha256[..].try_into();
    Ok(Claim {
        id,
        key: key.parse::<Key>().with_context(|| format!("medium {id}"))?,
        bytes: u64::try_from(row.get::<i64>(2)?).with_context(|| format!("medium {id}"))?,
        sha256: sha256.map_err(|_| anyhow::anyhow!("medium {id} has no SHA-256"))?,
    })
}

/// How many finished media there are, and their bytes.
pub(super) async fn count(database: &Database) -> anyhow::Result<(i64, i64)> {
    if !has_media(database).await? {
        return Ok((0, 0));
    }
    let row = database.query_first(COUNT, params![]).await?;
    let row = row.context("no count of media")?;
    Ok((row.get(0)?, row.get(1)?))
}

/// The folder of media beside a backup file.
pub(super) fn beside(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(".media");
    name.into()
}

/// Copies the media, proves that each row of this database has its bytes in the copy, and prints both. Rows that were finished
/// after `until_ms` may be younger than the copy. Returns whether the proof holds.
pub(super) async fn copy_and_prove(
    (from, to): (Option<&Store>, &Store),
    shown: &str,
    url: &str,
    until_ms: i64,
) -> anyhow::Result<bool> {
    let copied = match from {
        Some(from) => copy(from, to).await.with_context(|| shown.to_owned())?,
        None => Copied::default(),
    };
    let is_empty = copied.files + copied.present == 0;
    let proof = match prove_in(url, to, until_ms).await {
        Ok(proof) => proof,
        Err(error) if is_empty => {
            program::complain!("warning: {shown}: not proved: {error:#}");
            return Ok(true);
        }
        Err(error) => return Err(error.context(shown.to_owned())),
    };
    if !is_empty || proof.media > 0 {
        let (files, bytes, present) = (copied.files, copied.bytes, copied.present);
        let outcome = if proof.holds() {
            "each has its bytes"
        } else {
            "not all have their bytes"
        };
        program::say!(
            "{shown}: {files} files copied with {bytes} bytes, {present} were there; {} media, {outcome}",
            proof.media
        );
    }
    if !proof.holds() {
        program::complain!("error: {}", describe(&proof));
    }
    Ok(proof.holds())
}

async fn prove_in(url: &str, store: &Store, until_ms: i64) -> anyhow::Result<Proof> {
    let database = Database::look(url).await?;
    let proof = prove_rows(&database, store, Depth::Sizes, until_ms).await;
    database.close().await;
    proof
}

/// The faulty media, the first of them by id.
pub(in super::super) fn describe(proof: &Proof) -> String {
    let named: Vec<String> = proof
        .named
        .iter()
        .map(|(id, fault)| match fault {
            Fault::Missing => format!("{id} (missing)"),
            Fault::Different => format!("{id} (different)"),
        })
        .collect();
    let more = proof.missing + proof.different - proof.named.len() as u64;
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(
        "of {} media, {} have no bytes and {} have others: {}{more}",
        proof.media,
        proof.missing,
        proof.different,
        named.join(", ")
    )
}
