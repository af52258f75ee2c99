//! Where the bytes of media lie, as a setting.

use std::str::FromStr;

/// The value of `--media-store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaStore {
    /// Nowhere: there are no uploads, and a uri of a medium is not verified.
    None,
    /// In the folder `media` of the data folder.
    Folder,
    /// In a bucket of S3.
    S3 {
        /// The bucket.
        bucket: String,
        /// The beginning of all keys, without `/` at either end; may be empty.
        prefix: String,
    },
}

impl FromStr for MediaStore {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => return Ok(Self::None),
            "folder" => return Ok(Self::Folder),
            _ => {}
        }
        let refused = || "must be none, folder or s3://BUCKET/PREFIX".to_owned();
        let place = text.strip_prefix("s3://").ok_or_else(refused)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_bucket(bucket) {
            return Err(format!(
                "{bucket:?} is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens"
            ));
        }
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(
                "the prefix must have letters, digits, dots, hyphens and underscores between single /"
                    .to_owned(),
            );
        }
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

/// Whether S3 allows this name of a bucket.
fn is_bucket(name: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && is_end(bytes.first())
        && is_end(bytes.last())
        && !name.contains("..")
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(byte))
}

/// Whether a part of the prefix needs no escape anywhere.
fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_have_a_prefix() {
        let s3 = |bucket: &str, prefix: &str| {
            Ok(MediaStore::S3 {
                bucket: bucket.into(),
                prefix: prefix.into(),
            })
        };
        assert_eq!("none".parse(), Ok(MediaStore::None));
        assert_eq!("folder".parse(), Ok(MediaStore::Folder));
        assert_eq!("s3://clinic-media".parse(), s3("clinic-media", ""));
        assert_eq!("s3://clinic-media/".parse(), s3("clinic-media", ""));
        assert_eq!("s3://clinic.media/a/b_1/".parse(), s3("clinic.media", "a/b_1"));
    }

    #[test]
    fn other_places_are_refused() {
        for bad in [
            "",
            "Folder",
            "/srv/media",
            "https://s3.example.com/bucket",
            "s3://",
            "s3://ab",
            "s3://Clinic",
            "s3://-clinic",
            "s3://a..b",
            "s3://user:key@clinic",
            "s3://clinic/a//b",
            "s3://clinic/../b",
            "s3://clinic/a b",
        ] {
            assert!(bad.parse::<MediaStore>().is_err(), "{bad}");
        }
    }
}
