//! Where a request comes from.

use std::net::IpAddr;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::error::Error;

/// The peer's address.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The client's address: the peer's, or the one that a trusted proxy forwards.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let found = parts.extensions.get::<Self>().copied();
        found.ok_or_else(|| Error::internal("a request has no address"))
    }
}
