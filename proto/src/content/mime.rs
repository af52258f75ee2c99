//! The registry of MIME types: how to read a body, and who may send which.

use prost::Message;

use crate::{
    Language, Sentence,
    media::MediaHosts,
    wire::{self, Role},
};

// protocol: "mime_type | 1 to 127 bytes"
/// The longest `mime_type`, bytes.
pub const MAX_MIME_BYTES: usize = 127;
// protocol: "Image.thumbnail | 16 KiB"
/// The most bytes of `Image.thumbnail`.
pub const MAX_THUMBNAIL_BYTES: usize = 16 * 1024;
/// The length of `File.sha256`, bytes.
const SHA256_BYTES: usize = 32;
/// Degrees north or south.
const MAX_LATITUDE: f64 = 90.0;
/// Degrees east or west.
const MAX_LONGITUDE: f64 = 180.0;

/// Text, UTF-8.
pub const TEXT: &str = "text/plain";
/// A consult card.
pub const CONSULT: &str = "application/vnd.huizhen.consult";
/// A doctor's advice.
pub const ADVICE: &str = "application/vnd.huizhen.advice";
/// A value-added service card.
pub const VAS: &str = "application/vnd.huizhen.vas";

/// How the body of a registered type is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// UTF-8 without NUL.
    Text,
    /// [`wire::Image`].
    Image,
    /// [`wire::Audio`].
    Audio,
    /// [`wire::Video`].
    Video,
    /// [`wire::File`].
    File,
    /// [`wire::Location`].
    Location,
    /// [`wire::VasCard`].
    Vas,
    /// [`wire::AdviceCard`].
    Advice,
    /// [`wire::ConsultCard`].
    Consult,
    /// [`wire::CallCard`].
    Call,
    /// [`wire::Notice`].
    Notice,
}

/// The senders of a registered type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders {
    /// Every participant.
    Everybody,
    /// Doctors and assistants.
    Staff,
    /// Doctors.
    Doctors,
    /// Assistants.
    Assistants,
    /// Only the server, from the record that it stands for.
    Server,
}

impl Senders {
    /// Whether this role may send.
    pub fn include(self, role: Role) -> bool {
        match self {
            Self::Everybody => true,
            Self::Staff => matches!(role, Role::Doctor | Role::Assistant),
            Self::Doctors => role == Role::Doctor,
            Self::Assistants => role == Role::Assistant,
            Self::Server => false,
        }
    }
}

/// One line of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// The MIME type, as on the wire.
    pub mime_type: &'static str,
    /// How its body is read.
    pub form: Form,
    /// Its senders.
    pub senders: Senders,
}

const fn line(mime_type: &'static str, form: Form, senders: Senders) -> Registered {
    Registered {
        mime_type,
        form,
        senders,
    }
}

/// Everything that is registered. Other well-formed types are carried untouched.
pub const REGISTRY: [Registered; 15] = [
    line(TEXT, Form::Text, Senders::Everybody),
    line("image/jpeg", Form::Image, Senders::Everybody),
    line("image/png", Form::Image, Senders::Everybody),
    line("image/webp", Form::Image, Senders::Everybody),
    line("audio/aac", Form::Audio, Senders::Everybody),
    line("audio/amr", Form::Audio, Senders::Everybody),
    line("audio/opus", Form::Audio, Senders::Everybody),
    line("video/mp4", Form::Video, Senders::Everybody),
    line("application/octet-stream", Form::File, Senders::Everybody),
    line(
        "application/vnd.huizhen.location",
        Form::Location,
        Senders::Everybody,
    ),
    line(VAS, Form::Vas, Senders::Server),
    line(ADVICE, Form::Advice, Senders::Doctors),
    line(CONSULT, Form::Consult, Senders::Staff),
    line("application/vnd.huizhen.call", Form::Call, Senders::Server),
    line(
        "application/vnd.huizhen.notice",
        Form::Notice,
        Senders::Assistants,
    ),
];

/// Why content is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A field of the request does not hold what it must.
    Invalid {
        /// `mime_type` or `body`.
        field: &'static str,
        /// The fault and its remedy.
        message: Sentence,
    },
    /// The sender's role may not send this type.
    Forbidden {
        /// The fault and its remedy.
        message: Sentence,
    },
}

/// The registry's line for a type; none when it is not registered.
pub fn registered(mime_type: &str) -> Option<&'static Registered> {
    REGISTRY
        .iter()
        .find(|registered| registered.mime_type == mime_type)
}

// protocol: "Well-formed types that are not in the table are carried untouched"
/// Whether text is `type/subtype` of RFC 6838, in lower case and without parameters.
pub fn is_well_formed(mime_type: &str) -> bool {
    let name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b))
    };
    mime_type.len() <= MAX_MIME_BYTES
        && mime_type
            .split_once('/')
            .is_some_and(|(kind, subtype)| name(kind) && name(subtype))
}

