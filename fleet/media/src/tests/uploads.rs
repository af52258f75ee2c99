//! An upload from its first byte to its deletion, in a folder and in S3.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tempfile::TempDir;

use super::{
    samples,
    server::{S3Server, files},
};
use crate::{
    Announced, FinishError, Finished, Form, Key, MimeType, Refused, Store, StoreError, finish,
    store::{Broken, Pieces, Shown, Stored, Wanted, Way},
};

const MIB: usize = 1024 * 1024;

/// A store of either kind, and what it stands on.
enum Place {
    Folder(TempDir),
    S3(S3Server),
}

impl Place {
    /// The names of all that is stored.
    fn files(&self) -> Vec<std::path::PathBuf> {
        match self {
            Self::Folder(folder) => files(folder.path()),
            Self::S3(server) => server.objects(),
        }
    }
}

async fn folder() -> (Store, Place) {
    let folder = tempfile::tempdir().unwrap();
    (Store::folder(folder.path()).await.unwrap(), Place::Folder(folder))
}

async fn s3() -> (Store, Place) {
    let server = S3Server::start().await;
    (server.store(), Place::S3(server))
}

/// Runs a test in both stores.
macro_rules! in_both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn in_a_folder() {
                let (store, place) = super::folder().await;
                super::scenes::$name(&store, &place).await;
            }

            #[tokio::test]
            async fn in_s3() {
                let (store, place) = super::s3().await;
                super::scenes::$name(&store, &place).await;
            }
        }
    )*};
}

in_both!(
    an_upload_is_kept_read_and_deleted,
    a_photo_is_kept_with_and_without_its_place,
    an_upload_goes_on_where_it_broke,
    a_large_upload_comes_through,
    what_was_not_announced_is_gone,
    a_finish_may_be_repeated,
    two_finishes_at_once_agree,
    ranges_are_those_of_the_bytes,
    a_listing_is_in_order,
    what_is_staged_can_be_discarded,
);

/// Bytes in pieces of this size.
pub(super) fn pieces(content: &[u8], size: usize) -> Pieces<'static> {
    let pieces: Vec<_> = content
        .chunks(size)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Box::pin(stream::iter(pieces))
}

/// Bytes whose sender breaks off.
fn broken(content: &[u8]) -> Pieces<'static> {
    Box::pin(pieces(content, 1000).chain(stream::iter([Err(Broken)])))
}

/// Bytes without a pattern.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

pub(super) async fn upload(store: &Store, content: &[u8]) -> Key {
    let key = Key::random();
    let total = content.len() as u64;
    let received = store.append(&key, 0, total, pieces(content, 1000)).await;
    assert_eq!(received, Ok(total));
    key
}

pub(super) async fn kept(store: &Store, mime: MimeType, content: &[u8]) -> Key {
    let key = upload(store, content).await;
    finish(store, &key, &Announced::of(mime, content)).await.unwrap();
    key
}

pub(super) async fn read(
    store: &Store,
    key: &Key,
    form: Form,
    wanted: Wanted,
) -> Result<Vec<u8>, StoreError> {
    let read = store.read(key, form, wanted).await?;
    let range = read.range.clone();
    let bytes: Vec<Bytes> = read.bytes.try_collect().await?;
    let bytes = bytes.concat();
    assert_eq!(bytes.len() as u64, range.end - range.start);
    Ok(bytes)
}

mod scenes {
    use super::*;

    pub(super) async fn an_upload_is_kept_read_and_deleted(store: &Store, place: &Place) {
        let content = noise(10_000);
        let key = upload(store, &content).await;
        let unread = read(store, &key, Form::Served, Wanted::All).await;
        assert_eq!(unread, Err(StoreError::NotFound), "it is not finished");
        finish(store, &key, &Announced::of(MimeType::File, &content))
            .await
            .unwrap();
        assert_eq!(read(store, &key, Form::Served, Wanted::All).await, Ok(content));
        assert_eq!(store.size(&key, Form::Served).await, Ok(10_000));
        assert_eq!(store.size(&key, Form::Uploaded).await, Err(StoreError::NotFound));
        assert_eq!(place.files().len(), 1, "{:?}", place.files());
        let more = store.append(&key, 0, 5, pieces(b"later", 5)).await;
        assert_eq!(more, Err(StoreError::NotFound), "it is kept");
        store.delete(&key).await.unwrap();
        store.delete(&key).await.unwrap();
        assert_eq!(place.files(), Vec::<std::path::PathBuf>::new());
    }

