//! Who leads a team, and who works in it.

use database::{Database, Transaction};
use proto::UserId;

use super::{Team, table};
use crate::http::error::{Error, ErrorCode};

impl Team {
    /// Its owner leads a team, and its assistant, as whom the owner alone can log in.
    fn is_led_by(&self, user: UserId) -> bool {
        [self.owner_id, self.assistant_id].contains(&user.get())
    }

    pub(super) fn has_doctor(&self, user: UserId) -> bool {
        self.doctor_ids.contains(&user.get())
    }

    fn led_by(self, user: UserId) -> Result<Self, Error> {
        if self.is_led_by(user) {
            Ok(self)
        } else {
            Err(ErrorCode::TeamForbidden.into())
        }
    }
}

/// A team, for those who lead it.
pub(crate) async fn led(database: &Database, id: i64, user: UserId) -> Result<Team, Error> {
    let team = table::team(database, id).await?;
    team.ok_or(ErrorCode::TeamNotFound)?.led_by(user)
}

/// As [`led`], within a transaction.
pub(super) async fn led_in(tx: &mut Transaction<'_>, id: i64, user: UserId) -> Result<Team, Error> {
    let team = table::team_in(tx, id).await?;
    team.ok_or(ErrorCode::TeamNotFound)?.led_by(user)
}

/// As [`led`], with the team's row locked.
pub(super) async fn lock_led(tx: &mut Transaction<'_>, id: i64, user: UserId) -> Result<Team, Error> {
    table::lock(tx, id).await?.led_by(user)
}

/// A team, for its doctors and those who lead it.
pub(crate) async fn of_staff(database: &Database, id: i64, user: UserId) -> Result<Team, Error> {
    let team = table::team(database, id).await?.ok_or(ErrorCode::TeamNotFound)?;
    if team.has_doctor(user) {
        Ok(team)
    } else {
        team.led_by(user)
    }
}
