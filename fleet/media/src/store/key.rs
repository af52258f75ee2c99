//! The names of stored bytes. They are ours: no text of a user is part of them.

use std::{fmt, str::FromStr};

/// The key of a medium: 32 hexadecimal digits, random.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key of a medium")]
pub struct NotAKey;

/// The widths and heights of smaller pictures, pixels. A few fixed ones, so that a medium has a bounded number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Width(u32);

/// One of the forms of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// The bytes for everybody: a picture has no metadata.
    Served,
    /// The bytes as they were uploaded, where [`Form::Served`] differs from them.
    Uploaded,
    /// A smaller picture.
    Smaller(Width),
}

impl Key {
    /// A new key.
    pub fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names of the two folders in which it lies.
    pub(super) fn folders(&self) -> (&str, &str) {
        (&self.0[..2], &self.0[2..4])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAKey)
        }
    }
}

impl Width {
    /// All widths, ascending.
    pub const ALL: [Self; 7] = [
        Self(64),
        Self(128),
        Self(320),
        Self(640),
        Self(1024),
        Self(1440),
        Self(2048),
    ];

    /// The largest one that is not over `max` pixels; `None` below 64.
    pub fn at_most(max: u32) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|width| width.0 <= max)
    }

    /// The longer side, pixels.
    pub fn pixels(self) -> u32 {
        self.0
    }
}

impl Form {
    /// All forms.
    pub fn all() -> impl Iterator<Item = Self> {
        let smaller = Width::ALL.into_iter().map(Self::Smaller);
        [Self::Served, Self::Uploaded].into_iter().chain(smaller)
    }

    /// The name of the bytes in their folder.
    pub(super) fn name(self, key: &Key) -> String {
        match self {
            Self::Served => key.0.clone(),
            Self::Uploaded => format!("{key}.uploaded"),
            Self::Smaller(width) => format!("{key}.{}", width.0),
        }
    }

    /// The key and form of a name; `None` for a name that is not ours.
    pub(super) fn of_name(name: &str) -> Option<(Key, Self)> {
        let key: Key = name.split('.').next()?.parse().ok()?;
        let form = Self::all().find(|form| form.name(&key) == name)?;
        Some((key, form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_digits() {
        let key = Key::random();
        assert_ne!(key, Key::random());
        assert_eq!(key.as_str().parse(), Ok(key));
        let upper = "A".repeat(32);
        let long = "a".repeat(33);
        for bad in ["", "..", "../../../../../../../../etc/passwd", &upper, &long, "é"] {
            assert_eq!(bad.parse::<Key>(), Err(NotAKey), "{bad}");
        }
    }

    #[test]
    fn a_name_leads_back_to_its_form() {
        let key = Key::random();
        for form in Form::all() {
            assert_eq!(Form::of_name(&form.name(&key)), Some((key.clone(), form)));
        }
        for bad in [
            "",
            ".",
            "x",
            &format!("{key}."),
            &format!("{key}.321"),
            &format!("{key}.320.320"),
        ] {
            assert_eq!(Form::of_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn widths_are_rounded_down() {
        let at_most = |max| Width::at_most(max).map(Width::pixels);
        assert_eq!(at_most(63), None);
        assert_eq!(at_most(64), Some(64));
        assert_eq!(at_most(319), Some(128));
        assert_eq!(at_most(320), Some(320));
        assert_eq!(at_most(u32::MAX), Some(2048));
    }
}
