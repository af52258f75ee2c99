//! From a Login to a session: the password, the limits, and the session's registration.

use std::{net::IpAddr, sync::Arc};

use backplane::{Unavailable, hash_password};
use journal::UserNotice;
use proto::{
    UserId,
    wire::{ByeReason, Login, LoginOk, Platform, server_frame::Body},
};
use telemetry::events::im::{self as events, Event};

use super::{
    newcomer::Newcomer,
    refused::{Refused, bye, bye_until, send_bye, unavailable},
};
use crate::{
    clock,
    connection::Established,
    sentences,
    session::{Session, limits::Failed, outbox::Outbox},
    shared::{Shared, spread_ms},
};

/// A checked login that counts as a session.
pub(super) struct Admitted {
    login: Login,
    user: UserId,
    platform: Platform,
    expires_at_ms: i64,
}

pub(super) async fn admit(shared: &Shared, address: IpAddr, login: Login) -> Result<Admitted, Refused> {
    if shared.limits.is_blocked(address) {
        return Err(too_many_attempts());
    }
    // Wrong users and wrong passwords are indistinguishable: one look-up, one answer, one duration.
    let wrong = || {
        events::LOGIN_FAILURES.increment();
        if shared.limits.failed(address, login.user_id) == Failed::TooMany {
            return too_many_attempts();
        }
        bye(ByeReason::AuthFailed, sentences::WRONG_PASSWORD)
    };
    let user = UserId::new(login.user_id);
    let left_ms = check_password(shared, user, &login).await?;
    let (Some(user), Some(left_ms)) = (user, left_ms) else {
        return Err(wrong());
    };
    if has_too_many_sessions(shared, user, &login.device_id) {
        return Err(bye_until(
            ByeReason::Overloaded,
            spread_ms(5_000, 15_000),
            sentences::TOO_MANY_SESSIONS,
        ));
    }
    if !shared.limits.begin_session() {
        return Err(bye_until(
            ByeReason::Overloaded,
            spread_ms(2_000, 20_000),
            sentences::FULL,
        ));
    }
    let platform = login.platform();
    Ok(Admitted {
        login,
        user,
        platform,
        expires_at_ms: clock::now_ms().saturating_add(left_ms),
    })
}

/// Whether the other devices of a user have reached the limit. Concurrent logins may exceed it by the limit of one
/// address.
fn has_too_many_sessions(shared: &Shared, user: UserId, device_id: &str) -> bool {
    let sessions = shared.users.of(user);
    let others = sessions.iter().filter(|session| *session.device_id != *device_id);
    others.count() >= shared.settings.sessions_per_user as usize
}

fn too_many_attempts() -> Refused {
    bye_until(
        ByeReason::TooManyAttempts,
        spread_ms(60_000, 90_000),
        sentences::TOO_MANY_ATTEMPTS,
    )
}

/// The lifetime that the password has left, milliseconds.
// protocol: "Only a wrong user, device or password is AUTH_FAILED"
async fn check_password(
    shared: &Shared,
    user: Option<UserId>,
    login: &Login,
) -> Result<Option<i64>, Refused> {
    let hash = hash_password(&login.password);
    let user = user.unwrap_or(UserId::from_database(0));
    shared
        .backplane
        .check_im_password(user, &login.device_id, &hash)
        .await
        .map_err(|Unavailable| unavailable())
}

/// Registers the session, then answers. In this order, because a logout from now on must find the session.
pub(super) async fn establish(
    shared: &Arc<Shared>,
    newcomer: Newcomer,
    request_id: u64,
    admitted: Admitted,
) -> Option<Established> {
    let Admitted {
        login,
        user,
        platform,
        expires_at_ms,
    } = admitted;
    let backplane = &shared.backplane;
    let Ok(generation) = backplane.claim_session(user, &login.device_id, platform).await else {
        shared.limits.end_session();
        Box::pin(send_bye(newcomer, unavailable())).await;
        return None;
    };
    let session = Session::new(
        shared.next_session_id(),
        user,
        login.device_id.as_str().into(),
        generation,
        platform,
        newcomer.transport,
        Outbox::new(newcomer.framing),
        expires_at_ms,
    );
    let session = Arc::new(session.speaking(newcomer.language));
    let added = shared.users.add(&session, backplane, shared.subscriber).await;
    // The device may have been logged out since the check; a notice reaches the session from now on.
    let checked = check_password(shared, Some(user), &login).await;
    if shared.is_draining() {
        // The drain may have ended all other sessions before this one was added.
        session.end(ByeReason::Draining, spread_ms(500, 3_000), &sentences::STOPPING);
    } else if added.is_err() || !matches!(checked, Ok(Some(_))) {
        // A new password helps only where this one is invalid.
        let reason = if added.is_err() || checked.is_err() {
            ByeReason::Unavailable
        } else {
            ByeReason::AuthFailed
        };
        session.end(reason, spread_ms(1_000, 5_000), &sentences::NOT_COMPLETED);
    } else {
        shared.journal.notify(
            user,
            &UserNotice::Replaced {
                device_id: login.device_id,
                generation: generation.0,
            },
        );
        let max_frame_bytes = shared.settings.max_frame_bytes;
        session.answer(
            request_id,
            Body::LoginOk(LoginOk {
                session_id: session.id,
                server_time_ms: clock::now_ms(),
                expires_at_ms,
                heartbeat_s: shared.settings.heartbeat_s,
                max_frame_bytes,
            }),
        );
        Event::LoggedIn {
            session: session.id,
            user: user.get(),
            app_version: &login.app_version,
        }
        .emit();
    }
    Some(Established {
        session,
        rest: newcomer.input,
        websocket: newcomer.websocket,
    })
}
