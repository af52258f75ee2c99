//! SMS codes: 6 digits, valid for 5 minutes and 5 attempts, one a minute for each phone.

mod sms;

use axum::extract::State;
use bytes::Bytes;
use database::Transaction;
use jobs::{Failure, Turn};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

pub use sms::Sms;

use crate::{
    account::{
        budget::{Budgets, Guesser},
        phone::Phone,
        table,
    },
    app::App,
    http::{
        address::ClientAddress,
        answer::{Answer, Empty, Envelope},
        error::{Error, ErrorCode},
        input::{DeviceId, Json, broken},
    },
};

/// The lifetime of a code, milliseconds.
const LIFETIME_MS: i64 = 5 * 60 * 1000;
/// The interval between codes of a phone, milliseconds.
const INTERVAL_MS: i64 = 60 * 1000;
/// Attempts with one code.
const MAX_TRIES: i64 = 5;

/// The phone that receives a code.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"phone": "13800138000"}))]
pub(crate) struct AskForCode {
    phone: Phone,
    /// The device of the later login. A device on which the account has logged in before has a budget of its own, which
    /// strangers cannot exhaust.
    device_id: Option<DeviceId>,
}

/// Sends a code to a phone
///
/// 6 digits, valid for 5 minutes and 5 attempts. The answer is the same whether or not the phone has an account. A phone gets
/// one code a minute, 5 an hour, 10 a day. The operator limits the codes of an address, for all its phones together.
#[utoipa::path(
    operation_id = "sendSmsCode",
    post, path = "/account/code", tag = "account", request_body = AskForCode,
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`account.country_not_served`"),
        (status = 429, description = "`account.code_too_soon`"),
        (status = 503, description = "`account.sms_unavailable`")
    )
)]
pub(crate) async fn ask(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Json(body): Json<AskForCode>,
) -> Result<Answer, Error> {
    if !app
        .sms_countries
        .iter()
        .any(|country| country.has(body.phone.as_str()))
    {
        return Err(Error::new(ErrorCode::CountryNotServed).field("phone"));
    }
    let code = format!("{:06}", rand::random_range(0..1_000_000_u32));
    let salt: [u8; 16] = rand::random();
    let code_hash = Bytes::copy_from_slice(&hash(&salt, &body.phone, &code));
    let handle = app.clone();
    let phone = body.phone.clone();
    let (spent, created_ms) = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let stored = table::StoredCode {
                    salt: Bytes::copy_from_slice(&salt),
                    hash: code_hash,
                    created_ms: tx.now_ms().await?,
                };
                let created_ms = stored.created_ms;
                put(tx, &phone, stored).await?;
                let user = table::user_of_phone(tx, &phone).await?;
                let guesser = Guesser::of_phone(&phone, user, body.device_id.as_deref(), address);
                let spent = handle.part::<Budgets>().begin_sms(tx, &guesser).await;
                let spent = spent.map_err(|error| match error.code() {
                    ErrorCode::CodeTooSoon => error.field("phone"),
                    _ => error,
                })?;
                Ok::<_, Error>((spent, created_ms))
            })
        })
        .await?;
    if let Err(error) = app.part::<Sms>().send(&body.phone, &code).await {
        // The SMS was not sent: the phone may request another one at once.
        app.database
            .transaction(move |tx| {
                Box::pin(async move {
                    table::remove_code(tx, &body.phone, created_ms).await?;
                    spent.refund(tx).await
                })
            })
            .await?;
        return Err(error);
    }
    Answer::empty()
}

/// Stores a code, unless the phone received one within the last minute.
async fn put(tx: &mut Transaction<'_>, phone: &Phone, code: table::StoredCode) -> Result<(), Error> {
    match table::put_code(tx, phone, code, INTERVAL_MS).await? {
        Ok(()) => Ok(()),
        Err(wait_ms) => {
            let seconds = wait_ms.max(0).unsigned_abs().div_ceil(1000).max(1);
            Err(Error::new(ErrorCode::CodeTooSoon)
                .field("phone")
                .retry_after(seconds))
        }
    }
}

