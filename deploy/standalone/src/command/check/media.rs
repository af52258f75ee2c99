//! Checks the store of media, and that each medium has its bytes.

use api_server::MediaPlace;
use database::Database;
use media::{Depth, Outage, Store};

use super::Finding;
use crate::{
    command::database::media::{describe, prove_rows},
    settings::Settings,
};

const ABOUT: &str = "media";

/// One line for the store, and one for the media where all is read.
pub(super) async fn findings(settings: &Settings, deep: bool) -> Vec<Finding> {
    let place = settings.media_place();
    let shown = match &place {
        MediaPlace::None => return vec![Finding::ok(ABOUT, "--media-store none: there are no uploads")],
        MediaPlace::Folder(path) if !path.exists() && !deep => {
            let text = format!("{} is not there yet; the first start makes it", path.display());
            return vec![Finding::ok(ABOUT, text)];
        }
        MediaPlace::Folder(path) => path.display().to_string(),
        MediaPlace::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
    };
    let store = match settings.media_store().await {
        Ok(Some(store)) => store,
        Ok(None) => return Vec::new(),
        Err(error) => {
            let mend = "mend --media-store and the file of --media-config";
            return vec![Finding::fail(ABOUT, format!("{error:#}"), mend)];
        }
    };
    let mut findings = vec![probed(&store, &shown).await];
    if deep {
        findings.extend(proved(settings, &store, &shown).await);
    }
    findings
}

async fn probed(store: &Store, shown: &str) -> Finding {
    let Err(error) = store.probe().await else {
        return Finding::ok(ABOUT, format!("{shown} can be listed, written and deleted"));
    };
    let mend = match (store, error.outage()) {
        (Store::Folder(_), Some(Outage::Full)) => format!("free or add disk space: df -h {shown}"),
        (Store::Folder(_), _) => format!("ls -ld {shown}, as the user that serves"),
        (Store::S3(_), Some(Outage::Refused)) => {
            "mend bucket, key and region, and the rights of the key: list, get, put, delete".to_owned()
        }
        (Store::S3(_), _) => "mend the endpoint in the file of --media-config, or the way there".to_owned(),
    };
    Finding::fail(
        ABOUT,
        format!("{shown}: {error}; photos and voice cannot be sent"),
        mend,
    )
}

/// Bytes of a folder are read and hashed; S3 keeps checksums of its own, and is asked for names and sizes.
async fn proved(settings: &Settings, store: &Store, shown: &str) -> Option<Finding> {
    const MEND: &str = "copy what is missing from a backup of the store; docs/operations.md, Backup";
    let depth = match store {
        Store::Folder(_) => Depth::Content,
        Store::S3(_) => Depth::Sizes,
    };
    let url = settings.database_url();
    let file = settings.database_file();
    if file.is_some_and(|file| !file.exists()) {
        return None;
    }
    let proof = async {
        let database = Database::look(&url).await?;
        let proof = prove_rows(&database, store, depth, i64::MAX).await;
        database.close().await;
        proof
    };
    Some(match proof.await {
        Ok(proof) if proof.holds() => Finding::ok(
            ABOUT,
            format!(
                "{shown}: {} media with {} bytes, each has its bytes; {} without a row",
                proof.media, proof.bytes, proof.unclaimed
            ),
        ),
        Ok(proof) => Finding::fail(ABOUT, format!("{shown}: {}", describe(&proof)), MEND),
        Err(error) => Finding::fail(ABOUT, format!("{shown}: not proved: {error:#}"), MEND),
    })
}
