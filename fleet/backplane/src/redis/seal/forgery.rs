//! Forgeries: bytes in Redis that were not made with the key of this fleet. They are dropped, counted and logged.

use telemetry::events::backplane::Event;

/// Where a forgery was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Publication,
    Password,
    Login,
    Node,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Publication => "publication",
            Self::Password => "password",
            Self::Login => "login",
            Self::Node => "node",
        }
    }
}

/// Counts and logs one more.
pub(crate) fn found(place: Place) {
    Event::Forged { what: place.name() }.emit();
}
