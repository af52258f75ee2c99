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
    fn is_led_by(&self, user: UserId) -> bool {
        [self.owner_id, self.assistant_id].contains(&user.get())
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
