//! IM passwords, generations, presence and the directory of nodes in Redis. Each key is touched by one command alone, so
//! that a cluster may put it anywhere.
//!
//! A person's logins are one hash: the device's id → `generation platform until`, NUL and the device's id → until when it
//! was renewed since, and the empty id → when they were last here. A logout leaves a generation of its own with the
//! platform `x`, which ends older sessions whatever they missed.
//!
//! Renewals are what Redis does most of in a quiet fleet, so they are two plain commands and no script: one reads the
//! device's generation, the other writes until when, into a field that says nothing about generations. So a login that
//! comes in between is not touched by them.

use ::redis::{Cmd, Value, from_redis_value};
use proto::{UserId, wire::Platform};

use super::routes::Routes;
use crate::{
    DevicePresence, Generation, HeldSession, NodeRecord, Outdone, PASSWORDS_PER_DEVICE, PasswordHash,
    Presence, Unavailable,
};

/// How long a login stands unrenewed, milliseconds. Nodes renew three times in that.
const LOGIN_LASTS_MS: u64 = 60_000;
/// How long a logout is remembered, milliseconds: longer than a node can be cut off without being noticed.
const LOGOUT_LASTS_MS: u64 = 86_400_000;
/// How long a person is remembered, milliseconds.
const PERSON_LASTS_MS: u64 = 7 * 86_400_000;
/// Scripts sent together.
const TOGETHER: usize = 200;
const LOGGED_OUT: &str = "x";

/// A list of hash (32 bytes) and expiry (8), the oldest first. The longest-lived decides how long it is kept: NX for the
/// first, GT for the others.
const PUT: &str = "
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], ARGV[2], -1)
redis.call('PEXPIREAT', KEYS[1], ARGV[3], 'NX')
redis.call('PEXPIREAT', KEYS[1], ARGV[3], 'GT')
return 0";

/// The next generation: above all that are known, and above the clock of the last µs, so that it does not go back when
/// everything is lost.
const CLAIM: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local generation = t[1] * 1000000 + t[2]
local all = redis.call('HGETALL', KEYS[1])
local renewed = {}
for i = 1, #all, 2 do
  if string.byte(all[i]) == 0 then renewed[string.sub(all[i], 2)] = tonumber(all[i + 1]) end
end
for i = 1, #all, 2 do
  local g, until_ms = string.match(all[i + 1], '^(%d+) %S+ (%d+)$')
  if g then
    if tonumber(g) >= generation then generation = tonumber(g) + 1 end
    local last = math.max(tonumber(until_ms), renewed[all[i]] or 0)
    if last + 600000 < now then redis.call('HDEL', KEYS[1], all[i], '\0' .. all[i]) end
    renewed[all[i]] = nil
  end
end
for device in pairs(renewed) do redis.call('HDEL', KEYS[1], '\0' .. device) end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s %.0f', generation, ARGV[2], now + ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return string.format('%.0f', generation)";

/// Puts a login back that is not there, or not as it should be.
const RENEW: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then
  local g, platform = string.match(stored, '^(%d+) (%S+) %d+$')
  if g and tonumber(g) > tonumber(ARGV[2]) then
    if platform == 'x' then return 2 end
    return 1
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %s %.0f', ARGV[2], ARGV[3], now + ARGV[4]))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 0";

const RELEASE: &str = "
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and string.match(stored, '^(%d+)') == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1], '\0' .. ARGV[1])
end
redis.call('HSET', KEYS[1], '', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 0";

/// Puts a node in and takes those out that have expired: a line is `until record`.
const ANNOUNCE: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local until_ms = string.match(all[i + 1], '^(%d+) ')
  if not until_ms or tonumber(until_ms) <= now then redis.call('HDEL', KEYS[1], all[i]) end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now + ARGV[3]) .. ARGV[2])
return 0";

/// Names keys and makes commands.
pub(super) struct Books {
    pub(super) prefix: String,
}

fn script(text: &str, key: &str) -> Cmd {
    let mut command = ::redis::cmd("EVAL");
    command.arg(text).arg(1).arg(key);
    command
}

impl Books {
    fn passwords(&self, user: UserId, device_id: &str) -> String {
        format!("{}w:{}:{device_id}", self.prefix, user.get())
    }

    fn person(&self, user: UserId) -> String {
        format!("{}p:{}", self.prefix, user.get())
    }

    fn directory(&self) -> String {
        format!("{}nodes", self.prefix)
    }

