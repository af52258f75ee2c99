//! The proof finds each fault that is planted, and names its row.

mod plants;

use database::{Database, params};
use ledger::reconcile::{Fault, Progress, Report, Since, reconcile};
use testkit::store::Store;

use self::plants::PLANTS;
use crate::{
    books::{Act, Stored, random::Acts},
    place::{execute, first, open},
};

/// A life of every row that a proof reads. Times are in November and December 2026.
const LIFE: &str = "top-up 1 12 100000
    join 4 12 1 300
    begin 7 4 12 500 100
    finish 7
    begin 8 4 12 100 100
    cancel 8
    begin 9 4 12 100 100
    vas 1 4 12 1000 100
    vas 2 4 12 600 100
    refund-vas 1 1 400
    refund-consult 2 7 50
    credit 1 12 70
    reverse credit credit:1
    pay-back 1 12 20
    pay-back-failed 1
    withdraw 1 4 100
    paid 1
    withdraw 2 4 50
    failed 2";

const NOVEMBER_MS: i64 = 1_795_000_000_000;
const DECEMBER_MS: i64 = 1_796_100_000_000;

async fn books(store: Store) -> (testkit::store::Place, Database) {
    let (place, database) = open(store).await;
    let mut stored = Stored::new(database.clone());
    for line in LIFE.lines() {
        let is_later = line.trim_start().starts_with("withdraw");
        if is_later {
            stored.at(DECEMBER_MS);
        } else if line.starts_with("top-up") {
            stored.at(NOVEMBER_MS);
        }
        stored
            .act(&Act::parse(line))
            .await
            .unwrap_or_else(|why| panic!("{line}: {why}"));
    }
    (place, database)
}

async fn proved(database: &Database, since: Option<Since>) -> Report {
    reconcile(database, since, |_| ()).await.unwrap()
}

testkit::on_both!(
    i6_books_that_balance_are_proved,
    i6_each_fault_is_found_and_named,
    i6_a_part_proves_what_is_new,
    i6_faults_beyond_a_hundred_are_counted,
    i6_the_proof_sees_one_moment_while_money_moves,
    i6_a_ledger_of_many_pages_is_proved,
);

async fn i6_books_that_balance_are_proved(store: Store) {
    let (_place, database) = books(store).await;
    let mut steps: Vec<Progress> = Vec::new();
    let report = reconcile(&database, None, |progress| steps.push(progress))
        .await
        .unwrap();
    assert!(report.is_balanced(), "{:?}", report.faults);
    let counts = report.counts;
    assert_eq!((counts.transfers, counts.accounts, counts.months), (19, 7, 2));
    assert_eq!((counts.orders, counts.pay_backs, counts.credits), (1, 1, 1));
    assert_eq!((counts.consults, counts.services, counts.refunds), (3, 2, 2));
    assert_eq!((counts.withdrawals, counts.entries), (2, 4));
    let sums = report.sums;
    assert_eq!(sums.guarded_fen + sums.platform_fen + sums.outside_fen, 0);
    assert_eq!(sums.outside_fen, -100_000 + 100);
    assert!(steps.iter().all(|progress| progress.done <= progress.total));
    let names: Vec<&str> = steps.iter().map(|progress| progress.step).collect();
    for step in ["transfers", "accounts", "months", "causes"] {
        assert!(names.contains(&step), "{names:?}");
    }
    database.close().await;
}

/// The text with the ids of transfers.
async fn filled(database: &Database, text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else {
        return text.to_owned();
    };
    let (name, after) = rest.split_once('}').unwrap();
    let (kind, cause) = name.split_once(' ').unwrap();
    // A reversal names its transfer by an id.
    let sql = "SELECT id FROM transfer WHERE kind = $1 AND (cause = $2 OR kind = 'reversal')";
    let id: i64 = first(database, sql, params![kind, cause]).await.get(0).unwrap();
    format!("{before}{id}{after}")
}

/// Each plant in a transaction of its own, which is undone: the next one finds books that balance.
async fn i6_each_fault_is_found_and_named(store: Store) {
    let (_place, database) = books(store).await;
    for table in TABLES {
        let kept: &'static str = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}").leak();
        execute(&database, kept, params![]).await;
    }
    for (plant, row) in PLANTS {
        let sql: &'static str = filled(&database, plant).await.leak();
        assert!(execute(&database, sql, params![]).await > 0, "{plant}");
        let row = filled(&database, row).await;
        let report = proved(&database, None).await;
        let is_named = report.faults.iter().any(|fault| fault.row == row);
        assert!(is_named, "{plant}\n{row} is not among {:#?}", report.faults);
        assert!(!report.is_balanced());
        for table in TABLES {
            let delete: &'static str = format!("DELETE FROM {table}").leak();
            let fill: &'static str = format!("INSERT INTO {table} SELECT * FROM kept_{table}").leak();
            execute(&database, delete, params![]).await;
            execute(&database, fill, params![]).await;
        }
    }
    let report = proved(&database, None).await;
    assert!(report.is_balanced(), "{:?}", report.faults);
    database.close().await;
}

const TABLES: [&str; 14] = [
    "transfer",
    "posting",
    "ledger_account",
    "income_month",
    "payment_order",
    "payment_refund",
    "credit",
    "withdrawal",
    "consult_charge",
    "consult",
    "vas",
    "refund",
    "membership",
    "entry",
];

