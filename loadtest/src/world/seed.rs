//! Users by the ten thousands, inserted into the database of a fleet of our own with one statement: registering each of
//! them by a code would take longer than what is measured. From there on they do what apps do.

use anyhow::Result;
use testkit::postgres::Postgres;

use super::User;

/// The fleet's own ids begin far below.
const FIRST_ID: i64 = 1 << 40;
const DEVICE: &str = "loadtest-crowd";

/// Inserts users, each with a logged-in device, into a database.
///
/// # Errors
/// When the database refuses, for instance since they are there already.
pub fn users(postgres: &Postgres, database: &str, count: u32) -> Result<Vec<User>> {
    let first = FIRST_ID;
    let now_ms = "(extract(epoch FROM now()) * 1000)::bigint";
    postgres.psql(
        database,
        &format!(
            "BEGIN;
             INSERT INTO account (id, phone, name, role, password_hash, team_count, created_ms, last_login_ms)
             SELECT {first} + n, '+79' || lpad(n::text, 12, '0'), 'Crowd ' || n, 'member', NULL, 0, {now_ms}, {now_ms}
             FROM generate_series(0, {count} - 1) n;
             INSERT INTO device (user_id, device_id, platform, token_hash, token_expires_ms, created_ms, last_used_ms)
             SELECT {first} + n, '{DEVICE}', 'android', sha256(convert_to('{DEVICE}-' || n, 'UTF8')),
               {now_ms} + 86400000, {now_ms}, {now_ms}
             FROM generate_series(0, {count} - 1) n;
             COMMIT;
             ANALYZE account, device"
        ),
    )?;
    Ok((0..i64::from(count))
        .map(|number| User {
            user_id: first + number,
            device_id: DEVICE.to_owned(),
            password: String::new(),
            access_token: format!("{DEVICE}-{number}"),
        })
        .collect())
}
