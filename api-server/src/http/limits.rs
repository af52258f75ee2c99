//! Request rates of users and addresses, as token buckets that refill by the second.

use std::{net::IpAddr, num::NonZeroU32};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
};

use program::address::{Refusals, Subscriber};
use telemetry::events::rest::Event;

use crate::settings::Settings;

/// Token look-ups of an address, as a multiple of its requests. Requests with a valid token then count by user, so that the
/// users of one address (a hospital, a carrier) do not exhaust each other's rate; others count for the address.
const LOOKUPS: u32 = 10;
/// The burst, in seconds of the rate.
const BURST_S: u32 = 5;

/// Refused notices of payment providers that are recorded a minute.
const REFUSED_NOTICES_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// How often apps make a payment provider look at one order, a minute; one at once.
const LOOKS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(11);

type Keyed<K> = DefaultKeyedRateLimiter<K, StateInformationMiddleware>;

/// The rates of all users and addresses.
pub struct Limits {
    users: Budgets<i64>,
    addresses: Budgets<Subscriber>,
    lookups: Budgets<Subscriber>,
    refused: Refusals,
    notices: DefaultDirectRateLimiter,
    looks: DefaultKeyedRateLimiter<i64>,
}

struct Budgets<K: std::hash::Hash + Eq + Clone> {
    limiter: Keyed<K>,
    per_s: u32,
    burst: u32,
    clock: DefaultClock,
}

/// The remainder of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The burst.
    pub limit: u32,
    /// Requests that remain.
    pub remaining: u32,
    /// Seconds until the burst is full again.
    pub reset_s: u32,
    /// Seconds until the next request, when none remains.
    pub retry_after_s: Option<u64>,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            users: Budgets::new(settings.requests_per_s_user),
            addresses: Budgets::new(settings.requests_per_s_address),
            lookups: Budgets::new(
                settings
                    .requests_per_s_address
                    .saturating_mul(NonZeroU32::MIN.saturating_add(LOOKUPS - 1)),
            ),
            refused: Refusals::default(),
            notices: RateLimiter::direct(Quota::per_minute(REFUSED_NOTICES_PER_MINUTE)),
            looks: RateLimiter::keyed(Quota::per_minute(LOOKS_PER_MINUTE).allow_burst(NonZeroU32::MIN)),
        }
    }

    /// Spends one request of a user's rate.
    pub fn take_user(&self, user: proto::UserId) -> Budget {
        self.users.take(&user.get())
    }

    /// Spends one request of an address's rate.
    pub fn take_address(&self, address: IpAddr) -> Budget {
        self.logged(address, self.addresses.take(&Subscriber::of(address)))
    }

    /// Spends one token look-up of an address.
    pub fn take_lookup(&self, address: IpAddr) -> Budget {
        self.logged(address, self.lookups.take(&Subscriber::of(address)))
    }

    /// Spends one record of a refused notice; false when none is left.
    pub fn take_refused_notice(&self) -> bool {
        self.notices.check().is_ok()
    }

    /// Spends one look of a payment provider at an order; false when none is left.
    pub fn take_look(&self, order: i64) -> bool {
        self.looks.check_key(&order).is_ok()
    }

    fn logged(&self, address: IpAddr, budget: Budget) -> Budget {
        if budget.retry_after_s.is_some()
            && let Some(line) = self.refused.line(address)
        {
            Event::AddressRateExceeded {
                address: &line.address,
                untold: line.untold,
            }
            .emit();
        }
        budget
    }

    /// Forgets users and addresses whose burst is full.
    pub(crate) fn forget_full(&self) {
        self.users.limiter.retain_recent();
        self.addresses.limiter.retain_recent();
        self.lookups.limiter.retain_recent();
        self.looks.retain_recent();
        self.looks.shrink_to_fit();
        self.lookups.limiter.shrink_to_fit();
        self.users.limiter.shrink_to_fit();
        self.addresses.limiter.shrink_to_fit();
    }
}

impl<K: std::hash::Hash + Eq + Clone> Budgets<K> {
    fn new(per_s: NonZeroU32) -> Self {
        let burst = per_s.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_S - 1));
        let quota = Quota::per_second(per_s).allow_burst(burst);
        Self {
            limiter: RateLimiter::keyed(quota).with_middleware(),
            per_s: per_s.get(),
            burst: burst.get(),
            clock: DefaultClock::default(),
        }
    }

    fn take(&self, key: &K) -> Budget {
        let budget = |remaining: u32| Budget {
            limit: self.burst,
            remaining,
            reset_s: (self.burst - remaining.min(self.burst)).div_ceil(self.per_s),
            retry_after_s: None,
        };
        match self.limiter.check_key(key) {
            Ok(snapshot) => budget(snapshot.remaining_burst_capacity()),
            Err(refused) => Budget {
                retry_after_s: Some(refused.wait_time_from(self.clock.now()).as_secs() + 1),
                ..budget(0)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_and_each_has_their_own() {
        let limits = Limits::new(&Settings {
            requests_per_s_user: NonZeroU32::MIN,
            requests_per_s_address: NonZeroU32::MIN,
            ..Settings::default()
        });
        let user = proto::UserId::from_database(1);
        for left in (0..5).rev() {
            let budget = limits.take_user(user);
            assert_eq!((budget.limit, budget.remaining), (5, left));
            assert_eq!(budget.retry_after_s, None);
        }
        let refused = limits.take_user(user);
        assert_eq!((refused.remaining, refused.reset_s), (0, 5));
        assert_eq!(refused.retry_after_s, Some(1));
        assert_eq!(
            limits.take_user(proto::UserId::from_database(2)).retry_after_s,
            None
        );
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let limits = Limits::new(&Settings {
            requests_per_s_address: NonZeroU32::MIN,
            ..Settings::default()
        });
        for at in 0..5 {
            let address = format!("2001:db8::{at}").parse().unwrap();
            assert_eq!(limits.take_address(address).retry_after_s, None);
        }
        assert!(
            limits
                .take_address("2001:db8::99".parse().unwrap())
                .retry_after_s
                .is_some()
        );
        assert!(
            limits
                .take_address("2001:db8:0:1::1".parse().unwrap())
                .retry_after_s
                .is_none()
        );
    }
}
