//! Conversations that users take off their lists.

use journal::{Journal, hidden::Hidden, record::Event};
use proto::{ConversationId, wire::Role};
use testkit::{eventually, store::Store};

use crate::world::{PAIR, World, participant, seq, text, user};

/// Everything in range.
async fn all(world: &World, who: i64, since: i64) -> Vec<(i64, i64)> {
    let [beyond, first] = [i64::MAX, 0].map(ConversationId::from_database);
    let found = world
        .journal
        .hidden_of(user(who), beyond, first, since, 100)
        .await;
    let pair = |hidden: &Hidden| (hidden.conversation.get(), hidden.through.get());
    found.unwrap().iter().map(pair).collect()
}

async fn change(journal: &Journal, who: i64, conversation: ConversationId, hides: bool) {
    let journal_of_tx = journal.clone();
    let unpublished = journal.database().transaction(move |tx| {
        Box::pin(async move {
            match hides {
                true => journal_of_tx.hide(tx, user(who), &[conversation]).await,
                false => journal_of_tx.unhide(tx, user(who), &[conversation]).await,
            }
        })
    });
    let unpublished: Result<_, database::Error> = unpublished.await;
    journal.publish(unpublished.unwrap());
}

async fn hide(world: &World, who: i64, conversation: ConversationId) {
    change(&world.journal, who, conversation, true).await;
}

async fn a_conversation_is_hidden_through_the_newest_entry_that_its_user_sees(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let of = id.get();
    assert_eq!(all(&world, 1, 0).await, []);
    hide(&world, 1, id).await;
    assert_eq!(all(&world, 1, 0).await, [(of, 2)]);
    // Again, and for a user who never was in it.
    hide(&world, 1, id).await;
    hide(&world, 9, id).await;
    assert_eq!(all(&world, 1, 0).await, [(of, 2)]);
    assert_eq!(all(&world, 9, 0).await, []);
    assert_eq!(all(&world, 2, 0).await, [], "each user hides for themselves");
    // An append writes nothing here: the seq is beyond.
    world.send(text(id, 2, "a", "hello")).await.unwrap();
    assert_eq!(all(&world, 1, 0).await, [(of, 2)]);
    hide(&world, 1, id).await;
    assert_eq!(all(&world, 1, 0).await, [(of, 3)]);
    // A user who left sees up to there.
    assert_eq!(world.record(id, Event::Left(user(2))).await.unwrap(), seq(4));
    world.send(text(id, 1, "b", "alone")).await.unwrap();
    hide(&world, 2, id).await;
    assert_eq!(all(&world, 2, 0).await, [(of, 4)]);
    let again = Event::Joined(participant(2, Role::Doctor));
    assert_eq!(world.record(id, again).await.unwrap(), seq(6));
    assert_eq!(all(&world, 2, 0).await, [(of, 4)], "the joining is beyond");
    change(&world.journal, 1, id, false).await;
    assert_eq!(all(&world, 1, 0).await, [(of, 0)]);
    let hidden = world.journal.hidden(user(2), id).await.unwrap().unwrap();
    assert_eq!(hidden.through, seq(4));
    assert_eq!(world.journal.hidden(user(9), id).await.unwrap(), None);
}

/// Changes before a horizon do not come again; each change after it comes.
async fn changes_are_found_from_a_horizon_on(store: Store) {
    let world = World::new(store).await;
    let (first, second) = (world.conversation(&PAIR).await, world.conversation(&PAIR).await);
    hide(&world, 1, first).await;
    // On SQLite an entry moves the horizon.
    world.send(text(second, 2, "a", "hello")).await.unwrap();
    // On PostgreSQL a transaction of another test holds it back.
    let mut horizon = 0;
    eventually("the change lies before the horizon", async || {
        horizon = world.journal.horizon().await.unwrap().number;
        all(&world, 1, horizon).await.is_empty()
    })
    .await;
    assert_eq!(world.journal.hidden_since(horizon, None, 10).await.unwrap(), []);
    hide(&world, 1, second).await;
    change(&world.journal, 1, first, false).await;
    assert_eq!(
        all(&world, 1, horizon).await,
        [(second.get(), 3), (first.get(), 0)]
    );
    let changes = world.journal.hidden_since(horizon, None, 10).await.unwrap();
    // Also where a page ends between two that share a number.
    let first_page = world.journal.hidden_since(horizon, None, 1).await.unwrap();
    let rest = world
        .journal
        .hidden_since(horizon, first_page.last(), 10)
        .await
        .unwrap();
    assert_eq!([first_page, rest].concat(), changes);
    let mut found: Vec<_> = changes.iter().map(|one| one.conversation).collect();
    found.sort();
    assert_eq!(found, [first, second]);
    // A page, and the next one.
    let page = |before: ConversationId| {
        let from = ConversationId::from_database(0);
        world.journal.hidden_of(user(1), before, from, 0, 1)
    };
    let newest = page(ConversationId::from_database(i64::MAX)).await.unwrap();
    assert_eq!(newest[0].conversation, second);
    let next = page(second).await.unwrap();
    assert_eq!(next[0].conversation, first);
    assert_eq!(page(first).await.unwrap(), []);
}

/// Two devices hide at once, while messages come: hidden through the newest entry that either saw, never less.
async fn two_devices_hide_at_once(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let mut through = 0;
    for round in 0..20 {
        let sent = world.send(text(id, 2, &format!("m{round}"), "hello"));
        let (sent, (), ()) = tokio::join!(sent, hide(&world, 1, id), hide(&world, 1, id));
        let last = sent.unwrap().seq.get();
        let now = all(&world, 1, 0).await[0].1;
        assert!(
            (last - 1..=last).contains(&now) && now >= through,
            "{now} of {last}"
        );
        through = now;
    }
}

testkit::on_both!(
    a_conversation_is_hidden_through_the_newest_entry_that_its_user_sees,
    changes_are_found_from_a_horizon_on,
    two_devices_hide_at_once,
);
