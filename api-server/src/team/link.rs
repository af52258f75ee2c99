//! The link of an invitation: signed as a whole, so that nobody changes what it shows, and expiring.

use database::Database;
use ring::hmac;
use url::form_urlencoded;

use crate::{
    error::{Error, Word},
    secret,
};

/// What every link begins with. Apps register the scheme, so that scanning the code opens them.
const START: &str = "huizhen://team/join?";
/// What the signature follows.
const SIGNATURE: &str = "&signature=";

/// What a link holds: 团队名称，团队id，邀请人.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invited {
    pub(super) team_id: i64,
    pub(super) team_name: String,
    pub(super) inviter_id: i64,
    pub(super) inviter_name: String,
    pub(super) invitation_id: i64,
    pub(super) expires_ms: i64,
}

/// Signs links and checks them.
pub struct Links(hmac::Key);

impl Links {
    /// With the fleet's secret, which is made at the first start.
    pub(crate) async fn load(database: &Database) -> Result<Self, Error> {
        Ok(Self::new(&secret::load(database, "team_invitation").await?))
    }

    fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub(super) fn write(&self, invited: &Invited) -> String {
        let query = form_urlencoded::Serializer::new(START.to_owned())
            .append_pair("team_id", &invited.team_id.to_string())
            .append_pair("team_name", &invited.team_name)
            .append_pair("inviter_id", &invited.inviter_id.to_string())
            .append_pair("inviter_name", &invited.inviter_name)
            .append_pair("invitation_id", &invited.invitation_id.to_string())
            .append_pair("expires_ms", &invited.expires_ms.to_string())
            .finish();
        // The serializer puts an & between what it finds and the first pair.
        let text = query.replacen("?&", "?", 1);
        let signature = hmac::sign(&self.0, text.as_bytes());
        format!("{text}{SIGNATURE}{}", hex::encode(signature))
    }

    /// Reads a link of ours, whether or not it has expired.
    pub(super) fn read(&self, link: &str) -> Result<Invited, Error> {
        self.read_signed(link)
            .ok_or_else(|| Error::new(Word::InvitationRefused).field("invitation"))
    }

    fn read_signed(&self, link: &str) -> Option<Invited> {
        let (text, signature) = link.trim().rsplit_once(SIGNATURE)?;
        hmac::verify(&self.0, text.as_bytes(), &hex::decode(signature).ok()?).ok()?;
        let query = text.strip_prefix(START)?;
        let value = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        Some(Invited {
            team_id: value("team_id")?.parse().ok()?,
            team_name: value("team_name")?,
            inviter_id: value("inviter_id")?.parse().ok()?,
            inviter_name: value("inviter_name")?,
            invitation_id: value("invitation_id")?.parse().ok()?,
            expires_ms: value("expires_ms")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invited() -> Invited {
        Invited {
            team_id: 7,
            team_name: "儿科 & <小>=1".into(),
            inviter_id: 3,
            inviter_name: "王医生&signature=00".into(),
            invitation_id: 12,
            expires_ms: 1_795_000_000_000,
        }
    }

    #[test]
    fn a_link_comes_back_as_it_went() {
        let links = Links::new(&[1; 32]);
        let link = links.write(&invited());
        assert!(link.starts_with("huizhen://team/join?team_id=7&team_name=%E5%84%BF"));
        assert!(link.is_ascii());
        assert_eq!(links.read(&link).unwrap(), invited());
        assert_eq!(links.read(&format!(" {link}\n")).unwrap(), invited());
    }

    #[test]
    fn the_longest_link_has_room() {
        let name = "\u{1f3e5}".repeat(64);
        let link = Links::new(&[1; 32]).write(&Invited {
            team_id: proto::ids::MAX_ID,
            team_name: name.clone(),
            inviter_id: proto::ids::MAX_ID,
            inviter_name: name,
            invitation_id: proto::ids::MAX_ID,
            expires_ms: i64::MAX,
        });
        // As JoinTeam takes it.
        assert!(link.len() <= 2048, "{}", link.len());
        assert!(super::super::qr::Code::new(&link).is_ok());
    }

    #[test]
    fn a_link_with_any_byte_changed_is_refused() {
        let links = Links::new(&[1; 32]);
        let link = links.write(&invited());
        for at in 0..link.len() {
            let mut bytes = link.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(bytes).unwrap();
            let error = links.read(&changed).unwrap_err();
            assert_eq!(error.word(), Word::InvitationRefused, "{changed}");
        }
        assert!(Links::new(&[2; 32]).read(&link).is_err(), "another fleet's");
        for bad in [
            "",
            "&signature=",
            "huizhen://team/join?team_id=7",
            &link[..link.len() - 2],
        ] {
            assert!(links.read(bad).is_err(), "{bad}");
        }
    }
}
