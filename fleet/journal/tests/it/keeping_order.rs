//! The messages of one session keep their order though batches fail, hang and are lost (a [`Stream`]).

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use journal::{
    Error,
    append::{NewMessage, Stream},
};
use proto::{ConversationId, wire::Role};
use testkit::store::Store;
use tokio::sync::oneshot;

use crate::{
    broken::{Broken, PATIENCE},
    world::{World, is_away, text},
};

const WINDOW: usize = 24;

/// An app that has some messages under way at a time, over a few conversations, and sends a refused one again at once:
/// so most come out of turn. It begins no message beyond `limit`. Gives how many were sent, and how often one was refused.
async fn send_all(
    world: &World,
    sender: i64,
    conversations: &[ConversationId],
    limit: &Cell<usize>,
) -> (usize, usize) {
    let stream = Arc::new(Stream::default());
    let mut under_way = FuturesUnordered::new();
    let (mut next, mut acknowledged, mut refused) = (0, 0, 0);
    let mut again = VecDeque::new();
    let deadline = Instant::now() + PATIENCE;
    while acknowledged < next || next < limit.get() {
        assert!(Instant::now() < deadline, "it does not get on");
        while under_way.len() < WINDOW && (next < limit.get() || !again.is_empty()) {
            let number = again.pop_front().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            let conversation = conversations[number % conversations.len()];
            let message = NewMessage {
                stream: Some(stream.clone()),
                ..text(conversation, sender, &format!("m{number}"), "x")
            };
            let (answer, answered) = oneshot::channel();
            world.appender.submit(message, answer).await.unwrap();
            under_way.push(async move { (number, answered.await.unwrap()) });
        }
        let (number, outcome) = under_way.next().await.unwrap();
        match outcome {
            Ok(_) => acknowledged += 1,
            Err(Error::Database(_)) => {
                refused += 1;
                // Now before, now behind those that were refused earlier.
                if refused % 3 == 0 {
                    again.push_front(number);
                } else {
                    again.push_back(number);
                }
            }
            Err(error) => panic!("{error}"),
        }
        assert!(!stream.is_overrun());
    }
    (next, refused)
}

/// I2, I4: each message once, in the order of sending.
async fn judge(world: &World, sender: i64, conversations: &[ConversationId], messages: usize) {
    for (at, conversation) in conversations.iter().enumerate() {
        let entries = world.all(*conversation).await;
        let of_sender = entries.iter().filter(|entry| entry.sender.get() == sender);
        let written: Vec<usize> = of_sender
            .filter_map(|entry| entry.client_msg_id.strip_prefix('m')?.parse().ok())
            .collect();
        let wanted: Vec<usize> = (at..messages).step_by(conversations.len()).collect();
        assert_eq!(written, wanted, "{conversation}");
    }
}

async fn i2_batches_that_fail_now_and_then_turn_nothing_round(store: Store) {
    const MESSAGES: usize = 400;
    let world = World::new(store).await;
    let mut conversations = Vec::new();
    for _ in 0..3 {
        let people = [(1, Role::Doctor), (2, Role::Doctor)];
        conversations.push(world.conversation(&people).await);
    }
    world
        .execute(
            "CREATE TRIGGER fickle BEFORE INSERT ON entry WHEN abs(random()) % 30 = 0
             BEGIN SELECT RAISE(ABORT, 'not now'); END",
            "CREATE FUNCTION fickle() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF random() < 1.0 / 30 THEN RAISE EXCEPTION 'not now'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER fickle BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION fickle()",
        )
        .await;
    // Two sessions at the same time: neither waits for the other's refused messages.
    let limit = Cell::new(MESSAGES);
    let (one, two) = tokio::join!(
        send_all(&world, 1, &conversations, &limit),
        send_all(&world, 2, &conversations, &limit),
    );
    assert!(one.1 > 0 && two.1 > 0, "nothing was tested");
    for sender in [1, 2] {
        judge(&world, sender, &conversations, MESSAGES).await;
    }
}

testkit::on_both!(i2_batches_that_fail_now_and_then_turn_nothing_round);

/// The server hangs for longer than a send may wait, so that messages are refused whose batch is still running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_a_server_that_hangs_or_dies_turns_nothing_round() {
    let broken = Broken::new().await;
    let people = [(1, Role::Doctor), (2, Role::Doctor)];
    let conversations = [broken.world.conversation(&people).await];
    let limit = Cell::new(usize::MAX);
    let harm = async {
        for (at, hangs) in [true, false, true].into_iter().enumerate() {
            // Some messages pass between two harms.
            let id = format!("between {at}");
            broken.send_until_accepted(conversations[0], &id).await;
            if hangs {
                broken.postgres.pause();
                let late = broken.send(conversations[0], &format!("late {at}")).await;
                assert!(is_away(&late), "{late:?}");
                broken.postgres.resume();
            } else {
                tokio::task::block_in_place(|| {
                    broken.postgres.kill().unwrap();
                    broken.postgres.start_again().unwrap();
                });
            }
        }
        broken.send_until_accepted(conversations[0], "after").await;
        limit.set(0);
    };
    let ((sent, refused), ()) = tokio::join!(send_all(&broken.world, 2, &conversations, &limit), harm);
    assert!(
        refused > 0 && sent > WINDOW,
        "nothing was tested: {sent}, {refused}"
    );
    judge(&broken.world, 2, &conversations, sent).await;
}

/// While the server is away messages come one after another. The first ones wait too long and are refused; the last ones are
/// still queued when it is back, and must not be written before those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_what_has_just_come_does_not_overtake_what_waited_too_long() {
    const EVERY: Duration = Duration::from_millis(100);
    let broken = Broken::new().await;
    let people = [(1, Role::Doctor), (2, Role::Doctor)];
    let conversations = [broken.world.conversation(&people).await];
    let stream = Arc::new(Stream::default());
    let submit = |number: usize| {
        let message = NewMessage {
            stream: Some(stream.clone()),
            ..text(conversations[0], 1, &format!("m{number}"), "x")
        };
        let (answer, answered) = oneshot::channel();
        broken
            .world
            .appender
            .try_submit(message, answer)
            .map_err(drop)
            .unwrap();
        async move { (number, answered.await.unwrap()) }
    };
    broken.postgres.stop().unwrap();
    let mut under_way = FuturesUnordered::new();
    let (mut sent, mut accepted, mut refused) = (0, 0, VecDeque::new());
    let mut is_back = false;
    let deadline = Instant::now() + PATIENCE;
    while accepted == 0 || !under_way.is_empty() || !refused.is_empty() {
        assert!(Instant::now() < deadline, "it does not get on");
        tokio::select! {
            biased;
            Some((number, outcome)) = under_way.next() => match outcome {
                Ok(_) => accepted += 1,
                Err(Error::Database(_)) => refused.push_back(number),
                Err(error) => panic!("{error}"),
            },
            () = tokio::time::sleep(EVERY) => {
                if accepted == 0 {
                    under_way.push(submit(sent));
                    sent += 1;
                }
                if let Some(number) = refused.pop_front() {
                    under_way.push(submit(number));
                }
            }
        }
        if !refused.is_empty() && !is_back {
            is_back = true;
            let postgres = broken.postgres.clone();
            tokio::task::spawn_blocking(move || postgres.start_again().unwrap());
        }
    }
    judge(&broken.world, 1, &conversations, sent).await;
}