    pub(super) async fn a_photo_is_kept_with_and_without_its_place(store: &Store, place: &Place) {
        let photo = samples::photo(64, 48, 6);
        let key = upload(store, &photo).await;
        let finished = finish(store, &key, &Announced::of(MimeType::Jpeg, &photo)).await;
        let size = Finished {
            width: 48,
            height: 64,
            duration_ms: 0,
        };
        assert_eq!(finished, Ok(size));
        assert_eq!(
            read(store, &key, Form::Uploaded, Wanted::All).await,
            Ok(photo.clone())
        );
        let served = read(store, &key, Form::Served, Wanted::All).await.unwrap();
        assert!(served.len() < photo.len());
        assert!(!served.windows(7).any(|text| text == &samples::SECRET[..7]));
        assert_eq!(place.files().len(), 2);
        store.delete(&key).await.unwrap();
        assert_eq!(place.files().len(), 0);
    }

    pub(super) async fn an_upload_goes_on_where_it_broke(store: &Store, _: &Place) {
        let content = noise(700_000);
        let total = 700_000;
        let key = Key::random();
        assert_eq!(store.received(&key).await, Ok(0));
        let first = store.append(&key, 0, total, broken(&content[..300_000])).await;
        assert_eq!(first, Err(StoreError::Interrupted));
        assert_eq!(store.received(&key).await, Ok(300_000));
        for wrong in [0, 299_999, 300_001] {
            let refused = store.append(&key, wrong, total, pieces(b"x", 1)).await;
            let received = StoreError::WrongOffset { received: 300_000 };
            assert_eq!(refused, Err(received), "{wrong}");
        }
        let rest = pieces(&content[300_000..], 1000);
        assert_eq!(store.append(&key, 300_000, total, rest).await, Ok(total));
        let more = store.append(&key, total, total, pieces(b"x", 1)).await;
        assert_eq!(more, Err(StoreError::TooLong { total }));
        finish(store, &key, &Announced::of(MimeType::File, &content))
            .await
            .unwrap();
        assert_eq!(read(store, &key, Form::Served, Wanted::All).await, Ok(content));
    }

    pub(super) async fn a_large_upload_comes_through(store: &Store, place: &Place) {
        // Parts of S3 have 5 MiB.
        for bytes in [10 * MIB, 12 * MIB + 1] {
            let content = noise(bytes);
            let key = Key::random();
            let total = bytes as u64;
            let received = store.append(&key, 0, total, pieces(&content, 64 * 1024)).await;
            assert_eq!(received, Ok(total));
            finish(store, &key, &Announced::of(MimeType::File, &content))
                .await
                .unwrap();
            let end = read(store, &key, Form::Served, Wanted::Last(100)).await.unwrap();
            assert_eq!(end, content[bytes - 100..]);
            assert_eq!(read(store, &key, Form::Served, Wanted::All).await, Ok(content));
        }
        assert_eq!(place.files().len(), 2);
    }

    pub(super) async fn what_was_not_announced_is_gone(store: &Store, place: &Place) {
        let content = samples::png(9, 9);
        let right = Announced::of(MimeType::Png, &content);
        let wrong_size = Announced {
            bytes: right.bytes + 1,
            ..right.clone()
        };
        let wrong_hash = Announced {
            sha256: [7; 32],
            ..right.clone()
        };
        let wrong_type = Announced {
            mime: MimeType::Jpeg,
            ..right.clone()
        };
        let size = Refused::Size {
            received: right.bytes,
            announced: right.bytes + 1,
        };
        let kind = Refused::Type {
            announced: "image/jpeg",
        };
        for (announced, refused) in [
            (wrong_size, size),
            (wrong_hash, Refused::Sha256),
            (wrong_type, kind),
        ] {
            let key = upload(store, &content).await;
            let finished = finish(store, &key, &announced).await;
            assert_eq!(finished, Err(FinishError::Refused(refused)));
            assert_eq!(place.files().len(), 0, "{refused}");
            assert_eq!(store.received(&key).await, Ok(0));
            let again = finish(store, &key, &right).await;
            assert_eq!(again, Err(FinishError::Store(StoreError::NotFound)));
        }
    }

