//! Uploads that are not what they say, too large, too many or too slow: refused with a sentence, and nothing is left behind.

use std::num::NonZeroU32;

use api_server::Settings;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    service::{Service, roomy},
    uploading::{announced, noise, png},
};

const FILE: &str = "application/octet-stream";

#[tokio::test]
async fn what_is_announced_must_be_possible() {
    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let good = announced(FILE, "message", b"x");
    let cases: [(&str, Value, u16, &str, &str); 12] = [
        ("size", json!(10_000_000_000_i64), 413, "media.too_large", "size"),
        (
            "size",
            json!(100 * 1024 * 1024 + 1),
            413,
            "media.too_large",
            "size",
        ),
        ("size", json!(0), 400, "request.invalid", "size"),
        ("size", json!(-1), 400, "request.invalid", "size"),
        ("sha256", json!("z".repeat(64)), 400, "request.invalid", "sha256"),
        ("sha256", json!("ab"), 400, "request.invalid", "sha256"),
        (
            "mime_type",
            json!("image/svg+xml"),
            400,
            "request.invalid",
            "mime_type",
        ),
        (
            "mime_type",
            json!("text/html"),
            400,
            "request.invalid",
            "mime_type",
        ),
        (
            "mime_type",
            json!("image/gif"),
            400,
            "request.invalid",
            "mime_type",
        ),
        ("purpose", json!("profile"), 400, "request.invalid", "mime_type"),
        ("purpose", json!("licence"), 400, "request.invalid", "mime_type"),
        ("file_name", json!("a\0b"), 400, "request.invalid", "file_name"),
    ];
    for (name, value, status, word, field) in cases {
        let mut asked = good.clone();
        asked[name] = value;
        let reply = service.ask_upload(&member, asked.clone()).await;
        assert_eq!(reply.status, status, "{asked}: {}", reply.text);
        reply.refused(status, word).field(field);
    }
    let mut picture = announced("image/jpeg", "message", b"x");
    picture["size"] = json!(20 * 1024 * 1024 + 1);
    let reply = service.ask_upload(&member, picture).await;
    reply.refused(413, "media.too_large").field("size");
    // A file name is text.
    let mut path = good;
    path["file_name"] = json!("../../../etc/passwd");
    service.ask_upload(&member, path).await.result();
    assert_eq!(service.stored(), 0);
}

/// Bytes that are not what was announced are gone, for each way in which they differ.
#[tokio::test]
async fn bytes_that_differ_are_gone() {
    let service = Service::with_media().await;
    let (member, other) = (service.member("王芳").await, service.member("Sam").await);
    let bytes = noise(1000);
    let mut changed = bytes.clone();
    changed[500] ^= 1;
    for (sent, mime_type, field) in [
        (&changed[..], FILE, "sha256"),
        (&bytes[..999], FILE, "size"),
        (&bytes[..], "image/png", "mime_type"),
        (&bytes[..], "audio/amr", "mime_type"),
        (&bytes[..], "video/mp4", "mime_type"),
    ] {
        let id = service
            .asked(&member, announced(mime_type, "message", &bytes))
            .await;
        service.put_content(&member, id, sent.to_vec()).await.result();
        service.finish(&other, id).await.refused(404, "media.not_found");
        let refused = service.finish(&member, id).await;
        refused.refused(422, "media.refused").field(field);
        service.finish(&member, id).await.refused(422, "media.refused");
        let again = service.put_content(&member, id, bytes.clone()).await;
        again.refused(404, "media.not_found");
        assert!(!service.shows(&member, id).await);
        assert_eq!(service.stored(), 0, "{field}");
    }
}

#[tokio::test]
async fn others_have_no_part_in_an_upload() {
    let service = Service::with_media().await;
    let (member, other) = (service.member("王芳").await, service.member("Sam").await);
    let id = service.asked(&member, announced(FILE, "message", b"x")).await;
    for who in [&other] {
        let put = service.put_content(who, id, b"x".to_vec()).await;
        put.refused(404, "media.not_found");
        let shown = who.get(&service, &format!("/media/{id}/content")).send().await;
        shown.refused(404, "media.not_found");
    }
}

