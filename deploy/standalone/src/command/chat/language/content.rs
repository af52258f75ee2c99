//! The texts of messages: cards, and media with kind, size and uri.

use proto::{
    mime::{self, Form},
    wire::{AdviceCard, Audio, ConsultCard, ConsultSubject, Entry, File, Image, Video},
};

use super::{super::attachments::read, Language};

impl Language {
    /// The text of a message, or its kind and what it names.
    pub(in super::super) fn message(self, entry: &Entry) -> String {
        if entry.recalled {
            return self.pick("（已撤回）", "(recalled)");
        }
        let message = self.content(entry);
        if entry.corrects_seq == 0 {
            return message;
        }
        let seq = entry.corrects_seq;
        match self {
            Self::Chinese => format!("（更正第 {seq} 条）{message}"),
            Self::English => format!("(corrects message {seq}) {message}"),
        }
    }

    fn content(self, entry: &Entry) -> String {
        let body = entry.body.clone();
        let form = mime::registered(&entry.mime_type).map(|registered| registered.form);
        let details = match form {
            Some(Form::Text) => return String::from_utf8_lossy(&entry.body).into_owned(),
            Some(Form::Consult) => return self.consult(&read(body)),
            Some(Form::Advice) => return self.advice(&read(body)),
            Some(Form::Image) => {
                let image: Image = read(body);
                vec![size(image.bytes), image.uri]
            }
            Some(Form::Audio) => {
                let audio: Audio = read(body);
                vec![self.seconds(audio.duration_ms), size(audio.bytes), audio.uri]
            }
            Some(Form::Video) => {
                let video: Video = read(body);
                vec![self.seconds(video.duration_ms), video.uri]
            }
            Some(Form::File) => {
                let file: File = read(body);
                vec![file.name, size(file.bytes), file.uri]
            }
            _ => Vec::new(),
        };
        self.in_brackets(form, &entry.mime_type, details)
    }

    fn in_brackets(self, form: Option<Form>, mime_type: &str, details: Vec<String>) -> String {
        let kind = form.map_or_else(|| mime_type.to_owned(), |form| self.kind(form));
        let parts = std::iter::once(kind).chain(details.into_iter().filter(|part| !part.is_empty()));
        format!("[{}]", parts.collect::<Vec<_>>().join(" "))
    }

    fn kind(self, form: Form) -> String {
        match form {
            Form::Text => self.pick("文字", "text"),
            Form::Image => self.pick("图片", "image"),
            Form::Audio => self.pick("语音", "voice"),
            Form::Video => self.pick("视频", "video"),
            Form::File => self.pick("文件", "file"),
            Form::Location => self.pick("位置", "location"),
            Form::Vas => self.pick("增值服务", "value-added service"),
            Form::Advice => self.pick("医嘱", "advice"),
            Form::Consult => self.pick("咨询", "consult"),
            Form::Call => self.pick("通话", "call"),
            Form::Notice => self.pick("通知", "notice"),
        }
    }

    /// The card of a consult: for whom, the complaint, its pictures.
    fn consult(self, card: &ConsultCard) -> String {
        let kind = self.in_brackets(Some(Form::Consult), "", Vec::new());
        let Some(subject) = &card.subject else {
            return format!("{kind} {}", card.title).trim_end().to_owned();
        };
        let complaint = match mime::registered(&card.symptom_type).map(|registered| registered.form) {
            Some(Form::Text) | None => card.symptom_content.clone(),
            form => self.in_brackets(form, "", vec![card.symptom_content.clone()]),
        };
        let whom = self.subject(subject);
        let said = match self {
            Self::Chinese => format!("{kind}{whom}：{complaint}"),
            Self::English => format!("{kind} {whom}: {complaint}"),
        };
        self.with_images(said, &card.images)
    }

    fn subject(self, subject: &ConsultSubject) -> String {
        let relation = match subject.relation.as_str() {
            "self" => self.pick("本人", "self"),
            "spouse" => self.pick("配偶", "spouse"),
            "child" => self.pick("子女", "child"),
            "parent" => self.pick("父母", "parent"),
            "sibling" => self.pick("兄弟姐妹", "sibling"),
            "grandparent" => self.pick("祖父母", "grandparent"),
            "grandchild" => self.pick("孙辈", "grandchild"),
            other => other.to_owned(),
        };
        let age = match (self, subject.age_years) {
            (_, 0) => String::new(),
            (Self::Chinese, years) => format!("{years} 岁"),
            (Self::English, years) => format!("{years} years"),
        };
        let gender = match subject.gender.as_str() {
            "female" => self.pick("女", "female"),
            "male" => self.pick("男", "male"),
            other => other.to_owned(),
        };
        let mut known = vec![relation, age, gender];
        known.retain(|part| !part.is_empty());
        match (self, known.is_empty()) {
            (_, true) => subject.name.clone(),
            (Self::Chinese, false) => format!("{}（{}）", subject.name, known.join("，")),
            (Self::English, false) => format!("{} ({})", subject.name, known.join(", ")),
        }
    }

