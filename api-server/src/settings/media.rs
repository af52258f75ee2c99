//! The store of media that the settings name.

use std::path::{Path, PathBuf};

use anyhow::Context;
use media::{Store, store::S3Settings};
use program::settings::{MediaStore, read_secret};

use super::Settings;

/// The folder of media in a data folder.
const FOLDER: &str = "media";

/// Where the bytes of media lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MediaPlace {
    /// Nowhere: there are no uploads.
    #[default]
    None,
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket, which `--media-config` describes.
    S3 {
        /// The bucket.
        bucket: String,
        /// The beginning of all keys.
        prefix: String,
    },
}

impl MediaPlace {
    /// The place of `--media-store`, which may be a folder of this data folder.
    pub fn of(store: &MediaStore, data: &Path) -> Self {
        match store {
            MediaStore::None => Self::None,
            MediaStore::Folder => Self::Folder(data.join(FOLDER)),
            MediaStore::S3 { bucket, prefix } => Self::S3 {
                bucket: bucket.clone(),
                prefix: prefix.clone(),
            },
        }
    }
}

/// Opens the store; `None` without one. A bucket is not asked yet.
///
/// # Errors
/// When the folder cannot be made, or the file of `--media-config` is missing, open to others, or wrong.
pub async fn open(settings: &Settings) -> anyhow::Result<Option<Store>> {
    let store = match &settings.media_place {
        MediaPlace::None => return Ok(None),
        MediaPlace::Folder(path) => Store::folder(path)
            .await
            .with_context(|| format!("the folder of media, {}", path.display()))?,
        MediaPlace::S3 { bucket, prefix } => {
            let config = settings.media_config.as_deref();
            let config = config.context("--media-store s3://… needs --media-config")?;
            let text = read_secret(config).context("--media-config")?;
            let parsed = S3Settings::parse(&text).with_context(|| config.display().to_string());
            Store::s3(parsed.context("--media-config")?, bucket, prefix).context("--media-config")?
        }
    };
    Ok(Some(store))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bucket_needs_its_file() {
        let store = "s3://clinic-media/a".parse().unwrap();
        let mut settings = Settings {
            media_place: MediaPlace::of(&store, Path::new("data")),
            ..Settings::default()
        };
        let error = format!("{:#}", open(&settings).await.unwrap_err());
        assert!(error.ends_with("needs --media-config"), "{error}");
        settings.media_config = Some("/nowhere/s3.toml".into());
        let error = format!("{:#}", open(&settings).await.unwrap_err());
        assert!(error.contains("/nowhere/s3.toml cannot be read"), "{error}");
    }

    #[tokio::test]
    async fn a_folder_is_made_and_none_is_none() {
        let data = tempfile::tempdir().unwrap();
        let settings = |store| Settings {
            media_place: MediaPlace::of(&store, data.path()),
            ..Settings::default()
        };
        assert!(open(&settings(MediaStore::None)).await.unwrap().is_none());
        assert!(!data.path().join(FOLDER).exists());
        assert!(open(&settings(MediaStore::Folder)).await.unwrap().is_some());
        assert!(data.path().join(FOLDER).is_dir());
    }
}
