//! Smaller pictures, as they are shown.

use std::time::Duration;

use image::{GenericImageView, ImageDecoder, ImageReader};

use super::{
    samples,
    uploads::{kept, pieces, read},
};
use crate::{Form, Key, MimeType, ShrinkError, Shrinker, Store, StoreError, Width, store::Wanted};

async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path()).await.unwrap();
    (folder, store)
}

fn width(max: u32) -> Width {
    Width::at_most(max).unwrap()
}

async fn smaller(store: &Store, key: &Key, max: u32) -> Vec<u8> {
    let form = Shrinker::new(1).smaller(store, key, width(max)).await.unwrap();
    assert_eq!(form, Form::Smaller(width(max)));
    read(store, key, form, Wanted::All).await.unwrap()
}

#[tokio::test]
async fn a_picture_of_each_kind_becomes_a_small_jpeg() {
    let (_folder, store) = store().await;
    for (mime, content) in [
        (MimeType::Jpeg, samples::jpeg(1000, 500)),
        (MimeType::Png, samples::png(1000, 500)),
        (MimeType::Webp, samples::webp(1000, 500)),
    ] {
        let key = kept(&store, mime, &content).await;
        let small = smaller(&store, &key, 320).await;
        assert!(small.starts_with(&[0xff, 0xd8]), "{mime:?}");
        let small = image::load_from_memory(&small).unwrap();
        assert_eq!(small.dimensions(), (320, 160), "{mime:?}");
        let [red, green, ..] = small.get_pixel(310, 10).0;
        assert!(red > 200 && green < 50, "{mime:?}: {red} {green}");
    }
}

#[tokio::test]
async fn pixels_are_turned_and_metadata_is_gone() {
    let (_folder, store) = store().await;
    // Turned by 90° clockwise: the lower left corner becomes the upper left one.
    let key = kept(&store, MimeType::Jpeg, &samples::photo(400, 200, 6)).await;
    let small = smaller(&store, &key, 128).await;
    assert!(!small.windows(4).any(|text| text == b"Exif"));
    let picture = image::load_from_memory(&small).unwrap();
    assert_eq!(picture.dimensions(), (64, 128));
    let [red, green, ..] = picture.get_pixel(2, 2).0;
    assert!(red < 50 && green > 200, "{red} {green}");
    let reader = ImageReader::new(std::io::Cursor::new(&small)).with_guessed_format();
    let mut decoder = reader.unwrap().into_decoder().unwrap();
    assert_eq!(decoder.orientation().unwrap().to_exif(), 1);
}

#[tokio::test]
async fn what_is_transparent_becomes_white() {
    let (_folder, store) = store().await;
    let key = kept(&store, MimeType::Png, &samples::clear_png(300, 300)).await;
    let small = image::load_from_memory(&smaller(&store, &key, 64).await).unwrap();
    let [red, green, blue, _] = small.get_pixel(32, 32).0;
    assert!(red > 250 && green > 250 && blue > 250);
}

#[tokio::test]
async fn it_is_made_once_and_never_larger() {
    let (_folder, store) = store().await;
    let shrinker = Shrinker::new(2);
    let key = kept(&store, MimeType::Png, &samples::png(100, 50)).await;
    let form = shrinker.smaller(&store, &key, width(128)).await;
    assert_eq!(form, Ok(Form::Served));
    smaller(&store, &key, 64).await;
    // The original is not read again.
    store.put(&key, Form::Served, pieces(b"gone", 4)).await.unwrap();
    let form = shrinker.smaller(&store, &key, width(64)).await;
    assert_eq!(form, Ok(Form::Smaller(width(64))));
    store.delete(&key).await.unwrap();
    let gone = shrinker.smaller(&store, &key, width(64)).await;
    assert_eq!(gone, Err(ShrinkError::Store(StoreError::NotFound)));
}

#[tokio::test]
async fn it_is_kept_also_when_its_caller_has_left() {
    let (_folder, store) = store().await;
    let shrinker = Shrinker::new(1);
    let key = kept(&store, MimeType::Png, &samples::png(1000, 500)).await;
    let form = Form::Smaller(width(64));
    let mut asked = Box::pin(shrinker.smaller(&store, &key, width(64)));
    // Until it is being made: then no permit is left.
    while shrinker.is_free() {
        assert!(futures_util::poll!(&mut asked).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(futures_util::poll!(&mut asked).is_pending());
    drop(asked);
    let made = async {
        while store.size(&key, form).await == Err(StoreError::NotFound) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), made).await.unwrap();
    read(&store, &key, form, Wanted::All).await.unwrap();
}

#[tokio::test]
async fn bombs_and_noise_are_refused_also_past_the_inspection() {
    let (_folder, store) = store().await;
    let shrinker = Shrinker::new(1);
    for content in [
        samples::bomb(),
        samples::gif(10_000),
        samples::amr(100),
        samples::jpeg(500, 500)[..400].to_vec(),
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec(),
        Vec::new(),
    ] {
        let key = Key::random();
        store
            .put(&key, Form::Served, pieces(&content, 1000))
            .await
            .unwrap();
        let refused = shrinker.smaller(&store, &key, width(64)).await;
        assert_eq!(refused, Err(ShrinkError::NotAPicture));
    }
}
