//! The link of an invitation: it expires, and is signed as a whole, so that its content cannot be changed.

use database::Database;
use ring::hmac;
use url::form_urlencoded;

use super::{super::Place, secret, web};
use crate::{app::Part, http::error::Error};

/// The key before the signature.
pub(super) const SIGNATURE: &str = "&signature=";

/// The content of a link: 团队名称，团队id，邀请人; of a clinic likewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invited {
    pub(crate) place: Place,
    pub(crate) place_id: i64,
    pub(crate) place_name: String,
    pub(crate) inviter_id: i64,
    pub(crate) inviter_name: String,
    pub(crate) invitation_id: i64,
    pub(crate) expires_ms: i64,
}

impl Invited {
    /// Refuses a link that has expired.
    pub(crate) fn check_open(&self, now_ms: i64) -> Result<(), Error> {
        if self.expires_ms > now_ms {
            Ok(())
        } else {
            Err(Error::new(self.place.expired()).field("invitation"))
        }
    }
}

/// The start of a place's links. Apps register the scheme: scanning the code opens them.
const fn start(place: Place) -> &'static str {
    match place {
        Place::Team => "huizhen://team/join?",
        Place::Clinic => "huizhen://clinic/join?",
    }
}

/// The names of a place's id and name in its links.
const fn keys(place: Place) -> (&'static str, &'static str) {
    match place {
        Place::Team => ("team_id", "team_name"),
        Place::Clinic => ("clinic_id", "clinic_name"),
    }
}

/// Signs links and checks them.
pub struct Links(hmac::Key);

impl Part for Links {}

impl Links {
    /// With the fleet's secret, which is generated at the first start.
    pub(crate) async fn load(database: &Database) -> Result<Self, Error> {
        Ok(Self::new(&secret::load(database, "team_invitation").await?))
    }

    fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub(crate) fn write(&self, invited: &Invited) -> String {
        let (id_key, name_key) = keys(invited.place);
        let query = form_urlencoded::Serializer::new(start(invited.place).to_owned())
            .append_pair(id_key, &invited.place_id.to_string())
            .append_pair(name_key, &invited.place_name)
            .append_pair("inviter_id", &invited.inviter_id.to_string())
            .append_pair("inviter_name", &invited.inviter_name)
            .append_pair("invitation_id", &invited.invitation_id.to_string())
            .append_pair("expires_ms", &invited.expires_ms.to_string())
            .finish();
        // The serializer puts an & before the first pair, too.
        let text = query.replacen("?&", "?", 1);
        let signature = hmac::sign(&self.0, text.as_bytes());
        format!("{text}{SIGNATURE}{}", hex::encode(signature))
    }

    /// Reads a link into a place of this kind, expired or not; refuses any other text.
    pub(crate) fn read(&self, place: Place, link: &str) -> Result<Invited, Error> {
        self.read_signed(place, link)
            .ok_or_else(|| Error::new(place.refused()).field("invitation"))
    }

    fn read_signed(&self, place: Place, link: &str) -> Option<Invited> {
        let link = web::app_link(link.trim());
        let (text, signature) = link.rsplit_once(SIGNATURE)?;
        hmac::verify(&self.0, text.as_bytes(), &hex::decode(signature).ok()?).ok()?;
        let query = text.strip_prefix(start(place))?;
        let (id_key, name_key) = keys(place);
        let value = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        Some(Invited {
            place,
            place_id: value(id_key)?.parse().ok()?,
            place_name: value(name_key)?,
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
    use crate::http::error::ErrorCode;

    fn invited() -> Invited {
        Invited {
            place: Place::Team,
            place_id: 7,
            place_name: "儿科 & <小>=1".into(),
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
        assert_eq!(links.read(Place::Team, &link).unwrap(), invited());
        assert_eq!(links.read(Place::Team, &format!(" {link}\n")).unwrap(), invited());
    }

    #[test]
    fn a_link_into_a_clinic_leads_into_no_team() {
        let links = Links::new(&[1; 32]);
        let clinic = Invited {
            place: Place::Clinic,
            ..invited()
        };
        let link = links.write(&clinic);
        assert!(link.starts_with("huizhen://clinic/join?clinic_id=7&clinic_name=%E5%84%BF"));
        assert_eq!(links.read(Place::Clinic, &link).unwrap(), clinic);
        let error = links.read(Place::Team, &link).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvitationRefused);
        let error = links.read(Place::Clinic, &links.write(&invited())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ClinicInvitationRefused);
    }

    #[test]
    fn the_longest_link_has_room() {
        let name = "\u{1f3e5}".repeat(64);
        let link = Links::new(&[1; 32]).write(&Invited {
            place: Place::Clinic,
            place_id: proto::ids::MAX_ID,
            place_name: name.clone(),
            inviter_id: proto::ids::MAX_ID,
            inviter_name: name,
            invitation_id: proto::ids::MAX_ID,
            expires_ms: i64::MAX,
        });
        // The limit of `JoinTeam` and `JoinByLink`.
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
            let error = links.read(Place::Team, &changed).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvitationRefused, "{changed}");
        }
        assert!(
            Links::new(&[2; 32]).read(Place::Team, &link).is_err(),
            "another fleet's"
        );
        for bad in [
            "",
            "&signature=",
            "huizhen://team/join?team_id=7",
            &link[..link.len() - 2],
        ] {
            assert!(links.read(Place::Team, bad).is_err(), "{bad}");
        }
    }
}