    pub(super) async fn a_finish_may_be_repeated(store: &Store, place: &Place) {
        for (mime, content) in [
            (MimeType::Jpeg, samples::photo(20, 10, 6)),
            (MimeType::Amr, samples::amr(50)),
        ] {
            let key = upload(store, &content).await;
            let announced = Announced::of(mime, &content);
            let first = finish(store, &key, &announced).await.unwrap();
            let files = place.files();
            assert_eq!(finish(store, &key, &announced).await, Ok(first));
            assert_eq!(place.files(), files);
        }
    }

    pub(super) async fn two_finishes_at_once_agree(store: &Store, place: &Place) {
        for turn in 0..10 {
            let content = samples::photo(20 + turn, 10, 6);
            let key = upload(store, &content).await;
            let announced = Announced::of(MimeType::Jpeg, &content);
            let (one, other) = tokio::join!(finish(store, &key, &announced), finish(store, &key, &announced));
            // One may find the other at work.
            let finished: Vec<_> = [one, other].into_iter().filter_map(Result::ok).collect();
            assert!(!finished.is_empty() && finished.iter().all(|one| *one == finished[0]));
            assert_eq!(read(store, &key, Form::Uploaded, Wanted::All).await, Ok(content));
            let served = read(store, &key, Form::Served, Wanted::All).await.unwrap();
            assert!(!served.windows(7).any(|text| text == &samples::SECRET[..7]));
            store.delete(&key).await.unwrap();
        }
        assert_eq!(place.files().len(), 0);
    }

    pub(super) async fn ranges_are_those_of_the_bytes(store: &Store, _: &Place) {
        let content = noise(1000);
        let key = kept(store, MimeType::File, &content).await;
        let part = async |wanted| read(store, &key, Form::Served, wanted).await;
        assert_eq!(part(Wanted::Between(10, 19)).await.unwrap(), content[10..20]);
        assert_eq!(part(Wanted::Between(990, 5000)).await.unwrap(), content[990..]);
        assert_eq!(part(Wanted::From(999)).await.unwrap(), content[999..]);
        assert_eq!(part(Wanted::Last(3)).await.unwrap(), content[997..]);
        assert_eq!(part(Wanted::Last(5000)).await.unwrap(), content);
        for beyond in [
            Wanted::From(1000),
            Wanted::Between(1000, 1001),
            Wanted::Between(1 << 60, 1 << 61),
        ] {
            let beyond = part(beyond).await;
            assert_eq!(beyond, Err(StoreError::OutOfRange { bytes: 1000 }));
        }
        let missing = read(store, &Key::random(), Form::Served, Wanted::From(1)).await;
        assert_eq!(missing, Err(StoreError::NotFound));
    }

    pub(super) async fn a_listing_is_in_order(store: &Store, _: &Place) {
        let mut keys = Vec::new();
        for number in 0..6 {
            keys.push(kept(store, MimeType::File, &noise(number + 1)).await);
        }
        let photo = kept(store, MimeType::Jpeg, &samples::photo(8, 8, 6)).await;
        keys.push(photo.clone());
        upload(store, b"staged").await;
        keys.sort();
        let all: Vec<Stored> = store.list(None).try_collect().await.unwrap();
        assert!(all.iter().all(|stored| is_recent(stored.modified_ms)), "{all:?}");
        let found: Vec<Key> = all
            .iter()
            .filter(|stored| stored.form == Form::Served)
            .map(|stored| stored.key.clone())
            .collect();
        assert_eq!(found, keys);
        assert!(all.is_sorted_by_key(|stored| &stored.key));
        let of_photo = all.iter().filter(|stored| stored.key == photo);
        assert_eq!(of_photo.count(), 2);
        for (at, key) in keys.iter().enumerate() {
            let rest: Vec<Stored> = store.list(Some(key)).try_collect().await.unwrap();
            let wanted: Vec<Stored> = all.iter().filter(|stored| stored.key > *key).cloned().collect();
            assert_eq!(rest, wanted, "behind {at}");
        }
    }

    pub(super) async fn what_is_staged_can_be_discarded(store: &Store, place: &Place) {
        let content = noise(300_000);
        let key = kept(store, MimeType::File, &content).await;
        let other = upload(store, &content).await;
        let staged: Vec<_> = store.list_staged().try_collect().await.unwrap();
        assert_eq!(staged.len(), 1, "{staged:?}");
        assert_eq!(staged[0].key, other);
        assert!(is_recent(staged[0].modified_ms));
        for key in [&key, &other] {
            store.discard(key).await.unwrap();
        }
        assert_eq!(place.files().len(), 1);
        assert_eq!(read(store, &key, Form::Served, Wanted::All).await, Ok(content));
    }
}

