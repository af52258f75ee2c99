//! A participant sees all of a conversation, or from the joining on, and the names of the time (I5).

use journal::{
    history::{Bounds, Direction},
    record::{Event, NewParticipant, Shown},
};
use proto::{
    ConversationId,
    wire::{self, EntryKind, Role, entry},
};
use testkit::store::Store;

use crate::world::{World, participant, record_by, refused_field, seq, text, user};

async fn seen(world: &World, id: ConversationId, person: i64) -> Vec<i64> {
    let page = world
        .journal
        .history(id, user(person), Direction::After(seq(0)), 100)
        .await
        .unwrap();
    page.entries.iter().map(|entry| entry.seq.get()).collect()
}

async fn join(world: &World, id: ConversationId, person: i64, history: Shown) -> i64 {
    let doctor = NewParticipant {
        history,
        ..participant(person, Role::Doctor)
    };
    world.record(id, Event::Joined(doctor)).await.unwrap().get()
}

async fn i5_a_doctor_sees_all_or_from_now_and_after_coming_back_all(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    world.send(text(id, 1, "a", "x")).await.unwrap();
    assert_eq!(join(&world, id, 2, Shown::All).await, 3);
    assert_eq!(join(&world, id, 3, Shown::FromNow).await, 4);
    assert_eq!(seen(&world, id, 2).await, [1, 2, 3, 4]);
    assert_eq!(seen(&world, id, 3).await, [4]);
    for doctor in [2, 3] {
        world.record(id, Event::Left(user(doctor))).await.unwrap();
    }
    world.send(text(id, 1, "b", "x")).await.unwrap();
    assert_eq!(seen(&world, id, 2).await, [1, 2, 3, 4, 5], "up to their leaving");
    assert_eq!(seen(&world, id, 3).await, [4, 5, 6]);
    join(&world, id, 2, Shown::FromNow).await;
    assert_eq!(seen(&world, id, 2).await, [1, 2, 3, 4, 5, 8]);
    join(&world, id, 3, Shown::All).await;
    assert_eq!(seen(&world, id, 3).await, (1..=9).collect::<Vec<_>>());
    let overview = world.journal.overview(user(3), id).await.unwrap().unwrap();
    assert!(overview.reveals(seq(6)), "a copy of 4 to 6 lacks 1 to 3");
    assert!(!overview.reveals(seq(9)));
    assert_eq!(overview.first_visible_after(seq(0)), Some(seq(1)));
    assert_eq!(overview.newest_from(2), Some(seq(8)));
}

/// Large bodies end a page early in both directions, over stays and recalls, and nothing is left out.
async fn a_page_within_bounds_is_read_in_parts_and_the_next_one_goes_on(store: Store) {
    const KIB: usize = 1024;
    const EVENTS: usize = 4;
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let large = "x".repeat(KIB);
    for at in 0..60 {
        world.send(text(id, 1, &at.to_string(), &large)).await.unwrap();
    }
    join(&world, id, 2, Shown::FromNow).await;
    world.record(id, Event::Left(user(2))).await.unwrap();
    world.send(text(id, 1, "between", &large)).await.unwrap();
    join(&world, id, 2, Shown::FromNow).await;
    for at in 60..80 {
        world.send(text(id, 1, &at.to_string(), &large)).await.unwrap();
    }
    let read = async |person, direction, entries, bytes| {
        let bounds = Bounds { entries, bytes };
        let read = world.journal.history_within(id, user(person), direction, bounds);
        let page = read.await.unwrap();
        let seqs: Vec<i64> = page.entries.iter().map(|entry| entry.seq.get()).collect();
        (seqs, page.has_more)
    };
    for person in 1..=2 {
        let all = seen(&world, id, person).await;
        for (entries, bytes) in [
            (200, 4 * KIB),
            (200, 40 * KIB),
            (20, 40 * KIB),
            (3, KIB),
            (200, 0),
        ] {
            let (mut forwards, mut after) = (Vec::new(), seq(0));
            let (mut backwards, mut before) = (Vec::new(), seq(i64::MAX));
            loop {
                let (page, has_more) = read(person, Direction::After(after), entries, bytes).await;
                // Bytes are summed after each 51 entries; an event has none.
                assert!(page.len() <= entries.min(bytes / KIB + 51 + EVENTS), "{page:?}");
                after = seq(*page.last().unwrap());
                forwards.extend(page);
                if !has_more {
                    break;
                }
            }
            loop {
                let (page, has_more) = read(person, Direction::Before(before), entries, bytes).await;
                before = seq(page[0]);
                backwards.splice(0..0, page);
                if !has_more {
                    break;
                }
            }
            assert_eq!((&forwards, &backwards), (&all, &all), "{entries} {bytes}");
        }
    }
}

