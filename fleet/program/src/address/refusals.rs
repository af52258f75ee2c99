//! Bounds the log lines about refused clients: one a minute for each address, for a bounded number of addresses. Refusals
//! without a line are counted.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::Subscriber;

/// The time between two lines of one address.
const QUIET: Duration = Duration::from_secs(60);
/// Addresses with a line within [`QUIET`], so that a flood from many addresses does not fill the disk.
const ADDRESSES: usize = 10;

/// The refused addresses that have a line.
#[derive(Debug, Default)]
pub struct Refusals {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    logged: HashMap<Subscriber, Instant>,
    untold: u64,
}

/// A line to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The refused client.
    pub address: Subscriber,
    /// Refusals of all addresses without a line since the previous one.
    pub untold: u64,
}

impl Refusals {
    /// Counts a refusal. Returns a line unless this address had one within a minute.
    pub fn line(&self, address: IpAddr) -> Option<Line> {
        self.book.lock().line(Subscriber::of(address), Instant::now())
    }
}

impl Book {
    fn line(&mut self, address: Subscriber, now: Instant) -> Option<Line> {
        self.logged
            .retain(|_, logged| now.saturating_duration_since(*logged) < QUIET);
        if self.logged.contains_key(&address) || self.logged.len() >= ADDRESSES {
            self.untold += 1;
            return None;
        }
        self.logged.insert(address, now);
        Some(Line {
            address,
            untold: std::mem::take(&mut self.untold),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(at: u8) -> Subscriber {
        Subscriber::of(IpAddr::from([192, 0, 2, at]))
    }

    #[test]
    fn an_address_has_one_line_a_minute() {
        let mut book = Book::default();
        let begin = Instant::now();
        let at = |s: u64| begin + Duration::from_secs(s);
        assert_eq!(book.line(address(1), at(0)).map(|line| line.untold), Some(0));
        assert_eq!(book.line(address(1), at(59)), None);
        assert_eq!(book.line(address(2), at(59)).map(|line| line.untold), Some(1));
        assert_eq!(book.line(address(1), at(60)).map(|line| line.untold), Some(0));
        assert_eq!(book.line(address(2), at(60)), None);
    }

    #[test]
    fn a_flood_from_everywhere_has_few_lines_and_is_counted() {
        let mut book = Book::default();
        let begin = Instant::now();
        let lines = (0..=255).filter_map(|at| book.line(address(at), begin)).count();
        assert_eq!(lines, ADDRESSES);
        let next = book.line(address(0), begin + QUIET).unwrap();
        assert_eq!(next.untold, 256 - ADDRESSES as u64);
        assert!(book.logged.len() <= ADDRESSES);
    }
}
