//! Whose sessions a thread has, and their connections.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto::PROTOCOL_VERSION;
use proto::bye::{Advice, advice};
use proto::client::{Address, Connection};
use proto::wire::{self, ClientFrame, Platform, client_frame, server_frame};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Worker;
use crate::generator::schedule::Pace;
use crate::generator::session::Session;
use crate::world::World;

/// How many sessions of a thread are being connected at once.
const CONNECTING_AT_ONCE: usize = 64;
/// How long one login may take, all its attempts together.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);

/// Which users each thread drives: conversations stay together when there are many, users are spread when there are few.
pub(in crate::generator) fn shares(world: &World, threads: usize) -> Vec<Vec<u32>> {
    let mut shares = vec![Vec::new(); threads];
    let by_conversation = world.conversations.len() >= threads * 4;
    let mut given = vec![false; world.users.len()];
    for (number, conversation) in world.conversations.iter().enumerate() {
        for (place, member) in conversation.members.iter().enumerate() {
            if !std::mem::replace(&mut given[*member as usize], true) {
                let share = if by_conversation { number } else { place };
                shares[share % threads].push(*member);
            }
        }
    }
    shares
}

impl Worker {
    pub(super) async fn connect(self: &Rc<Self>, users: Vec<u32>) -> Result<()> {
        let expected = users.len();
        let conversations = self.conversations_of(&users);
        let permits = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
        let mut connecting = JoinSet::new();
        for (user, conversations) in users.into_iter().zip(conversations) {
            let (worker, permits) = (self.clone(), permits.clone());
            connecting.spawn_local(async move {
                let _permit = permits.acquire_owned().await?;
                worker.connect_one(user, &conversations).await
            });
        }
        while let Some(connected) = connecting.join_next().await {
            connected.context("a task panicked")??;
        }
        while self.synced.get() < expected {
            if self.has_faults() {
                bail!("{}", self.faults.borrow().join("; "));
            }
            // Bounded by the limit of the whole stage; looks up again for faults.
            let _ = timeout(Duration::from_millis(500), self.all_synced.notified()).await;
        }
        // In the order of users, so that a seed chooses the same senders again.
        self.sessions
            .borrow_mut()
            .sort_unstable_by_key(|session| session.user);
        self.choose_senders();
        Ok(())
    }

    fn conversations_of(&self, users: &[u32]) -> Vec<Vec<(usize, i64, u32)>> {
        let mut places = vec![None; self.plan.world.users.len()];
        for (place, user) in users.iter().enumerate() {
            places[*user as usize] = Some(place);
        }
        let mut of = vec![Vec::new(); users.len()];
        for (number, conversation) in self.plan.world.conversations.iter().enumerate() {
            for member in &conversation.members {
                if let Some(place) = places[*member as usize] {
                    of[place].push((number, conversation.id, conversation.members.len() as u32));
                }
            }
        }
        of
    }

    async fn connect_one(self: Rc<Self>, user: u32, conversations: &[(usize, i64, u32)]) -> Result<()> {
        let account = &self.plan.world.users[user as usize];
        let address = Address::tcp(self.plan.addresses[user as usize % self.plan.addresses.len()]);
        let login = ClientFrame {
            request_id: 0,
            body: Some(client_frame::Body::Login(wire::Login {
                protocol_version: PROTOCOL_VERSION,
                user_id: account.user_id,
                password: account.password.clone(),
                device_id: account.device_id.clone(),
                platform: Platform::Android as i32,
                app_version: "loadtest".to_owned(),
                ..wire::Login::default()
            })),
        };
        let (reader, writer) = match timeout(LOGIN_LIMIT, log_in(&address, &login)).await {
            Ok(connection) => connection
                .with_context(|| format!("user {} cannot log in at {}", account.user_id, address.address))?
                .split(),
            Err(_) => bail!(
                "user {} was not logged in within {LOGIN_LIMIT:?}",
                account.user_id
            ),
        };
        let session = Rc::new(Session::new(user, account.user_id, writer, conversations));
        session.queue_sync();
        self.sessions.borrow_mut().push(session.clone());
        self.add(|slot| &slot.connected, 1);
        tokio::task::spawn_local(self.clone().read(session.clone(), reader));
        self.flush(&session);
        Ok(())
    }

    fn choose_senders(&self) {
        let mut senders = self.senders.borrow_mut();
        for (place, session) in self.sessions.borrow().iter().enumerate() {
            for (membership, conversation) in session.conversations().into_iter().enumerate() {
                let first = self.plan.world.conversations[conversation].members.first();
                if !matches!(self.plan.pace, Pace::Windows { .. }) || first == Some(&session.user) {
                    senders.push((place, membership));
                }
            }
        }
    }
}

/// Connects and logs in; comes back when asked to.
async fn log_in(address: &Address, login: &ClientFrame) -> Result<Connection> {
    loop {
        let mut connection = Connection::connect(address).await?;
        connection.send(login).await?;
        match connection.receive().await?.and_then(|frame| frame.body) {
            Some(server_frame::Body::LoginOk(_)) => return Ok(connection),
            Some(server_frame::Body::Bye(bye)) if advice(bye.reason) == Advice::ComeBack => {
                sleep(Duration::from_millis(bye.retry_after_ms.max(50).into())).await;
            }
            Some(server_frame::Body::Bye(bye)) => {
                bail!("the node refuses: {} {}", bye.reason().as_str_name(), bye.detail)
            }
            Some(other) => bail!("the node answered a login with {other:?}"),
            None => bail!("the node closed the connection without a goodbye"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn shares_are_whole_and_keep_conversations_together_when_there_are_many() {
        let many = World::of_strangers(40, 5);
        let shares = shares(&many, 2);
        assert_eq!(
            shares.iter().flatten().copied().collect::<BTreeSet<u32>>().len(),
            200
        );
        for share in &shares {
            let conversations: BTreeSet<u32> = share.iter().map(|user| user / 5).collect();
            assert_eq!(share.len(), conversations.len() * 5);
        }
        let room = World::of_strangers(1, 7);
        assert_eq!(super::shares(&room, 2), [vec![0, 2, 4, 6], vec![1, 3, 5]]);
    }
}
