//! Records in which a user has a seat: consults.

use std::ops::Deref;

use database::Transaction;

use super::User;
use crate::http::error::{Error, ErrorCode};

/// A record in which users have seats. To a user without a seat it does not exist.
pub(crate) trait Seating: Sized {
    type Seat: Copy + Send;

    /// The refusal of users whose seat does not permit the operation.
    const FORBIDDEN: ErrorCode;

    /// Locks its row until the end of the transaction, and reads it with the user's seat.
    fn lock(
        tx: &mut Transaction<'_>,
        id: i64,
        user: &User,
    ) -> impl Future<Output = Result<(Self, Self::Seat), Error>> + Send;
}

/// A record in which the caller's seat permits the operation.
#[derive(Debug)]
pub(crate) struct Seated<T: Seating> {
    thing: T,
    seat: T::Seat,
}

impl<T: Seating> Seated<T> {
    /// Locks a record until the end of the transaction, for a user whose seat permits the operation.
    pub(crate) async fn lock(
        tx: &mut Transaction<'_>,
        id: i64,
        user: &User,
        may: impl FnOnce(T::Seat) -> bool + Send,
    ) -> Result<Self, Error> {
        let (thing, seat) = T::lock(tx, id, user).await?;
        if may(seat) {
            Ok(Self { thing, seat })
        } else {
            Err(T::FORBIDDEN.into())
        }
    }

    pub(crate) fn seat(&self) -> T::Seat {
        self.seat
    }
}

impl<T: Seating> Deref for Seated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.thing
    }
}
