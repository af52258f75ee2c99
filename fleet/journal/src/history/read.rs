//! Entries by seq, without regard to a reader.

use database::{Error, Transaction, params};
use proto::{ConversationId, Seq};

use crate::{
    Journal,
    entry::{
        Entry,
        damage::{self, MISSING},
    },
};

impl Journal {
    /// Entries of a conversation without regard to a reader, `low` through `high`, the oldest `limit` of them in order.
    ///
    /// # Errors
    /// As the database says.
    pub async fn entries(
        &self,
        conversation: ConversationId,
        low: Seq,
        high: Seq,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.read_entries(conversation, low, high, limit, Order::OldestFirst)
            .await
    }

    pub(super) async fn newest_entries(
        &self,
        conversation: ConversationId,
        low: Seq,
        high: Seq,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.read_entries(conversation, low, high, limit, Order::NewestFirst)
            .await
    }

    /// Seqs have no gaps (I2), so an absent entry is not written yet, or damaged: `last_seq`, read before the entries,
    /// decides.
    async fn read_entries(
        &self,
        conversation: ConversationId,
        low: Seq,
        high: Seq,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, Error> {
        let low = low.max(Seq::ZERO.next());
        let found = self.select_entries(conversation, low, high, limit, order).await?;
        if order.first_missing(&found, low, high, limit).is_none() {
            return Ok(found);
        }
        let last = self.conversation(conversation).await?;
        let high = high.min(last.map_or(Seq::ZERO, |last| last.last_seq));
        let found = self.select_entries(conversation, low, high, limit, order).await?;
        match order.first_missing(&found, low, high, limit) {
            Some(seq) => Err(damage::report(conversation, seq, MISSING)),
            None => Ok(found),
        }
    }

    async fn select_entries(
        &self,
        conversation: ConversationId,
        low: Seq,
        high: Seq,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = match order {
            Order::OldestFirst => self.dialect.entries,
            Order::NewestFirst => self.dialect.newest_entries,
        };
        let rows = self
            .database
            .query(sql, params![conversation.get(), low.get(), high.get(), limit])
            .await?;
        rows.iter()
            .map(|row| Entry::from_row(row, conversation, self.dialect.checksums))
            .collect()
    }

    /// Verifies one entry within a transaction.
    pub(crate) async fn verify_entry(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<Entry, Error> {
        let params = params![conversation.get(), seq.get(), seq.get(), 1_i64];
        match tx.query_first(self.dialect.entries, params).await? {
            Some(row) => Entry::from_row(&row, conversation, self.dialect.checksums),
            None => Err(damage::report(conversation, seq, MISSING)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

impl Order {
    /// The first seq that must be in a page and is absent.
    fn first_missing(self, found: &[Entry], low: Seq, high: Seq, limit: usize) -> Option<Seq> {
        self.first_missing_of(found.iter().map(|entry| entry.seq), low, high, limit)
    }

    fn first_missing_of(
        self,
        found: impl Iterator<Item = Seq>,
        low: Seq,
        high: Seq,
        limit: usize,
    ) -> Option<Seq> {
        if low > high {
            return None;
        }
        let mut found = found;
        let mut wanted = match self {
            Self::OldestFirst => low,
            Self::NewestFirst => high,
        };
        for _ in 0..limit {
            if found.next() != Some(wanted) {
                return Some(wanted);
            }
            wanted = match self {
                Self::OldestFirst if wanted < high => wanted.next(),
                Self::NewestFirst if wanted > low => wanted.previous(),
                _ => return None,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(seq: i64) -> Seq {
        Seq::from_database(seq)
    }

    #[test]
    fn a_page_with_a_hole_says_where() {
        for (low, high, limit) in [(1, 6, 10), (3, 9, 4), (5, 5, 1), (2, 4, 3)] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let mut whole: Vec<Seq> = (low..=high).map(seq).collect();
                if order == Order::NewestFirst {
                    whole.reverse();
                }
                whole.truncate(limit);
                let missing =
                    |page: &[Seq]| order.first_missing_of(page.iter().copied(), seq(low), seq(high), limit);
                assert_eq!(missing(&whole), None);
                for at in 0..whole.len() {
                    let mut holed = whole.clone();
                    let gone = holed.remove(at);
                    assert_eq!(missing(&holed), Some(gone), "{low} {high} {limit} {order:?}");
                }
                let mut doubled = whole.clone();
                doubled.insert(0, whole[0]);
                doubled.truncate(limit);
                assert_eq!(missing(&doubled).is_some(), whole.len() > 1);
            }
        }
        assert_eq!(
            Order::OldestFirst.first_missing_of([].into_iter(), seq(4), seq(3), 9),
            None
        );
    }
}