    /// The card of a doctor's advice: each part on a line of its own.
    fn advice(self, card: &AdviceCard) -> String {
        let title = self.in_brackets(Some(Form::Advice), "", vec![card.title.clone()]);
        let parts = [
            (self.pick("初步诊断", "impression"), &card.impression),
            (self.pick("建议", "advice"), &card.text),
            (self.pick("用药", "medicines"), &card.medicines),
            (self.pick("复诊日期", "follow-up"), &card.follow_up_date),
        ];
        let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
        let lines = parts.map(|(name, text)| match self {
            Self::Chinese => format!("{name}：{text}"),
            Self::English => format!("{name}: {text}"),
        });
        let said = std::iter::once(title).chain(lines).collect::<Vec<_>>().join("\n");
        self.with_images(said, &card.images)
    }

    fn with_images(self, said: String, uris: &[String]) -> String {
        let images = uris
            .iter()
            .map(|uri| self.in_brackets(Some(Form::Image), "", vec![uri.clone()]));
        std::iter::once(said).chain(images).collect::<Vec<_>>().join(" ")
    }

    /// A duration, rounded up: a short message is not one of 0 seconds.
    fn seconds(self, duration_ms: u32) -> String {
        match (self, duration_ms.div_ceil(1000)) {
            (_, 0) => String::new(),
            (Self::Chinese, seconds) => format!("{seconds} 秒"),
            (Self::English, seconds) => format!("{seconds} s"),
        }
    }
}

/// The size of a file; empty when it is not known.
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match bytes {
        0 => String::new(),
        1..KIB => format!("{bytes} B"),
        KIB..MIB => format!("{} KiB", bytes.div_ceil(KIB)),
        _ => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn entry(mime_type: &str, body: &impl Message) -> Entry {
        Entry {
            mime_type: mime_type.into(),
            body: body.encode_to_vec().into(),
            ..Entry::default()
        }
    }

    #[test]
    fn media_have_kind_size_and_uri() {
        let voice = entry(
            "audio/amr",
            &Audio {
                uri: "media:13".into(),
                duration_ms: 1400,
                bytes: 106,
            },
        );
        assert_eq!(Language::Chinese.message(&voice), "[语音 2 秒 106 B media:13]");
        let file = File {
            uri: "media:3".into(),
            name: "report.pdf".into(),
            bytes: 1_600_000,
            ..File::default()
        };
        let file = entry("application/octet-stream", &file);
        assert_eq!(
            Language::English.message(&file),
            "[file report.pdf 1.5 MiB media:3]"
        );
    }

    #[test]
    fn a_complaint_says_for_whom_and_shows_its_pictures() {
        let mut card = ConsultCard {
            subject: Some(ConsultSubject {
                name: "小明".into(),
                relation: "child".into(),
                age_years: 6,
                ..ConsultSubject::default()
            }),
            symptom_type: mime::TEXT.into(),
            symptom_content: "起疹子两天".into(),
            images: vec!["media:12".into(), "media:13".into()],
            ..ConsultCard::default()
        };
        assert_eq!(
            Language::Chinese.message(&entry(mime::CONSULT, &card)),
            "[咨询]小明（子女，6 岁）：起疹子两天 [图片 media:12] [图片 media:13]"
        );
        card.symptom_type = "audio/amr".into();
        card.symptom_content = "media:11".into();
        assert_eq!(
            Language::English.message(&entry(mime::CONSULT, &card)),
            "[consult] 小明 (child, 6 years): [voice media:11] [image media:12] [image media:13]"
        );
        let pointer = ConsultCard {
            title: "仁心儿科".into(),
            ..ConsultCard::default()
        };
        assert_eq!(
            Language::English.message(&entry(mime::CONSULT, &pointer)),
            "[consult] 仁心儿科"
        );
    }

    #[test]
    fn advice_has_a_line_for_each_part_and_a_correction_names_its_message() {
        let card = AdviceCard {
            title: "医生建议".into(),
            text: "避免抓挠".into(),
            follow_up_date: "2026-12-20".into(),
            ..AdviceCard::default()
        };
        assert_eq!(
            Language::Chinese.message(&entry(mime::ADVICE, &card)),
            "[医嘱 医生建议]\n建议：避免抓挠\n复诊日期：2026-12-20"
        );
        let correction = Entry {
            mime_type: mime::TEXT.into(),
            body: "两天后复诊".into(),
            corrects_seq: 9,
            ..Entry::default()
        };
        assert_eq!(
            Language::Chinese.message(&correction),
            "（更正第 9 条）两天后复诊"
        );
    }
}