    pub(super) async fn put_im_password(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
        hash: PasswordHash,
        expires_at_ms: i64,
    ) -> Result<(), Unavailable> {
        let key = self.passwords(user, device_id);
        let kept = i64::try_from(PASSWORDS_PER_DEVICE).unwrap_or(1);
        let mut put = script(PUT, &key);
        put.arg([&hash[..], &expires_at_ms.to_be_bytes()].concat())
            .arg(-kept)
            .arg(expires_at_ms);
        routes.ask(&key, &put).await
    }

    pub(super) async fn check_im_password(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
        hash: &PasswordHash,
        now_ms: i64,
    ) -> Result<Option<i64>, Unavailable> {
        let key = self.passwords(user, device_id);
        let mut ask = ::redis::cmd("LRANGE");
        ask.arg(&key).arg(0).arg(-1);
        let lines: Vec<Vec<u8>> = routes.ask(&key, &ask).await?;
        // Hashes are compared, so the time a comparison takes tells nothing about a password.
        let found = lines.iter().find_map(|line| {
            let (stored, expires_at_ms) = line.split_at_checked(hash.len())?;
            let expires_at_ms = i64::from_be_bytes(expires_at_ms.try_into().ok()?);
            (stored == hash && expires_at_ms > now_ms).then_some(expires_at_ms)
        });
        Ok(found)
    }

    pub(super) async fn revoke_im_passwords(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
    ) -> Result<(), Unavailable> {
        let passwords = self.passwords(user, device_id);
        let mut delete = ::redis::cmd("DEL");
        delete.arg(&passwords);
        routes.ask::<()>(&passwords, &delete).await?;
        let person = self.person(user);
        let mut out = script(CLAIM, &person);
        out.arg(device_id)
            .arg(LOGGED_OUT)
            .arg(LOGOUT_LASTS_MS)
            .arg(PERSON_LASTS_MS);
        routes.ask::<()>(&person, &out).await
    }

    pub(super) async fn claim_session(
        &self,
        routes: &Routes,
        user: UserId,
        device_id: &str,
        platform: Platform,
    ) -> Result<Generation, Unavailable> {
        let person = self.person(user);
        let mut claim = script(CLAIM, &person);
        claim
            .arg(device_id)
            .arg(platform as i32)
            .arg(LOGIN_LASTS_MS)
            .arg(PERSON_LASTS_MS);
        routes.ask(&person, &claim).await.map(Generation)
    }

    pub(super) async fn renew_sessions(
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
        let now_ms = time_ms(routes, &self.person(first.user)).await?;
        let until_ms = now_ms.saturating_add_unsigned(LOGIN_LASTS_MS);
        for (chunk_at, chunk) in sessions.chunks(TOGETHER).enumerate() {
            let mut together = Vec::with_capacity(2 * chunk.len());
            for session in chunk {
                let person = self.person(session.user);
                let mut look = ::redis::cmd("HGET");
                look.arg(&person).arg(&*session.device_id);
                let mut renew = ::redis::cmd("HSET");
                renew.arg(&person).arg(renewed(&session.device_id)).arg(until_ms);
                together.push((person.clone(), look));
                together.push((person, renew));
            }
            let answers: Vec<Value> = routes.ask_each(together).await?;
            for (at, (session, answer)) in chunk.iter().zip(answers.into_iter().step_by(2)).enumerate() {
                let at = chunk_at * TOGETHER + at;
                let stored: Option<String> = from_redis_value(answer).map_err(|_| Unavailable)?;
                match stored.as_deref().and_then(generation) {
                    Some((newest, platform)) if newest > session.generation.0 => {
                        outdone.push((at, outdone_by(platform)));
                    }
                    Some((newest, _)) if newest == session.generation.0 => {}
                    _ => missing.push(at),
                }
            }
        }
        for places in missing.chunks(TOGETHER) {
            let held = places.iter().filter_map(|at| sessions.get(*at));
            let together = held.map(|session| self.put_back(session)).collect();
            let answers: Vec<u8> = routes.ask_each(together).await?;
            for (at, answer) in places.iter().zip(answers) {
                match answer {
                    1 => outdone.push((*at, Outdone::Replaced)),
                    2 => outdone.push((*at, Outdone::LoggedOut)),
                    _ => {}
                }
            }
        }
        Ok(outdone)
    }

    fn put_back(&self, session: &HeldSession) -> (String, Cmd) {
        let person = self.person(session.user);
        let mut renew = script(RENEW, &person);
        renew
            .arg(&*session.device_id)
            .arg(session.generation.0)
            .arg(session.platform as i32)
            .arg(LOGIN_LASTS_MS)
            .arg(PERSON_LASTS_MS);
        (person, renew)
    }

