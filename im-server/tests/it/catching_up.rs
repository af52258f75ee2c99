//! Sync and History.

use journal::UserNotice;
use proto::{
    ConversationId, Seq, UserId,
    wire::{ErrorCode, History, Role, Sync, SyncItem, client_frame::Body as Request, server_frame::Body},
};
use testkit::eventually;

use super::{app::message, fleet::Fleet};

fn item(conversation_id: i64, have_seq: i64) -> SyncItem {
    SyncItem {
        conversation_id,
        epoch: 1,
        have_seq,
    }
}

// protocol: "Sync | Hidden, Conversation and Entry frames"
// protocol: "From the first Sync on you get each entry once"
// protocol: "Entry frames, of each conversation in the order of seq"
#[tokio::test(flavor = "multi_thread")]
async fn an_app_gets_what_it_missed_and_goes_on_live() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    for at in 0..5 {
        patient.say(consult, &format!("{at}"), "hello").await.unwrap();
    }
    let mut doctor = fleet.log_in(2, "pad").await;
    let (conversations, done) = doctor
        .sync(Sync {
            items: vec![item(consult, 4)],
            ..Default::default()
        })
        .await;
    assert_eq!(
        (
            conversations.len(),
            conversations[0].from_seq,
            conversations[0].last_seq
        ),
        (1, 5, 7)
    );
    assert_eq!(
        (conversations[0].unread, conversations[0].participant_count),
        (5, 2)
    );
    assert!(!done.more && !conversations[0].reset);
    patient.say(consult, "live", "hello").await.unwrap();
    assert_eq!(doctor.seqs(4).await, [5, 6, 7, 8]);
    // Up to date: nothing to tell.
    let mut pad = fleet.log_in(2, "other pad").await;
    let (conversations, _) = pad
        .sync(Sync {
            items: vec![item(consult, 8)],
            ..Default::default()
        })
        .await;
    assert!(conversations.is_empty());
    pad.nothing_came().await;
}

// protocol: "While more is true, send Sync again with the have_seq"
// protocol: "entries of a conversation in one Sync | 50 by default, 500 at most"
#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_an_app_syncs_again_and_no_hole_can_arise() {
    let fleet = Fleet::start_with(&["--sends-per-s", "1000"], 1).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    for at in 0..28 {
        patient.say(consult, &format!("{at}"), "hello").await.unwrap();
    }
    let mut doctor = fleet.log_in(2, "pad").await;
    let mut have = 2;
    let mut rounds = 0;
    loop {
        let sync = Sync {
            items: vec![item(consult, have)],
            limit: 10,
            ..Default::default()
        };
        let (_, done) = doctor.sync(sync).await;
        rounds += 1;
        // Said while the app is not there yet: it must not come before what is missing.
        patient
            .say(consult, &format!("meanwhile {rounds}"), "hello")
            .await
            .unwrap();
        for entry in doctor.entries.drain(..) {
            assert_eq!(entry.seq, have + 1);
            have = entry.seq;
        }
        if !done.more {
            break;
        }
    }
    assert!(rounds >= 3);
    while have < 30 + rounds {
        have += 1;
        assert_eq!(doctor.entry().await.seq, have);
    }
    // A new conversation begins with its newest entries; History has the older ones.
    let mut pad = fleet.log_in(2, "new pad").await;
    let (conversations, done) = pad
        .sync(Sync {
            limit: 10,
            ..Default::default()
        })
        .await;
    assert!(!done.more);
    let from = conversations[0].from_seq;
    assert_eq!(pad.seqs(10).await, (from..from + 10).collect::<Vec<_>>());
    let history = History {
        conversation_id: consult,
        before_seq: from,
        limit: 200,
        ..Default::default()
    };
    let Body::HistoryPage(page) = pad.ask(Request::History(history)).await else {
        panic!()
    };
    assert_eq!(
        page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        (2..from).collect::<Vec<_>>()
    );
    assert!(!page.has_more);
}

// protocol: "reset = true: delete your copy first"
// protocol: "Sync | INVALID | limit"
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_another_epoch_or_from_the_future_is_reset() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    for copy in [
        SyncItem {
            epoch: 7,
            ..item(consult, 1)
        },
        item(consult, 99),
    ] {
        let mut app = fleet.log_in(1, &format!("{copy:?}")[..40]).await;
        let (conversations, _) = app
            .sync(Sync {
                items: vec![copy],
                ..Default::default()
            })
            .await;
        assert!(conversations[0].reset);
        assert_eq!(app.seqs(2).await, [1, 2]);
    }
    let mut app = fleet.log_in(1, "phone").await;
    let negative = Sync {
        items: vec![item(consult, -1)],
        ..Default::default()
    };
    assert_eq!(app.refused(Request::Sync(negative)).await.0, ErrorCode::Invalid);
    let before_all = Sync {
        updated_since_ms: -1,
        ..Default::default()
    };
    assert_eq!(app.refused(Request::Sync(before_all)).await.1, "updated_since_ms");
    assert_eq!(
        app.refused(Request::Sync(Sync {
            limit: 501,
            ..Default::default()
        }))
        .await
        .1,
        "limit"
    );
}

