//! The first words of a complaint or a message, for a row of a list.

use proto::mime::{self, Form};

use crate::http::error::Language;

/// Characters of a row, at most.
const MAX_CHARS: usize = 60;

/// Text as it begins, in one line; of everything else, words that say what it is.
pub(super) fn first_words(mime_type: &str, body: &[u8], language: Language) -> String {
    let form = mime::registered(mime_type).map(|registered| registered.form);
    if form == Some(Form::Text) {
        return beginning(&String::from_utf8_lossy(body));
    }
    let (zh, en) = match form {
        Some(Form::Image) => ("[图片]", "[Picture]"),
        Some(Form::Audio) => ("[语音]", "[Voice]"),
        Some(Form::Video) => ("[视频]", "[Video]"),
        Some(Form::File) => ("[文件]", "[File]"),
        Some(Form::Location) => ("[位置]", "[Location]"),
        Some(Form::Vas) => ("[增值服务]", "[Service]"),
        Some(Form::Advice) => ("[诊疗建议]", "[Advice]"),
        Some(Form::Consult) => ("[病情]", "[Complaint]"),
        Some(Form::Call) => ("[通话]", "[Call]"),
        Some(Form::Notice) => ("[通知]", "[Notice]"),
        Some(Form::Text) | None => ("[消息]", "[Message]"),
    };
    match language {
        Language::Chinese => zh,
        Language::English => en,
    }
    .to_owned()
}

fn beginning(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(MAX_CHARS) {
        words.truncate(end);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_after_sixty_characters_and_stands_in_one_line() {
        let words = |text: &str| first_words("text/plain", text.as_bytes(), Language::Chinese);
        assert_eq!(words("头痛三天\n 发热"), "头痛三天 发热");
        assert_eq!(words(&"痛".repeat(60)), "痛".repeat(60));
        assert_eq!(words(&"痛".repeat(61)), format!("{}…", "痛".repeat(60)));
        assert_eq!(words(""), "");
    }

    #[test]
    fn everything_else_says_what_it_is() {
        for (mime_type, zh, en) in [
            ("audio/aac", "[语音]", "[Voice]"),
            ("image/jpeg", "[图片]", "[Picture]"),
            ("a/b", "[消息]", "[Message]"),
        ] {
            assert_eq!(first_words(mime_type, b"media/1", Language::Chinese), zh);
            assert_eq!(first_words(mime_type, b"media/1", Language::English), en);
        }
    }
}
