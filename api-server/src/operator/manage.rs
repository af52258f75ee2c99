//! Operators' own accounts, from the command line.

use database::Database;
use proto::UserId;

use super::{
    audit::{Act, Row, write},
    log_in::totp::Secret,
    table,
};
use crate::{
    account::{self, NewAccount, Password, Passwords},
    caller::Role,
    clock::now_ms,
    http::{error::Error, input::Line},
};

/// The longest name, characters.
const MAX_NAME_CHARS: usize = 64;

/// A new operator, or one with a new password.
pub struct Made {
    /// The account.
    pub user_id: i64,
    /// Shown once, and stored as a hash only.
    pub password: String,
}

/// An operator, for the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The account.
    pub user_id: i64,
    /// The name for logging in.
    pub name: String,
    /// Epoch milliseconds.
    pub created_ms: i64,
    /// Epoch milliseconds.
    pub last_login_ms: i64,
    /// Whether logins are refused.
    pub disabled: bool,
    /// Whether a login needs a code, too.
    pub has_second_factor: bool,
}

/// Makes an operator account with a random password.
///
/// # Errors
/// When the name is empty or too long, or taken.
pub async fn add(database: &Database, name: &str) -> anyhow::Result<Made> {
    let line = Line::<1, MAX_NAME_CHARS>::new(name).map_err(|(_, rule)| anyhow::anyhow!("a name {rule}"))?;
    anyhow::ensure!(
        &*line == name,
        "a name must be composed (NFC) and without spaces around it"
    );
    let user = UserId::from_database(database.allocate_id(account::SEQUENCE).await?);
    let (password, hash) = new_password().await?;
    let operator = name.to_owned();
    let made = database
        .transaction(move |tx| {
            Box::pin(async move {
                let now_ms = now_ms();
                if !table::new_operator(tx, user, &operator, now_ms).await? {
                    return Ok(false);
                }
                let new = NewAccount {
                    id: user,
                    phone: None,
                    name: operator,
                    role: Role::Operator,
                    password_hash: Some(hash),
                };
                account::new_account(tx, new, now_ms).await?;
                let row = Row::of_the_command_line(Act::OperatorAdded).account(user.get());
                write(tx, row, now_ms).await?;
                Ok::<_, Error>(true)
            })
        })
        .await
        .map_err(described)?;
    anyhow::ensure!(
        made,
        "there is an operator {name:?} already; `huizhen operator reset` gives them a new password"
    );
    Ok(Made {
        user_id: user.get(),
        password,
    })
}

/// All operators, in the order of names.
///
/// # Errors
/// Those of the database.
pub async fn list(database: &Database) -> anyhow::Result<Vec<Listed>> {
    table::operators(database).await.map_err(described)
}

/// Disables an operator: tokens end, logins are refused.
///
/// # Errors
/// When no operator has this name.
pub async fn disable(database: &Database, name: &str) -> anyhow::Result<()> {
    let operator = known(database, name).await?;
    database
        .transaction(move |tx| {
            Box::pin(async move {
                let now_ms = now_ms();
                if table::disable_any(tx, operator, now_ms).await? {
                    account::remove_devices(tx, operator).await?;
                    let row = Row::of_the_command_line(Act::OperatorDisabled).account(operator.get());
                    write(tx, row, now_ms).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await
        .map_err(described)
}

/// Sets a new password and ends all devices of an operator. A disabled one may log in again.
///
/// # Errors
/// When no operator has this name.
pub async fn reset(database: &Database, name: &str) -> anyhow::Result<Made> {
    let operator = known(database, name).await?;
    let (password, hash) = new_password().await?;
    database
        .transaction(move |tx| {
            Box::pin(async move {
                let now_ms = now_ms();
                account::set_password(tx, operator, &hash).await?;
                table::enable_any(tx, operator).await?;
                account::remove_devices(tx, operator).await?;
                let row = Row::of_the_command_line(Act::OperatorReset).account(operator.get());
                write(tx, row, now_ms).await
            })
        })
        .await
        .map_err(described)?;
    Ok(Made {
        user_id: operator.get(),
        password,
    })
}

/// Gives an operator a new second factor: logins need its codes from now on. The address is for an authenticator app; it is
/// shown once.
///
/// # Errors
/// When no operator has this name.
pub async fn enrol(database: &Database, name: &str) -> anyhow::Result<String> {
    let operator = known(database, name).await?;
    let secret = Secret::random();
    let address = secret.address(name);
    database
        .transaction(move |tx| {
            Box::pin(async move {
                table::set_second_factor(tx, operator, secret.as_bytes()).await?;
                account::remove_devices(tx, operator).await?;
                let row = Row::of_the_command_line(Act::OperatorEnrolled).account(operator.get());
                write(tx, row, now_ms()).await
            })
        })
        .await
        .map_err(described)?;
    Ok(address)
}

async fn known(database: &Database, name: &str) -> anyhow::Result<UserId> {
    let known = table::operator(database, name).await.map_err(described)?;
    known.map(|known| known.user).ok_or_else(|| {
        anyhow::anyhow!("there is no operator {name:?}; `huizhen operator list` shows those that there are")
    })
}

async fn new_password() -> anyhow::Result<(String, String)> {
    let password = Password::random();
    let hash = Passwords::default()
        .hash(password.clone())
        .await
        .map_err(described)?;
    Ok((password.into_string(), hash))
}

/// The command line shows the inner text.
fn described(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.inner().unwrap_or(error.code().as_str()))
}
