//! Who is logged in here.

use std::sync::Arc;

use backplane::{Backplane, Channel, SubscriberId, Unavailable};
use dashmap::DashMap;
use proto::UserId;

use super::Session;

/// The sessions of this node, by user. A user's list is changed and its channel unsubscribed under one lock, so that a
/// login that comes meanwhile subscribes after it.
#[derive(Default)]
pub(crate) struct Users {
    sessions: DashMap<UserId, Vec<Arc<Session>>>,
}

impl Users {
    /// Takes a session in and subscribes to its user's channel; what is announced for the user after this reaches it.
    ///
    /// # Errors
    /// [`Unavailable`]; then the session is not taken in.
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

    /// A user's sessions here.
    pub(crate) fn of(&self, user: UserId) -> Vec<Arc<Session>> {
        self.sessions
            .get(&user)
            .map(|sessions| sessions.clone())
            .unwrap_or_default()
    }

    /// Everybody's sessions.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.those(|_| true)
    }

    /// The sessions that `wanted` says yes to.
    pub(crate) fn those(&self, wanted: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut those = Vec::new();
        self.visit(|session| {
            if wanted(session) {
                those.push(session.clone());
            }
        });
        those
    }

    /// Calls `visit` for each session, a shard locked at a time.
    pub(crate) fn visit(&self, mut visit: impl FnMut(&Arc<Session>)) {
        for sessions in &self.sessions {
            for session in sessions.value() {
                visit(session);
            }
        }
    }
}