fn is_recent(ms: i64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    (i64::try_from(now).unwrap() - ms).abs() < 600_000
}

/// Now, as tickets are signed with.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    i64::try_from(now).unwrap()
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn a_ticket_leads_straight_to_s3() {
    let server = S3Server::start().await;
    let store = server.store();
    let content = samples::png(30, 20);
    let announced = Announced::of(MimeType::Png, &content);
    let key = Key::random();
    let ticket = store.ticket(&key, &announced, Way::Put, now_ms()).unwrap();
    let put = async |url: &str, content: &[u8]| {
        let mut request = client().put(url).body(content.to_vec());
        for (name, value) in &ticket.headers {
            request = request.header(*name, value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let mut longer = content.clone();
    longer.push(0);
    assert_eq!(put(&ticket.url, &longer).await, 403, "its length is signed");
    let elsewhere = ticket.url.replace(key.as_str(), Key::random().as_str());
    assert_eq!(put(&elsewhere, &content).await, 403, "its name is signed");
    assert_eq!(put(&ticket.url, &content).await, 200);
    assert_eq!(store.received(&key).await, Ok(content.len() as u64));
    let finished = finish(&store, &key, &announced).await.unwrap();
    assert_eq!((finished.width, finished.height), (30, 20));
    // A second use of the ticket does not reach what is kept.
    assert_eq!(put(&ticket.url, &content).await, 200);
    assert_eq!(read(&store, &key, Form::Served, Wanted::All).await, Ok(content));
    let late = store
        .ticket(&key, &announced, Way::Put, now_ms() - 1_000_000)
        .unwrap();
    assert_eq!(put(&late.url, b"").await, 403, "it has ended");
}

#[tokio::test]
async fn a_form_leads_straight_to_s3() {
    let server = S3Server::start().await;
    let store = server.store();
    let content = samples::amr(20);
    let announced = Announced::of(MimeType::Amr, &content);
    let key = Key::random();
    let ticket = store.ticket(&key, &announced, Way::Form, now_ms()).unwrap();
    let post = async |content: &[u8]| {
        let mut body = Vec::new();
        for (name, value) in &ticket.fields {
            let head = format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(head.into_bytes());
        }
        body.extend(b"--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../a\"\r\n\r\n");
        body.extend(content);
        body.extend(b"\r\n--cut--\r\n");
        let request = client().post(&ticket.url).body(body);
        let request = request.header("content-type", "multipart/form-data; boundary=cut");
        request.send().await.unwrap().status().as_u16()
    };
    for wrong in [&content[1..], &[&content[..], b"x"].concat()] {
        assert_eq!(post(wrong).await / 100, 4, "the policy has the size");
    }
    assert_eq!(post(&content).await / 100, 2);
    let finished = finish(&store, &key, &announced).await.unwrap();
    assert_eq!(finished.duration_ms, 400);
}

#[tokio::test]
async fn a_signed_address_serves_for_some_minutes() {
    let server = S3Server::start().await;
    let store = server.store();
    let content = noise(5000);
    let key = kept(&store, MimeType::File, &content).await;
    let shown = Shown {
        mime: MimeType::File,
        disposition: "attachment; filename*=UTF-8''%E7%97%85%E5%8E%86.pdf".to_owned(),
    };
    let url = store.signed_read(&key, Form::Served, &shown, now_ms()).unwrap();
    let answer = client().get(&url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let disposition = answer.headers()["content-disposition"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(disposition, shown.disposition);
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(answer.bytes().await.unwrap(), content);
    let status = async |url: String| client().get(url).send().await.unwrap().status().as_u16();
    let before = store
        .signed_read(&key, Form::Served, &shown, now_ms() - 301_000)
        .unwrap();
    assert_eq!(status(before).await, 403, "it has ended");
    let other = url.replace("attachment", "inline");
    assert_eq!(status(other).await, 403, "its headers are signed");
}

#[tokio::test]
async fn small_pieces_are_refused_by_s3() {
    let server = S3Server::start().await;
    let store = server.store();
    let key = Key::random();
    let refused = store.append(&key, 0, 10_000, pieces(&[0; 100], 100)).await;
    assert_eq!(refused, Err(StoreError::TooShort { min: 256 * 1024 }));
    assert_eq!(store.received(&key).await, Ok(0));
    assert_eq!(server.objects().len(), 0);
}
