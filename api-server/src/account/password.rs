//! Passwords: argon2id, hashed on blocking threads, few at a time.

use std::{fmt, net::IpAddr, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use database::Transaction;
use serde::{Deserialize, Deserializer};
use tokio::{sync::Semaphore, time::timeout};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::{
    budget::{Attempt, Budgets, Guesser},
    code::{self, Code},
    device::log_out,
    phone::Phone,
    table,
};
use crate::{
    app::{App, Part},
    caller::{Device, User},
    http::{
        address::ClientAddress,
        answer::{Answer, Empty, Envelope},
        error::{Error, ErrorCode},
        input::{Json, broken},
    },
};

/// Concurrent hashes: each takes 19 MiB and a core for some 20 ms.
const AT_ONCE: usize = 2;
/// The longest wait for a hash to begin.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Verified without an account or password, so that this takes as long as a wrong password. No password has this hash.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The shortest password, characters.
const MIN_CHARACTERS: usize = 8;
/// The longest password, characters.
const MAX_CHARACTERS: usize = 128;

/// A password.
#[derive(Clone)]
pub(crate) struct Password(String);

impl Password {
    /// A random one: 144 bits.
    pub(crate) fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>()))
    }

    /// For the output that shows it once.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if (MIN_CHARACTERS..=MAX_CHARACTERS).contains(&text.chars().count()) {
            Ok(Self(text))
        } else {
            Err(broken(
                format_args!("应为 {MIN_CHARACTERS} 到 {MAX_CHARACTERS} 个字符"),
                format_args!("must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters"),
            ))
        }
    }
}

impl PartialSchema for Password {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(MIN_CHARACTERS))
            .max_length(Some(MAX_CHARACTERS))
            .into()
    }
}

impl ToSchema for Password {}

/// Hashes and verifies passwords, few at a time.
pub struct Passwords(Semaphore);

impl Part for Passwords {}

