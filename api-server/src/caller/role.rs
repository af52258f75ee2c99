//! Users in one role.

use std::{marker::PhantomData, ops::Deref};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{Role, User};
use crate::error::{Error, ErrorCode};

/// A domain that serves doctors only.
pub(crate) trait DoctorsOnly {
    /// The refusal of other users.
    const REFUSAL: ErrorCode;
}

/// A domain that serves members only.
pub(crate) trait MembersOnly {
    /// The refusal of other users.
    const REFUSAL: ErrorCode;
}

/// A doctor who calls the domain `D`.
#[derive(Clone, Debug)]
pub(crate) struct Doctor<D>(User, PhantomData<D>);

/// A member who calls the domain `D`.
#[derive(Clone, Debug)]
pub(crate) struct Member<D>(User, PhantomData<D>);

/// An operator.
#[derive(Clone, Debug)]
pub(crate) struct Operator(User);

impl<S: Send + Sync, D: DoctorsOnly> FromRequestParts<S> for Doctor<D> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self(User::in_role(parts, Role::Doctor, D::REFUSAL)?, PhantomData))
    }
}

impl<S: Send + Sync, D: MembersOnly> FromRequestParts<S> for Member<D> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self(User::in_role(parts, Role::Member, D::REFUSAL)?, PhantomData))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self(User::in_role(
            parts,
            Role::Operator,
            ErrorCode::OperatorsOnly,
        )?))
    }
}

impl<D: MembersOnly> Member<D> {
    /// Checks the role of a user who calls several domains in one request.
    pub(crate) fn of(user: &User) -> Result<Self, Error> {
        match user.role {
            Role::Member => Ok(Self(user.clone(), PhantomData)),
            _ => Err(D::REFUSAL.into()),
        }
    }
}

impl User {
    fn in_role(parts: &mut Parts, role: Role, refusal: ErrorCode) -> Result<Self, Error> {
        let user = Self::of(&mut parts.extensions)?;
        if user.role == role {
            Ok(user)
        } else {
            Err(refusal.into())
        }
    }
}

impl<D> Deref for Doctor<D> {
    type Target = User;

    fn deref(&self) -> &User {
        &self.0
    }
}

impl<D> Deref for Member<D> {
    type Target = User;

    fn deref(&self) -> &User {
        &self.0
    }
}

impl Deref for Operator {
    type Target = User;

    fn deref(&self) -> &User {
        &self.0
    }
}
