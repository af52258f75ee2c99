//! Budgets against strangers: for passwords, SMS codes and SMS.
//!
//! Each phone (or operator's name) has a budget, and each address. A device on which the account has logged in before has a
//! budget of its own instead of the phone's, so that strangers cannot lock the owner out.

use std::net::IpAddr;

use database::{Database, Transaction};
use proto::UserId;

use super::{Budget, DAY_MS, HOUR_MS, MINUTE_MS, Spending, clear, refund, spend};
use crate::{
    account::{
        password::{Password, Passwords},
        phone::Phone,
        table,
    },
    app::{App, Part},
    http::error::{Error, ErrorCode},
    settings::Settings,
};

/// Span of the budgets for passwords, milliseconds.
const PASSWORD_SPAN_MS: i64 = 15 * MINUTE_MS;

/// Passwords of one phone or operator within [`PASSWORD_SPAN_MS`].
const PASSWORDS: Budget = Budget::new("password", 10, PASSWORD_SPAN_MS, ErrorCode::TooManyAttempts);
/// The same from one known device.
const PASSWORDS_KNOWN: Budget =
    Budget::new("password.known", 10, PASSWORD_SPAN_MS, ErrorCode::TooManyAttempts);
/// Wrong SMS codes of one phone an hour and a day, of 10^6 codes.
const CODES: [Budget; 2] = [
    Budget::new("code.hour", 10, HOUR_MS, ErrorCode::TooManyAttempts),
    Budget::new("code.day", 20, DAY_MS, ErrorCode::TooManyAttempts),
];
/// The same from one known device.
const CODES_KNOWN: [Budget; 2] = [
    Budget::new("code.known.hour", 10, HOUR_MS, ErrorCode::TooManyAttempts),
    Budget::new("code.known.day", 20, DAY_MS, ErrorCode::TooManyAttempts),
];
/// SMS to one phone an hour and a day. The code's row enforces one a minute.
const SMS: [Budget; 2] = [
    Budget::new("sms.hour", 5, HOUR_MS, ErrorCode::CodeTooSoon),
    Budget::new("sms.day", 10, DAY_MS, ErrorCode::CodeTooSoon),
];
/// The same for one known device.
const SMS_KNOWN: [Budget; 2] = [
    Budget::new("sms.known.hour", 3, HOUR_MS, ErrorCode::CodeTooSoon),
    Budget::new("sms.known.day", 5, DAY_MS, ErrorCode::CodeTooSoon),
];

/// The budgets of addresses, by the settings.
pub struct Budgets {
    sms_of_address: [Budget; 3],
    guesses_of_address: Budget,
}

impl Part for Budgets {}

/// A caller who guesses a password or a code, or requests an SMS.
#[derive(Clone, Debug)]
pub(crate) struct Guesser {
    /// The phone, or the name of an operator.
    pub(crate) login: String,
    /// Its account, if it has one.
    pub(crate) user: Option<UserId>,
    pub(crate) device_id: Option<String>,
    pub(crate) address: IpAddr,
}

/// The budgets that one attempt has spent.
#[derive(Clone, Debug)]
pub(crate) struct Attempt(Vec<Spending>);

impl Budgets {
    pub(crate) fn new(settings: &Settings) -> Self {
        let an_hour = i64::from(settings.sms_per_hour_address.get());
        let guesses = i64::from(settings.wrong_logins_address.get());
        let sms = |name, limit, span_ms| Budget::new(name, limit, span_ms, ErrorCode::RateLimited);
        Self {
            sms_of_address: [
                sms("sms.address.minute", (an_hour / 6).max(1), MINUTE_MS),
                sms("sms.address.hour", an_hour, HOUR_MS),
                sms("sms.address.day", an_hour.saturating_mul(5), DAY_MS),
            ],
            guesses_of_address: Budget::new(
                "guess.address",
                guesses,
                PASSWORD_SPAN_MS,
                ErrorCode::TooManyAttempts,
            ),
        }
    }

