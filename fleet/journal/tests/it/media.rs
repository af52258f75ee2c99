//! Messages name media of their senders only, and who sees a medium by the entries that name it.

use bytes::Bytes;
use database::params;
use journal::{
    Error,
    append::{Accepted, Appender, NewMessage},
    record::Event,
};
use prost::Message;
use proto::{ConversationId, wire, wire::Role};
use testkit::store::Store;

use crate::world::{PAIR, World, duplicate_of, now_ms, refused_field, seq, text, user};

/// A journal that checks media.
async fn world(store: Store) -> World {
    let mut world = World::new(store).await;
    world.journal = world.journal.checking_media();
    world.appender = Appender::start(&world.journal, world.ledger.clone());
    world
}

async fn run(world: &World, sql: &'static str, params: Vec<database::Value>) -> u64 {
    let done = world
        .journal
        .database()
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, params).await }));
    done.await.unwrap()
}

/// A finished picture for messages.
pub(crate) async fn upload(world: &World, id: i64, owner: i64) {
    let put = "INSERT INTO media (id, owner_id, purpose, mime_type, bytes, sha256, file_name, store_key, state, created_ms)
        VALUES ($1, $2, 'message', 'image/png', 1, $3, '', $4, 'finished', 0)";
    run(
        world,
        put,
        params![id, owner, vec![0_u8; 32], format!("{id:032x}")],
    )
    .await;
}

pub(crate) fn photo(conversation: ConversationId, sender: i64, client_msg_id: &str, uri: &str) -> NewMessage {
    let image = wire::Image {
        uri: uri.into(),
        ..wire::Image::default()
    };
    NewMessage {
        mime_type: "image/png".into(),
        body: Bytes::from(image.encode_to_vec()),
        ..text(conversation, sender, client_msg_id, "")
    }
}

/// The seqs of the entries that name a medium, and whether it is used.
async fn uses(world: &World, media: i64) -> (Vec<i64>, bool) {
    let database = world.journal.database();
    let entries = "SELECT seq FROM media_entry WHERE media_id = $1 ORDER BY seq";
    let rows = database.query(entries, params![media]).await.unwrap();
    let used = "SELECT used_ms FROM media WHERE id = $1";
    let row = database.query_first(used, params![media]).await.unwrap();
    let used_ms: Option<i64> = row.unwrap().get(0).unwrap();
    (
        rows.iter().map(|row| row.get(0).unwrap()).collect(),
        used_ms.is_some(),
    )
}

// protocol: "Send | INVALID | body"
// protocol: "the same for media of others and for none"
async fn a_message_names_finished_media_of_its_sender(store: Store) {
    let world = world(store).await;
    let id = world.conversation(&PAIR).await;
    for (media, owner) in [(1, 1), (2, 2), (3, 1), (4, 1), (5, 1)] {
        upload(&world, media, owner).await;
    }
    run(&world, "UPDATE media SET state = 'asked' WHERE id = 3", params![]).await;
    run(
        &world,
        "UPDATE media SET purpose = 'profile' WHERE id = 4",
        params![],
    )
    .await;
    run(
        &world,
        "UPDATE media SET mime_type = 'video/mp4' WHERE id = 5",
        params![],
    )
    .await;
    for (at, uri) in [
        "media:2", "media:3", "media/4", "/media/5", "media:6", "media/x", "media/01",
    ]
    .iter()
    .enumerate()
    {
        let outcome = world.send(photo(id, 1, &format!("bad {at}"), uri)).await;
        assert_eq!(refused_field(&outcome), "body", "{uri}");
    }
    let sent = world.send(photo(id, 1, "a", "media:1")).await.unwrap();
    assert_eq!(sent.seq.get(), 3, "no refusal took a seq");
    assert_eq!(uses(&world, 1).await, (vec![3], true));
    assert_eq!(uses(&world, 2).await, (vec![], false));
    // A resend is answered as before, whatever became of the medium.
    run(&world, "UPDATE media SET state = 'gone' WHERE id = 1", params![]).await;
    duplicate_of(world.send(photo(id, 1, "a", "media:1")).await, 3);
    assert_eq!(uses(&world, 1).await.0, [3]);
    // A journal that does not check takes any uri, as before.
    let unchecked = World::on(world.end().await).await;
    unchecked.send(photo(id, 1, "b", "media/7f3a")).await.unwrap();
    unchecked.end().await;
}

async fn the_media_of_a_batch_are_written_with_their_entries(store: Store) {
    let world = world(store).await;
    let (one, two) = (world.conversation(&PAIR).await, world.conversation(&PAIR).await);
    for media in 1..=20 {
        upload(&world, media, 1).await;
    }
    let mut messages = Vec::new();
    for media in 1..=20 {
        messages.push(text(one, 2, &format!("text {media}"), "words"));
        messages.push(photo(one, 1, &format!("one {media}"), &format!("media:{media}")));
        messages.push(photo(two, 1, &format!("two {media}"), &format!("media/{media}")));
        messages.push(photo(two, 2, &format!("foreign {media}"), "media:21"));
    }
    let outcomes = world.send_all(messages).await;
    for (at, outcome) in outcomes.iter().enumerate() {
        let named = i64::try_from(at / 4).unwrap() + 1;
        match at % 4 {
            0 => assert!(outcome.is_ok()),
            3 => assert_eq!(refused_field(outcome), "body"),
            _ => {
                let seq = outcome.as_ref().unwrap().seq.get();
                let (seqs, used) = uses(&world, named).await;
                assert!(used && seqs.contains(&seq), "{seqs:?} {seq}");
            }
        }
    }
    assert_eq!(world.all(one).await.len(), 2 + 40);
    assert_eq!(world.all(two).await.len(), 2 + 20);
    world.end().await;
}

