//! Frames to send.

use bytes::Bytes;

use super::{CloseCode, MAX_CONTROL_BYTES, opcode};

/// A frame is the last of its message.
const LAST: u8 = 0x80;
/// A frame is masked.
const MASKED: u8 = 0x80;
/// A client's mask. Masks protect proxies from payloads that an attacker chose (RFC 6455, 10.3), which a web page may
/// send through a browser; a program that writes its own frames may mask with zeros.
const NO_MASK: [u8; 4] = [0; 4];

// protocol: "On WebSocket one binary message is one frame"
// protocol: "The node sends each message unfragmented"
/// The header of a message from a server, and how many of its bytes are used.
pub fn header(length: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    header[0] = LAST | opcode::BINARY;
    let used = match length {
        0..126 => {
            header[1] = length as u8;
            2
        }
        126..65_536 => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    (header, used)
}

// protocol: "A ping is answered with a pong, before login as well"
// protocol: "The node sends no pings"
/// A server's answer to a ping.
pub fn pong(payload: &[u8]) -> Bytes {
    control(opcode::PONG, payload)
}

/// A server's end of a connection.
pub fn close(code: Option<CloseCode>) -> Bytes {
    let code = code.map(|code| code.number().to_be_bytes());
    control(opcode::CLOSE, code.as_ref().map_or(&[], |code| &code[..]))
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(MAX_CONTROL_BYTES)];
    let mut frame = vec![LAST | opcode, payload.len() as u8];
    frame.extend_from_slice(payload);
    frame.into()
}

/// A message from a client.
pub fn client_message(payload: &[u8]) -> Vec<u8> {
    let (header, used) = header(payload.len());
    masked(&header[..used], payload)
}

/// A client's answer to a ping.
pub fn client_pong(payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(MAX_CONTROL_BYTES)];
    masked(&[LAST | opcode::PONG, payload.len() as u8], payload)
}

fn masked(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(header.len() + NO_MASK.len() + payload.len());
    frame.extend_from_slice(header);
    frame[1] |= MASKED;
    frame.extend_from_slice(&NO_MASK);
    frame.extend_from_slice(payload);
    frame
}
