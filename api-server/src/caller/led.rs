//! What a user leads: a team, a clinic.

use std::ops::Deref;

use database::{Database, Transaction};

use super::User;
use crate::http::error::{Error, ErrorCode};

/// What users lead.
pub(crate) trait Lead: Sized {
    /// How others are refused.
    const FORBIDDEN: ErrorCode;

    /// Locks its row until the end of the transaction; whether this user leads it.
    fn lock(
        tx: &mut Transaction<'_>,
        id: i64,
        user: &User,
    ) -> impl Future<Output = Result<(Self, bool), Error>> + Send;

    /// The same without a lock, for what only reads.
    fn read(
        database: &Database,
        id: i64,
        user: &User,
    ) -> impl Future<Output = Result<(Self, bool), Error>> + Send;
}

/// A thing that the caller leads. Only asking makes it.
#[derive(Debug)]
pub(crate) struct Led<T>(T);

impl<T: Lead> Led<T> {
    /// Locks a thing until the end of the transaction, for a user who leads it.
    pub(crate) async fn lock(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<Self, Error> {
        Self::only(T::lock(tx, id, user).await?)
    }

    /// A thing to read, for a user who leads it.
    pub(crate) async fn read(database: &Database, id: i64, user: &User) -> Result<Self, Error> {
        Self::only(T::read(database, id, user).await?)
    }

    fn only((thing, leads): (T, bool)) -> Result<Self, Error> {
        if leads {
            Ok(Self(thing))
        } else {
            Err(T::FORBIDDEN.into())
        }
    }

    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Led<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
