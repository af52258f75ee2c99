//! Forged publications by a client that may PUBLISH: it publishes again what it hears, altered. The channels are those
//! that nodes listen to, by whatever names; what their payloads look like is known only so far as a forger would find
//! out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use testkit::backplane::Backplane;

use crate::arguments::fault::Fault;

/// One of this many publications is forged.
const EVERY: usize = 10;
/// How far beyond the end a forged entry is.
const BEYOND: i64 = 50;
const READ_LIMIT: Duration = Duration::from_millis(50);
/// The filling of a message's body, and what stands there afterwards.
const FILLING: &[u8] = b"xxxxxxxx";
const FORGED: &[u8] = b"yyyyyyyy";

/// Listens and forges for this long.
pub(in crate::workload::soak::faults) fn publish(
    backplane: &Backplane,
    fault: Fault,
    length: Duration,
) -> Result<()> {
    let begun = Instant::now();
    let mut listeners = Vec::new();
    match backplane {
        Backplane::Single(redis) => listeners.push(Listener::all(redis.address())?),
        Backplane::Sentinel(set) => listeners.push(Listener::all(set.servers[set.master()?].address())?),
        Backplane::Cluster(cluster) => {
            for (master, channels) in cluster.heard_channels()? {
                listeners.push(Listener::shards(cluster.nodes[master].address(), &channels)?);
            }
        }
    }
    while begun.elapsed() < length {
        for listener in &mut listeners {
            listener.forge(fault)?;
        }
    }
    Ok(())
}

/// Hears publications of one server, and publishes there.
struct Listener {
    hears: TcpStream,
    says: TcpStream,
    unread: Vec<u8>,
    is_cluster: bool,
    passed: usize,
}

