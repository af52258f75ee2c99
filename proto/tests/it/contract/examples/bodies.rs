//! Structured bodies of MIME types.

use bytes::Bytes;
use prost::Message;
use proto::wire::{
    AdviceCard, Audio, CallCard, ConsultCard, ConsultSubject, File, Image, Location, Notice, VasCard, Video,
};

use super::{CONVERSATION, PATIENT};

/// A structured body of a MIME type.
pub(crate) struct Body {
    pub(crate) mime_type: &'static str,
    /// The message's name in the .proto files.
    pub(crate) message: &'static str,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn bodies() -> Vec<Body> {
    fn body(mime_type: &'static str, message: &'static str, content: &impl Message) -> Body {
        Body {
            mime_type,
            message,
            bytes: content.encode_to_vec(),
        }
    }
    let image = Image {
        uri: "media/7f3a".into(),
        width: 1280,
        height: 960,
        bytes: 182_044,
        thumbnail: Bytes::from_static(&[0xff, 0xd8, 0xff]),
    };
    let audio = Audio {
        uri: "media/91bc".into(),
        duration_ms: 4200,
        bytes: 33_600,
    };
    vec![
        body("image/jpeg", "Image", &image),
        body("image/png", "Image", &image),
        body("image/webp", "Image", &image),
        body("audio/aac", "Audio", &audio),
        body("audio/amr", "Audio", &audio),
        body("audio/opus", "Audio", &audio),
        body(
            "video/mp4",
            "Video",
            &Video {
                uri: "media/02dd".into(),
                duration_ms: 15_000,
                cover: "media/02de".into(),
            },
        ),
        body(
            "application/octet-stream",
            "File",
            &File {
                uri: "media/5c01".into(),
                name: "化验单.pdf".into(),
                bytes: 90_112,
                sha256: Bytes::from_static(&[0xab; 32]),
            },
        ),
        body(
            "application/vnd.huizhen.location",
            "Location",
            &Location {
                latitude: 39.9042,
                longitude: 116.4074,
                name: "医院".into(),
                address: "北京".into(),
            },
        ),
        body(
            "application/vnd.huizhen.vas",
            "VasCard",
            &VasCard {
                vas_id: 88,
                name: "复诊".into(),
                description: "一次视频复诊".into(),
                price_fen: 9900,
            },
        ),
        body(
            "application/vnd.huizhen.advice",
            "AdviceCard",
            &AdviceCard {
                title: "医嘱".into(),
                text: "多休息，一周后复查".into(),
                ..AdviceCard::default()
            },
        ),
        body(
            "application/vnd.huizhen.consult",
            "ConsultCard",
            &ConsultCard {
                consultation_id: CONVERSATION,
                title: "上次的咨询".into(),
                ..ConsultCard::default()
            },
        ),
        body(
            "application/vnd.huizhen.call",
            "CallCard",
            &CallCard {
                call_id: 301,
                video: true,
                duration_ms: 61_000,
                outcome: "hung_up".into(),
            },
        ),
        body(
            "application/vnd.huizhen.notice",
            "Notice",
            &Notice {
                title: "通知".into(),
                text: "明天停诊".into(),
            },
        ),
        body(
            "application/vnd.huizhen.advice",
            "AdviceCard",
            &AdviceCard {
                title: "医嘱".into(),
                text: "多休息，一周后复查".into(),
                images: vec![],
                impression: "急性上呼吸道感染".into(),
                medicines: "布洛芬混悬液，体温超过 38.5 度时服用".into(),
                follow_up_date: "2026-12-08".into(),
            },
        ),
        body(
            "application/vnd.huizhen.consult",
            "ConsultCard",
            &ConsultCard {
                consultation_id: CONVERSATION,
                title: "发热一天".into(),
                subject: Some(ConsultSubject {
                    user_id: PATIENT,
                    name: "小明".into(),
                    relation: "child".into(),
                    age_years: 6,
                    gender: "male".into(),
                }),
                symptom_type: "text/plain".into(),
                symptom_content: "发热一天，38.5 度".into(),
                images: vec!["media:58".into()],
                follow_up_of: 0,
            },
        ),
    ]
}