// protocol: "A copy that is named with have_seq 0 counts as new"
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_without_entries_counts_as_new() {
    let fleet = Fleet::start_with(&["--sends-per-s", "1000"], 1).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    for at in 0..8 {
        patient.say(consult, &format!("{at}"), "hello").await.unwrap();
    }
    let mut pad = fleet.log_in(1, "pad").await;
    let (conversations, done) = pad
        .sync(Sync {
            items: vec![item(consult, 0)],
            limit: 3,
            ..Default::default()
        })
        .await;
    let conversation = &conversations[0];
    assert_eq!(
        (conversation.reset, conversation.from_seq, done.more),
        (false, 8, false)
    );
    assert_eq!(pad.seqs(3).await, [8, 9, 10]);
    pad.nothing_came().await;
}

// protocol: "participants in a Conversation frame | 500"
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_names_500_participants_and_counts_them_all() {
    let fleet = Fleet::start().await;
    let users: Vec<(i64, Role)> = (1..=503).map(|user| (user, Role::Assistant)).collect();
    fleet.conversation(&users).await;
    let (conversations, _) = fleet.log_in(1, "phone").await.sync(Sync::default()).await;
    let conversation = &conversations[0];
    assert_eq!(
        (conversation.participants.len(), conversation.participant_count),
        (500, 503)
    );
}

// protocol: "Before the first Sync no entry is sent to you"
#[tokio::test(flavor = "multi_thread")]
async fn nothing_flows_before_the_first_sync() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut quiet = fleet.log_in(2, "pad").await;
    let mut patient = fleet.app(1, "phone").await;
    patient.say(consult, "a", "hello").await.unwrap();
    quiet.nothing_came().await;
    quiet.sync_all().await;
    assert_eq!(quiet.seqs(2).await, [2, 3]);
}

// protocol: "there they begin at from_seq"
#[tokio::test(flavor = "multi_thread")]
async fn being_added_brings_the_conversation_and_then_its_entries() {
    let fleet = Fleet::start().await;
    let mut doctor = fleet.app(2, "pad").await;
    let consult = fleet.conversation(&[(1, Role::Patient)]).await;
    let mut patient = fleet.app(1, "phone").await;
    patient.say(consult, "a", "not for the doctor").await.unwrap();
    let joined = fleet.join(consult, 2, Role::Doctor).await;
    patient.say(consult, "b", "for both").await.unwrap();
    let Some(Body::Conversation(conversation)) = doctor.next().await.body else {
        panic!()
    };
    assert_eq!(
        (conversation.conversation_id, conversation.from_seq),
        (consult, joined)
    );
    assert!(doctor.entries.is_empty(), "the conversation comes first");
    assert_eq!(doctor.seqs(2).await, [joined, joined + 1]);
    // I5: what was before does not exist for the doctor.
    let history = History {
        conversation_id: consult,
        before_seq: joined,
        ..Default::default()
    };
    let Body::HistoryPage(page) = doctor.ask(Request::History(history)).await else {
        panic!()
    };
    assert!(page.entries.is_empty() && !page.has_more);
}

// protocol: "The Conversation frame then has no participants"
// protocol: "keeps seeing the entries up to their leaving"
// protocol: "Sync and History return them"
#[tokio::test(flavor = "multi_thread")]
async fn who_left_while_away_still_gets_the_end_of_their_span() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    patient.say(consult, "a", "before").await.unwrap();
    let left = fleet.leave(consult, 2).await;
    patient.say(consult, "b", "after").await.unwrap();
    let mut doctor = fleet.log_in(2, "pad").await;
    let (conversations, _) = doctor
        .sync(Sync {
            items: vec![item(consult, 2)],
            ..Default::default()
        })
        .await;
    assert_eq!((conversations[0].last_seq, conversations[0].open), (left, false));
    assert!(conversations[0].participants.is_empty());
    assert_eq!(doctor.seqs(2).await, [3, left]);
    doctor.nothing_came().await;
}

/// I3: announcements may be lost; a user who has left again before any was heard changes nothing.
// protocol: "A user who rejoins sees the entries of all their stays"
#[tokio::test(flavor = "multi_thread")]
async fn i3_who_is_brought_in_and_out_unheard_gets_every_span_once() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let (mut patient, mut guest) = (fleet.app(1, "phone").await, fleet.app(3, "pad").await);
    let mut said = 0;
    let mut say = async || {
        said += 1;
        patient
            .say(consult, &format!("p{said}"), "hello")
            .await
            .unwrap()
            .seq
    };
    // Found by the comparison, with no user in; twice, since a user who left once is remembered.
    for _ in 0..2 {
        let came = fleet.join_unheard(consult, 3).await;
        say().await;
        let left = fleet.leave_unheard(consult, 3).await;
        say().await;
        let span: Vec<i64> = (came..=left).collect();
        assert_eq!(guest.seqs(span.len()).await, span);
    }
    // Brought in again so that it is heard, before any sweep: what was not heard comes first.
    let came = fleet.join_unheard(consult, 3).await;
    let left = fleet.leave_unheard(consult, 3).await;
    say().await;
    let back = fleet.join(consult, 3, Role::Assistant).await;
    let last = say().await;
    let spans: Vec<i64> = (came..=left).chain(back..=last).collect();
    assert_eq!(guest.seqs(spans.len()).await, spans);
    // Two spans end and begin unheard while the session is in the room.
    let left = fleet.leave_unheard(consult, 3).await;
    let back = fleet.join_unheard(consult, 3).await;
    let last = say().await;
    let spans: Vec<i64> = (left..=left).chain(back..=last).collect();
    assert_eq!(guest.seqs(spans.len()).await, spans);
    a_sweep_has_passed(&fleet).await;
    guest.nothing_came().await;
}

