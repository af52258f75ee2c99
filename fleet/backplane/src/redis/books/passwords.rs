//! IM passwords: for each device a list of hash (32 bytes) and expiry by Redis's clock (8), the oldest first.

use proto::UserId;

use super::{Books, ask_with_time, script, time_ms};
use crate::{
    PASSWORDS_PER_DEVICE, PasswordHash, Unavailable,
    redis::{cluster::Routes, seal::Place},
};

/// The longest-lived decides how long a list is kept: NX for the first, GT for the others.
const PUT: &str = "
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], ARGV[2], -1)
redis.call('PEXPIREAT', KEYS[1], ARGV[3], 'NX')
redis.call('PEXPIREAT', KEYS[1], ARGV[3], 'GT')
return 0";

impl Books {
    fn passwords(&self, user: UserId, device_id: &str) -> String {
        format!("{}w:{}:{device_id}", self.prefix, user.get())
    }

    pub(crate) async fn put_im_password(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
        hash: PasswordHash,
        lasts_ms: i64,
    ) -> Result<(), Unavailable> {
        let key = self.passwords(user, device_id);
        let expires_at_ms = time_ms(routes, &key).await?.saturating_add(lasts_ms);
        let kept = i64::try_from(PASSWORDS_PER_DEVICE).unwrap_or(1);
        let password = [&hash[..], &expires_at_ms.to_be_bytes()].concat();
        let mut put = script(PUT, &key);
        put.arg(self.records.make(&key, b"", &password))
            .arg(-kept)
            .arg(expires_at_ms);
        routes.ask(&key, &put).await
    }

    pub(crate) async fn check_im_password(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
        hash: &PasswordHash,
    ) -> Result<Option<i64>, Unavailable> {
        let key = self.passwords(user, device_id);
        let mut ask = ::redis::cmd("LRANGE");
        ask.arg(&key).arg(0).arg(-1);
        let (now_us, lines): (u64, Vec<Vec<u8>>) = ask_with_time(routes, &key, ask).await?;
        let now_ms = i64::try_from(now_us / 1_000).unwrap_or(i64::MAX);
        // Hashes are compared, so the time a comparison takes tells nothing about a password.
        let found = lines.iter().find_map(|line| {
            let password = self.records.read(Place::Password, &key, b"", line)?;
            let (stored, expires_at_ms) = password.split_at_checked(hash.len())?;
            let expires_at_ms = i64::from_be_bytes(expires_at_ms.try_into().ok()?);
            (stored == hash && expires_at_ms > now_ms).then(|| expires_at_ms - now_ms)
        });
        Ok(found)
    }

    pub(super) async fn delete_im_passwords(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
    ) -> Result<(), Unavailable> {
        let passwords = self.passwords(user, device_id);
        let mut delete = ::redis::cmd("DEL");
        delete.arg(&passwords);
        routes.ask(&passwords, &delete).await
    }
}
