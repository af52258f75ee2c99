//! The leaders and doctors of a team.

use database::{Database, Transaction};
use proto::UserId;

use super::{Team, table};
use crate::{
    caller::{Lead, User},
    http::error::{Error, ErrorCode},
};

impl Team {
    /// Its owner leads a team, and its assistant, as whom the owner alone can log in.
    pub(super) fn is_led_by(&self, user: UserId) -> bool {
        [self.owner_id, self.assistant_id].contains(&user.get())
    }

    /// Refuses a team that takes no members and consults.
    pub(crate) fn check_works(&self) -> Result<(), Error> {
        table::check_works(self.closed_ms, self.dissolved_ms)
    }

    pub(crate) fn owner(&self) -> UserId {
        UserId::from_database(self.owner_id)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn only_owner(&self, user: &User) -> Result<(), Error> {
        if self.owner_id == user.id.get() {
            Ok(())
        } else {
            Err(ErrorCode::TeamForbidden.into())
        }
    }

    pub(super) fn has_doctor(&self, user: UserId) -> bool {
        self.doctor_ids.contains(&user.get())
    }
}

impl Lead for Team {
    const FORBIDDEN: ErrorCode = ErrorCode::TeamForbidden;

    async fn lock(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<(Self, bool), Error> {
        let team = table::lock(tx, id).await?;
        let leads = team.is_led_by(user.id);
        Ok((team, leads))
    }

    async fn read(database: &Database, id: i64, user: &User) -> Result<(Self, bool), Error> {
        let team = table::team(database, id).await?.ok_or(ErrorCode::TeamNotFound)?;
        let leads = team.is_led_by(user.id);
        Ok((team, leads))
    }
}

/// Refuses a user who neither leads the team nor is one of its doctors.
pub(crate) async fn check_staff(database: &Database, id: i64, user: &User) -> Result<(), Error> {
    let (team, leads) = Team::read(database, id, user).await?;
    if leads || team.has_doctor(user.id) {
        Ok(())
    } else {
        Err(ErrorCode::TeamForbidden.into())
    }
}

/// Whether a user owns the team.
pub(crate) async fn is_owner(tx: &mut Transaction<'_>, id: i64, user: UserId) -> Result<bool, Error> {
    Ok(table::team_in(tx, id)
        .await?
        .is_some_and(|team| team.owner() == user))
}

/// Refuses a user who does not own the team.
pub(crate) async fn check_owner(database: &Database, id: i64, user: &User) -> Result<(), Error> {
    let team = table::team(database, id).await?.ok_or(ErrorCode::TeamNotFound)?;
    team.only_owner(user)
}

/// Locks a team that the user owns, to the end of the transaction.
pub(crate) async fn lock_owned(tx: &mut Transaction<'_>, id: i64, user: &User) -> Result<(), Error> {
    table::lock(tx, id).await?.only_owner(user)
}
