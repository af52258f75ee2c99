//! The coordinator's directory of conversations (docs/decisions/0019-distributed.md), on a plain server that acts as several
//! machines.

use journal::{append::Appender, marks::Mark, record::Event};
use proto::{ConversationId, wire::Role};
use testkit::{eventually, postgres::Postgres, store::Store};

use crate::{
    media::{photo, upload},
    world::{PAIR, World, distributed, migrated, seq, text, user},
};

async fn world() -> World {
    let mut world = World::on(distributed(Store::Postgres.place(migrated).await.url())).await;
    world.journal = world.journal.checking_media();
    world.appender = Appender::start(&world.journal, world.ledger.clone());
    world
}

fn psql(world: &World, sql: &str) -> String {
    let database = world.place.database();
    Postgres::shared().psql(database, sql).unwrap()
}

async fn is_sharing(world: &World, one: i64, other: i64) -> bool {
    let others = [user(other)];
    let sharing = world.journal.sharing_a_conversation(user(one), &others);
    !sharing.await.unwrap().is_empty()
}

/// More conversations than one page of the directory, and only the oldest one counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_users_who_share_a_conversation_are_found_behind_a_page_of_others() {
    let world = world().await;
    let oldest = world.conversation(&PAIR).await;
    for _ in 0..42 {
        let left = world.conversation(&PAIR).await;
        world.record(left, Event::Left(user(2))).await.unwrap();
    }
    world.conversation(&[(2, Role::Doctor), (3, Role::Patient)]).await;
    assert!(is_sharing(&world, 1, 2).await && is_sharing(&world, 2, 1).await);
    assert!(!is_sharing(&world, 1, 3).await);
    assert!(world.journal.has_met(user(1), user(2)).await.unwrap());
    assert!(!world.journal.has_met(user(1), user(3)).await.unwrap());
    world.record(oldest, Event::Left(user(2))).await.unwrap();
    assert!(!is_sharing(&world, 1, 2).await);
    assert!(world.journal.has_met(user(1), user(2)).await.unwrap());
}

