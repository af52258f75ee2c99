//! Renew: a new IM password on the same connection.

use std::sync::{Arc, atomic::Ordering};

use backplane::{Unavailable, hash_password};
use proto::wire::{ErrorCode, Renew, RenewOk, server_frame::Body};

use super::{Pending, not_now};
use crate::{clock, sentences, session::Session, shared::Shared};

// protocol: "Renew | RenewOk"
// protocol: "Renew | AUTH_FAILED | password"
pub(crate) fn renew(shared: &Arc<Shared>, session: &Arc<Session>, request_id: u64, renew: Renew) -> Pending {
    let (shared, session) = (shared.clone(), session.clone());
    Box::pin(async move {
        let hash = hash_password(&renew.password);
        let checked = shared
            .backplane
            .check_im_password(session.user, &session.device_id, &hash)
            .await;
        match checked {
            Ok(Some(left_ms)) => {
                let expires_at_ms = clock::now_ms().saturating_add(left_ms);
                session.expires_at_ms.store(expires_at_ms, Ordering::Relaxed);
                session.answer(request_id, Body::RenewOk(RenewOk { expires_at_ms }));
            }
            Ok(None) => {
                let message = &sentences::RENEW_REFUSED;
                session.refuse(request_id, ErrorCode::AuthFailed, "password", message);
            }
            Err(Unavailable) => not_now(&session, request_id),
        }
    })
}
