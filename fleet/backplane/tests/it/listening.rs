//! Publish and subscribe.

use std::sync::Arc;

use backplane::{Backplane, Channel, SubscriberId};
use bytes::Bytes;
use parking_lot::Mutex;
use proto::{ConversationId, UserId};

use crate::{Engine, eventually, on_each};

pub(crate) const CHANNEL: Channel = Channel::User(UserId::from_database(7));

on_each!(
    a_payload_reaches_every_subscriber_but_the_one_that_published_it,
    what_is_published_after_subscribing_comes_in_its_order,
    whoever_has_left_hears_nothing,
);

/// A subscriber that records its payloads.
#[derive(Clone)]
pub struct Listener {
    pub id: SubscriberId,
    heard: Arc<Mutex<Vec<(Channel, Bytes)>>>,
}

impl Listener {
    pub fn join(backplane: &Backplane) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        Self {
            id: backplane.join(Arc::new(move |channel, payload| {
                hears.lock().push((channel, payload));
            })),
            heard,
        }
    }

    pub fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock();
        heard
            .iter()
            .map(|(_, payload)| String::from_utf8(payload.to_vec()).unwrap())
            .collect()
    }

    pub fn channels(&self) -> Vec<Channel> {
        self.heard.lock().iter().map(|(channel, _)| *channel).collect()
    }
}

pub fn say(backplane: &Backplane, channel: Channel, text: &str, but: Option<SubscriberId>) {
    backplane.publish(channel, Bytes::copy_from_slice(text.as_bytes()), but);
}

async fn a_payload_reaches_every_subscriber_but_the_one_that_published_it(engine: Engine) {
    let backplane = engine.open().await;
    let (a, b) = (Listener::join(&backplane), Listener::join(&backplane));
    let other = Channel::Conversation(ConversationId::from_database(7));
    for listener in [&a, &b] {
        backplane.subscribe(listener.id, CHANNEL).await.unwrap();
        // Twice is once.
        backplane.subscribe(listener.id, CHANNEL).await.unwrap();
    }
    backplane.subscribe(b.id, other).await.unwrap();
    say(&backplane, CHANNEL, "1", Some(a.id));
    say(&backplane, CHANNEL, "2", None);
    say(&backplane, other, "3", None);
    say(&backplane, other, "", Some(a.id));
    eventually("b has heard", async || b.heard().len() == 4).await;
    eventually("a has heard", async || a.heard() == ["2"]).await;
    let mut heard = b.heard();
    heard.sort();
    assert_eq!(heard, ["", "1", "2", "3"]);
    assert_eq!(
        b.channels().iter().filter(|channel| **channel == other).count(),
        2
    );
    backplane.unsubscribe(b.id, CHANNEL);
    say(&backplane, CHANNEL, "4", None);
    say(&backplane, other, "5", None);
    eventually("both have heard the last", async || {
        a.heard().len() == 2 && b.heard().len() == 5
    })
    .await;
    assert_eq!(b.heard().last().unwrap(), "5");
}

async fn what_is_published_after_subscribing_comes_in_its_order(engine: Engine) {
    let backplane = engine.open().await;
    let listener = Listener::join(&backplane);
    for user in 1..=40 {
        let channel = Channel::User(UserId::from_database(user));
        backplane.subscribe(listener.id, channel).await.unwrap();
        for at in 0..50 {
            say(&backplane, channel, &format!("{at}"), None);
        }
    }
    eventually("all of it has come", async || listener.heard().len() == 2_000).await;
    let all: Vec<_> = listener.channels().into_iter().zip(listener.heard()).collect();
    for user in 1..=40 {
        let channel = Channel::User(UserId::from_database(user));
        let of_channel = all.iter().filter(|(heard, _)| *heard == channel);
        let numbers: Vec<usize> = of_channel.map(|(_, text)| text.parse().unwrap()).collect();
        assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    }
}

async fn whoever_has_left_hears_nothing(engine: Engine) {
    let backplane = engine.open().await;
    let (stays, leaves) = (Listener::join(&backplane), Listener::join(&backplane));
    backplane.subscribe(stays.id, CHANNEL).await.unwrap();
    backplane.subscribe(leaves.id, CHANNEL).await.unwrap();
    backplane.leave(leaves.id);
    say(&backplane, CHANNEL, "1", None);
    eventually("who stays has heard", async || stays.heard() == ["1"]).await;
    assert_eq!(leaves.heard(), Vec::<String>::new());
}
