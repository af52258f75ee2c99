//! Users and conversations: made through REST as apps would make them, or numbered, for the bare relay.

mod build;
mod clock;
mod parallel;
pub mod rest;
pub mod seed;
mod sms;

pub use build::Builder;
pub use clock::Clock;
pub use sms::SmsWebhook;

/// Users and their conversations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// All users.
    pub users: Vec<User>,
    /// Everything they talk in.
    pub conversations: Vec<Conversation>,
}

/// A user on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub user_id: i64,
    /// The device.
    pub device_id: String,
    /// The IM password of this device.
    pub password: String,
    /// The access token of this device.
    pub access_token: String,
}

/// A conversation and its members, by their place among the users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its id on the wire.
    pub id: i64,
    /// Its members.
    pub members: Vec<u32>,
}

/// A team, and its members who pay.
#[derive(Clone, Debug)]
pub(crate) struct Practice {
    pub(crate) team: i64,
    /// Its only doctor, who owns it.
    pub(crate) doctor: User,
    pub(crate) assistant: User,
    pub(crate) members: Vec<User>,
}

impl World {
    /// Conversations of `members` each, no user in two; numbered from 1. The bare relay counts the same way.
    pub fn of_strangers(conversations: u32, members: u32) -> Self {
        Self {
            users: (0..conversations * members).map(stranger).collect(),
            conversations: (0..conversations)
                .map(|number| Conversation {
                    id: i64::from(number) + 1,
                    members: (number * members..(number + 1) * members).collect(),
                })
                .collect(),
        }
    }

    /// Removes the last users, who must be in one conversation or none.
    pub fn split_off(&mut self, users: usize) -> Vec<User> {
        let left = self.users.len().saturating_sub(users);
        for conversation in &mut self.conversations {
            conversation.members.retain(|member| (*member as usize) < left);
        }
        self.users.split_off(left)
    }

    /// Users without conversations.
    pub fn of_loners(users: u32) -> Self {
        Self {
            users: (0..users).map(stranger).collect(),
            conversations: Vec::new(),
        }
    }
}

fn stranger(number: u32) -> User {
    User {
        user_id: i64::from(number) + 1,
        device_id: format!("loadtest-{number}"),
        password: "0".repeat(32),
        access_token: String::new(),
    }
}
