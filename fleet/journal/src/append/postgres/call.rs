//! Writing where conversations lie on several machines: a call that the machine of the conversation runs and commits. One
//! round trip, one machine, one phase. The coordinator hands it on where that machine cannot be reached. A message that
//! names media also writes to the coordinator, and takes a transaction of two phases.

use std::collections::{BTreeMap, HashSet};

use proto::ConversationId;
use tokio_postgres::types::ToSql;

use super::{
    attempt::{Attempt, Touched, Verdict},
    fate::{Fate, Trouble},
    link::{Call, Live},
    media::Uses,
    write::{Moves, Rows},
};

/// How long the machine waits for the conversation's row, milliseconds; a probe does not.
const WAIT_MS: i64 = 500;
const PROBE_WAIT_MS: i64 = 20;

/// Outside of a transaction it runs on the machine of conversation $1.
pub(super) const APPEND: &str =
    "SELECT journal_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

impl Attempt {
    /// Writes the batch, which is of one conversation: a call for several would run on none of their machines.
    pub(super) async fn append_by_call(
        &self,
        (live, call): (&Live, &Call),
        moves: &Moves,
        uses: &Uses,
        touched: &mut BTreeMap<ConversationId, Touched>,
        verdicts: &mut [Verdict],
    ) -> Result<(), Fate> {
        if !moves.still.is_empty() {
            let touched = live.client.execute(&live.touch, &[&moves.still]).await;
            touched.map_err(|error| live.fate(&error))?;
        }
        let (&[id], &[seen], &[next]) = (&moves.ids[..], &moves.seen[..], &moves.next[..]) else {
            return match moves.ids.is_empty() {
                true => Ok(()),
                false => Err(Fate::NotWritten(Trouble::Refused(
                    "a batch of several conversations".to_owned(),
                ))),
            };
        };
        let rows = Rows::of(self, verdicts);
        let wait_ms = if self.probe { PROBE_WAIT_MS } else { WAIT_MS };
        let params: [&(dyn ToSql + Sync); 17] = [
            &id,
            &seen,
            &next,
            &self.now_ms,
            &wait_ms,
            &rows.kind,
            &rows.seqs,
            &rows.senders,
            &rows.ids,
            &rows.mime_types,
            &rows.bodies,
            &rows.replies,
            &rows.corrected,
            &rows.extras,
            &rows.checksums,
            &uses.media,
            &uses.seqs,
        ];
        let has_won = if uses.is_empty() {
            let answer = live.client.query_one(&call.append, &params).await;
            answer.map_err(|error| live.fate(&error))?.get(0)
        } else {
            self.append_with_media((live, call), uses, (id, &params)).await?
        };
        let winners: HashSet<i64> = if has_won {
            HashSet::from([id])
        } else {
            HashSet::new()
        };
        self.mark_losers(moves, winners, touched, verdicts);
        Ok(())
    }

    /// Media are locked first, as on one machine.
    async fn append_with_media(
        &self,
        (live, call): (&Live, &Call),
        uses: &Uses,
        (id, params): (i64, &[&(dyn ToSql + Sync)]),
    ) -> Result<bool, Fate> {
        let begun = async {
            live.client.batch_execute("BEGIN").await?;
            uses.lock(live).await
        };
        let not_written = |error: tokio_postgres::Error| Fate::NotWritten(live.trouble(&error));
        if !begun.await.map_err(not_written)? {
            return Err(Fate::NotWritten(Trouble::Contended));
        }
        let written = async {
            let has_won: bool = live.client.query_one(&call.append, params).await?.get(0);
            if has_won {
                uses.mark_used(live, self.now_ms).await?;
                uses.enter(live, &call.add_medium, id).await?;
            }
            Ok(has_won)
        };
        let has_won = written.await.map_err(not_written)?;
        let committed = live.client.batch_execute("COMMIT").await;
        committed.map_err(|error| Fate::of_commit(&error))?;
        Ok(has_won)
    }
}
