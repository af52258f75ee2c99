//! Conversations on several machines (docs/decisions/0019-distributed.md), on a plain server behind a stand-in that refuses what
//! Citus refuses. Its other errors are raised by a function of the test.

use std::net::SocketAddr;

use journal::{Error, append::Accepted};
use proto::ConversationId;
use testkit::{eventually, postgres::Postgres, proxy::Proxy, store::Store};

use crate::world::{PAIR, Spread, World, duplicate_of, is_away, text};

async fn world() -> Spread {
    Spread::new().await
}

/// The name of the test's own database; the URL's options follow it.
fn database(world: &World) -> &str {
    world.place.database().split('?').next().unwrap()
}

fn psql(world: &World, sql: &str) {
    Postgres::shared().psql(database(world), sql).unwrap();
}

/// Puts a function before the one that appends: `body` raises what Citus would, or does nothing.
fn stand_before(world: &World, declared: &str, body: &str) {
    let parameters = "(of_conversation BIGINT, BIGINT, BIGINT, BIGINT, BIGINT, BIGINT, BIGINT[], BIGINT[], ids TEXT[], TEXT[],
        BYTEA[], BIGINT[], BIGINT[], BYTEA[], BIGINT[], BIGINT[], BIGINT[])";
    psql(
        world,
        &format!(
            "{declared};
             ALTER FUNCTION journal_append RENAME TO journal_append_there;
             CREATE FUNCTION journal_append{parameters} RETURNS BOOLEAN LANGUAGE plpgsql AS $$ BEGIN
               {body}
               RETURN journal_append_there($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);
             END $$"
        ),
    );
}

fn fresh(outcome: Result<Accepted, Error>) -> i64 {
    let accepted = outcome.unwrap();
    assert!(!accepted.duplicate);
    accepted.seq.get()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_many_conversations_is_written_and_a_resend_answered() {
    let world = world().await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(world.conversation(&PAIR).await);
    }
    let sends = || -> Vec<_> { ids.iter().map(|id| text(*id, 1, "a", "x")).collect() };
    for outcome in world.send_all(sends()).await {
        assert_eq!(fresh(outcome), 3);
    }
    for outcome in world.send_all(sends()).await {
        duplicate_of(outcome, 3);
    }
    for id in ids {
        assert_eq!(world.all(id).await.len(), 3);
    }
}

/// Citus reports a lost connection by an error of its own, and sometimes without a name for it; the commit on the machine may
/// have been first. The retry looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_an_answer_that_a_machine_lost_is_found_or_written_once() {
    for code in ["08006", "57P01", "58030", "XX000"] {
        let world = world().await;
        let id = world.conversation(&PAIR).await;
        let raise = format!(
            "IF nextval('calls') = 1 THEN RAISE EXCEPTION 'connection to the remote node failed' USING ERRCODE = '{code}'; END IF;"
        );
        stand_before(&world, "CREATE SEQUENCE calls", &raise);
        assert_eq!(fresh(world.send(text(id, 1, "a", "x")).await), 3, "{code}");
        duplicate_of(world.send(text(id, 1, "a", "x")).await, 3);
        assert_eq!(world.all(id).await.len(), 3, "{code}");
    }
}

/// A refusal of the machine keeps its name: a resend is answered at once, and a bad row is the sender's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_a_machine_is_for_its_sender_alone() {
    let world = world().await;
    let (bad, good) = (world.conversation(&PAIR).await, world.conversation(&PAIR).await);
    let raise = format!(
        "IF of_conversation = {} THEN RAISE EXCEPTION 'a value is out of range' USING ERRCODE = '22003'; END IF;",
        bad.get()
    );
    stand_before(&world, "SELECT 1", &raise);
    let outcomes = world
        .send_all(vec![text(bad, 1, "a", "x"), text(good, 1, "a", "x")])
        .await;
    let [refused, accepted] = <[_; 2]>::try_from(outcomes).unwrap();
    assert!(
        matches!(refused, Err(Error::Database(database::Error::Engine(_)))),
        "{refused:?}"
    );
    assert_eq!(fresh(accepted), 3);
}

