//! Ports for servers that are found at the same place after a restart.

use std::{
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

use anyhow::Context;

/// Below the ports that the system hands out to connections and to listeners that ask for any (32768 and more): one of
/// those may be another process's before the server listens, or while it is stopped.
const RANGE: std::ops::Range<u16> = 12_000..32_000;
const ATTEMPTS: u32 = 10_000;

/// A port of 127.0.0.1 that is this process's until it is dropped, whether or not anything listens there.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Marks the number as in use for others of our kind: no server here speaks UDP.
    _taken: UdpSocket,
}

impl Port {
    /// Takes one.
    ///
    /// # Errors
    /// When none is free.
    pub fn take() -> anyhow::Result<Self> {
        (0..ATTEMPTS)
            .find_map(|_| {
                // A hasher of its own is as random as the standard library is.
                let random = RandomState::new().hash_one(());
                let number = RANGE.start + (random % RANGE.len() as u64) as u16;
                let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
                TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
                Some(Self {
                    number,
                    _taken: taken,
                })
            })
            .with_context(|| format!("no port of {RANGE:?} is free on 127.0.0.1"))
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// It on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    #[test]
    fn what_is_taken_is_nobody_elses_and_free_to_listen_on() {
        let taken: Vec<Port> = (0..200).map(|_| Port::take().unwrap()).collect();
        let mut numbers: Vec<u16> = taken.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), taken.len());
        for _ in 0..2 {
            TcpListener::bind(taken[0].address()).unwrap();
        }
    }
}
