//! Events as lines of JSON, and lines of JSON as messages.

use anyhow::{Context, bail};
use bytes::Bytes;
use proto::{
    client::{Event, Outgoing},
    json::{self, Name},
    wire::{self, ByeReason, CallSignalKind, ErrorCode},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attachments::{ToSave, ToSend};

/// One event.
pub(super) fn event(event: &Event) -> Value {
    match event {
        Event::Connected { session_id } => named("connected", json!({"session_id": session_id})),
        Event::Synced { synced_ms } => named("synced", json!({"synced_ms": synced_ms})),
        Event::Conversation(conversation) => named("conversation", conversation),
        Event::Entry(entry) => self::entry(entry),
        Event::Sent {
            client_msg_id,
            conversation_id,
            seq,
            created_ms,
            duplicate,
        } => named(
            "sent",
            json!({
                "client_msg_id": client_msg_id,
                "conversation_id": conversation_id,
                "seq": seq,
                "created_ms": created_ms,
                "duplicate": duplicate,
            }),
        ),
        Event::SendFailed {
            client_msg_id,
            conversation_id,
            error,
        } => {
            let mut line = unsent("send_failed", client_msg_id, *conversation_id, error);
            line["field"] = json!(error.field);
            line
        }
        Event::SendDelayed {
            client_msg_id,
            conversation_id,
            error,
        } => {
            let mut line = unsent("send_delayed", client_msg_id, *conversation_id, error);
            line["retry_after_ms"] = json!(error.retry_after_ms);
            line
        }
        Event::Marks(marks) => named("marks", marks),
        Event::Hidden(hidden) => named(
            "hidden",
            json!({"conversation_id": hidden.conversation_id, "through_seq": hidden.through_seq}),
        ),
        Event::Typing(typing) => named("typing", typing),
        Event::CallSignal(signal) => named(
            "call_signal",
            json!({
                "call_id": signal.call_id,
                "user_id": signal.user_id,
                "kind": Name::of::<CallSignalKind>(signal.kind),
            }),
        ),
        Event::Bye {
            reason,
            advice,
            detail,
        } => named(
            "bye",
            json!({
                "reason": reason,
                "word": Name::of::<ByeReason>(*reason),
                "advice": format!("{advice:?}"),
                "detail": detail,
            }),
        ),
        Event::Disconnected { cause, retry_in } => named(
            "disconnected",
            json!({
                "cause": cause,
                "retry_in_ms": retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            }),
        ),
    }
}

/// The fields of an event, and its name.
fn named(name: &str, fields: impl Serialize) -> Value {
    // Cannot fail: fields are numbers, texts and lists of them under names.
    let mut line = serde_json::to_value(fields).unwrap_or_else(|_| json!({}));
    line["event"] = json!(name);
    line
}

/// A message that the node has not accepted.
fn unsent(name: &str, client_msg_id: &str, conversation_id: i64, error: &wire::Error) -> Value {
    named(
        name,
        json!({
            "client_msg_id": client_msg_id,
            "conversation_id": conversation_id,
            "code": Name::of::<ErrorCode>(error.code),
            "message": error.message,
        }),
    )
}

/// An entry; a body that is not text is hex, as in the lines that are read, and the fields of its message.
fn entry(entry: &wire::Entry) -> Value {
    let mut line = named("entry", json::Entry::without_body(entry.clone()));
    if !entry.mime_type.is_empty() {
        match std::str::from_utf8(&entry.body) {
            Ok(text) if entry.mime_type == "text/plain" => line["text"] = json!(text),
            _ => {
                line["body_hex"] = json!(hex::encode(&entry.body));
                if let json::Body::Content(content) = json::Body::read(&entry.mime_type, &entry.body) {
                    line["content"] = content;
                }
            }
        }
    }
    line
}

/// A request of a line.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    Message(Outgoing),
    Send(ToSend),
    Save(ToSave),
}

/// A line in JSON.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    text: Option<String>,
    body_hex: Option<String>,
    mime_type: Option<String>,
    /// The path of a file to send.
    send_file: Option<String>,
    /// The entry whose media are to be saved, at `path` if it is there.
    save_seq: Option<i64>,
    path: Option<String>,
    conversation_id: Option<i64>,
    client_msg_id: Option<String>,
    reply_to_seq: i64,
    corrects_seq: i64,
    mentions: Vec<i64>,
}

