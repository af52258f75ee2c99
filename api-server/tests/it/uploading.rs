//! Uploads of tests.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    people::Person,
    service::{Reply, Service},
};

/// A PNG of this size, whose pixels are of one shade.
pub fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    let pixels = vec![shade; (width * height) as usize];
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

/// Bytes that repeat late.
pub fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// The announcement of these bytes.
pub fn announced(mime_type: &str, purpose: &str, bytes: &[u8]) -> Value {
    json!({
        "mime_type": mime_type, "size": bytes.len(), "purpose": purpose,
        "sha256": hex::encode(Sha256::digest(bytes)),
    })
}

impl Service {
    pub async fn ask_upload(&self, who: &Person, asked: Value) -> Reply {
        who.post(self, "/media", asked).send().await
    }

    /// An upload that was asked for.
    pub async fn asked(&self, who: &Person, asked: Value) -> i64 {
        let upload = self.ask_upload(who, asked).await.result();
        upload["media_id"].as_i64().unwrap()
    }

    pub async fn put_content(&self, who: &Person, id: i64, bytes: Vec<u8>) -> Reply {
        let path = format!("/media/{id}/content");
        self.put(&path).token(&who.token).body(bytes).send().await
    }

    pub async fn finish(&self, who: &Person, id: i64) -> Reply {
        let path = format!("/media/{id}/finish");
        who.post(self, &path, json!({})).send().await
    }

    /// A finished upload.
    pub async fn upload(&self, who: &Person, mime_type: &str, purpose: &str, bytes: Vec<u8>) -> i64 {
        let id = self.asked(who, announced(mime_type, purpose, &bytes)).await;
        self.put_content(who, id, bytes).await.result();
        self.finish(who, id).await.result();
        id
    }

    /// A finished picture.
    pub async fn picture(&self, who: &Person, purpose: &str) -> i64 {
        self.upload(who, "image/png", purpose, png(8, 6, 99)).await
    }

    pub async fn fetch(&self, who: &Person, id: i64) -> Reply {
        who.get(self, &format!("/media/{id}")).send().await
    }

    /// Whether a user sees a medium. To others it looks as if it did not exist.
    pub async fn shows(&self, who: &Person, id: i64) -> bool {
        let path = format!("/media/{id}?max=320");
        let (reply, smaller) = (
            who.get(self, &format!("/media/{id}"))
                .header("X-Request-Id", "same")
                .send()
                .await,
            who.get(self, &path).header("X-Request-Id", "same").send().await,
        );
        if reply.status == 200 {
            return true;
        }
        reply.refused(404, "media.not_found");
        let nothing = who
            .get(self, "/media/9007199254740991")
            .header("X-Request-Id", "same")
            .send()
            .await;
        assert_eq!((&reply.text, &smaller.text), (&nothing.text, &nothing.text));
        false
    }

    /// How many files the store has.
    pub fn stored(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| match entry.path() {
                    path if path.is_dir() => count(&path),
                    _ => 1,
                })
                .sum()
        }
        self.media.as_ref().map_or(0, |folder| count(folder.path()))
    }
}
