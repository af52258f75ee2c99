//! Uploads: asked for, sent, finished, read.

use reqwest::Method;
use serde_json::json;

use super::{
    service::Service,
    uploading::{announced, noise, png},
};

#[tokio::test]
async fn a_picture_is_sent_finished_and_read() {
    let service = Service::with_media().await;
    let (member, other) = (service.member("王芳").await, service.member("Sam").await);
    let bytes = png(640, 480, 90);
    let mut asked = announced("image/png", "message", &bytes);
    asked["file_name"] = json!("皮疹.png");
    let upload = service.ask_upload(&member, asked).await.result();
    let id = upload["media_id"].as_i64().unwrap();
    assert_eq!(upload["uri"], format!("media:{id}"));
    assert_eq!(upload["ticket"]["method"], "PUT");
    assert_eq!(upload["ticket"]["url"], upload["resume_url"]);
    assert!(!service.shows(&member, id).await, "it is not finished");
    service.finish(&member, id).await.refused(409, "media.no_bytes");

    let url = upload["ticket"]["url"].as_str().unwrap();
    let sent = service
        .put(url)
        .token(&member.token)
        .body(bytes.clone())
        .send()
        .await;
    assert_eq!(sent.header("upload-offset"), bytes.len().to_string());
    assert_eq!(sent.result()["received"], bytes.len());
    assert!(!service.shows(&member, id).await, "it is not finished");

    let finished = service.finish(&member, id).await;
    let medium = finished.result();
    assert_eq!(medium["media_id"], id);
    assert_eq!(
        (&medium["mime_type"], &medium["size"]),
        (&json!("image/png"), &json!(bytes.len()))
    );
    assert_eq!(medium["file_name"], "皮疹.png");
    let again = service.finish(&member, id).await;
    assert_eq!(again.json["result"], finished.json["result"], "a repetition");
    let more = service.put_content(&member, id, bytes.clone()).await;
    more.refused(409, "media.finished");

    let read = member.get(&service, &format!("/media/{id}")).send().await;
    assert_eq!(read.status, 200);
    for (name, value) in [
        ("content-type", "image/png"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "private, no-cache"),
        (
            "content-disposition",
            "inline; filename*=UTF-8''%E7%9A%AE%E7%96%B9.png",
        ),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(read.header(name), value);
    }
    assert!(!service.shows(&other, id).await);
}

#[tokio::test]
async fn a_file_is_read_in_parts_and_saved_by_browsers() {
    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let id = service
        .upload(
            &member,
            "application/octet-stream",
            "message",
            b"0123456789".to_vec(),
        )
        .await;
    let path = format!("/media/{id}");
    let read = async |range: &'static str| member.get(&service, &path).header("Range", range).send().await;
    for (range, part, which) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let reply = read(range).await;
        assert_eq!((reply.status, reply.text.as_str()), (206, part), "{range}");
        assert_eq!(reply.header("content-range"), which);
        assert_eq!(reply.header("content-length"), part.len().to_string());
    }
    for whole in ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2"] {
        let reply = read(whole).await;
        assert_eq!(
            (reply.status, reply.text.as_str()),
            (200, "0123456789"),
            "{whole}"
        );
    }
    read("bytes=10-12").await.refused(416, "media.range");

    let reply = member.get(&service, &path).send().await;
    assert_eq!(reply.header("content-disposition"), "attachment");
    let tag = reply.header("etag").to_owned();
    let known = member
        .get(&service, &path)
        .header("If-None-Match", &tag)
        .send()
        .await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    let changed = member
        .get(&service, &path)
        .header("If-Range", "\"another\"")
        .header("Range", "bytes=2-4")
        .send()
        .await;
    assert_eq!(changed.status, 200);
    let head = service
        .call(Method::HEAD, &path)
        .token(&member.token)
        .send()
        .await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), "10");
    let smaller = member.get(&service, &format!("{path}?max=320")).send().await;
    smaller.refused(400, "request.invalid").field("max");
}