// protocol: "An entry shows its media over REST to each user who sees it, until a recall"
/// Others pass on what they see in a conversation, there and nowhere else.
async fn a_medium_is_forwarded_where_it_is_seen(store: Store) {
    let world = world(store).await;
    let id = world.conversation(&PAIR).await;
    let elsewhere = world.conversation(&PAIR).await;
    upload(&world, 1, 1).await;
    let before = world.send(photo(id, 2, "a", "media:1")).await;
    assert_eq!(refused_field(&before), "body");
    let first = world.send(photo(id, 1, "b", "media:1")).await.unwrap();
    world.send(photo(id, 2, "c", "media:1")).await.unwrap();
    let other = world.send(photo(elsewhere, 2, "d", "media:1")).await;
    assert_eq!(refused_field(&other), "body");
    // Recalled entries show nothing.
    for (by, about) in [(1, first.seq.get()), (2, first.seq.get() + 1)] {
        assert!(world.journal.sees_media(1, user(1)).await.unwrap());
        let recalled = world.journal.recall(id, user(by), seq(about), now_ms()).await;
        world.journal.publish(recalled.unwrap().1);
    }
    for reader in 1..=2 {
        assert!(
            !world.journal.sees_media(1, user(reader)).await.unwrap(),
            "{reader}"
        );
    }
    let recalled = world.send(photo(id, 2, "f", "media:1")).await;
    assert_eq!(refused_field(&recalled), "body");
    world.send(photo(id, 1, "g", "media:1")).await.unwrap();
    assert!(
        world.journal.sees_media(1, user(2)).await.unwrap(),
        "a new entry shows it"
    );
    world.end().await;
}

async fn who_left_sees_the_media_of_before(store: Store) {
    let world = world(store).await;
    let id = world.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    for media in 1..=40 {
        upload(&world, media, 1).await;
    }
    // Enough to index some and leave others in the chain.
    for media in 1..=38 {
        world
            .send(photo(id, 1, &format!("{media}"), &format!("media:{media}")))
            .await
            .unwrap();
    }
    world.record(id, Event::Left(user(2))).await.unwrap();
    world.send(photo(id, 1, "late", "media:39")).await.unwrap();
    for media in 1..=40 {
        let sees = world.journal.sees_media(media, user(2)).await.unwrap();
        assert_eq!(sees, media <= 38, "{media}");
        let sees = world.journal.sees_media(media, user(1)).await.unwrap();
        assert_eq!(sees, media <= 39, "{media}");
        assert!(!world.journal.sees_media(media, user(9)).await.unwrap());
    }
    world.end().await;
}

/// Without a message that names media, no statement about them runs: their tables may be missing.
async fn text_costs_no_statement(store: Store) {
    let world = world(store).await;
    let id = world.conversation(&PAIR).await;
    world.send(text(id, 1, "a", "words")).await.unwrap();
    let drop = "DROP TABLE media_entry; DROP TABLE media";
    world.execute(drop, drop).await;
    for at in 0..3 {
        world.send(text(id, 1, &format!("b{at}"), "words")).await.unwrap();
        let own = NewMessage {
            mime_type: "application/vnd.acme.own".into(),
            ..text(id, 1, &format!("c{at}"), "media:1")
        };
        world.send(own).await.unwrap();
    }
    assert!(matches!(
        world.send(photo(id, 1, "d", "media:1")).await,
        Err(Error::Database(_))
    ));
    world.end().await;
}

/// Unused uploads are deleted by a job while messages begin to name them: each is either named or gone, never both.
async fn a_medium_is_named_or_gone(store: Store) {
    let world = world(store).await;
    let mut conversations = Vec::new();
    for _ in 0..4 {
        conversations.push(world.conversation(&PAIR).await);
    }
    for media in 1..=60 {
        upload(&world, media, 1).await;
    }
    let sends = async {
        let messages = (1..=60).map(|media| {
            let id = conversations[usize::try_from(media % 4).unwrap()];
            photo(id, 1, &format!("{media}"), &format!("media:{media}"))
        });
        world.send_all(messages.collect()).await
    };
    let deletes = async {
        let mut gone = Vec::new();
        for media in (1..=60).rev() {
            let sql = "UPDATE media SET state = 'gone' WHERE id = $1 AND used_ms IS NULL";
            if run(&world, sql, params![media]).await == 1 {
                gone.push(media);
            }
        }
        gone
    };
    let (outcomes, gone): (Vec<Result<Accepted, Error>>, Vec<i64>) = tokio::join!(sends, deletes);
    for (media, outcome) in (1..=60).zip(&outcomes) {
        let (seqs, used) = uses(&world, media).await;
        match outcome {
            Ok(accepted) => {
                assert!(used && !gone.contains(&media), "{media}");
                assert_eq!(seqs, [accepted.seq.get()]);
            }
            Err(_) => {
                assert_eq!(refused_field(outcome), "body");
                assert!(!used && seqs.is_empty() && gone.contains(&media), "{media}");
            }
        }
    }
    for id in conversations {
        world.all(id).await;
    }
    world.end().await;
}

testkit::on_both! {
    a_message_names_finished_media_of_its_sender,
    the_media_of_a_batch_are_written_with_their_entries,
    a_medium_is_forwarded_where_it_is_seen,
    who_left_sees_the_media_of_before,
    text_costs_no_statement,
    a_medium_is_named_or_gone,
}
