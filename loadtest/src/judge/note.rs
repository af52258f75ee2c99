//! A device's observations and acts: numbers only, so that noting costs little while a run goes on.

/// One thing that one device saw or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// On the run's one clock, which is monotonic; µs since its start.
    pub t_us: u64,
    /// The device, by its number.
    pub device: u32,
    /// Its kind, with its numbers.
    pub what: What,
}

/// An entry as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its conversation.
    pub conversation: i64,
    /// Its place.
    pub seq: i64,
    /// The user who wrote or caused it.
    pub sender: i64,
    /// The wire's EntryKind.
    pub kind: i32,
    /// The sender's name for it, as a number; 0 for an entry that is not a message.
    pub id: u64,
    /// [`hash`] of its body.
    pub body: u64,
}

/// A device's observation or act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The app hands a message to its client.
    Send {
        /// Where to.
        conversation: i64,
        /// Its name, the same for every resend.
        id: u64,
        /// [`hash`] of its body.
        body: u64,
    },
    /// SendOk.
    Ack {
        /// Where it stands.
        conversation: i64,
        /// Its name.
        id: u64,
        /// Its place.
        seq: i64,
    },
    /// The message was refused for good.
    Refused {
        /// Where it should have gone.
        conversation: i64,
        /// Its name.
        id: u64,
        /// The wire's ErrorCode.
        code: i32,
    },
    /// A connection is made.
    Connected {
        /// Counts the connections of this device.
        connection: u32,
    },
    /// LoginOk.
    LoggedIn {
        /// The node's name for the session.
        session: u64,
    },
    /// The connection has ended.
    Disconnected,
    /// A Sync goes out; its items follow.
    Sync {
        /// Its request_id.
        request: u64,
        /// Entries of each conversation at most; 0 for the node's default.
        limit: u32,
        /// updated_since_ms.
        since_ms: i64,
    },
    /// An item of the Sync before it.
    Item {
        /// Which conversation.
        conversation: i64,
        /// Of the device's copy.
        epoch: i64,
        /// The last entry of the copy.
        have_seq: i64,
    },
    /// A Conversation frame.
    Conversation {
        /// Which conversation.
        conversation: i64,
        /// Its epoch.
        epoch: i64,
        /// Where the entries begin that follow; 0 for none.
        from_seq: i64,
        /// The newest entry that this user may see.
        last_seq: i64,
        /// Forget the copy.
        reset: bool,
    },
    /// An Entry frame.
    Entry(Seen),
    /// SyncDone.
    SyncDone {
        /// The Sync that it answers.
        request: u64,
        /// Sync again.
        more: bool,
    },
    /// Error to a Sync.
    SyncFailed {
        /// The Sync that it answers.
        request: u64,
        /// The wire's ErrorCode.
        code: i32,
    },
    /// Bye.
    Bye {
        /// The wire's ByeReason.
        reason: i32,
    },
    /// A page of History; its entries follow.
    Page {
        /// Which conversation.
        conversation: i64,
        /// The entries are those above this one.
        after_seq: i64,
        /// The newest entry that was acknowledged before the page was asked for.
        durable_seq: i64,
        /// The node says that there are more.
        has_more: bool,
    },
    /// An entry of the page before it.
    Paged(Seen),
    /// The end of that page.
    PageEnd,
}

/// The most numbers that a note has beside its device and its time.
const MOST: usize = 6;
/// Tag, device, time.
const HEAD_BYTES: usize = 1 + 4 + 8;

/// How many numbers follow the head, by tag.
const LENGTHS: [usize; 16] = [3, 3, 3, 1, 1, 0, 3, 3, 5, 6, 2, 2, 1, 4, 6, 0];