async fn i6_a_part_proves_what_is_new(store: Store) {
    let (_place, database) = books(store).await;
    let whole = proved(&database, None).await;
    let part = proved(&database, Some(Since::Time(DECEMBER_MS))).await;
    assert!(part.is_balanced(), "{:?}", part.faults);
    assert_eq!((part.counts.transfers, part.counts.withdrawals), (4, 2));
    assert_eq!(
        (part.counts.accounts, part.counts.orders, part.counts.entries),
        (0, 0, 0)
    );
    let sql = "SELECT id FROM transfer WHERE cause = 'withdrawal:1' AND kind = 'withdrawal'";
    let id: i64 = first(&database, sql, params![]).await.get(0).unwrap();
    let by_id = proved(&database, Some(Since::Transfer(id))).await;
    assert_eq!(
        by_id,
        Report {
            since_ms: Some(DECEMBER_MS),
            ..part.clone()
        }
    );
    let all = proved(&database, Some(Since::Time(0))).await;
    assert!(all.is_balanced(), "{:?}", all.faults);
    assert_eq!(
        (all.counts.postings, all.sums),
        (whole.counts.postings, whole.sums)
    );
    assert!(
        reconcile(&database, Some(Since::Transfer(-1)), |_| ())
            .await
            .is_err()
    );
    // An old fault is not looked at; a new one is found, also in the chain of its account.
    for (plant, row) in [
        (
            "UPDATE transfer SET cause = 'order:9' WHERE cause = 'order:1'",
            None,
        ),
        (
            "UPDATE posting SET balance_after_fen = 98 WHERE account = 'payout:4' AND place = 1",
            Some("payout:4:1"),
        ),
        (
            "UPDATE ledger_account SET balance_fen = 3 WHERE account = 'payout:4'",
            Some("payout:4:4"),
        ),
        (
            "UPDATE withdrawal SET amount_fen = 99 WHERE id = 2",
            Some("transfer:"),
        ),
    ] {
        execute(&database, plant, params![]).await;
        let report = proved(&database, Some(Since::Time(DECEMBER_MS))).await;
        match row {
            None => assert!(report.is_balanced(), "{:?}", report.faults),
            Some(row) => {
                let named = report.faults.iter().any(|fault| fault.row.starts_with(row));
                assert!(named, "{plant}: {:?}", report.faults);
            }
        }
    }
    database.close().await;
}

async fn i6_faults_beyond_a_hundred_are_counted(store: Store) {
    let (_place, database) = open(store).await;
    for id in 1..=130_i64 {
        let sql = "INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms)
            VALUES ($1, 12, 5, '', 'approved', 1, 0)";
        execute(&database, sql, params![id]).await;
    }
    let report = proved(&database, None).await;
    assert_eq!((report.faulty, report.faults.len()), (130, 100));
    let why = "it has no transfer credit";
    assert!(
        report.faults.contains(&Fault {
            row: "credit:1".into(),
            why
        }),
        "{:?}",
        report.faults
    );
    database.close().await;
}

async fn i6_the_proof_sees_one_moment_while_money_moves(store: Store) {
    let (_place, database) = open(store).await;
    let writing = {
        let database = database.clone();
        tokio::spawn(async move {
            let mut stored = Stored::new(database);
            let mut acts = Acts::new(3, 4, 2);
            for _ in 0..600 {
                let (now_ms, act) = acts.next();
                stored.at(now_ms);
                let _ = stored.act(&act).await;
            }
        })
    };
    let (mut proofs, mut last) = (0, 0);
    while !writing.is_finished() {
        let report = proved(&database, None).await;
        assert!(report.is_balanced(), "{:?}", report.faults);
        assert!(report.counts.transfers >= last);
        last = report.counts.transfers;
        proofs += 1;
    }
    writing.await.unwrap();
    assert!(proofs >= 2 && last > 0, "{proofs} proofs, {last} transfers");
    database.close().await;
}

/// More rows than a page has, of each kind.
async fn i6_a_ledger_of_many_pages_is_proved(store: Store) {
    let (_place, database) = open(store).await;
    let stored = Stored::new(database.clone());
    let lines = |id: i64| {
        [
            Act::TopUp {
                order: id,
                member: id,
                amount: 1000,
            },
            Act::Vas {
                vas: id,
                team: id,
                member: id,
                price: 100,
                per_mille: 100,
            },
        ]
    };
    let acts: Vec<(i64, Act)> = (1..=1100).flat_map(lines).map(|act| (NOVEMBER_MS, act)).collect();
    for some in acts.chunks(100) {
        stored.act_all(some.to_vec()).await;
    }
    let report = proved(&database, None).await;
    assert!(report.is_balanced(), "{:?}", report.faults);
    assert_eq!((report.counts.transfers, report.counts.postings), (2200, 5500));
    assert_eq!((report.counts.accounts, report.counts.entries), (2200, 1100));
    let part = proved(&database, Some(Since::Time(NOVEMBER_MS))).await;
    assert_eq!((part.counts.transfers, part.counts.postings), (2200, 5500));
    assert!(part.is_balanced(), "{:?}", part.faults);
    database.close().await;
}
