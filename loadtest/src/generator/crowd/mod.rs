//! Clients of a run in processes of their own: a process may open a limited number of files only, and a connection is a
//! file at each end. Each process reads orders from its input and writes reports to its output, one JSON value a line.

mod good;
mod many;
pub mod process;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use many::Crowd;

/// The first line to a process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The kind of its clients.
    pub kind: Kind,
    /// Whose clients.
    pub accounts: Vec<Account>,
    /// The REST services.
    pub rest: Vec<String>,
    /// Where quiet clients connect, in turn.
    pub addresses: Vec<SocketAddr>,
}

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// They log in, Sync, and then say nothing but what keeps them alive. They don't come back.
    Quiet,
    /// Good clients: they ask where to go, and come back.
    Good,
}

/// A registered user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The user's id.
    pub user_id: i64,
    /// The device.
    pub device_id: String,
    /// The access token of this device.
    pub access_token: String,
}

/// A later line to a process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Order {
    /// From this time on (Unix time, µs) it is noted what becomes of the clients; what was noted before is forgotten.
    Mark(u64),
    /// Report the state of the clients.
    Report,
}

/// A process's answer once all its clients are logged in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// How many they are.
    pub clients: u64,
    /// From the first connection to the last login, s. Not of good clients, which ask REST in between.
    pub took_s: f64,
    /// Logins that were asked to come back later.
    pub sent_away: u64,
}

/// The state of the clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Clients that are logged in and synced now.
    pub here: u64,
    /// Clients whose connection ended since the mark.
    pub disconnected: u64,
    /// Connections that ended and attempts to connect that failed since the mark.
    pub failures: u64,
    /// The most of those of one client.
    pub most_failures: u64,
    /// Goodbyes since the mark.
    pub byes: u64,
    /// How long after the mark each of the disconnected was back and synced, ms, in order.
    pub back_ms: Vec<u64>,
}

impl State {
    /// The reports of several processes as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.here += other.here;
        self.disconnected += other.disconnected;
        self.failures += other.failures;
        self.most_failures = self.most_failures.max(other.most_failures);
        self.byes += other.byes;
        self.back_ms.extend(other.back_ms);
        self.back_ms.sort_unstable();
        self
    }

    /// When this many percent of the disconnected were back, ms.
    pub fn back_percentile_ms(&self, percent: usize) -> u64 {
        let last = self.back_ms.len().saturating_sub(1);
        self.back_ms
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }

    /// The most that came back within a second.
    pub fn most_back_in_a_second(&self) -> u64 {
        let times = &self.back_ms;
        (0..times.len())
            .map(|first| {
                let end = times.partition_point(|time| *time < times[first] + 1000);
                (end - first) as u64
            })
            .max()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_tell_is_one_story() {
        let one = State {
            here: 5,
            disconnected: 2,
            failures: 3,
            most_failures: 2,
            byes: 1,
            back_ms: vec![100, 900],
        };
        let other = State {
            here: 7,
            disconnected: 1,
            failures: 1,
            most_failures: 1,
            byes: 0,
            back_ms: vec![500],
        };
        let state = one.and(other);
        assert_eq!((state.here, state.disconnected, state.failures), (12, 3, 4));
        assert_eq!(state.back_ms, [100, 500, 900]);
        assert_eq!(
            (state.back_percentile_ms(50), state.back_percentile_ms(100)),
            (500, 900)
        );
        assert_eq!(state.most_back_in_a_second(), 3);
        assert_eq!(State::default().back_percentile_ms(99), 0);
    }

    #[test]
    fn a_burst_is_found_wherever_it_is() {
        let state = State {
            back_ms: vec![0, 1000, 1500, 1999, 2001],
            ..State::default()
        };
        assert_eq!(state.most_back_in_a_second(), 3);
    }
}