impl Note {
    /// Appends it to a tape.
    pub fn write(&self, tape: &mut Vec<u8>) {
        let (tag, numbers) = self.what.numbers();
        tape.push(tag);
        tape.extend_from_slice(&self.device.to_le_bytes());
        tape.extend_from_slice(&self.t_us.to_le_bytes());
        for number in &numbers[..LENGTHS[usize::from(tag)]] {
            tape.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Takes one off the front of a tape; none at its end, or when its rest is not a note.
    pub fn read(tape: &mut &[u8]) -> Option<Self> {
        let (head, rest) = tape.split_at_checked(HEAD_BYTES)?;
        let length = *LENGTHS.get(usize::from(head[0]))?;
        let (body, rest) = rest.split_at_checked(length * 8)?;
        let mut numbers = [0; MOST];
        for (number, bytes) in numbers.iter_mut().zip(body.chunks_exact(8)) {
            *number = i64::from_le_bytes(bytes.try_into().ok()?);
        }
        let note = Self {
            device: u32::from_le_bytes(head[1..5].try_into().ok()?),
            t_us: u64::from_le_bytes(head[5..].try_into().ok()?),
            what: What::of(head[0], numbers)?,
        };
        *tape = rest;
        Some(note)
    }
}

impl What {
    fn numbers(self) -> (u8, [i64; MOST]) {
        let seen = |seen: Seen| {
            let Seen {
                conversation,
                seq,
                sender,
                kind,
                id,
                body,
            } = seen;
            [conversation, seq, sender, kind.into(), id as i64, body as i64]
        };
        match self {
            Self::Send {
                conversation,
                id,
                body,
            } => (0, [conversation, id as i64, body as i64, 0, 0, 0]),
            Self::Ack {
                conversation,
                id,
                seq,
            } => (1, [conversation, id as i64, seq, 0, 0, 0]),
            Self::Refused {
                conversation,
                id,
                code,
            } => (2, [conversation, id as i64, code.into(), 0, 0, 0]),
            Self::Connected { connection } => (3, [connection.into(), 0, 0, 0, 0, 0]),
            Self::LoggedIn { session } => (4, [session as i64, 0, 0, 0, 0, 0]),
            Self::Disconnected => (5, [0; MOST]),
            Self::Sync {
                request,
                limit,
                since_ms,
            } => (6, [request as i64, limit.into(), since_ms, 0, 0, 0]),
            Self::Item {
                conversation,
                epoch,
                have_seq,
            } => (7, [conversation, epoch, have_seq, 0, 0, 0]),
            Self::Conversation {
                conversation,
                epoch,
                from_seq,
                last_seq,
                reset,
            } => (8, [conversation, epoch, from_seq, last_seq, reset.into(), 0]),
            Self::Entry(entry) => (9, seen(entry)),
            Self::SyncDone { request, more } => (10, [request as i64, more.into(), 0, 0, 0, 0]),
            Self::SyncFailed { request, code } => (11, [request as i64, code.into(), 0, 0, 0, 0]),
            Self::Bye { reason } => (12, [reason.into(), 0, 0, 0, 0, 0]),
            Self::Page {
                conversation,
                after_seq,
                durable_seq,
                has_more,
            } => (13, [conversation, after_seq, durable_seq, has_more.into(), 0, 0]),
            Self::Paged(entry) => (14, seen(entry)),
            Self::PageEnd => (15, [0; MOST]),
        }
    }

    fn of(tag: u8, numbers: [i64; MOST]) -> Option<Self> {
        let [first, second, third, fourth, fifth, sixth] = numbers;
        let seen = Seen {
            conversation: first,
            seq: second,
            sender: third,
            kind: fourth as i32,
            id: fifth as u64,
            body: sixth as u64,
        };
        Some(match tag {
            0 => Self::Send {
                conversation: first,
                id: second as u64,
                body: third as u64,
            },
            1 => Self::Ack {
                conversation: first,
                id: second as u64,
                seq: third,
            },
            2 => Self::Refused {
                conversation: first,
                id: second as u64,
                code: third as i32,
            },
            3 => Self::Connected {
                connection: first as u32,
            },
            4 => Self::LoggedIn {
                session: first as u64,
            },
            5 => Self::Disconnected,
            6 => Self::Sync {
                request: first as u64,
                limit: second as u32,
                since_ms: third,
            },
            7 => Self::Item {
                conversation: first,
                epoch: second,
                have_seq: third,
            },
            8 => Self::Conversation {
                conversation: first,
                epoch: second,
                from_seq: third,
                last_seq: fourth,
                reset: fifth != 0,
            },
            9 => Self::Entry(seen),
            10 => Self::SyncDone {
                request: first as u64,
                more: second != 0,
            },
            11 => Self::SyncFailed {
                request: first as u64,
                code: second as i32,
            },
            12 => Self::Bye { reason: first as i32 },
            13 => Self::Page {
                conversation: first,
                after_seq: second,
                durable_seq: third,
                has_more: fourth != 0,
            },
            14 => Self::Paged(seen),
            15 => Self::PageEnd,
            _ => return None,
        })
    }
}

/// FNV-1a of 64 bits: short, the same everywhere, and it finds what accidents and faults change. It does not prove
/// authorship.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_reads_as_it_was_written() {
        let mut tape = Vec::new();
        let notes: Vec<Note> = (0..=15)
            .filter_map(|tag| What::of(tag, [1, -2, 3, 1, 1, i64::MIN]))
            .map(|what| Note {
                t_us: 77,
                device: 9,
                what,
            })
            .collect();
        assert_eq!(notes.len(), 16);
        for note in &notes {
            note.write(&mut tape);
        }
        let mut rest = tape.as_slice();
        let read: Vec<Note> = std::iter::from_fn(|| Note::read(&mut rest)).collect();
        assert_eq!(read, notes);
        assert!(rest.is_empty());
        assert_eq!(Note::read(&mut &[99; 64][..]), None);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
