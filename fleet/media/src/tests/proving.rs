//! Copies, and the proof that each row has its bytes.

use std::path::Path;

use futures_util::stream;

use super::{
    samples,
    server::{S3Server, files},
    uploads::{kept, pieces},
};
use crate::{
    Announced, Claim, Copied, Depth, Fault, Form, Key, MimeType, Proof, Store, StoreError, copy, prove,
};

/// Rows of some kept media.
async fn rows(store: &Store) -> Vec<Claim> {
    let mut rows = Vec::new();
    for (id, (mime, content)) in (1..).zip(samples::all()) {
        let key = kept(store, mime, &content).await;
        let announced = Announced::of(mime, &content);
        rows.push(Claim {
            id,
            key,
            bytes: announced.bytes,
            sha256: announced.sha256,
        });
    }
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    rows
}

async fn proved(store: &Store, rows: &[Claim], depth: Depth) -> Proof {
    let claims: Vec<Result<Claim, StoreError>> = rows.iter().cloned().map(Ok).collect();
    prove(store, Box::pin(stream::iter(claims)), depth).await.unwrap()
}

async fn folder(path: &Path) -> Store {
    Store::folder(path).await.unwrap()
}

#[tokio::test]
async fn a_copy_has_what_each_row_needs() {
    let folders = tempfile::tempdir().unwrap();
    let source = folder(&folders.path().join("source")).await;
    let server = S3Server::start().await;
    let rows = rows(&source).await;
    let sizes = rows.iter().map(|row| row.bytes).sum();
    let small = Form::Smaller(crate::Width::at_most(64).unwrap());
    source
        .put(&rows[0].key, small, pieces(b"small", 5))
        .await
        .unwrap();
    for target in [folder(&folders.path().join("target")).await, server.store()] {
        let empty = proved(&target, &rows, Depth::Sizes).await;
        assert_eq!((empty.missing, empty.media, empty.holds()), (16, 16, false));
        let first = copy(&source, &target).await.unwrap();
        assert!(first.files > 16 && first.present == 0, "{first:?}");
        let whole = proved(&target, &rows, Depth::Content).await;
        let wanted = Proof {
            media: 16,
            bytes: sizes,
            ..Proof::default()
        };
        assert_eq!(whole, wanted);
        assert_eq!(target.size(&rows[0].key, small).await, Err(StoreError::NotFound));
        target.delete(&rows[3].key).await.unwrap();
        let again = copy(&source, &target).await.unwrap();
        assert_eq!(again.files + again.present, first.files);
        assert!((1..=2).contains(&again.files));
        let all = Copied {
            present: first.files,
            ..Copied::default()
        };
        assert_eq!(copy(&source, &target).await, Ok(all));
    }
}

#[tokio::test]
async fn missing_different_and_unclaimed_bytes_are_counted() {
    let folders = tempfile::tempdir().unwrap();
    let store = folder(folders.path()).await;
    let rows = rows(&store).await;
    store.delete(&rows[2].key).await.unwrap();
    // A flipped bit, and a shorter file.
    let paths = files(folders.path());
    let original = |key: &Key| {
        let uploaded = paths
            .iter()
            .find(|path| path.ends_with(format!("{key}.uploaded")));
        uploaded
            .or_else(|| paths.iter().find(|path| path.ends_with(key.as_str())))
            .unwrap()
    };
    let flipped = original(&rows[5].key);
    let mut content = std::fs::read(flipped).unwrap();
    *content.last_mut().unwrap() ^= 1;
    std::fs::write(flipped, &content).unwrap();
    let short = original(&rows[9].key);
    let content = std::fs::read(short).unwrap();
    std::fs::write(short, &content[1..]).unwrap();
    for _ in 0..3 {
        kept(&store, MimeType::Amr, &samples::amr(3)).await;
    }
    let sizes = proved(&store, &rows, Depth::Sizes).await;
    assert_eq!((sizes.missing, sizes.different, sizes.unclaimed), (1, 1, 3));
    let content = proved(&store, &rows, Depth::Content).await;
    assert_eq!((content.missing, content.different, content.unclaimed), (1, 2, 3));
    let named = [
        (rows[2].id, Fault::Missing),
        (rows[5].id, Fault::Different),
        (rows[9].id, Fault::Different),
    ];
    assert_eq!(content.named, named);
    let none = proved(&store, &[], Depth::Sizes).await;
    assert_eq!(none.unclaimed, 18);
    assert!(none.holds());
}

#[tokio::test]
async fn a_picture_without_its_served_form_is_missing() {
    let folders = tempfile::tempdir().unwrap();
    let store = folder(folders.path()).await;
    let photo = samples::photo(8, 8, 6);
    let key = kept(&store, MimeType::Jpeg, &photo).await;
    let served = files(folders.path())
        .into_iter()
        .find(|path| path.ends_with(key.as_str()));
    std::fs::remove_file(served.unwrap()).unwrap();
    let announced = Announced::of(MimeType::Jpeg, &photo);
    let row = Claim {
        id: 7,
        key,
        bytes: announced.bytes,
        sha256: announced.sha256,
    };
    assert_eq!(proved(&store, &[row], Depth::Sizes).await.missing, 1);
}