/// A line that was read: a text, or a JSON object.
pub(super) fn read(
    line: &str,
    default_conversation: Option<i64>,
    new_id: impl FnOnce() -> String,
) -> anyhow::Result<Asked> {
    let line = if line.trim_start().starts_with('{') {
        serde_json::from_str(line).context("the line is no message in JSON")?
    } else {
        Line {
            text: Some(line.to_owned()),
            ..Line::default()
        }
    };
    let Some(conversation_id) = line.conversation_id.or(default_conversation) else {
        bail!("there is no open consult: name a conversation_id");
    };
    let has_message = line.text.is_some() || line.body_hex.is_some();
    let client_msg_id = line.client_msg_id.unwrap_or_else(new_id);
    match (line.send_file, line.save_seq) {
        (Some(file), None) if !has_message => {
            return Ok(Asked::Send(ToSend {
                path: file.into(),
                conversation_id,
                client_msg_id,
            }));
        }
        (None, Some(seq)) if !has_message => {
            return Ok(Asked::Save(ToSave {
                conversation_id,
                seq,
                path: line.path.map(Into::into),
            }));
        }
        (None, None) => {}
        _ => bail!("a line has one of text, body_hex, send_file and save_seq"),
    }
    let body = match (line.text, line.body_hex) {
        (Some(text), None) => Bytes::from(text),
        (None, Some(body)) => hex::decode(&body).context("body_hex is not hex")?.into(),
        _ => bail!("a message has either text or body_hex"),
    };
    Ok(Asked::Message(Outgoing {
        conversation_id,
        client_msg_id,
        mime_type: line.mime_type.unwrap_or_else(|| "text/plain".into()),
        body,
        mentions: line.mentions,
        reply_to_seq: line.reply_to_seq,
        corrects_seq: line.corrects_seq,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> anyhow::Result<Asked> {
        super::read(line, Some(4), || "made".into())
    }

    fn read(line: &str) -> anyhow::Result<Outgoing> {
        match asked(line)? {
            Asked::Message(message) => Ok(message),
            other => bail!("{other:?} is no message"),
        }
    }

    #[test]
    fn files_are_sent_and_saved() {
        let send = asked(r#"{"send_file":"a.png","client_msg_id":"x"}"#).unwrap();
        let expected = ToSend {
            path: "a.png".into(),
            conversation_id: 4,
            client_msg_id: "x".into(),
        };
        assert_eq!(send, Asked::Send(expected));
        let mut expected = ToSave {
            conversation_id: 7,
            seq: 3,
            path: None,
        };
        let save = asked(r#"{"save_seq":3,"conversation_id":7}"#).unwrap();
        assert_eq!(save, Asked::Save(expected.clone()));
        expected.path = Some("b.png".into());
        let save = asked(r#"{"save_seq":3,"conversation_id":7,"path":"b.png"}"#).unwrap();
        assert_eq!(save, Asked::Save(expected));
        for bad in [
            r#"{"send_file":"a.png","text":"a"}"#,
            r#"{"send_file":"a.png","save_seq":3}"#,
            r#"{"save_seq":3,"body_hex":"00"}"#,
        ] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_entry_has_its_event_and_its_body() {
        let recalled = wire::Entry {
            conversation_id: 4,
            seq: 2,
            sender_id: 7,
            kind: wire::EntryKind::Message.into(),
            mime_type: "image/png".into(),
            body: Bytes::from_static(&[0x0a, 0x01]),
            created_ms: 9,
            mentions: vec![8],
            recalled: true,
            ..wire::Entry::default()
        };
        assert_eq!(
            event(&Event::Entry(Box::new(recalled))),
            json!({
                "event": "entry", "conversation_id": 4, "seq": 2, "sender_id": 7, "kind": "message", "created_ms": 9,
                "mime_type": "image/png", "body_hex": "0a01", "mentions": [8], "recalled": true,
            })
        );
        let changed = wire::Entry {
            kind: wire::EntryKind::StatusChanged.into(),
            event: Some(wire::entry::Event::Status(wire::StatusEvent {
                status: "finished".into(),
                open: false,
                ..wire::StatusEvent::default()
            })),
            ..wire::Entry::default()
        };
        let line = event(&Event::Entry(Box::new(changed)));
        assert_eq!(line["status"], json!({"status": "finished", "open": false}));
        assert_eq!(line["kind"], "status_changed");
    }

    #[test]
    fn a_refusal_names_its_code_and_field() {
        let failed = Event::SendFailed {
            client_msg_id: "x".into(),
            conversation_id: 4,
            error: wire::Error {
                code: ErrorCode::Invalid.into(),
                field: "body".into(),
                message: "the text is empty".into(),
                ..wire::Error::default()
            },
        };
        assert_eq!(
            event(&failed),
            json!({
                "event": "send_failed", "client_msg_id": "x", "conversation_id": 4, "code": "invalid", "field": "body",
                "message": "the text is empty",
            })
        );
    }

    #[test]
    fn a_line_is_a_text_or_an_object() {
        let plain = read("你好 {}").unwrap();
        assert_eq!(
            (plain.conversation_id, plain.mime_type.as_str()),
            (4, "text/plain")
        );
        assert_eq!(plain.body, "你好 {}".as_bytes());
        assert_eq!(plain.client_msg_id, "made");
        let object = read(
            r#"{"body_hex":"0a01","mime_type":"image/png","conversation_id":7,"client_msg_id":"x","reply_to_seq":3,"corrects_seq":2}"#,
        )
        .unwrap();
        assert_eq!(object.conversation_id, 7);
        assert_eq!(object.body.as_ref(), [0x0a, 0x01]);
        assert_eq!(
            (
                object.client_msg_id.as_str(),
                object.reply_to_seq,
                object.corrects_seq
            ),
            ("x", 3, 2)
        );
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bad in [
            "{",
            "{}",
            r#"{"text":"a","body_hex":"00"}"#,
            r#"{"body_hex":"0"}"#,
            r#"{"text":"a","conversaton_id":4}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(super::read("a", None, || "x".into()).is_err());
    }
}
