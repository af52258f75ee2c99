//! The logins of one user, as Redis keeps them.
//!
//! It is one hash: the device's id → `generation platform until`, NUL and the device's id → until when it was renewed since,
//! and the empty id → when they were last here. A logout leaves a generation of its own with the platform `x`, which ends
//! older sessions whatever they missed.

use proto::{UserId, wire::Platform};

use super::Fields;
use crate::{
    DevicePresence, Presence,
    redis::seal::{Place, Records},
};

/// How long a login stands unrenewed, milliseconds. Nodes renew three times in that.
pub(super) const LOGIN_LASTS_MS: u64 = 60_000;
/// How long a logout is remembered, milliseconds: longer than a node can be cut off without being noticed.
const LOGOUT_LASTS_MS: u64 = 86_400_000;
/// How long a login that is not renewed any more is kept, milliseconds.
const DEAD_LASTS_MS: u64 = 600_000;

/// The standing of a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    On(i32),
    /// Logged out.
    Out,
}

impl Standing {
    const OUT: &str = "x";

    fn word(self) -> String {
        match self {
            Self::On(platform) => platform.to_string(),
            Self::Out => Self::OUT.to_owned(),
        }
    }

    pub(super) fn lasts_ms(self) -> u64 {
        match self {
            Self::On(_) => LOGIN_LASTS_MS,
            Self::Out => LOGOUT_LASTS_MS,
        }
    }
}

/// A device's line.
pub(super) struct Login {
    pub(super) generation: u64,
    pub(super) standing: Standing,
    pub(super) until_ms: u64,
}

impl Login {
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        Some(Self {
            generation: words.next()?.parse().ok()?,
            standing: match words.next()? {
                Standing::OUT => Standing::Out,
                platform => Standing::On(platform.parse().ok()?),
            },
            until_ms: words.next()?.parse().ok()?,
        })
    }

    pub(super) fn line(&self) -> String {
        format!("{} {} {}", self.generation, self.standing.word(), self.until_ms)
    }
}

/// One field of a user's hash, authenticated and parsed.
enum Field {
    Login(Login),
    /// Until when a login was renewed, epoch milliseconds.
    Renewed(u64),
    LastSeen(i64),
    /// Not made by this fleet.
    Foreign,
}

/// A user's hash, as it was seen.
pub(super) struct Logins {
    fields: Vec<(Vec<u8>, Vec<u8>, Field)>,
}

impl Logins {
    /// Parses the hash under a user's key.
    pub(super) fn read(records: &Records, key: &str, fields: Fields) -> Self {
        let read = |(name, stored): (Vec<u8>, Vec<u8>)| {
            let text = records.read(Place::Login, key, &name, &stored);
            let field = text.and_then(|text| match name.first() {
                None => number(text).map(Field::LastSeen),
                Some(0) => number(text).map(Field::Renewed),
                Some(_) => Login::parse(text).map(Field::Login),
            });
            (name, stored, field.unwrap_or(Field::Foreign))
        };
        Self {
            fields: fields.into_iter().map(read).collect(),
        }
    }

    /// Above the generations of all known logins, and above the clock, so that it does not go back when Redis
    /// is emptied.
    pub(super) fn next_generation(&self, now_us: u64) -> u64 {
        let known = self.logins().map(|(_, login)| login.generation.saturating_add(1));
        known.max().unwrap_or(0).max(now_us)
    }

    fn logins(&self) -> impl Iterator<Item = (&[u8], &Login)> {
        self.fields.iter().filter_map(|(name, _, field)| match field {
            Field::Login(login) => Some((&**name, login)),
            _ => None,
        })
    }

    /// Until when a device's login stands, its renewals included.
    fn until_ms(&self, device_id: &[u8], login: &Login) -> u64 {
        let name = renewed(device_id);
        let later = self.fields.iter().find_map(|(other, _, field)| match field {
            Field::Renewed(until_ms) if *other == name => Some(*until_ms),
            _ => None,
        });
        login.until_ms.max(later.unwrap_or(0))
    }

    /// The bytes of a field; empty when there is no such field.
    pub(super) fn stored(&self, name: &[u8]) -> &[u8] {
        let mut fields = self.fields.iter();
        fields
            .find(|(other, ..)| other == name)
            .map_or(&[], |(_, stored, _)| stored)
    }