impl Default for Passwords {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Passwords {
    /// Hashes a password with a random salt.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        self.in_turn(move || {
            Argon2::default()
                .hash_password(password.0.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(Error::internal)
        })
        .await
    }

    /// Whether a password has this hash. Takes as long without one.
    pub(crate) async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool, Error> {
        self.in_turn(move || {
            let hash = hash.as_deref().unwrap_or(NOBODY);
            let hash = PasswordHash::new(hash).map_err(Error::internal)?;
            Ok(Argon2::default()
                .verify_password(password.0.as_bytes(), &hash)
                .is_ok())
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _turn = timeout(LONGEST_WAIT, self.0.acquire())
            .await
            .map_err(|_| Error::unavailable("too many passwords wait for their turn"))?
            .map_err(Error::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

/// A new password, and a proof of ownership: the current password, or a code sent to the phone.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"current_password": "correct horse 1", "new_password": "correct horse 2"}))]
pub(crate) struct ChangePassword {
    /// The current password, if there is one.
    current_password: Option<Password>,
    /// A code from POST /account/code instead.
    code: Option<Code>,
    new_password: Password,
}

/// Changes the password
///
/// Logs out all other devices of the user, and those on which they logged a team's assistant in. An access token alone is not
/// enough: the request needs the current password or an SMS code.
#[utoipa::path(
    operation_id = "changePassword",
    put, path = "/account/password", tag = "account", request_body = ChangePassword,
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`account.password_refused`, `account.code_refused`"),
        (status = 429, description = "`account.too_many_attempts`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn change(
    State(app): State<App>,
    user: User,
    ClientAddress(address): ClientAddress,
    Json(body): Json<ChangePassword>,
) -> Result<Answer, Error> {
    let proof = Proof::of(&app, &user, address, (body.current_password, body.code), &CHANGE).await?;
    let hash = app.part::<Passwords>().hash(body.new_password).await?;
    let ended = app.clone();
    app.to_the_end(async move {
        let gone = store(&ended, user, proof, hash).await?;
        log_out(&ended, &gone).await;
        Answer::empty()
    })
    .await
}

/// The refusals of a change, of a password.
const CHANGE: Refusals = Refusals {
    field: "current_password",
    password: ErrorCode::PasswordRefused,
    code: ErrorCode::CodeRefused,
};

/// How a request without a valid proof is refused.
pub(crate) struct Refusals {
    /// The field of the password.
    pub(crate) field: &'static str,
    pub(crate) password: ErrorCode,
    pub(crate) code: ErrorCode,
}

/// The proof that the account's owner sends a request: an access token alone is not enough.
pub(crate) enum Proof {
    /// The verified current password, with its hash.
    Password { verified: String, attempt: Attempt },
    /// A code, which the transaction checks and consumes.
    Code {
        phone: Phone,
        code: Code,
        guesser: Guesser,
    },
}

impl Proof {
    /// Verifies a password, else keeps a code for the transaction. Wrong passwords count.
    pub(crate) async fn of(
        app: &App,
        user: &User,
        address: IpAddr,
        given: (Option<Password>, Option<Code>),
        refusals: &Refusals,
    ) -> Result<Self, Error> {
        let Some(account) = table::account(&app.database, user.id).await? else {
            return Err(ErrorCode::AuthRequired.into());
        };
        let Some(phone) = account.phone.as_deref().and_then(Phone::parse) else {
            // The team's owner logs an assistant in.
            return Err(refusals.password.into());
        };
        let guesser = Guesser::of_phone(&phone, Some(user.id), Some(&user.device_id), address);
        match given {
            (Some(password), _) => {
                let attempt = app
                    .part::<Budgets>()
                    .begin_password(&app.database, guesser)
                    .await?;
                let right = attempt
                    .verify(app, password, account.password_hash.clone())
                    .await?;
                let verified = account.password_hash.filter(|_| right);
                let verified = verified.ok_or_else(|| refusals.wrong_password())?;
                Ok(Self::Password { verified, attempt })
            }
            (None, Some(code)) => Ok(Self::Code { phone, code, guesser }),
            (None, None) => Err(Error::invalid(
                refusals.field,
                "必须提供，或提供短信验证码 code",
                "must be given, or code instead",
            )),
        }
    }

    /// Whether the proof still holds. A code is consumed; a wrong one counts, so that the transaction must be committed
    /// either way. Locks the account; comes before all other locks.
    pub(crate) async fn holds(
        &self,
        tx: &mut Transaction<'_>,
        app: &App,
        user: &User,
    ) -> Result<bool, Error> {
        match self {
            Self::Password { verified, attempt } => {
                attempt.clear_passwords(tx).await?;
                table::replace_password(tx, user.id, verified, verified).await
            }
            Self::Code { phone, code, guesser } => code::consume(tx, app, guesser, phone, code).await,
        }
    }
}

impl Refusals {
    fn wrong_password(&self) -> Error {
        Error::new(self.password).field(self.field)
    }

    /// Of a proof that does not hold.
    pub(crate) fn refuse(&self, proof: &Proof) -> Error {
        match proof {
            Proof::Password { .. } => self.wrong_password(),
            Proof::Code { .. } => Error::new(self.code).field("code"),
        }
    }
}

/// Locks the account first: a concurrent login is ended here, or refused by the new hash.
async fn store(app: &App, user: User, proof: Proof, hash: String) -> Result<Vec<Device>, Error> {
    let handle = app.clone();
    app.database
        .transaction(move |tx| {
            Box::pin(async move {
                if !proof.holds(tx, &handle, &user).await? {
                    // Committed, so that the attempt counts.
                    return Ok(Err(CHANGE.refuse(&proof)));
                }
                table::set_password(tx, user.id, &hash).await?;
                let gone = table::remove_other_devices(tx, user.id, &user.device_id).await?;
                table::forget_other_known_devices(tx, user.id, &user.device_id).await?;
                table::lock_device(tx, &user).await?;
                Ok::<_, Error>(Ok(gone))
            })
        })
        .await?
}
