//! IM passwords are kept as their SHA-256 only: 128 random bits need no slow hash.

use sha2::{Digest, Sha256};

/// Passwords of one device that are valid at once; an app that asks for more loses its oldest.
pub const PASSWORDS_PER_DEVICE: usize = 8;

/// The SHA-256 of an IM password.
pub type PasswordHash = [u8; 32];

/// The hash of an IM password, as the backplane keeps it.
pub fn hash_password(password: &str) -> PasswordHash {
    Sha256::digest(password.as_bytes()).into()
}
