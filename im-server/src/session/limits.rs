//! Limits per address and for the node.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
};

use dashmap::DashMap;
use program::address::{Place, Places, Refusals, Subscriber};
use telemetry::events::im::Event;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Settings, clock::uptime_s};

type NodeLimiter = governor::DefaultDirectRateLimiter;

/// Addresses whose failures are counted; overflow clears all, which forgives rather than blocks.
const FAILING_ADDRESSES: usize = 100_000;
/// Failures of an address, as a multiple of its limit, that block all of its logins: looking passwords up must not
/// become the load. Below it, valid passwords from the same address (a hospital, a carrier) pass.
const FLOOD: u32 = 50;
/// Bitmap words of 64 users each, per failing address, that tell the first failure of a user from later ones.
const USER_WORDS: usize = 16;

/// Handshakes at the same time of connections beyond the limits of their addresses. Others are closed without a Bye.
const REFUSED_AT_ONCE: usize = 256;

pub(crate) struct Limits {
    max_sessions: u32,
    failed_per_minute: u32,
    sessions: AtomicU32,
    connections: Places<Subscriber>,
    crowded: Refusals,
    refusals: Semaphore,
    failures: DashMap<Subscriber, Failures>,
    guessing: Refusals,
    logins: Option<NodeLimiter>,
}

/// Failed logins of an address in one minute.
#[derive(Default)]
struct Failures {
    minute: u32,
    count: u32,
    /// Failures of users who had failed before.
    repeated: u32,
    /// One bit per user. Two users may share a bit: then the first failure of the second one counts as repeated.
    users: [u64; USER_WORDS],
}

impl Failures {
    fn add(&mut self, user: i64) {
        self.count = self.count.saturating_add(1);
        // Ids are sequential, so the lowest bits spread them.
        let bit = user as usize % (USER_WORDS * 64);
        let (word, mask) = (&mut self.users[bit / 64], 1 << (bit % 64));
        self.repeated = self.repeated.saturating_add(u32::from(*word & mask != 0));
        *word |= mask;
    }
}

/// The place of a connection before login among those of its address; freed when dropped.
pub(crate) type AddressPlace = Place<Subscriber>;

/// The consequence of a failed login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The app may try another password.
    Few,
    /// The address has to wait.
    TooMany,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let logins = NonZeroU32::new(settings.logins_per_s)
            .map(|per_second| governor::RateLimiter::direct(governor::Quota::per_second(per_second)));
        Self {
            max_sessions: settings.max_sessions,
            failed_per_minute: settings.failed_logins_per_minute,
            sessions: AtomicU32::new(0),
            connections: Places::new(settings.connections_per_address),
            crowded: Refusals::default(),
            refusals: Semaphore::const_new(REFUSED_AT_ONCE),
            failures: DashMap::new(),
            guessing: Refusals::default(),
            logins,
        }
    }

    /// A place for a connection before login; `None` at the limit of its address.
    pub(crate) fn connection(&self, address: IpAddr) -> Option<AddressPlace> {
        let place = self.connections.take(Subscriber::of(address));
        if place.is_none()
            && let Some(line) = self.crowded.line(address)
        {
            Event::AddressCrowded {
                address: &line.address,
                unlogged: line.untold,
            }
            .emit();
        }
        place
    }

    /// Whether a connection without a place may have its handshake, for a Bye; it counts until this is dropped.
    pub(crate) fn refusal(&self) -> Option<SemaphorePermit<'_>> {
        self.refusals.try_acquire().ok()
    }

    /// Counts a session until [`Self::end_session`]; false when the node is full.
    pub(crate) fn begin_session(&self) -> bool {
        let took = self
            .sessions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sessions| {
                (sessions < self.max_sessions).then_some(sessions + 1)
            });
        took.is_ok()
    }

    pub(crate) fn end_session(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Whether the rate of logins admits one more.
    pub(crate) fn login(&self) -> bool {
        self.logins.as_ref().is_none_or(|logins| logins.check().is_ok())
    }

    /// Whether the failures of the address in this minute block all of its logins.
    pub(crate) fn is_blocked(&self, address: IpAddr) -> bool {
        let minute = uptime_s() / 60;
        let most = self.failed_per_minute.saturating_mul(FLOOD);
        self.failures
            .get(&Subscriber::of(address))
            .is_some_and(|failures| failures.minute == minute && failures.count >= most)
    }

    /// Counts a failed login. The first failure of a user in a minute is not a guess: a node that restarts without
    /// Redis has lost all passwords, and every user of a hospital returns at once.
    pub(crate) fn failed(&self, address: IpAddr, user: i64) -> Failed {
        let repeated = self.count_failure(Subscriber::of(address), user);
        if repeated <= self.failed_per_minute {
            return Failed::Few;
        }
        if let Some(line) = self.guessing.line(address) {
            Event::AddressGuessing {
                address: &line.address,
                unlogged: line.untold,
            }
            .emit();
        }
        Failed::TooMany
    }

    /// Repeated failures of an address in this minute, including this one.
    fn count_failure(&self, address: Subscriber, user: i64) -> u32 {
        let minute = uptime_s() / 60;
        if self.failures.len() >= FAILING_ADDRESSES {
            self.failures.clear();
        }
        let mut failures = self.failures.entry(address).or_default();
        if failures.minute != minute {
            *failures = Failures {
                minute,
                ..Failures::default()
            };
        }
        failures.add(user);
        failures.repeated
    }

    /// Drops failures of past minutes.
    pub(crate) fn forget_old(&self) {
        let minute = uptime_s() / 60;
        self.failures.retain(|_, failures| failures.minute == minute);
    }
}
