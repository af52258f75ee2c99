//! Refused logins and their Bye.

use std::{io, time::Duration};

use proto::{
    Sentence, frame,
    websocket::{self, CloseCode},
    wire::{Bye, ByeReason, server_frame::Body},
};
use telemetry::events::im::BYES;

use super::newcomer::Newcomer;
use crate::{sentences, session::outbox::Outbox, shared::spread_ms};

/// Longest time that a Bye before login may take.
const BYE_LIMIT: Duration = Duration::from_secs(1);

pub(super) enum Refused {
    /// The peer is gone, or speaks another protocol.
    Silent,
    /// The peer closes its WebSocket.
    Closed(Option<CloseCode>),
    Bye {
        reason: ByeReason,
        retry_after_ms: u32,
        detail: Sentence,
        /// The invalid field of Login.
        field: &'static str,
        close: CloseCode,
    },
}

impl From<io::Error> for Refused {
    fn from(_: io::Error) -> Self {
        Self::Silent
    }
}

pub(super) fn bye(reason: ByeReason, detail: Sentence) -> Refused {
    bye_until(reason, 0, detail)
}

pub(super) fn bye_until(reason: ByeReason, retry_after_ms: u32, detail: Sentence) -> Refused {
    Refused::Bye {
        reason,
        retry_after_ms,
        detail,
        field: "",
        close: CloseCode::of(reason),
    }
}

/// A Login that is invalid with any password. It does not count as a guess.
pub(super) fn invalid(field: &'static str, detail: Sentence) -> Refused {
    let reason = ByeReason::InvalidLogin;
    Refused::Bye {
        reason,
        retry_after_ms: 0,
        detail,
        field,
        close: CloseCode::of(reason),
    }
}

impl From<websocket::Error> for Refused {
    fn from(error: websocket::Error) -> Self {
        Self::Bye {
            reason: ByeReason::BadFrame,
            retry_after_ms: 0,
            detail: error.sentence(),
            field: "",
            close: error.close_code(),
        }
    }
}

pub(super) fn unavailable() -> Refused {
    bye_until(
        ByeReason::Unavailable,
        spread_ms(1_000, 5_000),
        sentences::CANNOT_CHECK,
    )
}

/// Sends Bye on a connection without a session.
pub(super) async fn send_bye(newcomer: Newcomer, refused: Refused) {
    let (bye, close) = match refused {
        Refused::Silent => return,
        Refused::Closed(close) => (None, close),
        Refused::Bye {
            reason,
            retry_after_ms,
            detail,
            field,
            close,
        } => {
            BYES.increment(reason.as_str_name());
            let bye = Bye {
                reason: reason as i32,
                retry_after_ms,
                detail: detail.text(newcomer.language).into(),
                field: field.into(),
            };
            (Some(frame::server(0, Body::Bye(bye))), Some(close))
        }
    };
    let outbox = Outbox::new(newcomer.framing);
    outbox.end(bye, false, close);
    let _ = tokio::time::timeout(BYE_LIMIT, outbox.finish(&newcomer.transport)).await;
}
