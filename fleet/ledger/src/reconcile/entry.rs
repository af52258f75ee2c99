//! The entries of the journal that say what was charged and refunded: each confirmed service that is charged has one in its
//! consult, each refund has one, and each such entry its service or its refund. Consults without a price are not read.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use database::{Row, Snapshot, params};
use prost::Message;
use proto::wire::{self, entry::Event};

use super::{
    Proof,
    page::{ROWS, is_full, of_keys, with_keys},
};
use crate::Error;

/// Consults whose entries may say a price, when that changed, and whether there is one; some stand in several rows.
const CONSULTS: [&str; 3] = [
    "SELECT consult_id, coalesce(ended_ms, created_ms), TRUE FROM consult_charge WHERE consult_id > $1
     ORDER BY consult_id LIMIT $2",
    "SELECT consult_id, coalesce(decided_ms, created_ms), commission_per_mille IS NOT NULL FROM vas
     WHERE consult_id > $1 ORDER BY consult_id LIMIT $2",
    "SELECT consult_id, created_ms, TRUE FROM refund WHERE consult_id > $1 ORDER BY consult_id LIMIT $2",
];

/// Consults that are proved at once.
const AT_ONCE: usize = 512;

const SERVICES: &str =
    "SELECT v.consult_id, v.id, v.price_fen, v.commission_per_mille, v.decided_ms FROM vas v
     WHERE v.consult_id IN ({keys}) AND v.state = 'confirmed'";

const REFUNDS: &str =
    "SELECT r.consult_id, r.id, r.amount_fen, coalesce(r.vas_id, 0), r.created_ms FROM refund r
     WHERE r.consult_id IN ({keys})";

/// 6 is the kind VAS_CONFIRMED, 13 is REFUNDED.
const ON_POSTGRES: &str =
    "SELECT conversation_id, seq, extra FROM entry WHERE conversation_id IN ({keys}) AND kind IN (6, 13)";

/// Through the index of entries, and the chain of those that are not in it yet.
const ON_SQLITE: &str = "WITH RECURSIVE unindexed (id, previous_id) AS (
       SELECT e.id, e.previous_id FROM conversation c CROSS JOIN entry e ON e.id = c.unclaimed_entry_id WHERE c.id IN ({keys})
       UNION ALL SELECT e.id, e.previous_id FROM unindexed u CROSS JOIN entry e ON e.id = u.previous_id)
     SELECT e.conversation_id, e.seq, e.extra FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
     WHERE i.conversation_id IN ({keys}) AND e.kind IN (6, 13)
     UNION ALL SELECT e.conversation_id, e.seq, e.extra FROM unindexed u CROSS JOIN entry e ON e.id = u.id
     WHERE e.kind IN (6, 13)";

pub(super) fn statements(is_file: bool) -> Vec<String> {
    let entries = if is_file { ON_SQLITE } else { ON_POSTGRES };
    let mut statements: Vec<String> = CONSULTS.map(str::to_owned).into();
    statements.extend([SERVICES, REFUNDS, entries].map(|sql| with_keys(sql, 0, 8)));
    statements
}

/// An act that an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Act {
    /// A service was confirmed.
    Service(i64),
    /// A price was refunded.
    Refund(i64),
}

/// The amount of an act, and the service that it is about; 0: the consult.
type Amount = (i64, i64);

/// The acts of some consults.
#[derive(Default)]
struct Acts {
    /// Those that happened.
    known: HashMap<(i64, Act), Amount>,
    /// Those of them that must have an entry.
    due: HashSet<(i64, Act)>,
    said: HashSet<(i64, Act)>,
}

pub(super) async fn prove(proof: &mut Proof<'_>) -> Result<(), Error> {
    let mut last = i64::MIN;
    loop {
        let (consults, reached) = page(proof.snapshot, proof.first_ms(), last).await?;
        let Some(reached) = reached else {
            return Ok(());
        };
        last = reached;
        prove_consults(proof, &consults).await?;
    }
}

/// The next consults behind one, in the order of their ids: those to prove, and the last one of all.
async fn page(snapshot: &Snapshot, first_ms: i64, last: i64) -> Result<(Vec<i64>, Option<i64>), Error> {
    let (mut found, mut complete) = (BTreeMap::new(), i64::MAX);
    for sql in CONSULTS {
        let rows = snapshot.query(sql, params![last, ROWS]).await?;
        for row in &rows {
            let (changed_ms, is_priced): (i64, bool) = (row.get(1)?, row.get(2)?);
            let is_new = is_priced && changed_ms >= first_ms;
            *found.entry(row.get::<i64>(0)?).or_insert(false) |= is_new;
        }
        // Behind the last row of a full page there may be more.
        if let Some(row) = rows.last().filter(|_| is_full(&rows)) {
            complete = complete.min(row.get(0)?);
        }
    }
    found.retain(|consult, _| *consult <= complete);
    let page: Vec<(i64, bool)> = found.into_iter().take(AT_ONCE).collect();
    let last = page.last().map(|(consult, _)| *consult);
    let to_prove = page.into_iter().filter(|(_, is_new)| *is_new);
    Ok((to_prove.map(|(consult, _)| consult).collect(), last))
}

