//! Money: proofs of the ledger.

use std::time::Duration;

crate::catalogue! {
    PROOF_FAULTS: Counter(
        "huizhen_ledger_faults_total",
        "Faults that proofs of the ledger have found; each proof counts those that are still there",
    );
    PROOF_S: Histogram(
        "huizhen_ledger_proof_seconds",
        "How long a proof of the ledger takes, s",
    );
}

const TARGET: &str = "ledger";

/// Reports of money.
#[expect(missing_docs, reason = "fields are named as in the log line")]
pub enum Event<'a> {
    /// The ledger was proved.
    Proved { postings: u64, took: Duration },
    /// A proof found faults.
    Imbalanced {
        faulty: u64,
        /// The first of them.
        row: &'a str,
        why: &'a str,
        took: Duration,
    },
}

impl Event<'_> {
    /// Counts it and writes its line.
    pub fn emit(self) {
        match self {
            Self::Proved { postings, took } => {
                PROOF_S.record(took.as_secs_f64());
                tracing::info!(target: TARGET, postings, ?took, "the ledger balances");
            }
            Self::Imbalanced {
                faulty,
                row,
                why,
                took,
            } => {
                PROOF_S.record(took.as_secs_f64());
                PROOF_FAULTS.add(faulty);
                tracing::error!(
                    target: TARGET,
                    faulty,
                    row,
                    why,
                    "the ledger does not balance; huizhen reconcile names the rows"
                );
            }
        }
    }
}
