//! The order of pings.

use std::time::Duration;

/// Every session is heard of this often; a node takes one for dead after 2.5 heartbeats of 30 s.
const PING_EVERY: Duration = Duration::from_secs(20);

/// An encoded Ping: length 2, field 4 (ping), empty.
pub(super) const PING: [u8; 6] = [0, 0, 0, 2, 0x22, 0];

/// Sessions by the time of their next ping.
pub(super) struct Pings {
    sessions: usize,
    given: u64,
}

impl Pings {
    pub(super) fn new(sessions: usize) -> Self {
        Self { sessions, given: 0 }
    }

    pub(super) fn due(&mut self, now_us: u64) -> impl Iterator<Item = usize> + use<> {
        let due = u128::from(now_us) * self.sessions as u128 / PING_EVERY.as_micros();
        let from = std::mem::replace(&mut self.given, due as u64);
        let sessions = self.sessions as u64;
        (from..due as u64).map(move |number| (number % sessions) as usize)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use proto::wire::{self, ClientFrame, client_frame};

    use super::*;

    #[test]
    fn the_encoded_ping_is_a_ping() {
        let frame = ClientFrame::decode(&PING[4..]).unwrap();
        assert_eq!(frame.body, Some(client_frame::Body::Ping(wire::Ping {})));
    }

    #[test]
    fn everybody_is_pinged_in_turn() {
        let mut pings = Pings::new(10);
        let first: Vec<usize> = pings.due(10_000_000).collect();
        assert_eq!(first, [0, 1, 2, 3, 4]);
        let rest: Vec<usize> = pings.due(20_000_000).collect();
        assert_eq!(rest, [5, 6, 7, 8, 9]);
        assert_eq!(Pings::new(0).due(1_000_000).count(), 0);
    }
}