// protocol: "A body that does not match its type is refused with Error INVALID"
/// Checks what does not depend on who sends: the type is well formed, the body is what the type says, and its uris are
/// of this service or of a host that the operator names.
///
/// # Errors
/// [`Refused::Invalid`] with the field.
pub fn check_content(mime_type: &str, body: &[u8], media: &MediaHosts) -> Result<(), Refused> {
    let Some(registered) = registered(mime_type) else {
        if is_well_formed(mime_type) {
            return Ok(());
        }
        return Err(Refused::Invalid {
            field: "mime_type",
            message: Sentence::formatted(
                format!(
                    "mime_type must be type/subtype in lower case, at most {MAX_MIME_BYTES} bytes, without parameters"
                ),
                format!("mime_type 须为小写的 type/subtype，不超过 {MAX_MIME_BYTES} 字节，不带参数"),
            ),
        });
    };
    let problem = match registered.form {
        Form::Text => check_text(body),
        Form::Image => parse::<wire::Image>(body, |image| {
            media.check(&image.uri)?;
            if image.thumbnail.len() > MAX_THUMBNAIL_BYTES {
                return Err(Sentence::formatted(
                    format!("thumbnail is over {MAX_THUMBNAIL_BYTES} bytes"),
                    format!("thumbnail 超过 {MAX_THUMBNAIL_BYTES} 字节"),
                ));
            }
            Ok(())
        }),
        Form::Audio => parse::<wire::Audio>(body, |audio| media.check(&audio.uri)),
        Form::Video => parse::<wire::Video>(body, |video| {
            media.check(&video.uri)?;
            // There may be none.
            if video.cover.is_empty() {
                return Ok(());
            }
            media.check_named("cover", &video.cover)
        }),
        Form::File => parse::<wire::File>(body, |file| {
            media.check(&file.uri)?;
            if file.sha256.is_empty() || file.sha256.len() == SHA256_BYTES {
                Ok(())
            } else {
                Err(Sentence::formatted(
                    format!("sha256 must be {SHA256_BYTES} bytes"),
                    format!("sha256 须为 {SHA256_BYTES} 字节"),
                ))
            }
        }),
        Form::Location => parse::<wire::Location>(body, |location| {
            let is_on_earth =
                location.latitude.abs() <= MAX_LATITUDE && location.longitude.abs() <= MAX_LONGITUDE;
            if is_on_earth {
                Ok(())
            } else {
                Err(Sentence::formatted(
                    format!(
                        "latitude must be within {MAX_LATITUDE} and longitude within {MAX_LONGITUDE} degrees"
                    ),
                    format!("latitude 须在 ±{MAX_LATITUDE} 度以内，longitude 须在 ±{MAX_LONGITUDE} 度以内"),
                ))
            }
        }),
        Form::Vas => parse::<wire::VasCard>(body, |_| Ok(())),
        Form::Advice => parse::<wire::AdviceCard>(body, |advice| {
            check_date("follow_up_date", &advice.follow_up_date)?;
            check_images(media, &advice.images)
        }),
        Form::Consult => parse::<wire::ConsultCard>(body, |card| {
            if !card.symptom_type.is_empty() && card.symptom_type != TEXT {
                media.check_named("symptom_content", &card.symptom_content)?;
            }
            check_images(media, &card.images)
        }),
        Form::Call => parse::<wire::CallCard>(body, |_| Ok(())),
        Form::Notice => parse::<wire::Notice>(body, |_| Ok(())),
    };
    problem.map_err(|message| Refused::Invalid {
        field: "body",
        message: Sentence::formatted(
            format!("{mime_type}: {message}"),
            format!("{mime_type}：{}", message.text(Language::Chinese)),
        ),
    })
}

/// Checks who sends: whether this role may send this type.
///
/// # Errors
/// [`Refused::Forbidden`].
pub fn check_sender(mime_type: &str, role: Role) -> Result<(), Refused> {
    match registered(mime_type) {
        Some(registered) if !registered.senders.include(role) => Err(Refused::Forbidden {
            message: Sentence::formatted(
                format!("your role in this conversation may not send {mime_type}"),
                format!("您在此会话中的角色不能发送 {mime_type}"),
            ),
        }),
        _ => Ok(()),
    }
}

fn check_images(media: &MediaHosts, images: &[String]) -> Result<(), Sentence> {
    images
        .iter()
        .try_for_each(|image| media.check_named("images", image))
}

// protocol: "follow_up_date` | YYYY-MM-DD, or empty"
fn check_date(field: &str, date: &str) -> Result<(), Sentence> {
    let digits = |range: std::ops::Range<usize>| {
        let digits = date.get(range)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let is_day = date.len() == 10
        && date.get(4..5) == Some("-")
        && date.get(7..8) == Some("-")
        && match (digits(0..4), digits(5..7), digits(8..10)) {
            (Some(year @ 1..), Some(month), Some(day)) => (1..=days_of(month, year)).contains(&day),
            _ => false,
        };
    if date.is_empty() || is_day {
        return Ok(());
    }
    Err(Sentence::formatted(
        format!("{field} must be a day such as 2026-12-08"),
        format!("{field} 须为日期，例如 2026-12-08"),
    ))
}

/// Days of a month; none of a month that does not exist.
fn days_of(month: u32, year: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    }
}

fn check_text(body: &[u8]) -> Result<(), Sentence> {
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(Sentence::new("the text is not UTF-8", "文本不是 UTF-8 编码"));
    };
    if text.is_empty() {
        return Err(Sentence::new("the text is empty", "文本为空"));
    }
    if text.contains('\0') {
        return Err(Sentence::new("the text has a NUL character", "文本含有 NUL 字符"));
    }
    Ok(())
}

// protocol: "else the protobuf message that the table names"
fn parse<M: Message + Default>(
    body: &[u8],
    check: impl FnOnce(&M) -> Result<(), Sentence>,
) -> Result<(), Sentence> {
    let message = M::decode(body).map_err(|error| {
        Sentence::formatted(
            format!("the body is not its message: {error}"),
            "body 不是该类型对应的 protobuf 消息".into(),
        )
    })?;
    check(&message)
}

#[cfg(test)]
#[path = "mime_tests.rs"]
mod tests;
