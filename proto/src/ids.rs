//! Ids and numbers that must not be mixed up. On the wire and in SQL they are plain 64-bit integers.

use std::fmt;

// protocol: "ids | below 2^53"
/// The largest id: JavaScript keeps integers exact up to here.
pub const MAX_ID: i64 = (1 << 53) - 1;

// protocol: "device_id | 1 to 64 bytes"
/// The longest id of an app's installation, bytes, on the wire and in REST.
pub const MAX_DEVICE_ID_BYTES: usize = 64;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// An id from outside: none unless it is between 1 and [`MAX_ID`].
            pub fn new(id: i64) -> Option<Self> {
                (1..=MAX_ID).contains(&id).then_some(Self(id))
            }

            /// An id that the database gave out.
            pub const fn from_database(id: i64) -> Self {
                Self(id)
            }

            /// The plain number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id!(
    /// A user, in each of their roles (`member_id`, `doctor_id`, `relation_user_id`).
    UserId
);
id!(
    /// A conversation: a consult, its staff room, or a private chat.
    ConversationId
);

/// The place of an entry in its conversation: 1, 2, 3 …; 0 is "before the first".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(i64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// A seq from outside: none if it is negative.
    pub fn new(seq: i64) -> Option<Self> {
        (seq >= 0).then_some(Self(seq))
    }

    /// A seq that the database holds.
    pub const fn from_database(seq: i64) -> Self {
        Self(seq)
    }

    /// The plain number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The seq after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The seq before this one; 0 stays 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(if self.0 > 0 { self.0 - 1 } else { 0 })
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seq({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // protocol: "ids | below 2^53"
    #[test]
    fn an_id_from_outside_is_positive_and_exact_in_javascript() {
        for (id, is_id) in [
            (0, false),
            (-1, false),
            (1, true),
            ((1 << 53) - 1, true),
            (1 << 53, false),
        ] {
            assert_eq!(UserId::new(id).is_some(), is_id, "{id}");
            assert_eq!(ConversationId::new(id).is_some(), is_id, "{id}");
        }
    }
}
