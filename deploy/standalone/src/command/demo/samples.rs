//! Photos and a voice message to try uploads with, in the demo's folder.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use proto::rest::{CallError, NewMedia, Rest};

/// A drawing of skin with spots.
pub(super) const ARM: Sample = Sample {
    name: "arm.png",
    bytes: include_bytes!("samples/arm.png"),
};
const BACK: Sample = Sample {
    name: "back.png",
    bytes: include_bytes!("samples/back.png"),
};
/// A recording of two seconds: 100 frames without sound.
const VOICE: Sample = Sample {
    name: "voice.amr",
    bytes: b"#!AMR\n||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||",
};

/// A file.
pub(super) struct Sample {
    name: &'static str,
    bytes: &'static [u8],
}

/// Writes the samples that are missing.
pub(super) fn write(folder: &Path) -> anyhow::Result<()> {
    for Sample { name, bytes } in [ARM, BACK, VOICE] {
        let path = folder.join(name);
        if !path.is_file() {
            std::fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(())
}

impl Sample {
    /// Uploads a picture; its uri, or `None` when the service stores no media.
    pub(super) async fn upload(&self, rest: &Rest, purpose: &str) -> anyhow::Result<Option<String>> {
        let new = NewMedia {
            mime_type: "image/png".into(),
            purpose: purpose.into(),
            file_name: self.name.into(),
            bytes: Bytes::from_static(self.bytes),
        };
        match rest.upload(new).await {
            Ok(uploaded) => Ok(Some(uploaded.uri)),
            Err(CallError::Refused { error, .. }) if error == "media.off" => Ok(None),
            Err(error) => Err(error).context("a photo cannot be uploaded"),
        }
    }
}
