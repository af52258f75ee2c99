//! The SQL of members' and dependants' records.

use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::{Gender, Profile};
use crate::http::error::Error;

const PROFILE: &str = "SELECT a.name, p.photo_id, p.gender, p.birth_date, p.pregnancies, p.births,
            p.menstrual_cycle_days, p.menarche_age
     FROM account a LEFT JOIN member_profile p ON p.member_id = a.id WHERE a.id = $1";

fn profile_row(row: &Row) -> Result<(String, Profile), Error> {
    let profile = Profile {
        photo_id: row.get(1)?,
        gender: gender(row.get(2)?)?,
        birth_date: row.get(3)?,
        pregnancies: row.get(4)?,
        births: row.get(5)?,
        menstrual_cycle_days: row.get(6)?,
        menarche_age: row.get(7)?,
    };
    Ok((row.get(0)?, profile))
}

fn gender(text: Option<String>) -> Result<Option<Gender>, Error> {
    let unknown = || Error::internal("member_profile.gender is unknown");
    text.map(|text| Gender::from_database(&text).ok_or_else(unknown))
        .transpose()
}

pub(crate) async fn named(database: &Database, user: UserId) -> Result<Option<(String, Profile)>, Error> {
    let row = database.query_first(PROFILE, params![user.get()]).await?;
    row.as_ref().map(profile_row).transpose()
}

pub(crate) async fn named_in(
    tx: &mut Transaction<'_>,
    user: UserId,
) -> Result<Option<(String, Profile)>, Error> {
    let row = tx.query_first(PROFILE, params![user.get()]).await?;
    row.as_ref().map(profile_row).transpose()
}

/// The profile of a user; empty when there is none.
pub(crate) async fn read_in(tx: &mut Transaction<'_>, user: UserId) -> Result<Profile, Error> {
    let found = named_in(tx, user).await?;
    Ok(found.map(|(_, profile)| profile).unwrap_or_default())
}

pub(crate) async fn put(
    tx: &mut Transaction<'_>,
    user: UserId,
    profile: &Profile,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO member_profile (member_id, photo_id, gender, birth_date, pregnancies, births,
                                     menstrual_cycle_days, menarche_age, updated_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (member_id) DO UPDATE SET
           photo_id = excluded.photo_id, gender = excluded.gender, birth_date = excluded.birth_date,
           pregnancies = excluded.pregnancies, births = excluded.births,
           menstrual_cycle_days = excluded.menstrual_cycle_days, menarche_age = excluded.menarche_age,
           updated_ms = excluded.updated_ms",
        params![
            user.get(),
            profile.photo_id.clone(),
            profile.gender.map(Gender::as_str),
            profile.birth_date.clone(),
            profile.pregnancies,
            profile.births,
            profile.menstrual_cycle_days,
            profile.menarche_age,
            now_ms
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(PROFILE, params![1_i64]).await;
    }
}
