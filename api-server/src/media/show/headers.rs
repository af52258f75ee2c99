//! The headers of a medium: a browser shows it or saves it, and runs nothing of it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use media::{Class, Form, MimeType};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::media::Medium;

/// The characters of `filename*` that stay as they are (RFC 8187).
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The version of a form of a medium: its bytes never change.
pub(super) fn tag(medium: &Medium, form: Form) -> String {
    let form = match form {
        Form::Served => String::new(),
        Form::Uploaded => "-uploaded".to_owned(),
        Form::Smaller(width) => format!("-{}", width.pixels()),
    };
    format!("\"{}{form}\"", medium.id)
}

/// The type of a form: smaller pictures are JPEG.
pub(super) fn mime_of(medium: &Medium, form: Form) -> MimeType {
    match form {
        Form::Smaller(_) => MimeType::Jpeg,
        Form::Served | Form::Uploaded => medium.mime,
    }
}

/// Shown in place for pictures, voice messages and videos, else saved. The uploader's name for it is text: a browser gets it
/// without what its system could read as a path.
pub(super) fn disposition(medium: &Medium) -> String {
    let how = match medium.mime.class() {
        Class::Picture | Class::Audio | Class::Video => "inline",
        Class::File => "attachment",
    };
    let name: String = medium
        .file_name
        .chars()
        .map(|c| {
            if "/\\:*?\"<>|".contains(c) || c.is_control() {
                '_'
            } else {
                c
            }
        })
        .collect();
    let name = name.trim_matches(['.', ' ']);
    if name.is_empty() {
        return how.to_owned();
    }
    format!("{how}; filename*=UTF-8''{}", utf8_percent_encode(name, NAME))
}

/// The headers of all forms.
pub(super) fn write(headers: &mut HeaderMap, medium: &Medium, form: Form) {
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, mime_of(medium, form).name());
    put(header::CONTENT_DISPOSITION, &disposition(medium));
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    // The right may end: a stored copy is shown after it was asked for again.
    put(header::CACHE_CONTROL, "private, no-cache");
    put(header::ETAG, &tag(medium, form));
    put(header::ACCEPT_RANGES, "bytes");
}

#[cfg(test)]
mod tests {
    use media::Key;
    use proto::UserId;

    use super::*;
    use crate::media::{Purpose, table::State};

    fn medium(mime: MimeType, file_name: &str) -> Medium {
        Medium {
            id: 7,
            owner: UserId::from_database(1),
            purpose: Purpose::Message,
            mime,
            bytes: 1,
            sha256: [0; 32],
            file_name: file_name.to_owned(),
            key: Key::random(),
            state: State::Finished,
            width: 0,
            height: 0,
            duration_ms: 0,
            is_used: true,
        }
    }

    #[test]
    fn a_name_is_text_and_no_path() {
        for (name, shown) in [
            ("", "attachment"),
            ("..", "attachment"),
            ("报告.pdf", "attachment; filename*=UTF-8''%E6%8A%A5%E5%91%8A.pdf"),
            ("../../etc/passwd", "attachment; filename*=UTF-8''_.._etc_passwd"),
            ("a\"; x=\"b", "attachment; filename*=UTF-8''a_%3B%20x%3D_b"),
            ("a\r\nb", "attachment; filename*=UTF-8''a__b"),
        ] {
            assert_eq!(disposition(&medium(MimeType::File, name)), shown);
        }
        for mime in [MimeType::Jpeg, MimeType::Opus, MimeType::Mp4] {
            assert_eq!(disposition(&medium(mime, "")), "inline");
        }
    }
}
