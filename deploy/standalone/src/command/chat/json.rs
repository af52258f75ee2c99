//! Events as lines of JSON, and lines of JSON as messages.

use anyhow::{Context, bail};
use bytes::Bytes;
use proto::{
    client::{Event, Outgoing},
    wire::{self, ByeReason, ConversationKind, EntryKind, ErrorCode, Role, entry},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// One event.
pub(super) fn event(event: &Event) -> Value {
    match event {
        Event::Connected { session_id } => json!({"event": "connected", "session_id": session_id}),
        Event::Synced { synced_ms } => json!({"event": "synced", "synced_ms": synced_ms}),
        Event::Conversation(conversation) => json!({
            "event": "conversation",
            "conversation_id": conversation.conversation_id,
            "epoch": conversation.epoch,
            "kind": word(
                ConversationKind::try_from(conversation.kind).map(|kind| kind.as_str_name()),
                "CONVERSATION_KIND_",
                conversation.kind,
            ),
            "title": conversation.title,
            "participants": conversation.participants.iter().map(|participant| json!({
                "user_id": participant.user_id,
                "role": role(participant.role),
            })).collect::<Vec<_>>(),
            "last_seq": conversation.last_seq,
            "read_seq": conversation.read_seq,
            "unread": conversation.unread,
            "open": conversation.open,
            "reset": conversation.reset,
            "from_seq": conversation.from_seq,
            "consultation_id": conversation.consultation_id,
        }),
        Event::Entry(entry) => self::entry(entry),
        Event::Sent {
            client_msg_id,
            conversation_id,
            seq,
            created_ms,
            duplicate,
        } => json!({
            "event": "sent",
            "client_msg_id": client_msg_id,
            "conversation_id": conversation_id,
            "seq": seq,
            "created_ms": created_ms,
            "duplicate": duplicate,
        }),
        Event::SendFailed {
            client_msg_id,
            conversation_id,
            error,
        } => json!({
            "event": "send_failed",
            "client_msg_id": client_msg_id,
            "conversation_id": conversation_id,
            "code": word(
                ErrorCode::try_from(error.code).map(|code| code.as_str_name()),
                "ERROR_CODE_",
                error.code,
            ),
            "field": error.field,
            "message": error.message,
        }),
        Event::SendDelayed {
            client_msg_id,
            conversation_id,
            error,
        } => json!({
            "event": "send_delayed",
            "client_msg_id": client_msg_id,
            "conversation_id": conversation_id,
            "code": word(
                ErrorCode::try_from(error.code).map(|code| code.as_str_name()),
                "ERROR_CODE_",
                error.code,
            ),
            "retry_after_ms": error.retry_after_ms,
            "message": error.message,
        }),
        Event::Marks(marks) => json!({
            "event": "marks",
            "conversation_id": marks.conversation_id,
            "marks": marks.marks.iter().map(|mark| json!({
                "user_id": mark.user_id,
                "received_seq": mark.received_seq,
                "read_seq": mark.read_seq,
            })).collect::<Vec<_>>(),
        }),
        Event::Typing(typing) => json!({
            "event": "typing",
            "conversation_id": typing.conversation_id,
            "user_id": typing.user_id,
        }),
        Event::CallSignal(signal) => json!({
            "event": "call_signal",
            "call_id": signal.call_id,
            "user_id": signal.user_id,
            "kind": signal.kind().as_str_name().replace("CALL_SIGNAL_KIND_", "").to_lowercase(),
        }),
        Event::Bye {
            reason,
            advice,
            detail,
        } => json!({
            "event": "bye",
            "reason": reason,
            "word": word(ByeReason::try_from(*reason).map(|reason| reason.as_str_name()), "BYE_REASON_", *reason),
            "advice": format!("{advice:?}"),
            "detail": detail,
        }),
        Event::Disconnected { cause, retry_in } => json!({
            "event": "disconnected",
            "cause": cause,
            "retry_in_ms": retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }),
    }
}

fn entry(entry: &wire::Entry) -> Value {
    let mut line = json!({
        "event": "entry",
        "conversation_id": entry.conversation_id,
        "seq": entry.seq,
        "sender_id": entry.sender_id,
        "kind": word(EntryKind::try_from(entry.kind).map(|kind| kind.as_str_name()), "ENTRY_KIND_", entry.kind),
        "created_ms": entry.created_ms,
    });
    if !entry.mime_type.is_empty() {
        line["mime_type"] = json!(entry.mime_type);
        match std::str::from_utf8(&entry.body) {
            Ok(text) if entry.mime_type == "text/plain" => line["text"] = json!(text),
            _ => line["body_hex"] = json!(hex::encode(&entry.body)),
        }
    }
    if !entry.client_msg_id.is_empty() {
        line["client_msg_id"] = json!(entry.client_msg_id);
    }
    if entry.reply_to_seq != 0 {
        line["reply_to_seq"] = json!(entry.reply_to_seq);
    }
    if !entry.mentions.is_empty() {
        line["mentions"] = json!(entry.mentions);
    }
    if entry.corrects_seq != 0 {
        line["corrects_seq"] = json!(entry.corrects_seq);
    }
    if entry.recalled {
        line["recalled"] = json!(true);
    }
    match &entry.event {
        Some(entry::Event::Participant(participant)) => {
            line["participant"] = json!({
                "user_id": participant.user_id,
                "role": role(participant.role),
                "name": participant.name,
            });
        }
        Some(entry::Event::Status(status)) => {
            line["status"] = json!({"status": status.status, "open": status.open});
        }
        Some(entry::Event::Vas(vas)) => {
            line["vas"] = json!({
                "vas_id": vas.vas_id,
                "name": vas.name,
                "description": vas.description,
                "price_fen": vas.price_fen,
                "state": vas.state,
                "doctor_id": vas.doctor_id,
            });
        }
        Some(entry::Event::Call(call)) => {
            line["call"] = json!({
                "call_id": call.call_id,
                "video": call.video,
                "duration_ms": call.duration_ms,
                "outcome": call.outcome,
            });
        }
        Some(entry::Event::Media(media)) => {
            line["media"] = json!({"uri": media.uri, "mime_type": media.mime_type});
        }
        None => {}
    }
    line
}

fn role(role: i32) -> Value {
    word(Role::try_from(role).map(|role| role.as_str_name()), "ROLE_", role)
}

/// An enum's value as a lower-case word, or its number when it is newer than this program.
fn word<E>(name: Result<&str, E>, prefix: &str, number: i32) -> Value {
    match name {
        Ok(name) => json!(name.strip_prefix(prefix).unwrap_or(name).to_lowercase()),
        Err(_) => json!(number),
    }
}

/// A line that was read: a text, or a JSON object.
pub(super) fn message(
    line: &str,
    default_conversation: Option<i64>,
    new_id: impl FnOnce() -> String,
) -> anyhow::Result<Outgoing> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        text: Option<String>,
        body_hex: Option<String>,
        mime_type: Option<String>,
        conversation_id: Option<i64>,
        client_msg_id: Option<String>,
        #[serde(default)]
        reply_to_seq: i64,
        #[serde(default)]
        mentions: Vec<i64>,
    }
    let line = if line.trim_start().starts_with('{') {
        serde_json::from_str(line).context("the line is no message in JSON")?
    } else {
        Line {
            text: Some(line.to_owned()),
            body_hex: None,
            mime_type: None,
            conversation_id: None,
            client_msg_id: None,
            reply_to_seq: 0,
            mentions: Vec::new(),
        }
    };
    let body = match (line.text, line.body_hex) {
        (Some(text), None) => Bytes::from(text),
        (None, Some(body)) => hex::decode(&body).context("body_hex is not hex")?.into(),
        _ => bail!("a message has either text or body_hex"),
    };
    let Some(conversation_id) = line.conversation_id.or(default_conversation) else {
        bail!("there is no open consult: name a conversation_id");
    };
    Ok(Outgoing {
        conversation_id,
        client_msg_id: line.client_msg_id.unwrap_or_else(new_id),
        mime_type: line.mime_type.unwrap_or_else(|| "text/plain".into()),
        body,
        mentions: line.mentions,
        reply_to_seq: line.reply_to_seq,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> anyhow::Result<Outgoing> {
        message(line, Some(4), || "made".into())
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
            r#"{"body_hex":"0a01","mime_type":"image/png","conversation_id":7,"client_msg_id":"x","reply_to_seq":3}"#,
        )
        .unwrap();
        assert_eq!(object.conversation_id, 7);
        assert_eq!(object.body.as_ref(), [0x0a, 0x01]);
        assert_eq!((object.client_msg_id.as_str(), object.reply_to_seq), ("x", 3));
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
        assert!(message("a", None, || "x".into()).is_err());
    }
}
