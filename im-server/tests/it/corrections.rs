//! Messages that correct one of their sender's own.

use proto::wire::{
    EntryKind, ErrorCode, History, Recall, Role, Send, client_frame::Body as Request, server_frame::Body,
};

use super::{
    app::{App, message},
    fleet::Fleet,
};

fn correction(conversation: i64, id: &str, text: &str, corrects_seq: i64) -> Send {
    Send {
        corrects_seq,
        ..message(conversation, id, text)
    }
}

async fn refused(app: &mut App, send: Send) -> (ErrorCode, String) {
    app.refused(Request::Send(send)).await
}

/// The newest entries of a conversation, as History shows them: seq, text, what it corrects.
async fn read(app: &mut App, conversation_id: i64) -> Vec<(i64, String, i64)> {
    let history = History {
        conversation_id,
        limit: 200,
        ..History::default()
    };
    let Body::HistoryPage(page) = app.ask(Request::History(history)).await else {
        panic!("no page")
    };
    let entries = page.entries.into_iter();
    entries
        .filter(|entry| entry.kind() == EntryKind::Message)
        .map(|entry| {
            let text = String::from_utf8(entry.body.to_vec()).unwrap();
            (entry.seq, text, entry.corrects_seq)
        })
        .collect()
}

// protocol: "A sender corrects a message by another one"
// protocol: "Of several corrections of one message the newest counts"
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_comes_to_all_sides_and_both_messages_stay() {
    let fleet = Fleet::start_with(&[], 2).await;
    let consult = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app_on(0, 1, "phone").await, fleet.app_on(1, 2, "pad").await);
    assert_eq!(
        (patient.seqs(2).await, doctor.seqs(1).await),
        (vec![1, 2], vec![2])
    );
    let wrong = doctor.say(consult, "a", "twice a day").await.unwrap().seq;
    let first = correction(consult, "b", "once a day", wrong);
    let sent = doctor.say_as(first.clone()).await.unwrap();
    // A correction is a message of its sender, too, and is corrected in turn.
    let second = correction(consult, "c", "once a day, after meals", wrong);
    let of_correction = correction(consult, "d", "once a week", sent.seq);
    let mut seqs = vec![wrong, sent.seq];
    for send in [second, of_correction] {
        seqs.push(doctor.say_as(send).await.unwrap().seq);
    }
    assert_eq!(seqs, [3, 4, 5, 6]);
    let shown = [
        (3, "twice a day".to_owned(), 0),
        (4, "once a day".to_owned(), 3),
        (5, "once a day, after meals".to_owned(), 3),
        (6, "once a week".to_owned(), 4),
    ];
    for app in [&mut patient, &mut doctor] {
        for (seq, text, corrects) in &shown {
            let entry = app.entry().await;
            assert_eq!((entry.seq, entry.corrects_seq), (*seq, *corrects));
            assert_eq!(entry.body.as_ref(), text.as_bytes());
        }
        assert_eq!(read(app, consult).await, shown);
        app.nothing_came().await;
    }
    // Another device gets them by Sync, and a doctor who is brought in later by Sync and History.
    let mut pad = fleet.app_on(1, 1, "pad").await;
    fleet.bring_in(consult, 3).await;
    let mut colleague = fleet.app_on(0, 3, "pad").await;
    for app in [&mut pad, &mut colleague] {
        loop {
            let entry = app.entry().await;
            if entry.seq == sent.seq {
                assert_eq!(entry.corrects_seq, wrong);
                break;
            }
        }
        assert_eq!(read(app, consult).await, shown);
    }
}

