//! A store that is slow, down, or refuses: each has its own kind, in bounded time, and no text names the store.

use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::{
    server::{Illness, S3Server, files, ill, nowhere},
    uploads::pieces,
};
use crate::{
    Announced, FinishError, Form, Key, MimeType, Outage, Store, StoreError, finish,
    store::{Wanted, Way},
};

/// Longer than all waits of a request with its retries, at a timeout of 1 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// Each operation meets the same outage.
async fn each_meets(store: &Store, wanted: Outage) {
    let key = Key::random();
    let begun = Instant::now();
    let content = b"12345".to_vec();
    let outage = |error: StoreError| {
        let text = error.to_string();
        assert!(
            !text.contains("127.0.0.1") && !text.contains("clinic-media"),
            "{text}"
        );
        assert!(!text.contains("secret") && !text.contains(key.as_str()), "{text}");
        error.outage()
    };
    let append = store.append(&key, 0, 5, pieces(&content, 2)).await;
    assert_eq!(outage(append.unwrap_err()), Some(wanted), "append");
    let put = store.put(&key, Form::Served, pieces(&content, 2)).await;
    assert_eq!(outage(put.unwrap_err()), Some(wanted), "put");
    let read = store.read(&key, Form::Served, Wanted::From(1)).await.map(|_| ());
    assert_eq!(outage(read.unwrap_err()), Some(wanted), "read");
    let size = store.size(&key, Form::Served).await;
    assert_eq!(outage(size.unwrap_err()), Some(wanted), "size");
    let delete = store.delete(&key).await;
    assert_eq!(outage(delete.unwrap_err()), Some(wanted), "delete");
    let listed = store.list(None).next().await.unwrap();
    assert_eq!(outage(listed.unwrap_err()), Some(wanted), "list");
    let finished = finish(store, &key, &Announced::of(MimeType::File, &content)).await;
    let Err(FinishError::Store(error)) = finished else {
        panic!("finish: {finished:?}");
    };
    assert_eq!(outage(error), Some(wanted), "finish");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_silent_store_is_slow() {
    let (store, server) = ill(Illness::Silent).await;
    each_meets(&store, Outage::Slow).await;
    drop(server);
}

#[tokio::test]
async fn a_store_without_connection_is_down() {
    each_meets(&nowhere().await, Outage::Down).await;
    let (store, server) = ill(Illness::Closes).await;
    each_meets(&store, Outage::Down).await;
    drop(server);
    let (store, server) = ill(Illness::Answers(
        503,
        "<Error><Code>ServiceUnavailable</Code></Error>",
    ))
    .await;
    each_meets(&store, Outage::Down).await;
    drop(server);
}

#[tokio::test]
async fn a_store_that_answers_403_refuses() {
    let (store, server) = ill(Illness::Answers(403, "<Error><Code>AccessDenied</Code></Error>")).await;
    each_meets(&store, Outage::Refused).await;
    drop(server);
    let server = S3Server::start().await;
    each_meets(&server.store_of("clinic-media", "wrong"), Outage::Refused).await;
}

#[tokio::test]
async fn a_store_that_recovers_serves_again() {
    for illness in [Illness::Silent, Illness::Closes, Illness::Answers(500, "")] {
        let (store, server) = ill(illness).await;
        let key = Key::random();
        let content = b"12345".to_vec();
        let put = store.put(&key, Form::Served, pieces(&content, 2)).await;
        assert!(put.unwrap_err().outage().is_some(), "{illness:?}");
        server.recover();
        store.put(&key, Form::Served, pieces(&content, 2)).await.unwrap();
        assert_eq!(store.size(&key, Form::Served).await, Ok(5));
    }
}

#[tokio::test]
async fn a_missing_bucket_is_no_missing_medium() {
    let missing = Illness::Answers(404, "<Error><Code>NoSuchBucket</Code></Error>");
    let (store, server) = ill(missing).await;
    let read = store.read(&Key::random(), Form::Served, Wanted::All).await;
    assert_eq!(read.map(|_| ()).unwrap_err().outage(), Some(Outage::Refused));
    drop(server);
    let server = S3Server::start().await;
    let store = server.store_of("another", "secret");
    let listed = store.list(None).next().await.unwrap();
    assert_eq!(listed.unwrap_err().outage(), Some(Outage::Refused));
    assert_eq!(store.probe().await.unwrap_err().outage(), Some(Outage::Refused));
}

#[tokio::test]
async fn a_probe_leaves_nothing() {
    let server = S3Server::start().await;
    assert_eq!(server.store().probe().await, Ok(()));
    assert_eq!(server.objects().len(), 0);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path()).await.unwrap();
    assert_eq!(store.probe().await, Ok(()));
    assert_eq!(files(folder.path()).len(), 0);
}

#[tokio::test]
async fn an_answer_that_stops_is_slow() {
    let (store, server) = ill(Illness::Stops).await;
    let mut read = store
        .read(&Key::random(), Form::Served, Wanted::All)
        .await
        .unwrap();
    assert_eq!(read.total, 100_000);
    assert_eq!(read.bytes.next().await.unwrap().unwrap().as_ref(), b"begun");
    let error = read.bytes.next().await.unwrap().unwrap_err();
    assert_eq!(error.outage(), Some(Outage::Slow));
    assert!(read.bytes.next().await.is_none());
    drop(server);
}

#[tokio::test]
async fn a_folder_has_no_tickets() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path()).await.unwrap();
    let announced = Announced::of(MimeType::File, b"x");
    assert_eq!(store.ticket(&Key::random(), &announced, Way::Put, 0), None);
}