/// I5: a session may know from the database that its user is in again before the room has heard of anything since they left.
#[tokio::test(flavor = "multi_thread")]
async fn i5_who_comes_back_to_a_room_that_is_behind_gets_nothing_of_before() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let (_patient, mut guest) = (fleet.app(1, "phone").await, fleet.app(3, "pad").await);
    let came = fleet.join(consult, 3, Role::Assistant).await;
    let left = fleet.leave(consult, 3).await;
    assert_eq!(guest.seqs(2).await, [came, left]);
    for other in 4..6 {
        // The guest sees neither this entry nor, their own unpublished joining; a notice announces it.
        fleet.join_unheard(consult, other).await;
        let back = fleet.join_unheard(consult, 3).await;
        fleet.journal.notify(
            UserId::from_database(3),
            &UserNotice::Added {
                conversation: ConversationId::from_database(consult),
                seq: Seq::from_database(back),
            },
        );
        // The room catches up by the sweep.
        assert_eq!(guest.seqs(1).await, [back]);
        let gone = fleet.leave(consult, 3).await;
        assert_eq!(guest.seqs(1).await, [gone]);
    }
    a_sweep_has_passed(&fleet).await;
    guest.nothing_came().await;
}

/// A comparison repeats nothing that a session received by Sync or live.
#[tokio::test(flavor = "multi_thread")]
async fn i3_the_sweep_repeats_nothing() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut live = fleet.app(3, "pad").await;
    let came = fleet.join(consult, 3, Role::Assistant).await;
    let left = fleet.leave(consult, 3).await;
    assert_eq!(live.seqs(2).await, [came, left]);
    let came = fleet.join_unheard(consult, 4).await;
    let left = fleet.leave_unheard(consult, 4).await;
    let mut synced = fleet.app(4, "pad").await;
    assert_eq!(synced.seqs(2).await, [came, left]);
    a_sweep_has_passed(&fleet).await;
    a_sweep_has_passed(&fleet).await;
    live.nothing_came().await;
    synced.nothing_came().await;
}

/// Waits until the comparison has found an unannounced participant; it has read everything before as well.
async fn a_sweep_has_passed(fleet: &Fleet) {
    let conversation = fleet.conversation(&[(9, Role::Patient)]).await;
    let user = 1_000 + conversation;
    let mut witness = fleet.app(user, "pad").await;
    let came = fleet.join_unheard(conversation, user).await;
    assert_eq!(witness.seqs(1).await, [came]);
}

// protocol: "History | HistoryPage | NO_ACCESS"
#[tokio::test(flavor = "multi_thread")]
async fn history_says_what_is_wrong_with_a_request() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut app = fleet.app(1, "phone").await;
    app.say_as(message(consult, "a", "hello")).await.unwrap();
    let history = |before_seq, after_seq, limit| {
        Request::History(History {
            conversation_id: consult,
            before_seq,
            after_seq,
            limit,
        })
    };
    assert_eq!(app.refused(history(1, 1, 0)).await.1, "before_seq");
    assert_eq!(app.refused(history(-1, 0, 0)).await.1, "before_seq");
    assert_eq!(app.refused(history(0, 0, 201)).await.1, "limit");
    let Body::HistoryPage(page) = app.ask(history(0, 1, 1)).await else {
        panic!()
    };
    assert_eq!(
        (page.entries[0].seq, page.entries.len(), page.has_more),
        (2, 1, true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_screen_of_many_conversations_is_one_sync() {
    let fleet = Fleet::start().await;
    for _ in 0..300 {
        fleet.consult().await;
    }
    let mut app = fleet.log_in(1, "phone").await;
    let (conversations, done) = app.sync(Sync::default()).await;
    assert_eq!(conversations.len(), 300);
    assert!(!done.more);
    assert_eq!(app.entries.len(), 600);
    // An app need not name what has not changed since its Sync. The node's horizon moves on every few seconds.
    let mut since = done.synced_ms;
    eventually("the horizon moves on", async || {
        let mut again = fleet.log_in(1, "pad").await;
        let (conversations, done) = again
            .sync(Sync {
                updated_since_ms: since,
                ..Default::default()
            })
            .await;
        since = done.synced_ms;
        conversations.is_empty()
    })
    .await;
}
