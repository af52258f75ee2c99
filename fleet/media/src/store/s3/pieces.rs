//! An upload that comes through this program in pieces: each is an object, named by where it begins. So it goes on after a
//! break, on another server as well, without a state of its own.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use super::{
    super::{Broken, Key, Pieces, StoreError, next},
    PART_BYTES, S3,
};

/// The smallest piece but the last, bytes: it bounds the number of objects.
const MIN_BYTES: u64 = 256 * 1024;

/// An object of an upload.
struct Piece {
    start: u64,
    bytes: u64,
}

impl S3 {
    pub(in super::super) async fn append(
        &self,
        key: &Key,
        offset: u64,
        total: u64,
        mut pieces: Pieces<'_>,
    ) -> Result<u64, StoreError> {
        if self.is_kept(key).await? {
            return Err(StoreError::NotFound);
        }
        let received = self.received(key).await?;
        if received != offset {
            return Err(StoreError::WrongOffset { received });
        }
        let mut at = offset;
        let mut part: Vec<u8> = Vec::new();
        let outcome = loop {
            let piece = match next(&mut pieces).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if piece.len() as u64 > total.saturating_sub(at + part.len() as u64) {
                break Err(StoreError::TooLong { total });
            }
            part.extend_from_slice(&piece);
            if part.len() >= PART_BYTES {
                at = self.put_piece(key, at, std::mem::take(&mut part)).await?;
            }
        };
        let left = part.len() as u64;
        if left >= MIN_BYTES || (left > 0 && at + left == total) {
            at = self.put_piece(key, at, part).await?;
        } else if left > 0 {
            return outcome.and(Err(StoreError::TooShort { min: MIN_BYTES }));
        }
        outcome.map(|()| at)
    }

    /// Writes one piece; returns where the next begins.
    async fn put_piece(&self, key: &Key, start: u64, bytes: Vec<u8>) -> Result<u64, StoreError> {
        let end = start + bytes.len() as u64;
        self.put_small(&self.piece_name(key, start), bytes.into()).await?;
        Ok(end)
    }

    pub(in super::super) async fn received(&self, key: &Key) -> Result<u64, StoreError> {
        match self.head(&self.staged_name(key)).await {
            Ok(whole) => return Ok(whole.size),
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
        let pieces = self.pieces(key).await?;
        Ok(pieces.last().map_or(0, |piece| piece.start + piece.bytes))
    }

    /// The pieces from the first byte to the first gap. They are few: a medium has at most 100 MiB.
    async fn pieces(&self, key: &Key) -> Result<Vec<Piece>, StoreError> {
        let prefix = self.pieces_name(key);
        let mut found: Vec<Piece> = self
            .objects(&prefix, None)
            .try_filter_map(|object| async move {
                let start = object.location.filename().and_then(|name| name.parse().ok());
                Ok(start.map(|start| Piece {
                    start,
                    bytes: object.size,
                }))
            })
            .try_collect()
            .await?;
        found.sort_unstable_by_key(|piece| piece.start);
        let mut end = 0;
        let whole = found.iter().take_while(|piece| {
            let follows = piece.start == end;
            end = piece.start + piece.bytes;
            follows
        });
        let count = whole.count();
        found.truncate(count);
        Ok(found)
    }

    /// Writes the pieces one behind the other as an object; `false` where there is none.
    pub(super) async fn join_pieces(&self, key: &Key, name: &str) -> Result<bool, StoreError> {
        let pieces = self.pieces(key).await?;
        if pieces.is_empty() {
            return Ok(false);
        }
        let bytes = stream::iter(pieces)
            .then(|piece| async move { self.get(&self.piece_name(key, piece.start), None).await })
            .map_ok(|read| read.bytes)
            .try_flatten();
        // An outage of the source shows as a broken sender: the caller tries again.
        let bytes = bytes.map(|bytes: Result<Bytes, StoreError>| bytes.map_err(|_| Broken));
        self.put_object(name, Box::pin(bytes)).await?;
        Ok(true)
    }

    pub(super) fn pieces_name(&self, key: &Key) -> String {
        format!("{}.parts", self.staged_name(key))
    }

    fn piece_name(&self, key: &Key, start: u64) -> String {
        let folder = Path::from(self.pieces_name(key));
        format!("{folder}/{start:020}")
    }
}