    pub(super) fn release_session(
        &self,
        user: UserId,
        device_id: &str,
        generation: Generation,
        now_ms: i64,
    ) -> (String, Cmd) {
        let person = self.person(user);
        let mut release = script(RELEASE, &person);
        release
            .arg(device_id)
            .arg(generation.0)
            .arg(now_ms)
            .arg(PERSON_LASTS_MS);
        (person, release)
    }

    pub(super) async fn presence(
        &self,
        routes: &Routes,
        users: &[UserId],
    ) -> Result<Vec<Presence>, Unavailable> {
        let mut answer = Vec::with_capacity(users.len());
        let Some(first) = users.first() else {
            return Ok(answer);
        };
        // The clocks of a cluster may differ by what a login lasts unrenewed, at the most.
        let now_ms = time_ms(routes, &self.person(*first)).await?;
        for users in users.chunks(TOGETHER) {
            let together = users
                .iter()
                .map(|user| {
                    let person = self.person(*user);
                    let mut ask = ::redis::cmd("HGETALL");
                    ask.arg(&person);
                    (person, ask)
                })
                .collect();
            let people: Vec<Vec<(String, String)>> = routes.ask_each(together).await?;
            answer.extend(
                users
                    .iter()
                    .zip(people)
                    .map(|(user, lines)| person(*user, &lines, now_ms)),
            );
        }
        Ok(answer)
    }

    pub(super) async fn announce_node(
        &self,
        routes: &Routes,
        node: &NodeRecord,
        lasts_ms: i64,
    ) -> Result<(), Unavailable> {
        let record = serde_json::to_string(node).map_err(|_| Unavailable)?;
        let directory = self.directory();
        let mut announce = script(ANNOUNCE, &directory);
        announce.arg(&node.node_id).arg(record).arg(lasts_ms.max(0));
        routes.ask(&directory, &announce).await
    }

    pub(super) async fn withdraw_node(&self, routes: &Routes, node_id: &str) -> Result<(), Unavailable> {
        let mut withdraw = ::redis::cmd("HDEL");
        let directory = self.directory();
        withdraw.arg(&directory).arg(node_id);
        routes.ask(&directory, &withdraw).await
    }

    pub(super) async fn nodes(&self, routes: &Routes) -> Result<Vec<NodeRecord>, Unavailable> {
        let directory = self.directory();
        let now_ms = time_ms(routes, &directory).await?;
        let mut ask = ::redis::cmd("HVALS");
        ask.arg(&directory);
        let lines: Vec<String> = routes.ask(&directory, &ask).await?;
        let live = lines.iter().filter_map(|line| {
            let (until_ms, record) = line.split_once(' ')?;
            // A line of another version that cannot be read is not handed out.
            (until_ms.parse::<i64>().ok()? > now_ms).then(|| serde_json::from_str(record).ok())?
        });
        Ok(live.collect())
    }
}

/// The clock of the server that has a key, epoch milliseconds.
async fn time_ms(routes: &Routes, key: &str) -> Result<i64, Unavailable> {
    let (seconds, micros): (i64, i64) = routes.ask(key, &::redis::cmd("TIME")).await?;
    Ok(seconds * 1_000 + micros / 1_000)
}

fn person(user: UserId, lines: &[(String, String)], now_ms: i64) -> Presence {
    let mut presence = Presence {
        user,
        devices: Vec::new(),
        last_seen_ms: None,
    };
    for (device_id, line) in lines {
        if device_id.is_empty() {
            presence.last_seen_ms = line.parse().ok();
            continue;
        }
        let mut words = line.split(' ').skip(1);
        let platform = words.next().and_then(|word| word.parse::<i32>().ok());
        let until_ms = words.next().and_then(|word| word.parse::<i64>().ok());
        let (Some(platform), Some(until_ms)) = (platform, until_ms) else {
            continue;
        };
        let field = renewed(device_id);
        let later = lines.iter().find(|(name, _)| *name == field);
        let later_ms = later.and_then(|(_, line)| line.parse::<i64>().ok());
        if until_ms.max(later_ms.unwrap_or(0)) > now_ms {
            presence.devices.push(DevicePresence {
                device_id: device_id.clone(),
                platform: Platform::try_from(platform).unwrap_or_default(),
            });
        }
    }
    presence
}

/// The field that says until when a device's login was renewed. No device's id has a NUL in it.
fn renewed(device_id: &str) -> String {
    format!("\0{device_id}")
}

/// The generation and the platform of a login's line.
fn generation(line: &str) -> Option<(u64, &str)> {
    let mut words = line.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?))
}

fn outdone_by(platform: &str) -> Outdone {
    if platform == LOGGED_OUT {
        Outdone::LoggedOut
    } else {
        Outdone::Replaced
    }
}
