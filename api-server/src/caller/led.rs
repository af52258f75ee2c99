//! Records that a user leads: teams, clinics.

use std::ops::Deref;

use database::{Database, Transaction};

use super::User;
use crate::error::{Error, ErrorCode};

/// A record that users lead.
pub(crate) trait Lead: Sized {
    /// The refusal of other users.
    const FORBIDDEN: ErrorCode;

    /// Locks its row until the end of the transaction. True when this user leads it.
    fn lock(
        tx: &mut Transaction<'_>,
        id: i64,
        user: &User,
    ) -> impl Future<Output = Result<(Self, bool), Error>> + Send;

    /// As [`Self::lock`], without a lock, for reads.
    fn read(
        database: &Database,
        id: i64,
        user: &User,
    ) -> impl Future<Output = Result<(Self, bool), Error>> + Send;
}

/// A record that the caller leads.
#[derive(Debug)]
pub(crate) struct Led<T>(T);

impl<T: Lead> Led<T> {
    /// Locks a record that the user leads until the end of the transaction.
    pub(crate) async fn lock(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<Self, Error> {
        Self::only(T::lock(tx, id, user).await?)
    }

    /// Reads a record that the user leads.
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
