//! Sync while people come and go, in parts, and of apps that leave conversations out: whatever happens, each session is
//! given each entry that its user may see once (I3).

use proto::wire::{Role, Sync, SyncDone, SyncItem, client_frame::Body as Request};

use super::{app::App, fleet::Fleet};

fn item(conversation_id: i64, have_seq: i64) -> SyncItem {
    SyncItem {
        conversation_id,
        epoch: 1,
        have_seq,
    }
}

async fn sync_of(app: &mut App, consult: i64, have: i64, limit: u32) -> SyncDone {
    let sync = Sync {
        items: vec![item(consult, have)],
        limit,
        ..Default::default()
    };
    app.sync(sync).await.1
}

/// The seqs that came meanwhile.
fn drained(app: &mut App) -> Vec<i64> {
    app.entries.drain(..).map(|entry| entry.seq).collect()
}

async fn say(app: &mut App, consult: i64, times: usize) {
    for _ in 0..times {
        let id = uuid();
        app.say(consult, &id, "hello").await.unwrap();
    }
}

fn uuid() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("m{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_user_who_is_brought_in_again_while_catching_up_gets_the_rest() {
    let fleet = Fleet::start_with(&["--sends-per-s", "1000"], 1).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    say(&mut patient, consult, 9).await;
    let left = fleet.leave(consult, 2).await;
    say(&mut patient, consult, 3).await;
    let mut doctor = fleet.log_in(2, "pad").await;
    let done = sync_of(&mut doctor, consult, 2, 4).await;
    assert!(done.more);
    assert_eq!(drained(&mut doctor), [3, 4, 5, 6]);
    let back = fleet.join(consult, 2, Role::Doctor).await;
    say(&mut patient, consult, 2).await;
    // The notice of coming back changes nothing before the app syncs again.
    let mut expected: Vec<i64> = (7..=left).chain(back..=back + 2).collect();
    let mut have = 6;
    loop {
        let done = sync_of(&mut doctor, consult, have, 4).await;
        let got = drained(&mut doctor);
        assert_eq!(got, expected[..got.len()]);
        have = *got.last().unwrap_or(&have);
        expected.drain(..got.len());
        if !done.more {
            break;
        }
    }
    assert_eq!(doctor.seqs(expected.len()).await, expected);
    say(&mut patient, consult, 1).await;
    assert_eq!(doctor.seqs(1).await, [back + 3]);
    doctor.nothing_came().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_user_who_is_taken_out_between_two_syncs_and_comes_back_after_the_last_is_live() {
    let fleet = Fleet::start_with(&["--sends-per-s", "1000"], 1).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    say(&mut patient, consult, 6).await;
    let mut doctor = fleet.log_in(2, "pad").await;
    assert!(sync_of(&mut doctor, consult, 2, 4).await.more);
    let left = fleet.leave(consult, 2).await;
    say(&mut patient, consult, 2).await;
    assert!(!sync_of(&mut doctor, consult, 6, 4).await.more);
    assert_eq!(drained(&mut doctor), (3..=left).collect::<Vec<_>>());
    let back = fleet.join(consult, 2, Role::Doctor).await;
    say(&mut patient, consult, 2).await;
    assert_eq!(doctor.seqs(3).await, [back, back + 1, back + 2]);
    doctor.nothing_came().await;
}

/// An app may repeat a Sync, say because it took an answer for lost: it gets nothing twice.
// protocol: "a session never gets an entry twice"
#[tokio::test(flavor = "multi_thread")]
async fn i3_a_repeated_sync_gives_nothing_twice() {
    let fleet = Fleet::start_with(&["--sends-per-s", "1000"], 1).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    say(&mut patient, consult, 5).await;
    let left_early = fleet.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    let left = fleet.leave(left_early, 2).await;
    let mut doctor = fleet.log_in(2, "pad").await;
    for _ in 0..3 {
        sync_of(&mut doctor, consult, 2, 3).await;
    }
    doctor.sync(Sync::default()).await;
    let entries: Vec<_> = doctor
        .entries
        .drain(..)
        .map(|entry| (entry.conversation_id, entry.seq))
        .collect();
    let of = |id| -> Vec<i64> {
        let those = entries.iter().filter(|(of, _)| *of == id);
        those.map(|(_, seq)| *seq).collect()
    };
    assert_eq!(of(consult), (3..=7).collect::<Vec<_>>());
    assert_eq!(of(left_early), (2..=left).collect::<Vec<_>>());
    doctor.nothing_came().await;
}

// protocol: "Each part names the copies with from_conversation_id"
// protocol: "before_conversation_id is 0 in the first part"
// protocol: "from_conversation_id is 0 in the last part"
// protocol: "Entries of a part's conversations flow from that part on"
// protocol: "Sync | INVALID | limit"
#[tokio::test(flavor = "multi_thread")]
async fn i3_a_sync_in_parts_gives_each_conversation_once() {
    let fleet = Fleet::start().await;
    let mut consults = Vec::new();
    for _ in 0..30 {
        consults.push(fleet.consult().await);
    }
    let mut doctor = fleet.log_in(2, "pad").await;
    let (middle, low) = (consults[20], consults[10]);
    let part = |before, from| Sync {
        before_conversation_id: before,
        from_conversation_id: from,
        ..Default::default()
    };
    // A part that leaves a hole behind it is refused, and so is an item that lies outside.
    let refused = doctor.refused(Request::Sync(part(middle, low))).await;
    assert_eq!(refused.1, "before_conversation_id");
    assert_eq!(
        doctor.refused(Request::Sync(part(low, middle))).await.1,
        "from_conversation_id"
    );
    assert_eq!(
        doctor.refused(Request::Sync(part(-1, 0))).await.1,
        "before_conversation_id"
    );
    let outside = Sync {
        items: vec![item(low, 1)],
        ..part(0, middle)
    };
    assert_eq!(doctor.refused(Request::Sync(outside)).await.1, "items");

    let ids = |conversations: Vec<proto::wire::Conversation>| -> Vec<i64> {
        let ids = conversations
            .iter()
            .map(|conversation| conversation.conversation_id);
        ids.collect()
    };
    let newest_first = |consults: &[i64]| -> Vec<i64> { consults.iter().rev().copied().collect() };
    let (first, _) = doctor.sync(part(0, middle)).await;
    assert_eq!(ids(first), newest_first(&consults[20..]));
    // A later part names its conversations.
    fleet.join(consults[5], 7, Role::Assistant).await;
    let (second, done) = doctor.sync(part(middle, low)).await;
    assert_eq!(ids(second), newest_first(&consults[10..20]));
    assert!(!done.more);
    let (third, _) = doctor.sync(part(low, 0)).await;
    assert_eq!(ids(third), newest_first(&consults[..10]));
    let mut given: Vec<_> = doctor
        .entries
        .drain(..)
        .map(|entry| (entry.conversation_id, entry.seq))
        .collect();
    let whole = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!((given.len(), whole), (61 - 30, 61 - 30));
    doctor.nothing_came().await;
}

/// An app that left out a conversation that has moved on far must forget its copy: else it had a hole.
// protocol: "A conversation that you do not name counts as known"
// protocol: "If it has, its newest entries come"
#[tokio::test(flavor = "multi_thread")]
async fn i3_a_copy_that_was_left_out_and_has_moved_far_is_reset() {
    let fleet = Fleet::start_with(&["--sends-per-s", "1000"], 1).await;
    let (far, near) = (fleet.consult().await, fleet.consult().await);
    let (_, done) = fleet.log_in(2, "pad").await.sync(Sync::default()).await;
    let mut patient = fleet.app(1, "phone").await;
    say(&mut patient, far, 20).await;
    say(&mut patient, near, 2).await;
    for since in [done.synced_ms, 1_795_478_400_000] {
        let mut pad = fleet.log_in(2, "pad").await;
        let (conversations, _) = pad
            .sync(Sync {
                updated_since_ms: since,
                limit: 5,
                ..Default::default()
            })
            .await;
        let told: Vec<_> = conversations
            .iter()
            .map(|conversation| {
                (
                    conversation.conversation_id,
                    conversation.reset,
                    conversation.from_seq,
                )
            })
            .collect();
        assert_eq!(told, [(near, false, 2), (far, true, 18)]);
    }
}

/// No clock decides which changes an app receives: these conversations are created and changed in 1970.
// protocol: "Then store its synced_ms"
#[tokio::test(flavor = "multi_thread")]
async fn i3_a_conversation_of_a_clock_that_is_behind_is_told_of() {
    let fleet = Fleet::start().await;
    let (_, done) = fleet.log_in(2, "pad").await.sync(Sync::default()).await;
    let consult = fleet.consult().await;
    let mut pad = fleet.log_in(2, "pad").await;
    let sync = Sync {
        updated_since_ms: done.synced_ms,
        ..Default::default()
    };
    let (conversations, _) = pad.sync(sync).await;
    assert_eq!(conversations[0].conversation_id, consult);
    assert_eq!(drained(&mut pad), [2]);
}

const MANY: i64 = 20_000;
/// Their ids begin behind this one.
const BEFORE_MANY: i64 = 1_000;

/// Conversations of patient 1 and doctor 2 with one entry each, which the apps have.
async fn many_consults(fleet: &Fleet) {
    let numbers =
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})");
    let statements = [
        format!(
            "INSERT INTO conversation (id, kind, epoch, open, title, last_seq, claimed_seq, created_ms, updated_ms)
             {numbers} SELECT {BEFORE_MANY} + i, 1, 1, true, 'a consult', 1, 1, 0, 0 FROM n"
        ),
        format!(
            "INSERT INTO participant (conversation_id, user_id, from_seq, role, changed_ms)
             {numbers} SELECT {BEFORE_MANY} + i, 1, 1, 1, 0 FROM n"
        ),
        format!(
            "INSERT INTO participant (conversation_id, user_id, from_seq, role, changed_ms)
             {numbers} SELECT {BEFORE_MANY} + i, 2, 1, 2, 0 FROM n"
        ),
    ];
    let made: Result<(), database::Error> = fleet
        .journal
        .database()
        .transaction(move |tx| {
            Box::pin(async move {
                for sql in statements {
                    tx.execute(sql, Vec::new()).await?;
                }
                Ok(())
            })
        })
        .await;
    made.unwrap();
}

