//! Damaged and missing entries are refused wherever they are read, and found by the audit.

use database::{Database, Error as DatabaseError};
use journal::{Error, Journal, append::NewMessage, audit::audit, history::Direction};
use proto::{ConversationId, wire::EntryKind};
use testkit::store::Store;

use crate::world::{PAIR, World, card, now_ms, seq, text, user};

/// Some are indexed and some are not.
const MANY: i64 = 40;

async fn world(store: Store) -> (World, ConversationId) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    for at in 3..=MANY {
        let mut message = text(id, 1, &format!("m{at}"), &format!("body {at}"));
        message.mentions = if at % 5 == 0 { vec![2] } else { vec![] };
        world.send(message).await.unwrap();
    }
    (world, id)
}

fn damaged_seq<T: std::fmt::Debug>(outcome: Result<T, Error>) -> i64 {
    match outcome {
        Err(Error::Database(DatabaseError::DamagedEntry { seq, .. })) => seq,
        other => panic!("{other:?}"),
    }
}

async fn history(world: &World, id: ConversationId, direction: Direction) -> Result<usize, Error> {
    let page = world.journal.history(id, user(2), direction, 10).await?;
    Ok(page.entries.len())
}

/// Every way to read the entry is refused, and those beside it are read.
async fn is_refused_everywhere(world: &World, id: ConversationId, at: i64) {
    assert_eq!(
        damaged_seq(history(world, id, Direction::After(seq(at - 3))).await),
        at
    );
    assert_eq!(
        damaged_seq(history(world, id, Direction::Before(seq(at + 3))).await),
        at
    );
    let one = world.journal.entries(id, seq(at), seq(at), 1).await;
    assert_eq!(damaged_seq(one.map_err(Error::from)), at);
    assert!(!audit(world.journal.database()).await.unwrap().named.is_empty());
    history(world, id, Direction::Before(seq(at))).await.unwrap();
}

async fn a_changed_column_is_never_served(store: Store) {
    let changes = [
        "sender_id = 2",
        "kind = 2",
        "created_ms = created_ms + 1",
        "client_msg_id = 'm4'",
        "mime_type = 'text/html'",
        "reply_to_seq = 1",
        "corrects_seq = 1",
        "recalled = NOT recalled",
        "checksum = checksum + 1",
    ];
    let (world, id) = world(store).await;
    for at in [10, 39] {
        for change in changes {
            let change = format!("UPDATE entry SET {change} WHERE seq = {at}");
            // On a server a program of an earlier version may recall without sealing again: hidden is no harm.
            if store == Store::Postgres && change.contains("recalled") {
                continue;
            }
            let undo = world.journal.entries(id, seq(at), seq(at), 1).await.unwrap();
            run(&world, &change).await;
            is_refused_everywhere(&world, id, at).await;
            let undone = &undo[0];
            let undo = format!(
                "UPDATE entry SET sender_id = 1, kind = 1, created_ms = {}, client_msg_id = 'm{at}', mime_type = 'text/plain',
                 reply_to_seq = 0, corrects_seq = 0, recalled = false, checksum = checksum - {} WHERE seq = {at}",
                undone.created_ms,
                i64::from(change.contains("checksum"))
            );
            run(&world, &undo).await;
            assert_eq!(
                world.journal.entries(id, seq(at), seq(at), 1).await.unwrap()[0],
                *undone
            );
        }
        let body = match store {
            Store::Sqlite => "x'00'",
            Store::Postgres => "'\\x00'",
        };
        run(
            &world,
            &format!("UPDATE entry SET body = {body} WHERE seq = {at}"),
        )
        .await;
        is_refused_everywhere(&world, id, at).await;
        // Neither a resend nor a recall goes by it.
        let again = world
            .send(text(id, 1, &format!("m{at}"), &format!("body {at}")))
            .await;
        assert_eq!(damaged_seq(again), at);
        let recalled = world.journal.recall(id, user(1), seq(at), now_ms()).await;
        assert_eq!(damaged_seq(recalled.map(|(seq, _)| seq)), at);
        let correction = NewMessage {
            corrects_seq: seq(at),
            ..text(id, 1, &format!("corrects {at}"), "x")
        };
        assert_eq!(damaged_seq(world.send(correction).await), at);
        // Other messages are accepted.
        world
            .send(text(id, 1, &format!("on {at}"), "goes on"))
            .await
            .unwrap();
    }
}

