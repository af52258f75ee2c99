//! The folder after a kill, and beside a second writer.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    samples,
    server::files,
    uploads::{kept, pieces, read, upload},
};
use crate::{
    Announced, FinishError, Form, Key, MimeType, Outage, Store, StoreError, finish,
    store::{Broken, Wanted},
};

async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path()).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_finish_is_mended_by_the_next() {
    let photo = samples::photo(20, 10, 6);
    let announced = Announced::of(MimeType::Jpeg, &photo);
    let (original, model) = store().await;
    let key = kept(&model, MimeType::Jpeg, &photo).await;
    let served = read(&model, &key, Form::Served, Wanted::All).await.unwrap();
    let name = |text: &str| format!("{key}{text}");
    let inner = format!("kept/{}/{}/", &key.as_str()[..2], &key.as_str()[2..4]);
    // The files that a kill leaves: none but the last state may be read as finished by mistake.
    let incoming = [("incoming/".to_owned() + &name(""), &photo)];
    let sealed = [("incoming/".to_owned() + &name(".sealed"), &photo)];
    let cleaned = [sealed[0].clone(), (inner.clone() + &name(""), &served)];
    let temporary = [
        sealed[0].clone(),
        ("incoming/".to_owned() + Key::random().as_str(), &served),
    ];
    let done = [
        (inner.clone() + &name(""), &served),
        (inner.clone() + &name(".uploaded"), &photo),
    ];
    for state in [&incoming[..], &sealed, &temporary, &cleaned, &done] {
        let (folder, store) = store().await;
        for (path, content) in state {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let finished = finish(&store, &key, &announced).await.unwrap();
        assert_eq!((finished.width, finished.height), (10, 20), "{state:?}");
        let uploaded = read(&store, &key, Form::Uploaded, Wanted::All).await;
        assert_eq!(uploaded, Ok(photo.clone()));
        let copy = read(&store, &key, Form::Served, Wanted::All).await;
        assert_eq!(copy, Ok(served.clone()));
    }
    drop(original);
}

#[tokio::test]
async fn a_temporary_file_is_neither_kept_nor_forgotten() {
    let (folder, store) = store().await;
    fs::write(
        folder.path().join("incoming").join(Key::random().as_str()),
        b"half",
    )
    .unwrap();
    fs::write(folder.path().join("incoming/README"), b"not ours").unwrap();
    let kept: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(kept, []);
    let staged: Vec<_> = store.list_staged().try_collect().await.unwrap();
    assert_eq!(staged.len(), 1);
    store.discard(&staged[0].key).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_put_that_breaks_leaves_nothing() {
    let (folder, store) = store().await;
    let key = Key::random();
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(Broken)]);
    let put = store.put(&key, Form::Served, Box::pin(broken)).await;
    assert_eq!(put, Err(StoreError::Interrupted));
    let waiting = stream::iter([Ok(Bytes::from_static(b"half"))]).chain(stream::pending());
    let put = store.put(&key, Form::Served, Box::pin(waiting));
    let cancelled = tokio::time::timeout(Duration::from_millis(100), put).await;
    assert!(cancelled.is_err());
    assert_eq!(files(folder.path()).len(), 0);
}

#[tokio::test]
async fn one_writer_at_a_time() {
    let (_folder, store) = store().await;
    let key = Key::random();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, Broken>>(1);
    let slow = stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let appending = tokio::spawn({
        let (store, key) = (store.clone(), key.clone());
        async move { store.append(&key, 0, 10, Box::pin(slow)).await }
    });
    sender.send(Ok(Bytes::from_static(b"12345"))).await.unwrap();
    let has_begun = async || store.received(&key).await == Ok(5);
    testkit::eventually("the first piece is written", has_begun).await;
    let other = store.append(&key, 5, 10, pieces(b"67890", 5)).await;
    assert_eq!(other, Err(StoreError::Busy));
    let finished = finish(&store, &key, &Announced::of(MimeType::File, b"12345")).await;
    assert_eq!(finished, Err(FinishError::Store(StoreError::Busy)));
    drop(sender);
    assert_eq!(appending.await.unwrap(), Ok(5));
    let rest = store.append(&key, 5, 10, pieces(b"67890", 5)).await;
    assert_eq!(rest, Ok(10));
}

#[tokio::test]
async fn a_longer_upload_is_cut_at_its_announced_end() {
    let (folder, store) = store().await;
    let key = Key::random();
    let more = store.append(&key, 0, 10, pieces(&[7; 1000], 8)).await;
    assert_eq!(more, Err(StoreError::TooLong { total: 10 }));
    assert_eq!(fs::metadata(&files(folder.path())[0]).unwrap().len(), 8);
}

#[tokio::test]
async fn files_are_for_this_user_alone() {
    let (folder, store) = store().await;
    kept(&store, MimeType::Jpeg, &samples::photo(8, 8, 6)).await;
    upload(&store, b"staged").await;
    let all = files(folder.path());
    assert_eq!(all.len(), 3);
    for path in all {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let above = fs::metadata(path.parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(above & 0o777, 0o700);
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Store::folder(&file.join("media")).await.unwrap_err();
    assert_eq!(error.outage(), Some(Outage::Faulty), "{error}");
}
