//! The registry's rules, and what they refuse.

use super::*;

fn check_content(mime_type: &str, body: &[u8]) -> Result<(), Refused> {
    super::check_content(mime_type, body, &MediaHosts::default())
}

/// Seed: 定义 mimetype 类型.
#[test]
fn every_registered_type_is_well_formed_and_listed_once() {
    for (at, registered) in REGISTRY.iter().enumerate() {
        assert!(is_well_formed(registered.mime_type), "{}", registered.mime_type);
        assert!(
            REGISTRY[at + 1..]
                .iter()
                .all(|other| other.mime_type != registered.mime_type)
        );
    }
}

#[test]
fn text_must_be_text() {
    assert!(check_content("text/plain", "你好".as_bytes()).is_ok());
    for bad in [&b""[..], b"a\0b", b"\xff\xfe", b"\xe4\xbd"] {
        assert!(
            matches!(
                check_content("text/plain", bad),
                Err(Refused::Invalid { field: "body", .. })
            ),
            "{bad:?}"
        );
    }
}

// protocol: "else the protobuf message that the table names"
// protocol: "Image.thumbnail | 16 KiB"
#[test]
fn a_structured_body_must_be_its_message() {
    let image = wire::Image {
        uri: "media/1".into(),
        ..Default::default()
    };
    assert!(check_content("image/png", &image.encode_to_vec()).is_ok());
    assert!(check_content("image/png", b"\x89PNG\r\n").is_err());
    assert!(check_content("image/png", b"").is_err(), "an image without a uri");
    for (bytes, is_accepted) in [(MAX_THUMBNAIL_BYTES, true), (MAX_THUMBNAIL_BYTES + 1, false)] {
        let with_thumbnail = wire::Image {
            thumbnail: vec![0; bytes].into(),
            ..image.clone()
        };
        assert_eq!(
            check_content("image/png", &with_thumbnail.encode_to_vec()).is_ok(),
            is_accepted
        );
    }
    let nowhere = wire::Location {
        latitude: f64::NAN,
        ..Default::default()
    };
    assert!(check_content("application/vnd.huizhen.location", &nowhere.encode_to_vec()).is_err());
}

// protocol: "Well-formed types that are not in the table are carried untouched"
// protocol: "mime_type | 1 to 127 bytes"
#[test]
fn unknown_but_well_formed_types_pass_and_others_do_not() {
    assert!(check_content("application/vnd.acme.thing+json", b"\xff\0").is_ok());
    for bad in [
        "",
        "text",
        "Text/Plain",
        "text/plain; charset=utf-8",
        "a/b/c",
        "a/\0",
        "/x",
        "x/",
    ] {
        assert!(
            matches!(
                check_content(bad, b"x"),
                Err(Refused::Invalid {
                    field: "mime_type",
                    ..
                })
            ),
            "{bad:?}"
        );
    }
    assert!(check_content(&format!("a/{}", "b".repeat(MAX_MIME_BYTES)), b"").is_err());
}

#[test]
fn cards_cannot_be_forged() {
    let refused = |mime, role| check_sender(mime, role).is_err();
    assert!(refused("application/vnd.huizhen.vas", Role::Doctor));
    assert!(refused("application/vnd.huizhen.advice", Role::Patient));
    assert!(refused("application/vnd.huizhen.advice", Role::Peer));
    assert!(refused("application/vnd.huizhen.notice", Role::Doctor));
    assert!(!refused("application/vnd.huizhen.advice", Role::Doctor));
    assert!(!refused("application/vnd.huizhen.consult", Role::Assistant));
    assert!(!refused("text/plain", Role::Patient));
}

#[test]
fn every_uri_of_every_type_is_of_this_service() {
    let image = |uri: &str| {
        wire::Image {
            uri: uri.into(),
            ..Default::default()
        }
        .encode_to_vec()
    };
    let audio = |uri: &str| {
        wire::Audio {
            uri: uri.into(),
            ..Default::default()
        }
        .encode_to_vec()
    };
    let file = |uri: &str| {
        wire::File {
            uri: uri.into(),
            ..Default::default()
        }
        .encode_to_vec()
    };
    let video = |uri: &str, cover: &str| {
        let (uri, cover) = (uri.into(), cover.into());
        wire::Video {
            uri,
            cover,
            ..Default::default()
        }
        .encode_to_vec()
    };
    let advice = |images: &[&str]| {
        let images = images.iter().map(|image| (*image).into()).collect();
        wire::AdviceCard {
            images,
            ..Default::default()
        }
        .encode_to_vec()
    };
    let complaint = |symptom: &str, image: &str| {
        wire::ConsultCard {
            symptom_type: "audio/aac".into(),
            symptom_content: symptom.into(),
            images: vec![image.into()],
            ..Default::default()
        }
        .encode_to_vec()
    };
    let bodies = |uri: &str| {
        [
            (CONSULT, complaint(uri, "media/1")),
            (CONSULT, complaint("media/1", uri)),
            ("image/jpeg", image(uri)),
            ("image/png", image(uri)),
            ("image/webp", image(uri)),
            ("audio/aac", audio(uri)),
            ("audio/amr", audio(uri)),
            ("audio/opus", audio(uri)),
            ("video/mp4", video(uri, "")),
            ("video/mp4", video("media/1", uri)),
            ("application/octet-stream", file(uri)),
            ("application/vnd.huizhen.advice", advice(&["media/1", uri])),
        ]
    };
    for (mime_type, body) in bodies("media/7f3a") {
        assert_eq!(check_content(mime_type, &body), Ok(()), "{mime_type}");
    }
    let foreign = "https://media.example.com/1";
    for bad in [
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "file:///x",
        foreign,
        "media/../x",
    ] {
        for (mime_type, body) in bodies(bad) {
            let refused = check_content(mime_type, &body);
            let is_of_body = matches!(refused, Err(Refused::Invalid { field: "body", .. }));
            assert!(is_of_body, "{mime_type} {bad}: {refused:?}");
        }
    }
    let named: MediaHosts = ["media.example.com".parse().unwrap()].into_iter().collect();
    for (mime_type, body) in bodies(foreign) {
        assert_eq!(
            super::check_content(mime_type, &body, &named),
            Ok(()),
            "{mime_type}"
        );
    }
    assert!(check_content("application/vnd.huizhen.advice", &advice(&[])).is_ok());
}

// protocol: "follow_up_date` | YYYY-MM-DD, or empty"
#[test]
fn a_day_is_a_day() {
    let advice = |date: &str| {
        let card = wire::AdviceCard {
            follow_up_date: date.into(),
            ..Default::default()
        };
        check_content(ADVICE, &card.encode_to_vec())
    };
    for good in ["", "2026-12-08", "2027-01-31", "2028-02-29", "2000-02-29"] {
        assert_eq!(advice(good), Ok(()), "{good}");
    }
    for bad in [
        "2026-13-01",
        "2026-00-01",
        "2026-12-32",
        "2026-12-00",
        "2026-02-29",
        "2026-02-31",
        "2026-04-31",
        "2100-02-29",
        "0000-01-01",
        "2026/12/08",
        "2026-12-8",
        "2026-12-08T",
        "下周二",
        "+026-12-08",
    ] {
        assert!(advice(bad).is_err(), "{bad}");
    }
}
