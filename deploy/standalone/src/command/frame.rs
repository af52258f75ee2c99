//! `huizhen frame`: what is in the bytes of the wire.

use std::{fmt::Write as _, io::Read, process::ExitCode};

use anyhow::{Context, bail};
use prost::Message;
use proto::{
    json::Body,
    wire::{ClientFrame, ServerFrame, client_frame, server_frame},
};

const EXAMPLES: &str = "\
Examples:
  echo 00000004 0803 2200 | huizhen frame decode
  echo 0803 2200 | huizhen frame decode --client";

/// The most hex that is read, bytes: a thousand frames of the largest kind.
const MAX_INPUT_BYTES: u64 = 128 * 1024 * 1024;

/// Commands for frames.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Read hex from standard input and print the fields of each frame: several in a row with their lengths, or one
    /// without
    #[command(after_help = EXAMPLES)]
    Decode(Decode),
}

/// Which way the frames went; without either both are tried.
#[derive(clap::Args, Debug)]
pub(crate) struct Decode {
    /// They come from an app
    #[arg(long, conflicts_with = "server")]
    client: bool,
    /// They come from a node
    #[arg(long)]
    server: bool,
}

// protocol: "Each frame as on TCP: the length in the first line"
/// Prints the frames of standard input.
pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Decode(decode) = command;
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_INPUT_BYTES)
        .read_to_string(&mut text)
        .context("standard input is not text")?;
    let shown = show(&bytes_of(&text)?, decode)?;
    program::output::text(&shown);
    Ok(ExitCode::SUCCESS)
}

fn bytes_of(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: String = text
        .split_whitespace()
        .map(|word| word.strip_prefix("0x").unwrap_or(word))
        .flat_map(str::chars)
        .filter(|c| !matches!(c, ':' | ',' | '-'))
        .collect();
    if digits.is_empty() {
        bail!("no hex came on standard input; as in: echo 00000004 0803 2200 | huizhen frame decode");
    }
    hex::decode(&digits).context("standard input is not hex")
}

fn show(bytes: &[u8], decode: &Decode) -> anyhow::Result<String> {
    let frames = match split(bytes) {
        Some(frames) => frames,
        None => vec![bytes],
    };
    let mut text = String::new();
    for frame in frames {
        let readings = readings(frame, decode);
        if readings.is_empty() {
            let direction = match (decode.client, decode.server) {
                (true, _) => "a ClientFrame",
                (_, true) => "a ServerFrame",
                _ => "a frame of either direction",
            };
            bail!(
                "{} bytes are not {direction}: {}{}",
                frame.len(),
                hex::encode(&frame[..frame.len().min(32)]),
                if frame.len() > 32 { "…" } else { "" }
            );
        }
        for reading in readings {
            text.push_str(&reading);
        }
    }
    Ok(text)
}

/// Bytes as frames with their lengths; none when they are not such a row to the last byte.
fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let (frame, rest) = rest.split_at_checked(length)?;
        frames.push(frame);
        bytes = rest;
    }
    Some(frames)
}

/// Each way to read a frame, the way with something in it first; a way that leaves bytes unexplained only when no
/// other explains them.
fn readings(frame: &[u8], decode: &Decode) -> Vec<String> {
    let client = (!decode.server)
        .then(|| ClientFrame::decode(frame).ok())
        .flatten();
    let server = (!decode.client)
        .then(|| ServerFrame::decode(frame).ok())
        .flatten();
    let mut readings: Vec<(bool, String)> = Vec::new();
    if let Some(client) = client {
        let whole = client.body.is_some() && client.encode_to_vec() == frame;
        let mut text = format!("{client:#?}\n");
        if let Some(client_frame::Body::Send(send)) = &client.body {
            content(&mut text, &send.mime_type, &send.body);
        }
        readings.push((whole, text));
    }
    if let Some(server) = server {
        let whole = server.body.is_some() && server.encode_to_vec() == frame;
        let mut text = format!("{server:#?}\n");
        if let Some(server_frame::Body::Entry(entry)) = &server.body {
            content(&mut text, &entry.mime_type, &entry.body);
        }
        readings.push((whole, text));
    }
    let any_whole = readings.iter().any(|(whole, _)| *whole);
    readings
        .into_iter()
        .filter(|(whole, _)| *whole || !any_whole)
        .map(|(_, text)| text)
        .collect()
}

/// Adds what a body says, where its type is registered.
fn content(text: &mut String, mime_type: &str, body: &[u8]) {
    let said = match Body::read(mime_type, body) {
        Body::Text(text) => text,
        Body::Content(content) => format!("{content:#}"),
        Body::BodyBase64(_) => return,
    };
    let _ = writeln!(text, "body as {mime_type}: {said}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Decode = Decode {
        client: false,
        server: false,
    };

    fn shown(hex: &str, decode: &Decode) -> anyhow::Result<String> {
        show(&bytes_of(hex)?, decode)
    }

    // protocol: "Each frame as on TCP: the length in the first line"
    #[test]
    fn a_frame_is_shown_with_and_without_its_length() {
        for hex in ["00000004 08032200", "0803 22:00", "0x08032200"] {
            let text = shown(hex, &BOTH).unwrap();
            assert!(text.contains("request_id: 3") && text.contains("Ping"), "{text}");
        }
        assert!(
            shown("00000004080322000000000408042200", &BOTH)
                .unwrap()
                .contains("request_id: 4")
        );
    }

    #[test]
    fn the_direction_can_be_said() {
        let client = Decode {
            client: true,
            server: false,
        };
        assert!(shown("08032200", &client).unwrap().contains("ClientFrame"));
        assert!(!shown("08032200", &client).unwrap().contains("ServerFrame"));
    }

    #[test]
    fn a_text_is_shown_as_text() {
        let send = ClientFrame {
            request_id: 1,
            body: Some(client_frame::Body::Send(proto::wire::Send {
                conversation_id: 4,
                mime_type: "text/plain".into(),
                body: "你好".into(),
                ..Default::default()
            })),
        };
        let text = shown(&hex::encode(proto::frame::encode(&send)), &BOTH).unwrap();
        assert!(text.contains("body as text/plain: 你好"), "{text}");
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bad in ["", "zz", "123", "327f00", "ffffffff"] {
            assert!(shown(bad, &BOTH).is_err(), "{bad}");
        }
    }
}
