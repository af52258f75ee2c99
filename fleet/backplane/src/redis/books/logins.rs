//! Logins and their generations.
//!
//! Renewals are what Redis does most of in a quiet fleet, so they are two plain commands and no script: one reads the
//! device's generation, the other writes until when, into a field that says nothing about generations. So a login that
//! comes in between is not touched by them.

use ::redis::{Cmd, Value, from_redis_value};
use proto::{UserId, wire::Platform};

use super::{
    Books, Fields, look, script, time_ms,
    user::{LOGIN_LASTS_MS, Login, Logins, Standing, renewed},
};
use crate::{
    Generation, HeldSession, Outdone, Presence, Unavailable,
    redis::{
        cluster::Routes,
        seal::{AUTHENTICATOR_BYTES, Place},
    },
};

/// How long a user's hash is kept, milliseconds.
const USER_LASTS_MS: u64 = 7 * 86_400_000;
/// Commands sent together.
const TOGETHER: usize = 200;
/// How often a claim is tried because another claim of the same device came in between.
const TRIES: usize = 8;

/// Replaces a login by another one unless it has changed since it was read, and removes fields that have not changed since they
/// were found dead. The empty text stands for a missing field.
const SWAP: &str = "
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
for i = 5, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1";

/// Removes a login of a generation; its authenticator stands before the line.
const RELEASE: &str = "
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and string.match(string.sub(stored, ARGV[5] + 1), '^(%d+)') == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1], '\0' .. ARGV[1])
end
redis.call('HSET', KEYS[1], '', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 0";

/// The state of a session that a node holds, by the line of its device.
enum Verdict {
    Stands,
    Outdone(Outdone),
    /// Nothing, or an older generation: the line is to be put back.
    Missing,
}

impl Books {
    fn logins(&self, user: UserId) -> String {
        format!("{}p:{}", self.prefix, user.get())
    }

    /// Ends the passwords of a device, and its logins by a generation above them.
    pub(crate) async fn revoke_im_passwords(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
    ) -> Result<Generation, Unavailable> {
        self.delete_im_passwords(routes, user, device_id).await?;
        self.claim(routes, user, device_id, Standing::Out).await
    }

    pub(crate) async fn claim_session(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
        platform: Platform,
    ) -> Result<Generation, Unavailable> {
        self.claim(routes, user, device_id, Standing::On(platform as i32))
            .await
    }

    async fn claim(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
        standing: Standing,
    ) -> Result<Generation, Unavailable> {
        let key = self.logins(user);
        let device = device_id.as_bytes();
        for _ in 0..TRIES {
            let (now_us, fields) = look(routes, &key).await?;
            let known = Logins::read(&self.records, &key, fields);
            let now_ms = now_us / 1_000;
            let login = Login {
                generation: known.next_generation(now_us),
                standing,
                until_ms: now_ms.saturating_add(standing.lasts_ms()),
            };
            let mut claim = self.swap(&key, device, known.stored(device), &login);
            for (name, stored) in known.dead(now_ms).filter(|(name, _)| *name != device) {
                claim.arg(name).arg(stored);
            }
            if routes.ask::<u8>(&key, &claim).await? == 1 {
                return Ok(Generation(login.generation));
            }
        }
        Err(Unavailable)
    }

    fn swap(&self, key: &str, device: &[u8], seen: &[u8], login: &Login) -> Cmd {
        let mut swap = script(SWAP, key);
        swap.arg(device)
            .arg(seen)
            .arg(self.records.make(key, device, login.line().as_bytes()))
            .arg(USER_LASTS_MS);
        swap
    }

    pub(crate) async fn next_generation(
        &self,
        routes: &Routes,
        user: UserId,
    ) -> Result<Generation, Unavailable> {
        let key = self.logins(user);
        let (now_us, fields) = look(routes, &key).await?;
        Ok(Generation(
            Logins::read(&self.records, &key, fields).next_generation(now_us),
        ))
    }

    pub(crate) async fn renew_sessions(
        &self,
        routes: &Routes,
        sessions: &[HeldSession],
    ) -> Result<Vec<(usize, Outdone)>, Unavailable> {
        let mut outdone = Vec::new();
        let mut missing = Vec::new();
        let Some(first) = sessions.first() else {
            return Ok(outdone);
        };
        // The clocks of a cluster may differ by what a login lasts unrenewed, at the most.
        let now_ms = time_ms(routes, &self.logins(first.user)).await?;
        let until_ms = now_ms.cast_unsigned().saturating_add(LOGIN_LASTS_MS);
        for (chunk_at, chunk) in sessions.chunks(TOGETHER).enumerate() {
            let together = chunk.iter().flat_map(|session| self.renewal(session, until_ms));
            let answers: Vec<Value> = routes.ask_each(together.collect()).await?;
            for (at, (session, answer)) in chunk.iter().zip(answers.into_iter().step_by(2)).enumerate() {
                let at = chunk_at * TOGETHER + at;
                let stored: Option<Vec<u8>> = from_redis_value(answer).map_err(|_| Unavailable)?;
                match self.verdict(session, stored.as_deref()) {
                    Verdict::Stands => {}
                    Verdict::Outdone(why) => outdone.push((at, why)),
                    Verdict::Missing => missing.push((session, stored.unwrap_or_default())),
                }
            }
        }
        for missing in missing.chunks(TOGETHER) {
            let together = missing
                .iter()
                .map(|(session, seen)| self.put_back(session, seen, until_ms));
            // Where another login came in between it stays, and the next renewal meets it.
            let _: Vec<u8> = routes.ask_each(together.collect()).await?;
        }
        Ok(outdone)
    }

    /// Reads a session's line, and writes until when it is renewed.
    fn renewal(&self, session: &HeldSession, until_ms: u64) -> [(String, Cmd); 2] {
        let key = self.logins(session.user);
        let mut read = ::redis::cmd("HGET");
        read.arg(&key).arg(&*session.device_id);
        let field = renewed(session.device_id.as_bytes());
        let until = self.records.make(&key, &field, until_ms.to_string().as_bytes());
        let mut renew = ::redis::cmd("HSET");
        renew.arg(&key).arg(field).arg(until);
        [(key.clone(), read), (key, renew)]
    }

    fn verdict(&self, session: &HeldSession, stored: Option<&[u8]>) -> Verdict {
        let key = self.logins(session.user);
        let line = stored.and_then(|stored| {
            let line = self
                .records
                .read(Place::Login, &key, session.device_id.as_bytes(), stored);
            line.and_then(Login::parse)
        });
        match line {
            Some(newest) if newest.generation > session.generation.0 => {
                Verdict::Outdone(match newest.standing {
                    Standing::Out => Outdone::LoggedOut,
                    Standing::On(_) => Outdone::Replaced,
                })
            }
            Some(newest) if newest.generation == session.generation.0 => Verdict::Stands,
            _ => Verdict::Missing,
        }
    }

    fn put_back(&self, session: &HeldSession, seen: &[u8], until_ms: u64) -> (String, Cmd) {
        let key = self.logins(session.user);
        let login = Login {
            generation: session.generation.0,
            standing: Standing::On(session.platform as i32),
            until_ms,
        };
        let swap = self.swap(&key, session.device_id.as_bytes(), seen, &login);
        (key, swap)
    }

    pub(crate) fn release_session(
        &self,
        user: UserId,
        device_id: &str,
        generation: Generation,
        now_ms: i64,
    ) -> (String, Cmd) {
        let key = self.logins(user);
        let mut release = script(RELEASE, &key);
        release
            .arg(device_id)
            .arg(generation.0)
            .arg(self.records.make(&key, b"", now_ms.to_string().as_bytes()))
            .arg(USER_LASTS_MS)
            .arg(AUTHENTICATOR_BYTES);
        (key, release)
    }

    pub(crate) async fn presence(
        &self,
        routes: &Routes,
        users: &[UserId],
    ) -> Result<Vec<Presence>, Unavailable> {
        let mut answer = Vec::with_capacity(users.len());
        let Some(first) = users.first() else {
            return Ok(answer);
        };
        // The clocks of a cluster may differ by what a login lasts unrenewed, at the most.
        let now_ms = time_ms(routes, &self.logins(*first)).await?.cast_unsigned();
        for users in users.chunks(TOGETHER) {
            let together = users.iter().map(|user| {
                let key = self.logins(*user);
                let mut ask = ::redis::cmd("HGETALL");
                ask.arg(&key);
                (key, ask)
            });
            let found: Vec<Fields> = routes.ask_each(together.collect()).await?;
            answer.extend(users.iter().zip(found).map(|(user, fields)| {
                Logins::read(&self.records, &self.logins(*user), fields).presence(*user, now_ms)
            }));
        }
        Ok(answer)
    }
}