/// I4.
// protocol: "A message that is resent becomes one entry"
// protocol: "Send | CONFLICT | client_msg_id"
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_is_resent_is_one_entry() {
    let fleet = Fleet::start_with(&[], 2).await;
    let consult = fleet.consult().await;
    let (mut phone, mut pad) = (fleet.app_on(0, 1, "phone").await, fleet.app_on(1, 1, "pad").await);
    let wrong = phone.say(consult, "a", "38.5").await.unwrap().seq;
    let other = phone.say(consult, "b", "since Monday").await.unwrap().seq;
    let send = correction(consult, "c", "37.5", wrong);
    let first = phone.say_as(send.clone()).await.unwrap();
    assert!(!first.duplicate);
    for app in [&mut phone, &mut pad] {
        let again = app.say_as(send.clone()).await.unwrap();
        assert_eq!((again.seq, again.duplicate), (first.seq, true));
        for another in [0, other, first.seq] {
            let changed = correction(consult, "c", "37.5", another);
            assert_eq!(app.say_as(changed).await, Err(ErrorCode::Conflict), "{another}");
        }
    }
    // Acknowledged once, it is so also when it could not be sent any more.
    let recall = Request::Recall(Recall {
        conversation_id: consult,
        seq: wrong,
    });
    assert!(matches!(phone.ask(recall).await, Body::RecallOk(_)));
    let again = pad.say_as(send).await.unwrap();
    assert_eq!((again.seq, again.duplicate), (first.seq, true));
    assert_eq!(
        phone.seqs(6).await,
        [1, 2, wrong, other, first.seq, first.seq + 1]
    );
    phone.nothing_came().await;
}

// protocol: "Send | INVALID | corrects_seq"
// protocol: "A recalled message is not corrected"
// protocol: "A former participant may not send, recall or mark anything"
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_ones_own_is_not_corrected() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let elsewhere = fleet.conversation(&[(1, Role::Patient)]).await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    let own = patient.say(consult, "a", "38.5").await.unwrap().seq;
    let foreign = doctor.say(consult, "a", "good day").await.unwrap().seq;
    let recalled = patient.say(consult, "b", "wrong chat").await.unwrap().seq;
    let recall = Request::Recall(Recall {
        conversation_id: consult,
        seq: recalled,
    });
    let Body::RecallOk(recall) = patient.ask(recall).await else {
        panic!("no recall")
    };
    let invalid = (ErrorCode::Invalid, "corrects_seq".to_owned());
    // Another's, an event, a recalled one, the recall, one that is not there yet, and no seq at all.
    for seq in [foreign, 1, recalled, recall.seq, recall.seq + 1, 99, i64::MAX, -1] {
        let send = correction(consult, "c", "37.5", seq);
        assert_eq!(refused(&mut patient, send).await, invalid, "{seq}");
    }
    let send = correction(elsewhere, "c", "37.5", own);
    assert_eq!(
        refused(&mut patient, send).await,
        invalid,
        "it is of another conversation"
    );
    // A doctor who came later sees nothing before, and corrects none of it.
    fleet.join(consult, 3, Role::Doctor).await;
    let mut late = fleet.app(3, "pad").await;
    for seq in [own, foreign] {
        let send = correction(consult, "c", "37.5", seq);
        assert_eq!(refused(&mut late, send).await, invalid, "{seq}");
    }
    // A stranger and a former participant learn nothing of it.
    let written = late.say(consult, "d", "hello").await.unwrap().seq;
    fleet.leave(consult, 3).await;
    let mut stranger = fleet.app(4, "pad").await;
    for (app, seq) in [(&mut late, written), (&mut stranger, own)] {
        let refused = refused(app, correction(consult, "e", "hi", seq)).await;
        assert_eq!(refused, (ErrorCode::NoAccess, "conversation_id".to_owned()));
    }
    // Of all that nothing was written.
    let texts = read(&mut patient, consult).await;
    let seqs: Vec<i64> = texts.iter().map(|(seq, ..)| *seq).collect();
    assert_eq!(seqs, [own, foreign, recalled, written]);
    let corrected = patient
        .say_as(correction(consult, "c", "37.5", own))
        .await
        .unwrap();
    assert!(!corrected.duplicate, "a refused id is free");
}
