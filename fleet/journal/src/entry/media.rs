//! The media that an entry names, by the uris in its structured body.

use bytes::Bytes;
use database::{Error, Transaction, params};
use prost::Message;
use proto::{
    mime::{self, Form},
    wire,
};

use super::Entry;

// protocol: "A message names at most 32 media"
/// The most media that a message names.
pub const MAX_NAMED: usize = 32;

/// The prefixes of this service's uris; the decimal id of an upload follows.
const OWN: [&str; 3] = ["media:", "media/", "/media/"];

const WRITE: &str = "INSERT INTO media_entry (media_id, conversation_id, seq) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[WRITE];

// protocol: "A picture, voice message or video is of that kind"
/// The kind of a medium, as its MIME type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `image/*`.
    Image,
    /// `audio/*`.
    Audio,
    /// `video/*`.
    Video,
    /// Of any type.
    File,
}

impl Kind {
    /// The kind that a MIME type demands of a medium: a file may be of any type.
    pub fn of(mime_type: &str) -> Self {
        match mime_type.split_once('/') {
            Some(("image", _)) => Self::Image,
            Some(("audio", _)) => Self::Audio,
            Some(("video", _)) => Self::Video,
            _ => Self::File,
        }
    }

    /// Whether a medium of this MIME type is of this kind.
    pub fn holds(self, mime_type: &str) -> bool {
        self == Self::File || self == Self::of(mime_type)
    }
}

/// A medium of this service that a body names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// The id of an upload; 0 for an id that no upload has.
    pub id: i64,
    /// The kind that the body demands.
    pub kind: Kind,
}

impl Named {
    /// The medium of a uri; `None` for one of another host.
    pub fn by(uri: &str, kind: Kind) -> Option<Self> {
        id(uri).map(|id| Self { id, kind })
    }
}

/// The id of the upload that a uri of this service names, 0 where no upload has such an id; `None` for a uri of another
/// host.
pub fn id(uri: &str) -> Option<i64> {
    let text = OWN.iter().find_map(|own| uri.strip_prefix(own))?;
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    Some(text.parse().ok().filter(|_| is_decimal).unwrap_or(0))
}

/// The media of this service that a body names, each once, of more than [`MAX_NAMED`] one more. None in a body that does not
/// decode.
pub fn named(mime_type: &str, body: &Bytes) -> Vec<Named> {
    let Some(registered) = mime::registered(mime_type) else {
        return Vec::new();
    };
    let found = match registered.form {
        Form::Image => read(body, |image: wire::Image| vec![(image.uri, Kind::Image)]),
        Form::Audio => read(body, |audio: wire::Audio| vec![(audio.uri, Kind::Audio)]),
        Form::Video => read(body, |video: wire::Video| {
            vec![(video.uri, Kind::Video), (video.cover, Kind::Image)]
        }),
        Form::File => read(body, |file: wire::File| vec![(file.uri, Kind::File)]),
        Form::Advice => read(body, |advice: wire::AdviceCard| images(advice.images).collect()),
        Form::Consult => read(body, |card: wire::ConsultCard| {
            let kind = Kind::of(&card.symptom_type);
            let symptom = Some((card.symptom_content, kind)).filter(|_| card.symptom_type != mime::TEXT);
            images(card.images).chain(symptom).collect()
        }),
        Form::Text | Form::Location | Form::Vas | Form::Call | Form::Notice => Vec::new(),
    };
    let mut named: Vec<Named> = Vec::new();
    for (uri, kind) in found {
        named.extend(Named::by(&uri, kind).filter(|new| !named.contains(new)));
        if named.len() > MAX_NAMED {
            break;
        }
    }
    named
}

fn images(uris: Vec<String>) -> impl Iterator<Item = (String, Kind)> {
    uris.into_iter().map(|uri| (uri, Kind::Image))
}

fn read<M: Message + Default>(
    body: &Bytes,
    uris: impl FnOnce(M) -> Vec<(String, Kind)>,
) -> Vec<(String, Kind)> {
    M::decode(body.clone()).map(uris).unwrap_or_default()
}

/// Writes which media an entry names, in the entry's transaction; `enter` adds a conversation of a medium to a directory.
pub(crate) async fn write(
    tx: &mut Transaction<'_>,
    enter: Option<&'static str>,
    entry: &Entry,
) -> Result<(), Error> {
    for Named { id, .. } in named(&entry.mime_type, &entry.body) {
        if id == 0 {
            continue;
        }
        let params = params![id, entry.conversation.get(), entry.seq.get()];
        tx.execute(WRITE, params).await?;
        if let Some(enter) = enter {
            tx.execute(enter, params![id, entry.conversation.get()]).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_that_of_an_upload_or_of_none() {
        for (uri, found) in [
            ("media:7", Some(7)),
            ("media/7", Some(7)),
            ("/media/9007199254740991", Some(9_007_199_254_740_991)),
            ("media/07", Some(0)),
            ("media/0", Some(0)),
            ("media/+7", Some(0)),
            ("media/7f3a", Some(0)),
            ("media/7/8", Some(0)),
            ("media/99999999999999999999", Some(0)),
            ("https://media.example.com/7", None),
        ] {
            assert_eq!(id(uri), found, "{uri}");
        }
    }

    #[test]
    fn each_form_names_its_media() {
        let body = |message: &dyn Fn() -> Vec<u8>| Bytes::from(message());
        let video = body(&|| {
            wire::Video {
                uri: "media:1".into(),
                cover: "media/2".into(),
                ..Default::default()
            }
            .encode_to_vec()
        });
        let of = |id, kind| Named { id, kind };
        assert_eq!(
            named("video/mp4", &video),
            [of(1, Kind::Video), of(2, Kind::Image)]
        );
        let advice = body(&|| {
            wire::AdviceCard {
                images: vec!["media:3".into(), "https://a.b/4".into(), "/media/3".into()],
                ..Default::default()
            }
            .encode_to_vec()
        });
        assert_eq!(
            named("application/vnd.huizhen.advice", &advice),
            [of(3, Kind::Image)]
        );
        let card = body(&|| {
            wire::ConsultCard {
                symptom_type: "audio/aac".into(),
                symptom_content: "media:8".into(),
                images: vec!["media:9".into()],
                ..Default::default()
            }
            .encode_to_vec()
        });
        assert_eq!(
            named(mime::CONSULT, &card),
            [of(9, Kind::Image), of(8, Kind::Audio)]
        );
        let text = body(&|| {
            wire::ConsultCard {
                symptom_type: mime::TEXT.into(),
                symptom_content: "media:8".into(),
                ..Default::default()
            }
            .encode_to_vec()
        });
        assert_eq!(named(mime::CONSULT, &text), []);
        let file = body(&|| {
            wire::File {
                uri: "media/x".into(),
                ..Default::default()
            }
            .encode_to_vec()
        });
        assert_eq!(named("application/octet-stream", &file), [of(0, Kind::File)]);
        for mime_type in ["text/plain", "application/vnd.example.own"] {
            assert_eq!(named(mime_type, &Bytes::from_static(b"media:1")), []);
        }
        assert_eq!(named("image/png", &Bytes::from_static(b"\xff")), []);
    }

    // protocol: "A picture, voice message or video is of that kind"
    #[test]
    fn a_file_is_of_any_type_and_the_others_of_their_own() {
        assert!(Kind::Image.holds("image/png") && !Kind::Image.holds("video/mp4"));
        assert!(Kind::File.holds("image/png") && Kind::File.holds("application/pdf"));
        assert!(!Kind::Audio.holds("application/pdf"));
    }
}
