//! The effect of each answer.

use std::collections::HashSet;
use std::time::Duration;

use super::{
    DEFAULT_PAUSE, KeptPassword, Link, Machine, Online, Part, Renewal, Sync, millis, renew_at, since_start,
};
use crate::bye;
use crate::client::event::Event;
use crate::frame::MAX_FRAME_BYTES;
use crate::wire::{self, ErrorCode, client_frame};

impl Machine {
    pub(super) fn logged_in(&mut self, now: Duration, ok: &wire::LoginOk) {
        if !matches!(self.link, Link::LoggingIn { .. }) {
            return;
        }
        let server_epoch_ms = ok.server_time_ms - millis(now);
        let expires = since_start(ok.expires_at_ms, server_epoch_ms);
        if let Some(kept) = &mut self.password {
            kept.good_until = expires;
            kept.was_accepted = true;
        }
        let max_frame_bytes = match ok.max_frame_bytes {
            0 => MAX_FRAME_BYTES,
            bytes => bytes as usize,
        };
        self.link = Link::Online(Box::new(Online {
            heartbeat: Duration::from_secs(ok.heartbeat_s.max(1).into()),
            max_frame_bytes,
            server_epoch_ms,
            sync: Sync::Done,
            part: Part::default(),
            renewal: Renewal::At(renew_at(now, expires)),
            pinged: None,
            last_sent: now,
            last_received: now,
            questions: HashSet::new(),
        }));
        self.output.max_server_frame_bytes = Some(2 * max_frame_bytes);
        self.event(Event::Connected {
            session_id: ok.session_id,
        });
        self.sync(now);
        self.send_due(now);
    }

    pub(super) fn sync(&mut self, now: Duration) {
        let request_id = self.next_request_id();
        let Link::Online(online) = &mut self.link else {
            return;
        };
        online.sync = Sync::Asked {
            request_id,
            since: now,
        };
        online.last_sent = now;
        let part = self.known.sync_part(online.part.before, online.max_frame_bytes);
        online.part.from = part.from;
        let sync = wire::Sync {
            items: part.items,
            updated_since_ms: self.known.synced_ms,
            limit: self.settings.sync_limit,
            before_conversation_id: part.before,
            from_conversation_id: part.from,
        };
        self.frame(request_id, client_frame::Body::Sync(sync));
    }

    // protocol: "While more is true, send Sync again with the have_seq"
    // protocol: "the next failure counts as the first"
    // protocol: "Then store its synced_ms"
    // protocol: "Store the synced_ms of the first part"
    pub(super) fn synced(&mut self, now: Duration, request_id: u64, done: wire::SyncDone) {
        let Link::Online(online) = &mut self.link else {
            return;
        };
        if !matches!(online.sync, Sync::Asked { request_id: asked, .. } if asked == request_id) {
            return;
        }
        online.sync = Sync::Done;
        if done.more {
            return self.sync(now);
        }
        let synced_ms = *online.part.synced_ms.get_or_insert(done.synced_ms);
        if online.part.from > 0 {
            online.part.before = online.part.from;
            return self.sync(now);
        }
        online.part = Part::default();
        self.failures = 0;
        self.known.synced_ms = synced_ms;
        self.event(Event::Synced { synced_ms });
    }

    // protocol: "SendOk does not advance have_seq"
    pub(super) fn sent(&mut self, now: Duration, request_id: u64, ok: wire::SendOk) {
        if let Some(message) = self.outbox.answered(now, request_id) {
            self.event(Event::Sent {
                client_msg_id: message.client_msg_id,
                conversation_id: message.conversation_id,
                seq: ok.seq,
                created_ms: ok.created_ms,
                duplicate: ok.duplicate,
            });
            self.send_due(now);
        }
    }

    pub(super) fn renewed(&mut self, now: Duration, answered: u64, expires_at_ms: i64) {
        let Link::Online(online) = &mut self.link else {
            return;
        };
        let expires = since_start(expires_at_ms, online.server_epoch_ms);
        let next = Renewal::At(renew_at(now, expires));
        match std::mem::replace(&mut online.renewal, next) {
            Renewal::Asked { request_id, password } if request_id == answered => {
                self.password = Some(KeptPassword {
                    password,
                    good_until: expires,
                    was_accepted: true,
                });
            }
            unrelated => online.renewal = unrelated,
        }
    }

    // protocol: "it will never be accepted"
    pub(super) fn refused(&mut self, now: Duration, request_id: u64, error: wire::Error) {
        let pause = match error.retry_after_ms {
            0 => DEFAULT_PAUSE,
            ms => Duration::from_millis(ms.into()),
        };
        if let Link::Online(online) = &mut self.link {
            if matches!(online.sync, Sync::Asked { request_id: asked, .. } if asked == request_id) {
                // protocol: "A Sync that fails (Error UNAVAILABLE) is repeated"
                online.sync = Sync::PutOff { until: now + pause };
                return;
            }
            if matches!(&online.renewal, Renewal::Asked { request_id: asked, .. } if *asked == request_id) {
                // Ask for another password; at expires_at the node says Bye EXPIRED unless one was accepted.
                online.renewal = Renewal::At(now + pause);
                return;
            }
        }
        let again = matches!(error.code(), ErrorCode::Unavailable | ErrorCode::RateLimited);
        if again && let Some(message) = self.outbox.put_off(now, request_id, now + pause) {
            let (client_msg_id, conversation_id) = (message.client_msg_id.clone(), message.conversation_id);
            if error.code() == ErrorCode::RateLimited {
                self.outbox.hold(now + pause);
            }
            self.event(Event::SendDelayed {
                client_msg_id,
                conversation_id,
                error,
            });
            // Earlier ones of its conversation may have waited for this answer.
            self.send_due(now);
            return;
        }
        if let Some(message) = self.outbox.answered(now, request_id) {
            self.event(Event::SendFailed {
                client_msg_id: message.client_msg_id,
                conversation_id: message.conversation_id,
                error,
            });
            self.send_due(now);
        }
    }

    // protocol: "After a Bye 200–299 stay away"
    // protocol: "After a Bye 100–199 continue at 1"
    pub(super) fn goodbye(&mut self, bye: wire::Bye) {
        // The app expects the answer to its own Logout.
        if !(self.leaving && bye.reason() == wire::ByeReason::LoggedOut) {
            self.event(Event::Bye {
                reason: bye.reason,
                advice: bye::advice(bye.reason),
                detail: bye.detail.clone(),
            });
        }
        let cause = format!(
            "the node said goodbye: {} {}",
            bye.reason().as_str_name(),
            bye.detail
        );
        self.hang_up(cause.trim_end());
        self.bye = Some(bye);
    }
}