/// Digits of a code.
const CODE_DIGITS: usize = 6;

/// A code as the user typed it.
#[derive(Clone)]
pub(crate) struct Code(String);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let text = text.trim();
        if text.len() == CODE_DIGITS && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(broken(
                format_args!("应为 {CODE_DIGITS} 位数字"),
                format_args!("must be {CODE_DIGITS} digits"),
            ))
        }
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^[0-9]{{{CODE_DIGITS}}}$")))
            .into()
    }
}

impl ToSchema for Code {}

/// Whether a code is the one that was sent to the phone. A wrong one counts, so that the transaction must be committed
/// either way, unless this refuses: then the budget is exhausted. The code stays valid. Comes before all other locks.
pub(super) async fn check(
    tx: &mut Transaction<'_>,
    app: &App,
    guesser: &Guesser,
    phone: &Phone,
    code: &Code,
) -> Result<bool, Error> {
    let attempt = app.part::<Budgets>().begin_code(tx, guesser).await?;
    let oldest_ms = tx.now_ms().await? - LIFETIME_MS;
    let Some(stored) = table::count_attempt(tx, phone, MAX_TRIES, oldest_ms).await? else {
        return Ok(false);
    };
    let right = bool::from(hash(&stored.salt, phone, &code.0)[..].ct_eq(&stored.hash));
    if right {
        table::refund_attempt(tx, phone).await?;
        attempt.refund(tx).await?;
    }
    Ok(right)
}

/// As [`consume`], for a registration: it may be repeated on its device as long as the code would hold.
pub(super) async fn consume_to_register(
    tx: &mut Transaction<'_>,
    app: &App,
    guesser: &Guesser,
    (phone, code): (&Phone, &Code),
    device: &str,
) -> Result<Consumed, Error> {
    if consume(tx, app, guesser, phone, code).await? {
        let salt = table::salt(tx, phone).await?;
        table::remember_registration(tx, phone, &hash(&salt, phone, &code.0), device).await?;
        return Ok(Consumed::Now);
    }
    Ok(match has_registered(tx, (phone, code), device).await? {
        true => Consumed::Before,
        false => Consumed::Wrong,
    })
}

/// Whether the phone registered by this code on this device, while the code would hold.
pub(super) async fn has_registered(
    tx: &mut Transaction<'_>,
    (phone, code): (&Phone, &Code),
    device: &str,
) -> Result<bool, Error> {
    let oldest_ms = tx.now_ms().await? - LIFETIME_MS;
    let before = table::registration(tx, phone, device, oldest_ms).await?;
    let is_same = |(salt, registered): (Bytes, Bytes)| hash(&salt, phone, &code.0)[..].ct_eq(&registered);
    Ok(before.is_some_and(|before| bool::from(is_same(before))))
}

/// The fate of a registration's code.
pub(super) enum Consumed {
    Now,
    /// By the same registration: its answer may have been lost.
    Before,
    Wrong,
}

/// As [`check`]; a right code is consumed.
pub(super) async fn consume(
    tx: &mut Transaction<'_>,
    app: &App,
    guesser: &Guesser,
    phone: &Phone,
    code: &Code,
) -> Result<bool, Error> {
    let right = check(tx, app, guesser, phone, code).await?;
    if right {
        table::consume_code(tx, phone).await?;
    }
    Ok(right)
}

/// Deletes expired codes.
pub(crate) async fn forget_old(turn: &Turn, now_ms: i64) -> Result<(), Failure> {
    table::forget_codes(turn, now_ms - LIFETIME_MS).await
}

fn hash(salt: &[u8], phone: &Phone, code: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(phone.as_str().as_bytes());
    hash.update([0]);
    hash.update(code.as_bytes());
    hash.finalize().into()
}
