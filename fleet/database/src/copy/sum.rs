//! The number of rows, and a checksum over them.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::Value;

/// The rows of a table: their number, and a checksum over all of them in the order of their keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Their number.
    pub rows: u64,
    /// SHA-256 over every value of every row.
    pub sha256: [u8; 32],
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sum({} rows, {})", self.rows, self.checksum())
    }
}

impl Sum {
    /// The first half of the checksum in hex, to print.
    pub fn checksum(&self) -> String {
        self.sha256[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// A sum that grows row by row.
#[derive(Default)]
pub(super) struct Summing {
    rows: u64,
    hash: Sha256,
}

impl Summing {
    pub(super) fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        for value in row {
            // Each with its type and, where it is needed, its length: no two rows read the same.
            match value {
                Value::Null => self.hash.update([0]),
                Value::Integer(integer) => {
                    self.hash.update([1]);
                    self.hash.update(integer.to_be_bytes());
                }
                Value::Boolean(boolean) => self.hash.update([2, u8::from(*boolean)]),
                Value::Text(text) => self.long(3, text.as_bytes()),
                Value::Bytes(bytes) => self.long(4, bytes),
            }
        }
    }

    fn long(&mut self, tag: u8, bytes: &[u8]) {
        self.hash.update([tag]);
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    pub(super) fn finish(self) -> Sum {
        Sum {
            rows: self.rows,
            sha256: self.hash.finalize().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    fn of(rows: &[Vec<Value>]) -> Sum {
        let mut sum = Summing::default();
        rows.iter().for_each(|row| sum.add(row));
        sum.finish()
    }

    #[test]
    fn every_difference_shows() {
        let sums = [
            of(&[]),
            of(&[params![1, "a"]]),
            of(&[params![1, "a"], params![1, "a"]]),
            of(&[params![2, "a"]]),
            of(&[params![1, "b"]]),
            of(&[params![1, &b"a"[..]]]),
            of(&[params![1, ""], params!["a"]]),
            of(&[params![1, Value::Null]]),
            of(&[params![true, "a"]]),
            of(&[params![1, "a", ""]]),
            of(&[params!["ab", "c"]]),
            of(&[params!["a", "bc"]]),
        ];
        for (at, sum) in sums.iter().enumerate() {
            assert!(!sums[at + 1..].contains(sum), "{at}");
        }
        assert_eq!(of(&[params![1, "a"]]), sums[1]);
    }
}