/// An answer to an entry of before is refused to a doctor who does not see it, and accepted from one who does.
async fn i5_an_answer_is_to_an_entry_that_the_doctor_sees(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    world.send(text(id, 1, "a", "x")).await.unwrap();
    join(&world, id, 2, Shown::All).await;
    join(&world, id, 3, Shown::FromNow).await;
    let answer = |sender, about| journal::append::NewMessage {
        reply_to_seq: seq(about),
        ..text(id, sender, "r", "x")
    };
    let refused = world.send(answer(3, 2)).await;
    assert_eq!(refused_field(&refused), "reply_to_seq");
    world.send(answer(3, 4)).await.unwrap();
    world.send(answer(2, 2)).await.unwrap();
}

async fn participants_and_entries_keep_the_names_of_the_time(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let doctor = NewParticipant {
        title: "主治医师".into(),
        photo: "media:57".into(),
        ..participant(2, Role::Doctor)
    };
    world.record(id, Event::Joined(doctor)).await.unwrap();
    let inside = world.journal.participants(id).await.unwrap();
    let of_doctor = (
        inside[1].name.as_str(),
        inside[1].title.as_str(),
        inside[1].photo.as_str(),
    );
    assert_eq!(of_doctor, ("user 2", "主治医师", "media:57"));
    world.record(id, Event::Left(user(2))).await.unwrap();
    let events: Vec<_> = world.all(id).await.into_iter().map(|entry| entry.event).collect();
    let event = |sees_from_seq| {
        let event = wire::ParticipantEvent {
            user_id: 2,
            role: Role::Doctor as i32,
            name: "user 2".into(),
            title: "主治医师".into(),
            photo: "media:57".into(),
            sees_from_seq,
        };
        Some(entry::Event::Participant(event))
    };
    assert_eq!(events[1..], [event(1), event(0)]);
}

/// Messages of the server have no client_msg_id; any number of them is indexed, and none answers a resend.
async fn the_server_writes_messages_for_those_who_are_in(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let message = || Event::Message {
        mime_type: proto::mime::CONSULT,
        body: b"\x08\x01".as_slice().into(),
    };
    let refused = record_by(&world.journal, id, 2, message()).await;
    assert!(matches!(refused, Err(journal::Error::NoAccess)));
    for at in 0..70 {
        record_by(&world.journal, id, 1, message()).await.unwrap();
        world.send(text(id, 1, &format!("m{at}"), "x")).await.unwrap();
    }
    let entries = world.all(id).await;
    assert_eq!(entries.len(), 141);
    let card = &entries[1];
    let found = (
        card.kind,
        card.sender.get(),
        card.mime_type.as_str(),
        card.client_msg_id.as_str(),
    );
    assert_eq!(found, (EntryKind::Message, 1, proto::mime::CONSULT, ""));
}

testkit::on_both!(
    i5_a_doctor_sees_all_or_from_now_and_after_coming_back_all,
    i5_an_answer_is_to_an_entry_that_the_doctor_sees,
    a_page_within_bounds_is_read_in_parts_and_the_next_one_goes_on,
    participants_and_entries_keep_the_names_of_the_time,
    the_server_writes_messages_for_those_who_are_in,
);
