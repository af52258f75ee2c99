//! The first frame, which must be a Login of our version.

use bytes::Bytes;
use prost::Message;
use proto::{
    Language, PROTOCOL_VERSION, UserId,
    frame::{FrameReader, MAX_BEFORE_LOGIN_BYTES},
    ids::MAX_DEVICE_ID_BYTES,
    websocket::{self, Incoming},
    wire::{ByeReason, ClientFrame, Login, client_frame},
};

use super::{
    newcomer::Newcomer,
    origin,
    refused::{Refused, bye, bye_until, invalid},
};
use crate::{
    sentences,
    shared::{Shared, spread_ms},
};

// protocol: "password | 1 to 128 bytes"
/// Longest `password`, bytes; issued ones have 32.
const MAX_PASSWORD_BYTES: usize = 128;
// protocol: "app_version | 32 bytes"
/// Longest `app_version`, bytes.
const MAX_APP_VERSION_BYTES: usize = 32;

pub(super) async fn first_frame(shared: &Shared, newcomer: &mut Newcomer) -> Result<(u64, Login), Refused> {
    let mut reader = FrameReader::default();
    loop {
        let taken = std::mem::take(&mut newcomer.input);
        let mut input = taken.as_slice();
        let message = match &mut newcomer.websocket {
            None => match reader.next(&mut input, MAX_BEFORE_LOGIN_BYTES) {
                Ok(message) => message.map(Bytes::copy_from_slice),
                Err(long) => {
                    origin::report_header(shared, &taken, newcomer.address, newcomer.door);
                    return Err(bye(ByeReason::BadFrame, sentences::frame_too_long(long)));
                }
            },
            Some(reader) => match reader.next(&mut input, MAX_BEFORE_LOGIN_BYTES)? {
                Some(Incoming::Message(message)) => Some(Bytes::copy_from_slice(message)),
                Some(Incoming::Ping(payload)) => {
                    let pong = websocket::pong(payload);
                    newcomer.input = input.to_vec();
                    newcomer.write(&pong).await?;
                    continue;
                }
                Some(Incoming::Close(code)) => return Err(Refused::Closed(code)),
                None => None,
            },
        };
        newcomer.input = input.to_vec();
        match message {
            None => newcomer.read().await?,
            Some(message) => return check_login(shared, newcomer, &message),
        }
    }
}

fn check_login(shared: &Shared, newcomer: &mut Newcomer, message: &[u8]) -> Result<(u64, Login), Refused> {
    let Ok(frame) = ClientFrame::decode(message) else {
        return Err(bye(ByeReason::BadFrame, sentences::NOT_PROTOBUF));
    };
    let Some(client_frame::Body::Login(login)) = frame.body else {
        return Err(bye(ByeReason::NotLoggedIn, sentences::LOGIN_FIRST));
    };
    newcomer.language = Language::of(&login.language);
    if login.protocol_version != PROTOCOL_VERSION {
        return Err(bye(
            ByeReason::UnsupportedVersion,
            sentences::other_version(PROTOCOL_VERSION, login.protocol_version),
        ));
    }
    check_shape(&login)?;
    if shared.is_draining() {
        return Err(bye_until(
            ByeReason::Draining,
            spread_ms(500, 3_000),
            sentences::STOPPING,
        ));
    }
    if !shared.limits.login() {
        return Err(bye_until(
            ByeReason::Overloaded,
            spread_ms(1_000, 10_000),
            sentences::TOO_MANY_LOGINS,
        ));
    }
    Ok((frame.request_id, login))
}

// protocol: "A malformed Login (a field too long, no device_id) gets INVALID_LOGIN"
/// Rejects fields that no valid login has, before a password is looked up.
fn check_shape(login: &Login) -> Result<(), Refused> {
    if UserId::new(login.user_id).is_none() {
        return Err(invalid("user_id", sentences::LOGIN_USER_ID));
    }
    for (field, text, least, most) in [
        ("password", &login.password, 1, MAX_PASSWORD_BYTES),
        ("device_id", &login.device_id, 1, MAX_DEVICE_ID_BYTES),
        ("app_version", &login.app_version, 0, MAX_APP_VERSION_BYTES),
    ] {
        if !(least..=most).contains(&text.len()) {
            let detail = sentences::bytes_of_login(field, least, most, text.len());
            return Err(invalid(field, detail));
        }
    }
    Ok(())
}
