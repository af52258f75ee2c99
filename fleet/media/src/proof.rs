//! Proves that each medium of the database has its bytes. Rows and listing are both read in the order of keys, side by side,
//! so that memory does not grow with them.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream::Peekable};
use ring::digest::{Context, SHA256};

use crate::store::{Form, Key, Listing, Store, StoreError, Stored, Wanted};

/// The most media that are named.
const MAX_NAMED: usize = 100;

/// A row that says that the store has these bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of the medium.
    pub id: i64,
    /// Its key.
    pub key: Key,
    /// The size of the upload, bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// Rows in the order of their keys.
pub type Claims<E> = Pin<Box<dyn Stream<Item = Result<Claim, E>> + Send>>;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Names and sizes.
    Sizes,
    /// All bytes.
    Content,
}

/// A fault of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store has no bytes of it.
    Missing,
    /// The bytes are not those of the upload.
    Different,
}

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Rows.
    pub media: u64,
    /// The size of their uploads, bytes.
    pub bytes: u64,
    /// Those without bytes.
    pub missing: u64,
    /// Those with other bytes.
    pub different: u64,
    /// Keys of the store that no row names: of uploads that were just finished, or of rows that a restore has lost.
    pub unclaimed: u64,
    /// The first 100 faulty ones, by id.
    pub named: Vec<(i64, Fault)>,
}

impl Proof {
    /// Whether each row has its bytes.
    pub fn holds(&self) -> bool {
        self.missing == 0 && self.different == 0
    }
}

/// The sizes of what the store has of one medium, bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    key: Key,
    served: Option<u64>,
    uploaded: Option<u64>,
}

/// Compares rows with what the store has. A server may run meanwhile.
///
/// # Errors
/// Those of the rows and of the store.
pub async fn prove<E: From<StoreError>>(
    store: &Store,
    mut claims: Claims<E>,
    depth: Depth,
) -> Result<Proof, E> {
    let mut proof = Proof::default();
    let mut listed = store.list(None).peekable();
    let mut group = next_group(&mut listed).await?;
    while let Some(claim) = claims.next().await {
        let claim = claim?;
        while group.take_if(|group| group.key < claim.key).is_some() {
            proof.unclaimed += 1;
            group = next_group(&mut listed).await?;
        }
        let found = match group.take_if(|group| group.key == claim.key) {
            Some(found) => {
                group = next_group(&mut listed).await?;
                found
            }
            // Its row may be younger than the listing.
            None => look(store, &claim.key).await?,
        };
        proof.media += 1;
        proof.bytes += claim.bytes;
        if let Some(fault) = judge(store, &claim, &found, depth).await? {
            proof.add(claim.id, fault);
        }
    }
    while group.is_some() {
        proof.unclaimed += 1;
        group = next_group(&mut listed).await?;
    }
    Ok(proof)
}

impl Proof {
    fn add(&mut self, id: i64, fault: Fault) {
        match fault {
            Fault::Missing => self.missing += 1,
            Fault::Different => self.different += 1,
        }
        if self.named.len() < MAX_NAMED {
            self.named.push((id, fault));
        }
    }
}

/// The next medium of a listing.
async fn next_group(listed: &mut Peekable<Listing>) -> Result<Option<Group>, StoreError> {
    let Some(first) = listed.next().await.transpose()? else {
        return Ok(None);
    };
    let mut group = Group {
        key: first.key.clone(),
        served: None,
        uploaded: None,
    };
    let mut next = Some(first);
    while let Some(stored) = next {
        match stored.form {
            Form::Served => group.served = Some(stored.bytes),
            Form::Uploaded => group.uploaded = Some(stored.bytes),
            Form::Smaller(_) => {}
        }
        let is_same =
            |next: &Result<Stored, StoreError>| next.as_ref().is_ok_and(|next| next.key == group.key);
        next = Pin::new(&mut *listed).next_if(is_same).await.transpose()?;
    }
    Ok(Some(group))
}

/// The present sizes of a medium.
async fn look(store: &Store, key: &Key) -> Result<Group, StoreError> {
    let size = async |form| match store.size(key, form).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    };
    Ok(Group {
        key: key.clone(),
        served: size(Form::Served).await?,
        uploaded: size(Form::Uploaded).await?,
    })
}

async fn judge(
    store: &Store,
    claim: &Claim,
    found: &Group,
    depth: Depth,
) -> Result<Option<Fault>, StoreError> {
    let Some(served) = found.served else {
        return Ok(Some(Fault::Missing));
    };
    let (form, bytes) = match found.uploaded {
        Some(bytes) => (Form::Uploaded, bytes),
        None => (Form::Served, served),
    };
    let is_same = bytes == claim.bytes
        && (depth == Depth::Sizes || sha256(store, &claim.key, form).await? == Some(claim.sha256));
    Ok((!is_same).then_some(Fault::Different))
}

/// The SHA-256 of kept bytes; `None` where they are gone.
async fn sha256(store: &Store, key: &Key, form: Form) -> Result<Option<[u8; 32]>, StoreError> {
    let mut read = match store.read(key, form, Wanted::All).await {
        Ok(read) => read,
        Err(StoreError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut hash = Context::new(&SHA256);
    while let Some(bytes) = read.bytes.next().await {
        hash.update(&bytes?);
    }
    Ok(hash.finish().as_ref().try_into().ok())
}
