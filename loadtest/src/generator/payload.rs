//! The body of a message: when it was due, whose and which it is; hexadecimal, since it travels as text.

/// How many bytes are used; the rest is padding.
pub const USED_BYTES: usize = 32;

/// The identity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// When it was due, µs since the start of the run.
    pub due_us: u64,
    /// Whose and which it is.
    pub mark: Mark,
}

/// Names one message of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub u64);

impl Mark {
    /// The `number`th message of a user in a run.
    pub fn new(run: u8, user: u32, number: u32) -> Self {
        Self(u64::from(run) << 56 | u64::from(user & 0xff_ffff) << 32 | u64::from(number))
    }

    /// The run.
    pub fn run(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// Which of the user's messages it is.
    pub fn number(self) -> u32 {
        self.0 as u32
    }
}

impl Payload {
    /// Writes it to the front of `body`, which holds at least [`USED_BYTES`].
    pub fn write(self, body: &mut [u8]) {
        hex(self.due_us, &mut body[..16]);
        hex(self.mark.0, &mut body[16..USED_BYTES]);
    }

    /// Reads it; none when it is not of this program.
    pub fn read(body: &[u8]) -> Option<Self> {
        Some(Self {
            due_us: unhex(body.get(..16)?)?,
            mark: Mark(unhex(body.get(16..USED_BYTES)?)?),
        })
    }
}

/// Writes a number as 16 digits.
pub fn hex(number: u64, digits: &mut [u8]) {
    for (place, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 15];
    }
}

fn unhex(digits: &[u8]) -> Option<u64> {
    let mut number = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u64::from(value);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_nothing_else() {
        let payload = Payload {
            due_us: 0x0123_4567_89ab_cdef,
            mark: Mark::new(3, 15_000, 77),
        };
        let mut body = [b'x'; 200];
        payload.write(&mut body);
        assert_eq!(Payload::read(&body), Some(payload));
        assert_eq!((payload.mark.run(), payload.mark.number()), (3, 77));
        assert_eq!(Payload::read(&body[..31]), None);
        body[7] = b'g';
        assert_eq!(Payload::read(&body), None);
    }
}