    /// Counts an attempt before the password is verified, so that concurrent attempts count too.
    pub(crate) async fn begin_password(
        &self,
        database: &Database,
        guesser: Guesser,
    ) -> Result<Attempt, Error> {
        let of_address = self.guesses_of_address.of_address(guesser.address);
        database
            .transaction(move |tx| {
                Box::pin(async move {
                    let spendings = match guesser.known(tx).await? {
                        Some(device) => vec![PASSWORDS_KNOWN.of(&device)],
                        None => vec![PASSWORDS.of(&guesser.login), of_address],
                    };
                    spend(tx, &spendings).await?;
                    Ok(Attempt(spendings))
                })
            })
            .await
    }

    /// Counts an attempt with a code. Comes before all other locks of the transaction.
    pub(in crate::account) async fn begin_code(
        &self,
        tx: &mut Transaction<'_>,
        guesser: &Guesser,
    ) -> Result<Attempt, Error> {
        let spendings = match guesser.known(tx).await? {
            Some(device) => CODES_KNOWN.map(|budget| budget.of(&device)).to_vec(),
            None => {
                let mut spendings = CODES.map(|budget| budget.of(&guesser.login)).to_vec();
                spendings.push(self.guesses_of_address.of_address(guesser.address));
                spendings
            }
        };
        spend(tx, &spendings).await?;
        Ok(Attempt(spendings))
    }

    /// The budgets that an SMS to a phone spends.
    pub(in crate::account) async fn begin_sms(
        &self,
        tx: &mut Transaction<'_>,
        guesser: &Guesser,
    ) -> Result<Attempt, Error> {
        let spendings = match guesser.known(tx).await? {
            Some(device) => SMS_KNOWN.map(|budget| budget.of(&device)).to_vec(),
            None => {
                let of_address = self.sms_of_address.map(|it| it.of_address(guesser.address));
                let mut spendings = SMS.map(|budget| budget.of(&guesser.login)).to_vec();
                spendings.extend(of_address);
                spendings
            }
        };
        spend(tx, &spendings).await?;
        Ok(Attempt(spendings))
    }
}

impl Guesser {
    /// On the device of a phone.
    pub(in crate::account) fn of_phone(
        phone: &Phone,
        user: Option<UserId>,
        device_id: Option<&str>,
        address: IpAddr,
    ) -> Self {
        Self {
            login: phone.as_str().to_owned(),
            user,
            device_id: device_id.map(str::to_owned),
            address,
        }
    }

    /// The budget key of a known device: one on which the account has logged in before.
    async fn known(&self, tx: &mut Transaction<'_>) -> Result<Option<String>, Error> {
        let (Some(user), Some(device_id)) = (self.user, &self.device_id) else {
            return Ok(None);
        };
        let known = table::Note::Known.is_of(tx, user, device_id).await?;
        Ok(known.then(|| format!("{} {device_id}", user.get())))
    }
}

impl Attempt {
    /// Verifies a password. An attempt that is not verified, because too many hashes wait, is refunded.
    pub(crate) async fn verify(
        &self,
        app: &App,
        password: Password,
        hash: Option<String>,
    ) -> Result<bool, Error> {
        let verified = app.part::<Passwords>().verify(password, hash).await;
        if verified.is_err() {
            let attempt = self.clone();
            app.database
                .transaction(move |tx| Box::pin(async move { attempt.refund(tx).await }))
                .await?;
        }
        verified
    }

    /// Clears the budget after a right password. Comes before all other locks of the transaction.
    pub(crate) async fn clear_passwords(&self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        if let Some((first, others)) = self.0.split_first() {
            clear(tx, first).await?;
            refund(tx, others).await?;
        }
        Ok(())
    }

    /// Refunds an attempt: the code was right, no password was verified, or no SMS was sent.
    pub(in crate::account) async fn refund(&self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        refund(tx, &self.0).await
    }
}