    /// Logins that ended long ago, renewals without a login, and fields that this fleet did not make.
    pub(super) fn dead(&self, now_ms: u64) -> impl Iterator<Item = (&[u8], &[u8])> {
        let is_dead = move |device_id: &[u8], login: &Login| {
            self.until_ms(device_id, login).saturating_add(DEAD_LASTS_MS) < now_ms
        };
        let dead = self.fields.iter().filter(move |(name, _, field)| match field {
            Field::Login(login) => is_dead(name, login),
            Field::Renewed(_) => {
                let mut logins = self.logins();
                let login = logins.find(|(device_id, _)| renewed(device_id) == *name);
                login.is_none_or(|(device_id, login)| is_dead(device_id, login))
            }
            Field::LastSeen(_) => false,
            Field::Foreign => true,
        });
        dead.map(|(name, stored, _)| (&**name, &**stored))
    }

    /// The presence, as other users see it.
    pub(super) fn presence(&self, user: UserId, now_ms: u64) -> Presence {
        let live = self
            .logins()
            .filter_map(|(device_id, login)| match login.standing {
                Standing::On(platform) if self.until_ms(device_id, login) > now_ms => Some(DevicePresence {
                    device_id: String::from_utf8(device_id.to_vec()).ok()?,
                    platform: Platform::try_from(platform).unwrap_or_default(),
                }),
                _ => None,
            });
        Presence {
            user,
            devices: live.collect(),
            last_seen_ms: self.fields.iter().find_map(|(_, _, field)| match field {
                Field::LastSeen(at_ms) => Some(*at_ms),
                _ => None,
            }),
        }
    }
}

/// The field with the end of a device's renewed login. No device id contains a NUL.
pub(super) fn renewed(device_id: &[u8]) -> Vec<u8> {
    [&[0], device_id].concat()
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;
    use crate::Identity;

    const KEY: &str = "huizhen:0000000000000001:p:7";

    fn read(fields: &[(&[u8], &str)]) -> Logins {
        let records = Records::new(&Identity::new(1, [7; 32]));
        let make = |(name, text): &(&[u8], &str)| (name.to_vec(), records.make(KEY, name, text.as_bytes()));
        let mut fields: Fields = fields.iter().map(make).collect();
        fields.push((
            b"forged".to_vec(),
            b"9999999999999999999 1 99999999999999".to_vec(),
        ));
        Logins::read(&records, KEY, fields)
    }

    fn devices(known: &Logins, now_ms: u64) -> Vec<String> {
        let presence = known.presence(UserId::from_database(7), now_ms);
        presence
            .devices
            .into_iter()
            .map(|device| device.device_id)
            .collect()
    }

    #[test]
    fn a_login_stands_until_its_end_or_that_of_its_renewal() {
        let known = read(&[
            (b"phone", "5 1 100"),
            (b"\0phone", "200"),
            (b"pad", "6 2 150"),
            (b"out", "7 x 900"),
            (b"", "42"),
        ]);
        assert_eq!(devices(&known, 149), ["phone", "pad"]);
        assert_eq!(devices(&known, 150), ["phone"]);
        assert_eq!(devices(&known, 200), [""; 0]);
        let presence = known.presence(UserId::from_database(7), 0);
        assert_eq!(presence.last_seen_ms, Some(42));
    }

    #[test]
    fn the_next_generation_is_above_all_that_are_ours_and_the_clock() {
        let known = read(&[(b"phone", "5 1 100"), (b"pad", "9 x 100")]);
        assert_eq!(known.next_generation(3), 10);
        assert_eq!(known.next_generation(11), 11);
    }

    #[test]
    fn what_ended_long_ago_is_dead_and_so_is_what_is_not_ours() {
        let known = read(&[
            (b"phone", "5 1 100"),
            (b"\0phone", "200"),
            (b"pad", "6 2 100"),
            (b"\0gone", "99999999"),
            (b"", "1"),
            (b"odd", "6 2"),
        ]);
        let dead = |now_ms: u64| -> Vec<&[u8]> { known.dead(now_ms).map(|(name, _)| name).collect() };
        let never: [&[u8]; 3] = [b"\0gone", b"odd", b"forged"];
        assert_eq!(dead(0), never);
        assert_eq!(
            dead(DEAD_LASTS_MS + 101),
            [&b"pad"[..], never[0], never[1], never[2]]
        );
        assert_eq!(dead(DEAD_LASTS_MS + 201).len(), 6);
        assert_eq!(known.stored(b"forged").first(), Some(&b'9'));
        assert_eq!(known.stored(b"nothing"), b"");
    }

    #[test]
    fn a_line_comes_back_as_it_went_and_nonsense_not_at_all() {
        for line in ["5 1 100", "5 x 100"] {
            assert_eq!(Login::parse(line.as_bytes()).unwrap().line(), line);
        }
        for line in [
            &b""[..],
            b"5",
            b"5 1",
            b"x 1 2",
            b"5 y 2",
            b"5 1 x",
            b"\xff 1 2",
            b"-5 1 2",
        ] {
            assert!(Login::parse(line).is_none());
        }
    }
}
