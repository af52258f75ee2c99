//! Rates of IM passwords: the backplane keeps each for an hour.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use proto::UserId;

use crate::{
    app::Part,
    http::error::{Error, ErrorCode},
};

// protocol: "An app that asks too often"
/// Burst of one device: an app that nodes refuse asks for a password before each attempt.
const DEVICE_BURST: u32 = 30;
/// The interval of one device after its burst. A password serves several connections for an hour.
const DEVICE_INTERVAL: Duration = Duration::from_secs(3);
/// Burst of one user, who has up to ten devices.
const USER_BURST: u32 = 100;
/// The interval of one user after their burst.
const USER_INTERVAL: Duration = Duration::from_secs(1);

/// The rates of the users and devices of this process.
pub struct ImPasswordRates {
    devices: DefaultKeyedRateLimiter<(UserId, Arc<str>)>,
    users: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
}

impl Part for ImPasswordRates {}

impl Default for ImPasswordRates {
    fn default() -> Self {
        Self {
            devices: RateLimiter::keyed(quota(DEVICE_BURST, DEVICE_INTERVAL)),
            users: RateLimiter::keyed(quota(USER_BURST, USER_INTERVAL)),
            clock: DefaultClock::default(),
        }
    }
}

fn quota(burst: u32, interval: Duration) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(interval)
        .unwrap_or_else(|| Quota::per_second(burst))
        .allow_burst(burst)
}

impl ImPasswordRates {
    /// Spends one password of the rates of a device and its user.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`] with the seconds to wait.
    pub fn take(&self, user: UserId, device_id: &Arc<str>) -> Result<(), Error> {
        let of_device = self.devices.check_key(&(user, device_id.clone()));
        let refused = match of_device {
            Ok(()) => match self.users.check_key(&user) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            },
            Err(refused) => refused,
        };
        let wait_s = refused.wait_time_from(self.clock.now()).as_secs() + 1;
        Err(Error::new(ErrorCode::RateLimited).retry_after(wait_s))
    }

    /// Forgets devices and users whose rate is full again.
    pub(crate) fn forget_full(&self) {
        self.devices.retain_recent();
        self.users.retain_recent();
        self.devices.shrink_to_fit();
        self.users.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_users_have_rates_of_their_own() {
        let rates = ImPasswordRates::default();
        let user = UserId::from_database(1);
        let device = |name: &str| -> Arc<str> { name.into() };
        for _ in 0..DEVICE_BURST {
            rates.take(user, &device("a")).unwrap();
        }
        let refused = rates.take(user, &device("a")).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::RateLimited);
        assert!((1..=3).contains(&refused.retry_after_s().unwrap()));
        rates.take(UserId::from_database(2), &device("a")).unwrap();
        let taken = (0..USER_BURST * 2).filter(|at| rates.take(user, &device(&at.to_string())).is_ok());
        assert!((USER_BURST - DEVICE_BURST - 1..USER_BURST).contains(&u32::try_from(taken.count()).unwrap()));
    }
}