async fn a_missing_entry_is_no_short_page(store: Store) {
    for at in [1, 2, 20, MANY - 1, MANY] {
        let (world, id) = world(store).await;
        assert_eq!(audit(world.journal.database()).await.unwrap().damaged, 0);
        let whole = world.journal.entries(id, seq(1), seq(i64::MAX), 99).await;
        assert_eq!(whole.unwrap().len() as i64, MANY);
        run(&world, &format!("DELETE FROM entry WHERE seq = {at}")).await;
        let found = world.journal.entries(id, seq(1), seq(i64::MAX), 99).await;
        let first = damaged_seq(found.map_err(Error::from));
        // The chain of those that are not indexed ends at the one that is gone.
        assert!(first <= at, "{first} {at}");
        let page = world
            .journal
            .history(id, user(1), Direction::Before(seq(MANY + 1)), 99)
            .await;
        damaged_seq(page);
        let audit = audit(world.journal.database()).await.unwrap();
        assert!(audit.damaged > 0, "{audit:?}");
    }
}

/// A recall withholds the content; a flipped bit must not bring it back.
async fn a_recalled_entry_stays_sealed(store: Store) {
    let (world, id) = world(store).await;
    let recalled = world.journal.recall(id, user(1), seq(20), now_ms()).await;
    world.journal.publish(recalled.unwrap().1);
    let found = world.journal.entries(id, seq(20), seq(20), 1).await.unwrap();
    assert!(found[0].recalled);
    assert_eq!(audit(world.journal.database()).await.unwrap().damaged, 0);
    run(&world, "UPDATE entry SET recalled = false WHERE seq = 20").await;
    is_refused_everywhere(&world, id, 20).await;
}

/// In a file each entry has a checksum; on a server a program of an earlier version may write beside this one.
async fn an_entry_without_a_checksum(store: Store) {
    let (world, id) = world(store).await;
    run(&world, "UPDATE entry SET checksum = NULL WHERE seq = 20").await;
    match store {
        Store::Sqlite => is_refused_everywhere(&world, id, 20).await,
        Store::Postgres => {
            world.all(id).await;
            let audit = audit(world.journal.database()).await.unwrap();
            assert_eq!((audit.damaged, audit.unsealed), (0, 1));
            assert_eq!(audit.entries as i64, MANY);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_leads_elsewhere_shows_nothing_of_another_conversation() {
    let (world, id) = world(Store::Sqlite).await;
    let other = world.conversation(&PAIR).await;
    for at in 3..=MANY {
        world
            .send(text(other, 1, &format!("m{at}"), "secret"))
            .await
            .unwrap();
    }
    run(
        &world,
        "UPDATE entry_index SET entry_id = (SELECT o.entry_id FROM entry_index o
           WHERE o.conversation_id = (SELECT max(id) FROM conversation) AND o.seq = entry_index.seq)
         WHERE conversation_id = (SELECT min(id) FROM conversation) AND seq = 10",
    )
    .await;
    is_refused_everywhere(&world, id, 10).await;
    run(&world, "DELETE FROM entry_index WHERE seq = 12").await;
    let audit = audit(world.journal.database()).await.unwrap();
    let named = audit.named.join("\n");
    for line in [
        "entry 10 of conversation 1 ",
        "the index by seq leads to another entry",
        "entry 12 of conversation 2 ",
        "it is not in the index by seq",
    ] {
        assert!(named.contains(line), "{line} in\n{named}");
    }
}

/// Any bit of the file: what is read of entries is what was written or refused, and what differs is found by the audit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_of_the_file_changes_nothing_that_is_read() {
    let (world, id) = world(Store::Sqlite).await;
    world.record(id, card()).await.unwrap();
    let before = world.all(id).await;
    let place = world.end().await;
    let path = place.folder().join("test.db");
    let whole = std::fs::read(&path).unwrap();
    // Of the first page SQLite uses a part only; the rest is spread over the file, more where entries are.
    let begin = find(&whole, b"body 3") - 2_000;
    let places = (0..60)
        .map(|nth| begin + nth * 131)
        .chain((0..60).map(|nth| 100 + nth * (whole.len() - 200) / 60));
    let mut harmed = 0;
    for (nth, at) in places.enumerate() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (nth % 8);
        std::fs::write(&path, flipped).unwrap();
        let Ok(database) = Database::look(place.url()).await else {
            harmed += 1;
            continue;
        };
        let journal = Journal::new(database, backplane::Backplane::memory());
        let found = journal.entries(id, seq(1), seq(i64::MAX), 999).await;
        let is_whole = match &found {
            Ok(entries) => *entries == before,
            Err(_) => false,
        };
        if let Ok(entries) = &found {
            // Where the conversation ends is not covered by entries: the audit says so.
            assert_eq!(entries[..], before[..entries.len()], "{at}");
        }
        let audit = audit(journal.database()).await.unwrap();
        assert!(is_whole || audit.damaged > 0, "{at}: {found:?}");
        harmed += usize::from(!is_whole);
        journal.database().close().await;
    }
    assert!(harmed > 5, "{harmed}");
    let messages = before
        .iter()
        .filter(|entry| entry.kind == EntryKind::Message)
        .count();
    assert_eq!(messages as i64, MANY - 2);
}

