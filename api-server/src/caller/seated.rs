//! Records in which a user has a seat: consults.

use std::ops::Deref;

use database::Transaction;

use super::User;
use crate::error::Error;

/// A record in which users have seats. To a user without a seat it does not exist.
pub(crate) trait Seating: Sized {
    type Seat: Copy + Send;

    /// Locks its row until the end of the transaction, and reads it with the user's seat.
    fn lock(
        tx: &mut Transaction<'_>,
        id: i64,
        user: &User,
    ) -> impl Future<Output = Result<(Self, Self::Seat), Error>> + Send;
}

/// A record in which the caller has a seat, which decides what they may do.
#[derive(Debug)]
pub(crate) struct Seated<T: Seating> {
    record: T,
    seat: T::Seat,
}

impl<T: Seating> Seated<T> {
    /// Locks a record until the end of the transaction.
    pub(crate) async fn lock(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<Self, Error> {
        let (record, seat) = T::lock(tx, id, user).await?;
        Ok(Self { record, seat })
    }

    pub(crate) fn seat(&self) -> T::Seat {
        self.seat
    }

    pub(crate) fn into_inner(self) -> T {
        self.record
    }
}

impl<T: Seating> Deref for Seated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.record
    }
}