/// All conversations of the test on one lane: ids that differ by a multiple of the number of lanes.
async fn two_of_a_lane(world: &World) -> [ConversationId; 2] {
    let first = world.conversation(&PAIR).await;
    loop {
        let other = world.conversation(&PAIR).await;
        if (other.get() - first.get()) % 16 == 0 {
            return [first, other];
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_away_stops_only_its_own_conversations() {
    let world = world().await;
    let [away, here] = two_of_a_lane(&world).await;
    let raise = format!(
        "IF of_conversation = {} AND (SELECT is_away FROM machine) THEN
           RAISE EXCEPTION 'connection to the remote node failed' USING ERRCODE = '08006'; END IF;",
        away.get()
    );
    stand_before(&world, "CREATE TABLE machine AS SELECT true AS is_away", &raise);
    let waiting = world.send(text(away, 1, "a", "x"));
    let others = async {
        for number in 0..20 {
            let outcome = world.send(text(here, 1, &format!("b{number}"), "x")).await;
            assert_eq!(fresh(outcome), 3 + number);
        }
    };
    let (outcome, ()) = tokio::join!(waiting, others);
    assert!(is_away(&outcome), "{outcome:?}");
    psql(&world, "UPDATE machine SET is_away = false");
    eventually("the machine is back", async || {
        world.send(text(away, 1, "a", "x")).await.is_ok()
    })
    .await;
    assert_eq!(world.all(away).await.len(), 3, "and its message is there once");
}

/// Says, as Citus would, that a conversation lies on a machine of its own: the same server, behind a proxy.
async fn put_on_machine(world: &World, id: ConversationId) -> Proxy {
    let server = SocketAddr::from(([127, 0, 0, 1], Postgres::shared().port()));
    let machine = Proxy::start(server).await.unwrap();
    psql(
        world,
        &format!(
            "CREATE TABLE pg_dist_node (groupid INTEGER, nodename TEXT, nodeport INTEGER, noderole TEXT, isactive BOOLEAN);
             CREATE TABLE pg_dist_placement (shardid BIGINT, groupid INTEGER);
             CREATE TABLE pg_dist_shard (logicalrelid REGCLASS, shardid BIGINT, shardminvalue TEXT, shardmaxvalue TEXT);
             INSERT INTO pg_dist_node VALUES (1, '127.0.0.1', {port}, 'primary', true);
             INSERT INTO pg_dist_placement VALUES (1, 1);
             INSERT INTO pg_dist_shard VALUES ('conversation', 1, CAST(hashint8({id}) AS TEXT), CAST(hashint8({id}) AS TEXT))",
            port = machine.address().port(),
            id = id.get()
        ),
    );
    machine
}

/// One that hangs holds a lane for a moment, and then only its own conversations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_hangs_stops_only_its_own_conversations() {
    let world = world().await;
    let [there, here] = two_of_a_lane(&world).await;
    let machine = put_on_machine(&world, there).await;
    assert_eq!(fresh(world.send(text(there, 1, "a", "x")).await), 3);
    machine.stall(true);
    let waiting = world.send(text(there, 1, "b", "x"));
    let others = async {
        for number in 0..20 {
            let outcome = world.send(text(here, 1, &format!("c{number}"), "x")).await;
            assert_eq!(fresh(outcome), 3 + number);
        }
    };
    let (outcome, ()) = tokio::join!(waiting, others);
    assert!(is_away(&outcome), "{outcome:?}");
    machine.stall(false);
    eventually("the machine is back", async || {
        world.send(text(there, 1, "b", "x")).await.is_ok()
    })
    .await;
    assert_eq!(world.all(there).await.len(), 4, "and its message is there once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_refuses_is_reached_by_the_coordinator() {
    let world = world().await;
    let id = world.conversation(&PAIR).await;
    let machine = put_on_machine(&world, id).await;
    machine.refuse();
    assert_eq!(fresh(world.send(text(id, 1, "a", "x")).await), 3);
    duplicate_of(world.send(text(id, 1, "a", "x")).await, 3);
}

/// A send whose connection breaks is written once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_a_connection_to_a_machine_that_breaks_doubles_nothing() {
    let world = world().await;
    let id = world.conversation(&PAIR).await;
    let machine = put_on_machine(&world, id).await;
    let mut sent = Vec::new();
    for number in 0..30 {
        let word = format!("a{number}");
        let send = async { world.send(text(id, 1, &word, "x")).await };
        let cut = async {
            tokio::task::yield_now().await;
            machine.cut();
        };
        let (outcome, ()) = tokio::join!(send, cut);
        sent.push(outcome.unwrap().seq.get());
    }
    assert_eq!(sent, (3..33).collect::<Vec<_>>());
    assert_eq!(world.all(id).await.len(), 32);
}

/// Citus cannot plan a statement without its values: it names no machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_plans_without_values() {
    let world = world().await;
    let database = world.journal.database();
    let row = database.query_first("SHOW plan_cache_mode", Vec::new()).await;
    let mode: String = row.unwrap().unwrap().get(0).unwrap();
    assert_eq!(mode, "auto");
    // A generic plan of a machine's own rows grows with each call: Citus 13.2 adds a local plan and never finds it again.
    let row = database.query_first(
        "SELECT 'plan_cache_mode=force_custom_plan' = ANY(proconfig) FROM pg_proc WHERE proname = 'journal_append'",
        Vec::new(),
    );
    let by_values: bool = row.await.unwrap().unwrap().get(0).unwrap();
    assert!(by_values);
    let plain = World::new(Store::Postgres).await;
    let row = plain
        .journal
        .database()
        .query_first("SHOW plan_cache_mode", Vec::new())
        .await;
    let mode: String = row.unwrap().unwrap().get(0).unwrap();
    assert_eq!(mode, "force_generic_plan", "one server plans once");
}