/// A doctor of many years: the app names 20,000 copies, in as many parts as the node's frames ask for.
// protocol: "Items that do not fit into one frame"
#[tokio::test(flavor = "multi_thread")]
async fn an_app_with_twenty_thousand_copies_syncs_in_parts() {
    let fleet = Fleet::start().await;
    many_consults(&fleet).await;
    let moved = [BEFORE_MANY + 1, BEFORE_MANY + 7_777, BEFORE_MANY + MANY];
    let mut patient = fleet.log_in(1, "phone").await;
    for consult in moved {
        patient.say(consult, "moved", "hello").await.unwrap();
    }
    let mut doctor = fleet.log_in(2, "pad").await;
    let ids: Vec<i64> = (BEFORE_MANY + 1..=BEFORE_MANY + MANY).rev().collect();
    let (mut before, mut told) = (0, Vec::new());
    for part in ids.chunks(1_800) {
        let from = match part.last() {
            Some(last) if *last > BEFORE_MANY + 1 => *last,
            _ => 0,
        };
        let sync = Sync {
            items: part.iter().map(|id| item(*id, 1)).collect(),
            before_conversation_id: before,
            from_conversation_id: from,
            ..Default::default()
        };
        let (conversations, done) = doctor.sync(sync).await;
        assert!(!done.more);
        told.extend(
            conversations
                .iter()
                .map(|conversation| conversation.conversation_id),
        );
        before = from;
    }
    assert_eq!(told, [moved[2], moved[1], moved[0]]);
    let given: Vec<_> = doctor
        .entries
        .drain(..)
        .map(|entry| (entry.conversation_id, entry.seq))
        .collect();
    assert_eq!(given, [(moved[2], 2), (moved[1], 2), (moved[0], 2)]);
    // All of them are live.
    for consult in moved {
        patient.say(consult, "live", "hello").await.unwrap();
        assert_eq!(doctor.seqs(1).await, [3]);
    }
}
