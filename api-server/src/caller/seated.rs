//! What a user has a seat in: a consult.

use std::ops::Deref;

use database::Transaction;

use super::User;
use crate::http::error::{Error, ErrorCode};

/// What users have seats in. A user without one is refused as if the thing did not exist.
pub(crate) trait Seating: Sized {
    type Seat: Copy + Send;

    /// How a user is refused whose seat may not do it.
    const FORBIDDEN: ErrorCode;

    /// Locks its row until the end of the transaction, and reads it with the user's seat.
    fn lock(
        tx: &mut Transaction<'_>,
        id: i64,
        user: &User,
    ) -> impl Future<Output = Result<(Self, Self::Seat), Error>> + Send;
}

/// A thing in which the caller's seat may do what is asked. Only asking makes it.
#[derive(Debug)]
pub(crate) struct Seated<T: Seating> {
    thing: T,
    seat: T::Seat,
}

impl<T: Seating> Seated<T> {
    /// Locks a thing until the end of the transaction, for a user whose seat may do what is asked.
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
