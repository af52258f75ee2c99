//! AAC in ADTS: frames, each with a header that says its size.

use super::super::{
    Refused,
    walk::{Fate, Format, Need, Out},
};

/// Without a checksum, bytes.
const HEADER_BYTES: u64 = 7;
const RATES: [u64; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
/// Of one block, per channel.
const BLOCK_SAMPLES: u64 = 1024;

/// A walk over ADTS.
#[derive(Debug, Default)]
pub(in super::super) struct Adts {
    body: Option<u64>,
    rate: u64,
    samples: u64,
}

impl Adts {
    pub(in super::super) fn duration_ms(&self) -> u64 {
        (self.samples * 1000).checked_div(self.rate).unwrap_or(0)
    }

    fn refusal(&self) -> Refused {
        if self.samples == 0 {
            return Refused::Type {
                announced: "audio/aac",
            };
        }
        Refused::Damaged
    }
}

impl Format for Adts {
    fn need(&self) -> Need {
        match self.body {
            Some(bytes) => Need::Pass(bytes, Fate::Keep),
            None => Need::Take(HEADER_BYTES as usize),
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        out.keep(bytes);
        // The sync word, and layer 0.
        if bytes[0] != 0xff || bytes[1] & 0xf6 != 0xf0 {
            return Err(self.refusal());
        }
        let rate = RATES.get(usize::from(bytes[2] >> 2 & 0x0f)).copied();
        let rate = rate.ok_or_else(|| self.refusal())?;
        let length = u64::from(bytes[3] & 3) << 11 | u64::from(bytes[4]) << 3 | u64::from(bytes[5] >> 5);
        let body = length.checked_sub(HEADER_BYTES).ok_or_else(|| self.refusal())?;
        if self.samples > 0 && self.rate != rate {
            return Err(Refused::Damaged);
        }
        self.rate = rate;
        self.samples += (u64::from(bytes[6] & 3) + 1) * BLOCK_SAMPLES;
        self.body = Some(body);
        Ok(())
    }

    fn passed(&mut self, _out: &mut Out) -> Result<(), Refused> {
        self.body = None;
        Ok(())
    }

    fn may_end(&self) -> bool {
        self.body.is_none() && self.samples > 0
    }
}