fn find(bytes: &[u8], text: &[u8]) -> usize {
    bytes
        .windows(text.len())
        .position(|window| window == text)
        .expect("it is there")
}

/// Runs a statement past the journal, as damage does.
async fn run(world: &World, sql: &str) {
    let sql = sql.to_owned();
    let done = world.journal.database().transaction(move |tx| {
        Box::pin(async move {
            tx.execute(sql, vec![]).await?;
            Ok::<_, DatabaseError>(())
        })
    });
    done.await.unwrap();
}

testkit::on_both!(
    a_changed_column_is_never_served,
    a_missing_entry_is_no_short_page,
    a_recalled_entry_stays_sealed,
    an_entry_without_a_checksum,
);

/// One batch, on one thread: its sends are submitted before the lane looks. The page of one conversation cannot be read.
#[tokio::test]
async fn a_damaged_page_refuses_the_sends_of_its_conversation_alone() {
    let world = World::new(Store::Sqlite).await;
    let damaged = world.conversation(&PAIR).await;
    let (one, other) = (world.conversation(&PAIR).await, world.conversation(&PAIR).await);
    // So long that its pages hold nothing else.
    let long = "damaged ".repeat(2_000);
    world.send(text(damaged, 1, "long", &long)).await.unwrap();
    world.send(text(one, 1, "a", "x")).await.unwrap();
    let place = world.end().await;
    let path = place.folder().join("test.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // Amid a page that is full of it: the next one may be another's.
    let at = find(&bytes, &long.as_bytes()[..3_000]) + 1_500;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let world = World::on(place).await;
    let sends = vec![
        text(one, 1, "b", "x"),
        text(damaged, 2, "new", "x"),
        // Its comparison reads the page.
        text(damaged, 1, "long", &long),
        text(other, 1, "a", "x"),
        text(one, 1, "a", "x"),
        text(damaged, 2, "newer", "x"),
    ];
    let outcomes = world.send_all(sends).await;
    for (at, outcome) in outcomes.iter().enumerate() {
        match (at, outcome) {
            (1 | 2 | 5, Err(Error::Database(DatabaseError::DamagedPage(_)))) | (0 | 3 | 4, Ok(_)) => {}
            _ => panic!("{at}: {outcome:?}"),
        }
    }
    assert_eq!(outcomes[0].as_ref().unwrap().seq, seq(4));
    assert!(outcomes[4].as_ref().unwrap().duplicate);
    for id in [one, other] {
        world.all(id).await;
    }
    assert_eq!(world.last_seq(damaged).await, 3);
    // Sends that do not need the page are accepted.
    world.send(text(damaged, 2, "new", "x")).await.unwrap();
}