// protocol: "An entry shows its media over REST to each user who sees it, until a recall"
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_a_medium_is_seen_by_the_conversations_that_name_it() {
    let world = world().await;
    let id = world.conversation(&PAIR).await;
    let later = world.conversation(&[(1, Role::Patient), (3, Role::Doctor)]).await;
    for medium in [1, 2] {
        upload(&world, medium, 1).await;
    }
    world.send(photo(id, 1, "a", "media:1")).await.unwrap();
    world.send(photo(id, 1, "b", "media:1")).await.unwrap();
    let sees = async |medium, person| world.journal.sees_media(medium, user(person)).await.unwrap();
    assert!(sees(1, 2).await);
    assert!(!sees(1, 3).await && !sees(2, 2).await);
    world.send(photo(later, 1, "a", "media:1")).await.unwrap();
    assert!(sees(1, 3).await);
    // A refused message enters nothing.
    assert!(world.send(photo(later, 3, "b", "media:2")).await.is_err());
    let rows = "SELECT count(*), count(DISTINCT conversation_id) FROM media_conversation";
    assert_eq!(psql(&world, rows), "2|2");
    // `migrate` enters the media that other means have written.
    psql(
        &world,
        "DELETE FROM media_conversation; DELETE FROM user_conversation",
    );
    assert!(!sees(1, 2).await);
    let distributing = database::postgres::Postgres::distribute(world.place.url(), journal::citus::FUNCTIONS);
    distributing.await.unwrap();
    assert!(sees(1, 2).await && sees(1, 3).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_refuses_functions_of_another_release() {
    let world = world().await;
    world.journal.must_have_functions().await.unwrap();
    let id = world.conversation(&PAIR).await;
    world.send(text(id, 1, "a", "x")).await.unwrap();
    let names = |error: database::Error, function: &str| {
        let text = error.to_string();
        let is_told = text.contains(function) && text.contains("huizhen migrate --distributed citus");
        assert!(is_told, "{text}");
    };
    psql(&world, "ALTER FUNCTION journal_append RESET plan_cache_mode");
    names(
        world.journal.must_have_functions().await.unwrap_err(),
        "journal_append",
    );
    psql(&world, "DROP FUNCTION journal_horizon");
    let error = world.journal.must_have_functions().await.unwrap_err();
    names(error, "journal_horizon");
    let distributing = database::postgres::Postgres::distribute(world.place.url(), journal::citus::FUNCTIONS);
    distributing.await.unwrap();
    world.journal.must_have_functions().await.unwrap();
    // One server has none, and needs none.
    World::new(Store::Postgres)
        .await
        .journal
        .must_have_functions()
        .await
        .unwrap();
}

/// Says, as Citus would, that a conversation lies on a machine of its own, and lets no statement reach it while it is away.
fn put_away(world: &World, id: i64) {
    let hash = format!("CAST(hashint8({id}) AS TEXT)");
    psql(
        world,
        &format!(
            "CREATE TABLE pg_dist_node (groupid INTEGER, nodename TEXT, nodeport INTEGER, noderole TEXT, isactive BOOLEAN);
             CREATE TABLE pg_dist_placement (shardid BIGINT, groupid INTEGER);
             CREATE TABLE pg_dist_shard (logicalrelid REGCLASS, shardid BIGINT, shardminvalue TEXT, shardmaxvalue TEXT);
             INSERT INTO pg_dist_node VALUES (1, 'db1', 5432, 'primary', true);
             INSERT INTO pg_dist_placement VALUES (1, 1);
             CREATE TABLE away AS SELECT CAST({id} AS BIGINT) AS id;
             CREATE FUNCTION reach(of_conversation BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$ BEGIN
               IF EXISTS (SELECT 1 FROM away WHERE id = of_conversation) THEN
                 RAISE EXCEPTION 'connection to the remote node db1:5432 failed' USING ERRCODE = '08006';
               END IF;
               RETURN true;
             END $$;
             ALTER TABLE participant RENAME TO participant_there;
             CREATE VIEW participant AS SELECT * FROM participant_there WHERE reach(conversation_id);
             ALTER TABLE conversation RENAME TO conversation_there;
             CREATE VIEW conversation AS SELECT * FROM conversation_there WHERE reach(id);
             INSERT INTO pg_dist_shard VALUES ('conversation', 1, {hash}, {hash})"
        ),
    );
}

// protocol: "Where one of several database machines is away"
/// A machine that is away stops what lies there: overviews, newest seqs and marks of all else are as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_a_machine_that_is_away_hides_only_its_own_conversations() {
    let world = world().await;
    let (here, there, last) = (
        world.conversation(&PAIR).await,
        world.conversation(&PAIR).await,
        world.conversation(&PAIR).await,
    );
    put_away(&world, there.get());
    let read = async || {
        let (all, none) = (
            ConversationId::from_database(i64::MAX),
            ConversationId::from_database(0),
        );
        let page = world.journal.overviews(user(1), all, none).await.unwrap();
        let read = page.overviews.iter().map(|overview| overview.conversation.id);
        (read.collect::<Vec<_>>(), page.missing, page.end)
    };
    assert_eq!(read().await, (vec![last, here], vec![there], Some(here)));
    let ids = [here, there, last];
    let mut seqs = world.journal.last_seqs(&ids).await.unwrap();
    seqs.sort_unstable();
    assert_eq!(seqs, [(here, seq(2)), (last, seq(2))]);
    let mark = |conversation| Mark {
        conversation,
        user: user(1),
        received_seq: seq(2),
        read_seq: seq(2),
    };
    let marks = || ids.map(mark).to_vec();
    let saved = world.journal.save_marks(marks()).await.unwrap();
    assert_eq!(saved, [mark(here), mark(last)]);
    psql(&world, "DELETE FROM away");
    // It is asked again after a while.
    eventually("the machine is back", async || read().await.1.is_empty()).await;
    assert_eq!(read().await.0, [last, there, here]);
    assert_eq!(world.journal.last_seqs(&ids).await.unwrap().len(), 3);
    assert_eq!(world.journal.save_marks(marks()).await.unwrap().len(), 3);
}