#[tokio::test]
async fn two_who_finish_at_once_get_one_outcome() {
    let service = Service::with_media().await;
    let beside = service.beside().await;
    let member = service.member("王芳").await;
    for good in [true, false] {
        let bytes = noise(200_000);
        let id = service.asked(&member, announced(FILE, "message", &bytes)).await;
        let sent = if good { bytes } else { noise(199_999) };
        service.put_content(&member, id, sent).await.result();
        let replies = tokio::join!(
            service.finish(&member, id),
            beside.finish(&member, id),
            service.finish(&member, id),
            beside.finish(&member, id),
        );
        for reply in [&replies.0, &replies.1, &replies.2, &replies.3] {
            if good {
                assert_eq!(reply.result(), replies.0.result());
            } else {
                // The other process may find the bytes gone before it reads why.
                assert!(
                    ["media.refused", "media.no_bytes"].contains(&reply.json["error"].as_str().unwrap()),
                    "{}",
                    reply.text
                );
            }
        }
        if !good {
            service.finish(&member, id).await.refused(422, "media.refused");
            assert_eq!(service.stored(), 1, "the good one alone");
        }
        assert_eq!(service.shows(&member, id).await, good);
    }
}

#[tokio::test]
async fn a_user_has_some_unfinished_uploads_and_a_sum_for_each_day() {
    let service = Service::with_media_and(Settings {
        media_daily_mib: NonZeroU32::new(2).unwrap(),
        ..roomy()
    })
    .await;
    let (member, other) = (service.member("王芳").await, service.member("Sam").await);
    let mut large = announced(FILE, "message", b"x");
    large["size"] = json!(1024 * 1024);
    service.ask_upload(&member, large.clone()).await.result();
    // Small ones count as 256 KiB.
    for _ in 0..4 {
        service.asked(&member, announced(FILE, "message", b"x")).await;
    }
    let beyond = service
        .ask_upload(&member, announced(FILE, "message", b"x"))
        .await;
    beyond.refused(429, "media.daily_limit_reached");
    service.ask_upload(&other, large).await.result();

    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let mut first = 0;
    for at in 0..20 {
        let id = service.asked(&member, announced(FILE, "message", b"x")).await;
        first = if at == 0 { id } else { first };
    }
    let beyond = service
        .ask_upload(&member, announced(FILE, "message", b"x"))
        .await;
    beyond.refused(409, "media.unfinished_limit_reached");
    service.put_content(&member, first, b"x".to_vec()).await.result();
    service.finish(&member, first).await.result();
    service.asked(&member, announced(FILE, "message", b"x")).await;
}

/// A sender of one byte a second is cut off, and holds up no other.
#[tokio::test]
async fn a_byte_a_second_is_cut_off() {
    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let bytes = noise(1000);
    let id = service.asked(&member, announced(FILE, "message", &bytes)).await;
    let mut stream = tokio::net::TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "PUT /media/{id}/content HTTP/1.1\r\nhost: x\r\nx-auth-token: {}\r\ncontent-length: 1000\r\n\r\n",
        member.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let dripping = tokio::spawn(async move {
        for byte in bytes {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    });
    let mut answer = vec![0; 12];
    let cut = tokio::time::timeout(super::scene::PATIENCE, read.read_exact(&mut answer)).await;
    cut.expect("it is cut off").unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    dripping.abort();
    let (whole, other) = (noise(1000), service.member("Sam").await);
    assert!(!service.shows(&other, id).await);
    super::scene::eventually("it goes on", async || {
        service.put_content(&member, id, whole.clone()).await.status == 200
    })
    .await;
    service.finish(&member, id).await.result();
}

#[tokio::test]
async fn a_body_is_taken_beyond_the_limit_of_other_endpoints() {
    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let picture = png(1200, 900, 7);
    let large = noise(3 * 1024 * 1024);
    service.upload(&member, "image/png", "message", picture).await;
    service.upload(&member, FILE, "message", large).await;
    let long = service.post("/media").token(&member.token);
    let reply = long
        .header("Content-Type", "application/json")
        .body(vec![b' '; 200_000])
        .send()
        .await;
    reply.refused(413, "request.body_too_large");
}