impl Listener {
    fn connect(address: SocketAddr, is_cluster: bool) -> Result<Self> {
        let hears = TcpStream::connect(address)?;
        hears.set_read_timeout(Some(READ_LIMIT))?;
        let says = TcpStream::connect(address)?;
        says.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self {
            hears,
            says,
            unread: Vec::new(),
            is_cluster,
            passed: 0,
        })
    }

    fn all(address: SocketAddr) -> Result<Self> {
        let mut listener = Self::connect(address, false)?;
        listener.hears.write_all(&command(&[b"PSUBSCRIBE", b"*"]))?;
        Ok(listener)
    }

    fn shards(address: SocketAddr, channels: &[String]) -> Result<Self> {
        let mut listener = Self::connect(address, true)?;
        for channel in channels {
            listener
                .hears
                .write_all(&command(&[b"SSUBSCRIBE", channel.as_bytes()]))?;
        }
        Ok(listener)
    }

    /// Takes what came and publishes some of it again.
    fn forge(&mut self, fault: Fault) -> Result<()> {
        let mut buffer = [0; 64 * 1024];
        match self.hears.read(&mut buffer) {
            Ok(0) => bail!("Redis has ended the forger's connection"),
            Ok(read) => self.unread.extend_from_slice(&buffer[..read]),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error.into()),
        }
        while let Some((words, used)) = array(&self.unread) {
            self.unread.drain(..used);
            let [.., channel, payload] = words.as_slice() else {
                continue;
            };
            let forged = match fault {
                Fault::ForgedBodies => other_body(payload),
                _ => beyond(payload),
            };
            self.passed += usize::from(forged.is_some());
            if let Some(forged) = forged
                && self.passed.is_multiple_of(EVERY)
            {
                let publish: &[u8] = if self.is_cluster { b"SPUBLISH" } else { b"PUBLISH" };
                self.says.write_all(&command(&[publish, channel, &forged]))?;
                // A slot that has moved refuses it, which is as good.
                let _ = self
                    .says
                    .read(&mut buffer)
                    .context("Redis does not answer the forger")?;
            }
        }
        Ok(())
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The first whole array of an answer in RESP 2, and how long it is; numbers in it are left out.
fn array(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut at = 0;
    let count = number(bytes, &mut at, b'*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        if bytes.get(at) == Some(&b':') {
            number(bytes, &mut at, b':')?;
            continue;
        }
        let length = usize::try_from(number(bytes, &mut at, b'$')?).ok()?;
        words.push(bytes.get(at..at + length)?.to_vec());
        at += length + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

fn number(bytes: &[u8], at: &mut usize, mark: u8) -> Option<i64> {
    let rest = bytes.get(*at..)?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    if rest.first() != Some(&mark) {
        return None;
    }
    *at += end + 2;
    std::str::from_utf8(&rest[1..end]).ok()?.parse().ok()
}

/// Another body of the same length; none where there is none of ours.
fn other_body(payload: &[u8]) -> Option<Vec<u8>> {
    let place = find(payload, FILLING)?;
    let mut forged = payload.to_vec();
    forged[place..place + FORGED.len()].copy_from_slice(FORGED);
    (find(payload, FORGED).is_none()).then_some(forged)
}

/// The same entry far beyond the end: its seq stands in the frame as `10 <varint>` behind `08 <varint of the
/// conversation>`, and as eight bytes before the frame.
fn beyond(payload: &[u8]) -> Option<Vec<u8>> {
    find(payload, FILLING)?;
    let frame = (8..payload.len()).find_map(|at| {
        let (conversation, next) = tagged(payload, at, 0x08)?;
        let (seq, end) = tagged(payload, next, 0x10)?;
        let head = [conversation.to_be_bytes(), seq.to_be_bytes()].concat();
        Some((find(payload, &head)?, seq, next + 1, end))
    });
    let (head, seq, place, end) = frame?;
    let far = seq + BEYOND;
    let mut forged = payload.to_vec();
    forged[head + 8..head + 16].copy_from_slice(&far.to_be_bytes());
    let varint = varint(far);
    (varint.len() == end - place).then(|| forged[place..end].copy_from_slice(&varint))?;
    Some(forged)
}

fn tagged(bytes: &[u8], at: usize, tag: u8) -> Option<(i64, usize)> {
    if bytes.get(at) != Some(&tag) {
        return None;
    }
    let mut value = 0;
    for (place, byte) in bytes.get(at + 1..)?.iter().take(9).enumerate() {
        value |= i64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, at + 2 + place));
        }
    }
    None
}

fn varint(mut value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a node publishes an entry today: publisher, tag, conversation, seq, kind, length, frame.
    fn payload(seq: i64) -> Vec<u8> {
        let frame = [&[0x42, 60, 0x08, 9, 0x10][..], &varint(seq), b"....xxxxxxxxxxxx"].concat();
        let head = [
            &[7; 8][..],
            &[1],
            &9i64.to_be_bytes(),
            &seq.to_be_bytes(),
            &[1, 0, 0, 0, 60],
        ]
        .concat();
        [head, frame].concat()
    }

    #[test]
    fn a_forged_body_differs_and_is_not_forged_again() {
        let forged = other_body(&payload(300)).unwrap();
        assert_eq!(forged.len(), payload(300).len());
        assert_ne!(forged, payload(300));
        assert_eq!(other_body(b"nothing of ours"), None);
    }

    #[test]
    fn a_forged_seq_lies_beyond_in_both_places() {
        assert_eq!(beyond(&payload(300)), Some(payload(350)));
        assert_eq!(beyond(b"xxxxxxxx"), None);
    }

    #[test]
    fn answers_are_cut_into_arrays() {
        let bytes = [
            command(&[b"message", b"c:1", b"\r\nx"]),
            b"*1\r\n:5\r\n*1\r\n$3\r\na".to_vec(),
        ]
        .concat();
        let (words, used) = array(&bytes).unwrap();
        assert_eq!(words, [b"message".to_vec(), b"c:1".to_vec(), b"\r\nx".to_vec()]);
        let (words, more) = array(&bytes[used..]).unwrap();
        assert!(words.is_empty());
        assert_eq!(array(&bytes[used + more..]), None);
    }
}
