//! Media of messages: what a file is, the message that names an upload, and the media that an entry names. Pure.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use proto::{
    mime::{self, Form},
    rest::Uploaded,
    wire::{self, Entry},
};

/// A file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToSend {
    pub(super) path: PathBuf,
    pub(super) conversation_id: i64,
    pub(super) client_msg_id: String,
}

/// An entry whose media are to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToSave {
    pub(super) conversation_id: i64,
    pub(super) seq: i64,
    /// Without it they get names in the working directory.
    pub(super) path: Option<PathBuf>,
}

/// The reason why a file was not sent, or media were not saved.
#[derive(Debug)]
pub(super) enum Problem {
    /// The path is not that of a file.
    NoFile,
    /// The file is larger than the service accepts.
    TooLarge,
    /// There is no connection.
    NoAnswer,
    NoEntry,
    NoMedia,
    /// The uri is of another service.
    Elsewhere(String),
    /// An error of the file system or of REST.
    Other(String),
}

/// A medium that an entry names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) uri: String,
    /// As its sender names the file; may be empty.
    pub(super) file_name: String,
}

/// The MIME type of a file by its first bytes; the service compares them again.
pub(super) fn mime_type(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'#', b'!', b'A', b'M', b'R', ..] => "audio/amr",
        [b'O', b'g', b'g', b'S', ..] => "audio/opus",
        [0xff, second, ..] if second & 0xf6 == 0xf0 => "audio/aac",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "video/mp4",
        _ => "application/octet-stream",
    }
}

/// The body of a message that names an upload.
pub(super) fn body(mime_type: &str, upload: &Uploaded, name: &str, bytes: u64) -> Bytes {
    let uri = upload.uri.clone();
    let body = match mime::registered(mime_type).map(|registered| registered.form) {
        Some(Form::Image) => wire::Image {
            uri,
            width: upload.width,
            height: upload.height,
            bytes,
            thumbnail: Bytes::new(),
        }
        .encode_to_vec(),
        Some(Form::Audio) => wire::Audio {
            uri,
            duration_ms: upload.duration_ms,
            bytes,
        }
        .encode_to_vec(),
        Some(Form::Video) => wire::Video {
            uri,
            duration_ms: upload.duration_ms,
            cover: String::new(),
        }
        .encode_to_vec(),
        _ => wire::File {
            uri,
            name: name.to_owned(),
            bytes,
            sha256: Bytes::new(),
        }
        .encode_to_vec(),
    };
    body.into()
}

/// The media that a message names, in the order of its fields.
pub(super) fn named(entry: &Entry) -> Vec<Named> {
    let form = mime::registered(&entry.mime_type).map(|registered| registered.form);
    let body = entry.body.clone();
    let (uris, file_name) = match form {
        Some(Form::Image) => (vec![read::<wire::Image>(body).uri], String::new()),
        Some(Form::Audio) => (vec![read::<wire::Audio>(body).uri], String::new()),
        Some(Form::Video) => (vec![read::<wire::Video>(body).uri], String::new()),
        Some(Form::File) => {
            let file = read::<wire::File>(body);
            (vec![file.uri], file.name)
        }
        Some(Form::Advice) => (read::<wire::AdviceCard>(body).images, String::new()),
        Some(Form::Consult) => {
            let card = read::<wire::ConsultCard>(body);
            let spoken = (card.symptom_type != mime::TEXT).then_some(card.symptom_content);
            (spoken.into_iter().chain(card.images).collect(), String::new())
        }
        _ => (Vec::new(), String::new()),
    };
    let uris = uris.into_iter().filter(|uri| !uri.is_empty());
    uris.map(|uri| Named {
        uri,
        file_name: file_name.clone(),
    })
    .collect()
}

/// A body of a registered type; empty when the node carried bytes that are not of it.
pub(super) fn read<M: Message + Default>(body: Bytes) -> M {
    M::decode(body).unwrap_or_default()
}

impl Named {
    /// Its id, when it is of this service.
    pub(super) fn media_id(&self) -> Option<i64> {
        let own = ["media:", "media/", "/media/"];
        own.iter()
            .find_map(|prefix| self.uri.strip_prefix(prefix)?.parse().ok())
    }

    /// Its name in the working directory: never a path, and never a hidden file.
    pub(super) fn own_name(&self, media_id: i64, mime_type: &str) -> String {
        let last = Path::new(&self.file_name)
            .file_name()
            .and_then(|name| name.to_str());
        let name: String = last
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control() && !"/\\".contains(*c))
            .collect();
        if name.is_empty() || name.starts_with('.') {
            format!("media-{media_id}.{}", ending(mime_type))
        } else {
            name
        }
    }
}

fn ending(mime_type: &str) -> &'static str {
    match mime_type {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "audio/aac" => "aac",
        "audio/amr" => "amr",
        "audio/opus" => "ogg",
        "video/mp4" => "mp4",
        _ => "bin",
    }
}

/// The path of one of several media; the first one has the path itself.
pub(super) fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{}", number + 1));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_bytes_say() {
        for (bytes, expected) in [
            (b"\x89PNG\r\n\x1a\n".as_slice(), "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"\xff\xf1\x60", "audio/aac"),
            (b"#!AMR\n\x7c", "audio/amr"),
            (b"\0\0\0\x18ftypisom", "video/mp4"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\0\0\0\0WAVE", "application/octet-stream"),
            ("检查报告".as_bytes(), "application/octet-stream"),
            (b"", "application/octet-stream"),
        ] {
            assert_eq!(mime_type(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_message_names_what_was_uploaded() {
        let upload = Uploaded {
            media_id: 12,
            uri: "media:12".into(),
            width: 3,
            height: 2,
            duration_ms: 2000,
        };
        for mime_type in ["image/png", "audio/amr", "video/mp4", "application/octet-stream"] {
            let entry = Entry {
                mime_type: mime_type.into(),
                body: body(mime_type, &upload, "x.txt", 7),
                ..Entry::default()
            };
            let found = named(&entry);
            assert_eq!((found.len(), found[0].media_id()), (1, Some(12)), "{mime_type}");
        }
    }

    #[test]
    fn a_complaint_names_voice_and_pictures() {
        let card = wire::ConsultCard {
            symptom_type: "audio/amr".into(),
            symptom_content: "media:7".into(),
            images: vec!["media:8".into(), "https://media.example.com/9".into()],
            ..wire::ConsultCard::default()
        };
        let entry = Entry {
            mime_type: mime::CONSULT.into(),
            body: card.encode_to_vec().into(),
            ..Entry::default()
        };
        let ids: Vec<Option<i64>> = named(&entry).iter().map(Named::media_id).collect();
        assert_eq!(ids, [Some(7), Some(8), None]);
    }

    #[test]
    fn a_name_of_a_peer_leads_nowhere() {
        let named = |name: &str| {
            let named = Named {
                uri: "media:5".into(),
                file_name: name.into(),
            };
            named.own_name(5, "image/png")
        };
        assert_eq!(named("检查报告.pdf"), "检查报告.pdf");
        assert_eq!(named("../../a\n.txt"), "a.txt");
        assert_eq!(named("/etc/passwd"), "passwd");
        for bad in ["", "..", "/", ".bashrc", "a/.."] {
            assert_eq!(named(bad), "media-5.png", "{bad}");
        }
        assert_eq!(numbered(Path::new("a/b.png"), 0), Path::new("a/b.png"));
        assert_eq!(numbered(Path::new("a/b.png"), 1), Path::new("a/b-2.png"));
    }
}
