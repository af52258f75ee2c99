//! A store of S3 that hangs, is down or refuses: each request and job is refused in time and leaves nothing behind; chat and
//! records go on; all of it works once the store is back.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use api_server::MediaPlace;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    background::job,
    media_jobs::{age, ready, rows, turn},
    people::Person,
    scene::eventually,
    service::{Reply, Service, roomy},
    uploading::{announced, noise, png},
};
use crate::s3::{BUCKET, Illness, PREFIX, S3Server};

/// Longer than each wait of one request, at a timeout of 1 s for each answer of the store.
const LONGEST: Duration = Duration::from_secs(40);

const ILLNESSES: [Illness; 4] = [
    Illness::Silent,
    Illness::Closes,
    Illness::Answers(503, "<Error><Code>ServiceUnavailable</Code></Error>"),
    Illness::Answers(403, "<Error><Code>AccessDenied</Code></Error>"),
];

struct World {
    service: Service,
    s3: S3Server,
    member: Person,
    _config: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with_key("secret").await
    }

    async fn with_key(secret: &str) -> Self {
        let s3 = S3Server::start().await;
        let config = tempfile::tempdir().unwrap();
        let file = config.path().join("s3.toml");
        std::fs::write(&file, s3.settings(secret)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let settings = api_server::Settings {
            media_place: MediaPlace::S3 {
                bucket: BUCKET.to_owned(),
                prefix: PREFIX.to_owned(),
            },
            media_config: Some(file),
            ..roomy()
        };
        let mut service = Service::start_with(settings).await;
        // An address of the store is looked at, not followed.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        service.client = client.build().unwrap();
        let member = service.member("王芳").await;
        Self {
            service,
            s3,
            member,
            _config: config,
        }
    }

    async fn staged(&self, shade: u8) -> i64 {
        let picture = png(200, 150, shade);
        let id = self.asked(shade).await;
        self.service.put_content(&self.member, id, picture).await.result();
        id
    }

    async fn asked(&self, shade: u8) -> i64 {
        let asked = announced("image/png", "message", &png(200, 150, shade));
        self.service.asked(&self.member, asked).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.member.get(&self.service, path).send().await
    }

    async fn media_store(&self) -> Value {
        let shown = self.service.get("/readyz?verbose").send().await.result();
        assert_eq!(shown["status"], "ok", "chat goes on");
        shown["checks"]["media_store"].clone()
    }
}

/// Refused within the time, by a sentence that names neither the store nor its key.
async fn away(what: &str, call: impl Future<Output = Reply>) {
    let reply = tokio::time::timeout(LONGEST, call).await;
    let reply = reply.unwrap_or_else(|_| panic!("{what} takes too long"));
    reply.refused(503, "media.store_away");
    assert_eq!(reply.header("retry-after"), "5", "{what}");
    names_nothing(&reply.text);
}

