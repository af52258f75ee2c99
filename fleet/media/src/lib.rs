//! Media: stores for their bytes, what the bytes are, and smaller pictures. Neither HTTP nor the database is known here.
//!
//! An upload is *staged* piece by piece ([`Store::append`]), or by a [`Ticket`](store::Ticket) straight to S3. [`finish`]
//! then verifies it, and keeps it. Only kept media are read.

mod copy;
mod finish;
mod idle;
mod inspect;
mod medium;
mod mime;
mod proof;
mod shrink;
pub mod store;
#[cfg(test)]
mod tests;

pub use self::{
    copy::{Copied, copy},
    finish::{FinishError, finish},
    idle::give_way,
    inspect::Refused,
    medium::{Announced, Finished},
    mime::{Class, MAX_OTHER_BYTES, MAX_PICTURE_BYTES, MAX_PIXELS, MimeType},
    proof::{Claim, Claims, Depth, Fault, Proof, prove},
    shrink::{ShrinkError, Shrinker},
    store::{Form, Key, Outage, Store, StoreError, Width},
};