async fn acts(snapshot: &Snapshot, first_ms: i64, consults: &[i64]) -> Result<Acts, Error> {
    let mut acts = Acts::default();
    for row in of_keys(snapshot, SERVICES, params![], consults).await? {
        let (consult, vas): (i64, i64) = (row.get(0)?, row.get(1)?);
        let is_charged = row.get::<Option<i64>>(3)?.is_some();
        let decided_ms = row.get::<Option<i64>>(4)?.unwrap_or_default();
        let is_due = is_charged && decided_ms >= first_ms;
        acts.add(consult, Act::Service(vas), (row.get(2)?, vas), is_due);
    }
    for row in of_keys(snapshot, REFUNDS, params![], consults).await? {
        let (consult, refund): (i64, i64) = (row.get(0)?, row.get(1)?);
        let is_due = row.get::<i64>(4)? >= first_ms;
        acts.add(consult, Act::Refund(refund), (row.get(2)?, row.get(3)?), is_due);
    }
    Ok(acts)
}

impl Acts {
    fn add(&mut self, consult: i64, act: Act, amount: Amount, is_due: bool) {
        self.known.insert((consult, act), amount);
        if is_due {
            self.due.insert((consult, act));
        }
    }

    /// The rule that an entry breaks.
    fn fault(&mut self, consult: i64, entry: Option<(Act, Amount)>) -> Option<&'static str> {
        let Some((act, amount)) = entry else {
            return Some("it names no service and no refund");
        };
        if !self.said.insert((consult, act)) {
            return Some("it is said twice");
        }
        match (self.known.get(&(consult, act)), act) {
            (None, Act::Service(_)) => Some("its service is not confirmed"),
            (None, Act::Refund(_)) => Some("its refund is not there"),
            // Not charged, or older than what is proved: the price of a free service is not compared.
            (Some(_), _) if !self.due.contains(&(consult, act)) => None,
            (Some(known), _) if *known != amount => Some("it says another amount than was moved"),
            (Some(_), _) => None,
        }
    }
}

async fn prove_consults(proof: &mut Proof<'_>, consults: &[i64]) -> Result<(), Error> {
    let sql = if proof.snapshot.is_of_file() {
        ON_SQLITE
    } else {
        ON_POSTGRES
    };
    let mut acts = acts(proof.snapshot, proof.first_ms(), consults).await?;
    // In their order; one may be in the index and in the chain.
    let mut entries = BTreeMap::new();
    for row in of_keys(proof.snapshot, sql, params![], consults).await? {
        entries.insert((row.get::<i64>(0)?, row.get::<i64>(1)?), said(&row)?);
    }
    for ((consult, seq), entry) in entries {
        if let Some(why) = acts.fault(consult, entry) {
            proof.report.fault(format!("entry:{consult}:{seq}"), why);
        } else if entry.is_some_and(|(act, _)| acts.due.contains(&(consult, act))) {
            proof.report.counts.entries += 1;
        }
    }
    for (_, act) in acts.due.difference(&acts.said) {
        let (row, why) = match act {
            Act::Service(vas) => (format!("vas:{vas}"), "it has no entry VAS_CONFIRMED"),
            Act::Refund(refund) => (format!("refund:{refund}"), "it has no entry REFUNDED"),
        };
        proof.report.fault(row, why);
    }
    Ok(())
}

/// The act of an entry, and its amount.
fn said(row: &Row) -> Result<Option<(Act, Amount)>, Error> {
    let extra: Option<Bytes> = row.get(2)?;
    let entry = extra.and_then(|extra| wire::Entry::decode(extra).ok());
    Ok(match entry.and_then(|entry| entry.event) {
        Some(Event::Vas(vas)) => Some((Act::Service(vas.vas_id), (vas.price_fen, vas.vas_id))),
        Some(Event::Refund(of)) => Some((Act::Refund(of.refund_id), (of.amount_fen, of.vas_id))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proto::wire::EntryKind;

    #[test]
    fn entries_have_the_kinds_that_the_statements_name() {
        assert_eq!(EntryKind::VasConfirmed as i32, 6);
        assert_eq!(EntryKind::Refunded as i32, 13);
    }
}