fn names_nothing(text: &str) {
    for secret in ["127.0.0.1", BUCKET, "AKID", "secret", "incoming", "kept/"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn requests_are_refused_while_the_store_is_ill_and_served_afterwards() {
    let world = World::new().await;
    let (service, member) = (&world.service, &world.member);
    assert_eq!(world.media_store().await, json!(true));
    let shown = world.staged(1).await;
    service.finish(member, shown).await.result();
    for (at, illness) in ILLNESSES.into_iter().enumerate() {
        let shade = 10 * (at as u8 + 1);
        let (staged, empty) = (world.staged(shade).await, world.asked(shade + 1).await);
        world.s3.fall_ill(illness);
        // A ticket asks nothing of the store.
        let late = world.asked(shade + 2).await;
        let [progress, smaller] = [
            format!("/media/{staged}/content"),
            format!("/media/{shown}?max=64"),
        ];
        let form = service
            .post(&format!("/media/{late}/content"))
            .token(&member.token)
            .header("Content-Type", "multipart/form-data; boundary=x")
            .body("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc\r\n--x--\r\n");
        tokio::join!(
            away(
                "a PUT",
                service.put_content(member, empty, png(200, 150, shade + 1))
            ),
            away("a form", form.send()),
            away("progress", world.get(&progress)),
            away("the end", service.finish(member, staged)),
            away("a smaller picture", world.get(&smaller)),
        );
        // An address is signed here; records and chat do without the store.
        assert_eq!(world.get(&format!("/media/{shown}")).await.status, 302);
        world.get("/account").await.result();
        assert_eq!(world.media_store().await, json!(false), "{illness:?}");
        world.s3.recover();
        for (id, shade) in [(empty, shade + 1), (late, shade + 2)] {
            service
                .put_content(member, id, png(200, 150, shade))
                .await
                .result();
        }
        assert_eq!(world.media_store().await, json!(true));
        for id in [staged, empty, late] {
            let finished = service.finish(member, id).await.result();
            assert_eq!(finished["width"], 200, "{illness:?}");
        }
    }
    let shrunk = world.get(&format!("/media/{shown}?max=64")).await;
    assert_eq!(shrunk.status, 302);
    // The bytes of each and one smaller picture; nothing of what was refused.
    let kept = ILLNESSES.len() * 3 + 1;
    assert_eq!(rows(service).await, kept as i64);
    assert_eq!(world.s3.objects().len(), kept + 1, "{:?}", world.s3.objects());
}

#[tokio::test]
async fn jobs_fail_while_the_store_is_ill_and_finish_afterwards() {
    let world = World::new().await;
    let service = &world.service;
    let operator = ready(service, "media_unused").await;
    for illness in ILLNESSES {
        let staged = world.staged(1).await;
        let finished = world.staged(2).await;
        service.finish(&world.member, finished).await.result();
        world.asked(3).await;
        age(service).await;
        world.s3.fall_ill(illness);
        for name in ["media_unused", "media_sweep"] {
            turn(service, &operator, name).await;
            eventually("the turn has failed", async || {
                let job = job(service, &operator, name).await.unwrap();
                job["failures"].as_i64().unwrap() > 0
            })
            .await;
            let failed = job(service, &operator, name).await.unwrap();
            names_nothing(failed["failure"].as_str().unwrap());
        }
        assert!(!world.s3.objects().is_empty(), "{illness:?} {staged}");
        world.s3.recover();
        for name in ["media_unused", "media_sweep"] {
            turn(service, &operator, name).await;
        }
        eventually("nothing is left behind", async || {
            rows(service).await == 0 && world.s3.objects().is_empty()
        })
        .await;
        eventually("the jobs do not fail any more", async || {
            let mut failures = 0;
            for name in ["media_unused", "media_sweep"] {
                let job = job(service, &operator, name).await.unwrap();
                failures += job["failures"].as_i64().unwrap();
            }
            failures == 0
        })
        .await;
    }
}

/// An upload of several parts, whose sender goes on where the store has stopped. Many of them hang at once.
#[tokio::test]
async fn uploads_in_parts_go_on_after_an_outage() {
    let world = World::new().await;
    let (service, member) = (&world.service, &world.member);
    let bytes = noise(11 * 1024 * 1024);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let asked = announced("application/octet-stream", "message", &bytes);
        ids.push(service.asked(member, asked).await);
    }
    let first = ids[0];
    let part = 5 * 1024 * 1024;
    let path = format!("/media/{first}/content");
    let put = async |from: usize, to: usize| {
        let range = format!("bytes {from}-{}/{}", to - 1, bytes.len());
        let call = service.put(&path).token(&member.token);
        let call = call
            .header("Content-Range", &range)
            .body(bytes[from..to].to_vec());
        call.send().await
    };
    put(0, part).await.result();
    world.s3.fall_ill(Illness::Silent);
    let calls = ids[1..].iter().map(|id| {
        let whole = service.put_content(member, *id, bytes.clone());
        away("a large PUT", whole)
    });
    tokio::join!(
        away("the second part", put(part, 2 * part)),
        futures_util::future::join_all(calls)
    );
    world.s3.recover();
    let progress = world.get(&path).await.result();
    assert_eq!(progress["received"], part);
    put(part, 2 * part).await.result();
    put(2 * part, bytes.len()).await.result();
    for id in &ids[1..] {
        service.put_content(member, *id, bytes.clone()).await.result();
    }
    for id in ids {
        service.finish(member, id).await.result();
    }
    assert_eq!(world.s3.objects().len(), 4, "{:?}", world.s3.objects());
}

/// A key that the store does not know: the operator's fault, and said as an outage.
#[tokio::test]
async fn a_wrong_key_is_refused_as_an_outage() {
    let world = World::with_key("wrong").await;
    let (service, member) = (&world.service, &world.member);
    let id = world.asked(1).await;
    away("a PUT", service.put_content(member, id, png(200, 150, 1))).await;
    away("the end", service.finish(member, id)).await;
    assert_eq!(world.media_store().await, json!(false));
    assert_eq!(world.s3.objects().len(), 0);
    world.s3.fall_ill(Illness::Stops);
    away("the end", service.finish(member, id)).await;
}
