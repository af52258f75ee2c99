//! The sessions of this node, by user.

use std::sync::Arc;

use backplane::{Backplane, Channel, SubscriberId, Unavailable};
use dashmap::DashMap;
use proto::UserId;

use super::Session;

/// The sessions of this node, by user. A user's last session is removed and its channel unsubscribed under one lock,
/// so that a concurrent login subscribes afterwards.
#[derive(Default)]
pub(crate) struct Users {
    sessions: DashMap<UserId, Vec<Arc<Session>>>,
}

impl Users {
    /// Adds a session and subscribes to its user's channel; later notices for the user reach it.
    ///
    /// # Errors
    /// [`Unavailable`]; the session is not added.
    pub(crate) async fn add(
        &self,
        session: &Arc<Session>,
        backplane: &Backplane,
        subscriber: SubscriberId,
    ) -> Result<(), Unavailable> {
        self.sessions
            .entry(session.user)
            .or_insert_with(|| Vec::with_capacity(1))
            .push(session.clone());
        let subscribed = backplane.subscribe(subscriber, Channel::User(session.user)).await;
        if subscribed.is_err() {
            self.remove(session, backplane, subscriber);
        }
        subscribed
    }

    pub(crate) fn remove(&self, session: &Session, backplane: &Backplane, subscriber: SubscriberId) {
        self.sessions.remove_if_mut(&session.user, |_, sessions| {
            sessions.retain(|other| other.id != session.id);
            if sessions.is_empty() {
                backplane.unsubscribe(subscriber, Channel::User(session.user));
            }
            sessions.is_empty()
        });
    }

    pub(crate) fn of(&self, user: UserId) -> Vec<Arc<Session>> {
        self.sessions
            .get(&user)
            .map(|sessions| sessions.clone())
            .unwrap_or_default()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.filter(|_| true)
    }

    pub(crate) fn filter(&self, wanted: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut those = Vec::new();
        self.visit(|session| {
            if wanted(session) {
                those.push(session.clone());
            }
        });
        those
    }

    /// Visits each session, one locked shard at a time.
    pub(crate) fn visit(&self, mut visit: impl FnMut(&Arc<Session>)) {
        for sessions in &self.sessions {
            for session in sessions.value() {
                visit(session);
            }
        }
    }
}