#[tokio::test]
async fn a_form_brings_the_bytes_in_its_field_file() {
    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let bytes = noise(100_000);
    let mut asked = announced("application/octet-stream", "message", &bytes);
    asked["way"] = json!("form");
    let upload = service.ask_upload(&member, asked).await.result();
    let id = upload["media_id"].as_i64().unwrap();
    assert_eq!(upload["ticket"]["method"], "POST");
    let form = |name: &str, end: &str| {
        let mut body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nx\r\n--b\r\n\
             Content-Disposition: form-data; name=\"{name}\"; filename=\"../a\\0\"\r\nContent-Type: text/html\r\n\r\n"
        )
        .into_bytes();
        body.extend(&bytes);
        body.extend(end.as_bytes());
        body
    };
    let url = upload["ticket"]["url"].as_str().unwrap();
    let post = async |body: Vec<u8>, content_type: &'static str| {
        let call = service.post(url).token(&member.token);
        call.header("Content-Type", content_type).body(body).send().await
    };
    const FORM: &str = "multipart/form-data; boundary=b";
    let whole = form("file", "\r\n--b--\r\n");
    post(whole.clone(), "text/plain")
        .await
        .refused(415, "media.not_a_form");
    post(whole.clone(), "multipart/form-data")
        .await
        .refused(415, "media.not_a_form");
    for bad in [form("files", "\r\n--b--\r\n"), Vec::new(), b"--b".to_vec()] {
        post(bad, FORM)
            .await
            .refused(400, "request.invalid")
            .field("body");
    }
    // Cut off within the field: what came stays, and a repetition goes on from there.
    let mut half = whole.clone();
    half.truncate(whole.len() / 2);
    post(half, FORM)
        .await
        .refused(400, "request.invalid")
        .field("body");
    assert_eq!(post(whole, FORM).await.result()["received"], bytes.len());
    service.finish(&member, id).await.result();
    let read = service.client.get(format!("{}/media/{id}", service.url));
    let read = read.header("X-AUTH-TOKEN", &member.token).send().await.unwrap();
    assert_eq!(read.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn a_large_upload_comes_in_parts_and_in_order() {
    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let bytes = noise(6 * 1024 * 1024);
    let (total, part) = (bytes.len(), 2 * 1024 * 1024);
    let id = service
        .asked(&member, announced("application/octet-stream", "message", &bytes))
        .await;
    let path = format!("/media/{id}/content");
    let send = async |first: usize, last: usize, all: usize| {
        let range = format!("bytes {first}-{last}/{all}");
        let body = bytes[first..=last.min(total - 1)].to_vec();
        let call = service
            .put(&path)
            .token(&member.token)
            .header("Content-Range", &range);
        call.body(body).send().await
    };
    let received = async || {
        let shown = member.get(&service, &path).send().await;
        let head = service
            .call(Method::HEAD, &path)
            .token(&member.token)
            .send()
            .await;
        assert_eq!(shown.header("upload-offset"), head.header("upload-offset"));
        assert_eq!(shown.result()["size"], total);
        shown.result()["received"].as_u64().unwrap() as usize
    };
    assert_eq!(received().await, 0);
    let beyond = send(part, 2 * part - 1, total).await;
    assert_eq!(beyond.refused(409, "media.offset").header("upload-offset"), "0");
    send(0, part - 1, total).await.result();
    let repeated = send(0, part - 1, total).await;
    assert_eq!(
        repeated.refused(409, "media.offset").header("upload-offset"),
        part.to_string()
    );
    for (first, last, all) in [(part, total, total), (part, part + 9, total + 1)] {
        let outside = send(first, last, all).await;
        outside.refused(400, "request.invalid").field("content-range");
    }
    for bad in ["bytes 1-2", "bytes */5", "bytes x-2/5", "5"] {
        let call = service
            .put(&path)
            .token(&member.token)
            .header("Content-Range", bad);
        let reply = call.body("x").send().await;
        reply.refused(400, "request.invalid").field("content-range");
    }
    assert_eq!(received().await, part);
    // By a query, as a form would.
    let call = service.put(&format!("{path}?offset={part}")).token(&member.token);
    call.body(bytes[part..2 * part].to_vec()).send().await.result();
    let longer = service
        .put(&format!("{path}?offset={}", 2 * part))
        .token(&member.token);
    let mut rest = bytes[2 * part..].to_vec();
    rest.push(0);
    let reply = longer.body(rest).send().await;
    reply.refused(400, "request.invalid").field("body");
    // All of it once more: what is there is skipped.
    let whole = service.put_content(&member, id, bytes.clone()).await;
    assert_eq!(whole.result()["received"], total);
    service.finish(&member, id).await.result();
    assert_eq!(received().await, total);
    let reply = service
        .client
        .get(format!("{}/media/{id}", service.url))
        .header("X-AUTH-TOKEN", &member.token)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_where_it_stopped() {
    use tokio::io::AsyncWriteExt;

    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let bytes = noise(300_000);
    let id = service
        .asked(&member, announced("application/octet-stream", "message", &bytes))
        .await;
    let mut stream = tokio::net::TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "PUT /media/{id}/content HTTP/1.1\r\nhost: x\r\nx-auth-token: {}\r\ncontent-length: {}\r\n\r\n",
        member.token,
        bytes.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes[..100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    let path = format!("/media/{id}/content");
    super::scene::eventually("what came is kept", async || {
        let shown = member.get(&service, &path).send().await.result();
        shown["received"].as_i64().unwrap() > 0
    })
    .await;
    super::scene::eventually("no other request sends it", async || {
        let reply = service.put_content(&member, id, bytes.clone()).await;
        reply.status == 200
    })
    .await;
    service.finish(&member, id).await.result();
}

#[tokio::test]
async fn smaller_pictures_are_made_once_and_kept_beside() {
    let service = Service::with_media().await;
    let member = service.member("王芳").await;
    let id = service
        .upload(&member, "image/png", "message", png(1000, 500, 120))
        .await;
    let before = service.stored();
    let client = |max: &str| {
        let url = format!("{}/media/{id}?max={max}", service.url);
        service.client.get(url).header("X-AUTH-TOKEN", &member.token)
    };
    let first = client("320").send().await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["content-type"], "image/jpeg");
    let first = first.bytes().await.unwrap();
    assert!(first.starts_with(b"\xff\xd8\xff"), "it is a JPEG");
    assert_eq!(service.stored(), before + 1);
    let second = client("400").send().await.unwrap();
    assert_eq!(second.bytes().await.unwrap(), first, "rounded down");
    assert_eq!(service.stored(), before + 1);
    let large = client("2048").send().await.unwrap();
    assert_eq!(large.headers()["content-type"], "image/png", "it is no larger");
    for bad in ["0", "63", "-1", "x", "99999999999"] {
        assert_eq!(client(bad).send().await.unwrap().status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn without_a_store_there_are_no_uploads() {
    let service = Service::start().await;
    let member = service.member("王芳").await;
    let asked = announced("image/png", "message", &png(1, 1, 0));
    service.ask_upload(&member, asked).await.refused(409, "media.off");
    service.fetch(&member, 1).await.refused(409, "media.off");
    service.finish(&member, 1).await.refused(409, "media.off");
    service
        .put_content(&member, 1, vec![0])
        .await
        .refused(409, "media.off");
}
