//! Scripts: acts, and below each the postings that follow, or why it is refused. They are run by the naive books, and by the
//! ledger on both engines.
//!
//! `REWRITE=1 cargo test -p ledger --test it scripts` writes the postings of the naive books into the scripts; read the
//! difference.

use std::{fmt::Write, path::PathBuf};

use database::params;
use jiff::Timestamp;
use ledger::{Account, Month, Window, balance, earned, reconcile::reconcile, withdrawable};
use proto::UserId;
use testkit::store::Store;

use crate::{
    books::{Act, Naive, Outcome, Stored},
    place::{first, open},
};

/// The time of a script that sets none: noon of a day outside every window.
const NOON: &str = "2026-11-20T12:00:00+08";

/// Books that a script runs on.
enum Books {
    Naive(Box<Naive>),
    Stored(Stored),
}

impl Books {
    fn at(&mut self, now_ms: i64) {
        match self {
            Self::Naive(books) => books.at(now_ms),
            Self::Stored(books) => books.at(now_ms),
        }
    }

    async fn act(&mut self, act: &Act) -> Outcome {
        match self {
            Self::Naive(books) => books.act(act),
            Self::Stored(books) => books.act(act).await,
        }
    }

    /// A balance, or a sum of a team or a member.
    async fn look(&self, of: &str, now_ms: i64) -> String {
        let (kind, id) = of.split_once(':').unwrap_or((of, "0"));
        let number = || id.split(':').next().unwrap().parse::<i64>().unwrap();
        let window = Window::at(now_ms);
        match (self, kind) {
            (Self::Naive(books), "earned") => books.earned(number()).to_string(),
            (Self::Stored(books), "earned") => earned(&books.database, number()).await.unwrap().to_string(),
            (Self::Naive(books), "consumed") => {
                books.consumed.get(&number()).copied().unwrap_or(0).to_string()
            }
            (Self::Stored(books), "consumed") => {
                let wallet = ledger::Wallet::of(&books.database, UserId::from_database(number()));
                wallet.await.unwrap().consumed_fen.to_string()
            }
            (Self::Naive(books), "withdrawable") => {
                let fen = books.withdrawable(number(), window.month.get());
                format!("{fen}, {}", window.month)
            }
            (Self::Stored(books), "withdrawable") => {
                let fen = withdrawable(&books.database, number(), window).await.unwrap();
                format!("{fen}, {}", window.month)
            }
            (_, "month") => self.month(of).await,
            (Self::Naive(books), _) => books.balance(of).to_string(),
            // Also of an account without a balance row.
            (Self::Stored(books), _) => {
                let sql =
                    "SELECT CAST(coalesce(sum(amount_fen), 0) AS BIGINT) FROM posting WHERE account = $1";
                let row = first(&books.database, sql, params![of]).await;
                let (sum, account): (i64, Account) = (row.get(0).unwrap(), of.parse().unwrap());
                if account.is_guarded() {
                    assert_eq!(balance(&books.database, account).await.unwrap(), sum, "{of}");
                }
                sum.to_string()
            }
        }
    }

    /// `month:TEAM:MONTH`: posted and earned.
    async fn month(&self, of: &str) -> String {
        let words: Vec<&str> = of.split(':').collect();
        let key: (i64, i64) = (words[1].parse().unwrap(), words[2].parse().unwrap());
        assert!(Month::new(key.1).is_some(), "{of}");
        let (posted, earned) = match self {
            Self::Naive(books) => books.months.get(&key).copied().unwrap_or_default(),
            Self::Stored(books) => {
                let sql =
                    "SELECT coalesce(max(posted_fen), 0), coalesce(max(earned_fen), 0) FROM income_month
                     WHERE team_id = $1 AND month = $2";
                let row = first(&books.database, sql, params![key.0, key.1]).await;
                (row.get(0).unwrap(), row.get(1).unwrap())
            }
        };
        format!("posted {posted}, earned {earned}")
    }
}

fn shown(outcome: Outcome) -> Vec<String> {
    match outcome {
        Err(why) => vec![format!("refused: {why}")],
        Ok(lines) if lines.is_empty() => vec!["nothing".to_owned()],
        Ok(lines) => lines
            .into_iter()
            .map(|(account, amount, after)| match after {
                Some(after) => format!("{account} {amount:+} = {after}"),
                None => format!("{account} {amount:+}"),
            })
            .collect(),
    }
}

/// The script with the effects of each line below it.
async fn play(books: &mut Books, text: &str) -> String {
    let mut now_ms = NOON.parse::<Timestamp>().unwrap().as_millisecond();
    books.at(now_ms);
    let mut played = String::new();
    for line in text.lines().filter(|line| !line.starts_with('>')) {
        let _ = writeln!(played, "{line}");
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let effects = match line.split_once(' ') {
            Some(("at", time)) => {
                now_ms = time.parse::<Timestamp>().unwrap().as_millisecond();
                books.at(now_ms);
                continue;
            }
            Some(("look", of)) => vec![books.look(of, now_ms).await],
            _ => shown(books.act(&Act::parse(line)).await),
        };
        for effect in effects {
            let _ = writeln!(played, "> {effect}");
        }
    }
    played
}

fn all() -> Vec<(PathBuf, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 15, "{}", paths.len());
    paths
        .into_iter()
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

#[tokio::test]
async fn i6_scripts_have_the_postings_they_say() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let played = play(&mut Books::Naive(Box::default()), &text).await;
        if played == text {
            continue;
        }
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &played).unwrap();
        }
        wrong.push(format!("{}\n{played}", path.display()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

testkit::on_both!(i6_the_ledger_posts_what_scripts_say);

/// Each script has a database of its own; afterwards its books balance.
async fn i6_the_ledger_posts_what_scripts_say(store: Store) {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let (_place, database) = open(store).await;
        let played = play(&mut Books::Stored(Stored::new(database.clone())), &text).await;
        let report = reconcile(&database, None, |_| ()).await.unwrap();
        database.close().await;
        if played != text || !report.is_balanced() {
            wrong.push(format!("{}\n{played}\n{:?}", path.display(), report.faults));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_wrong_expectation_fails() {
    let right = "top-up 1 12 100\n> outside:mockpay -100\n> wallet:12 +100 = 100\nlook wallet:12\n> 100\n";
    assert_eq!(play(&mut Books::Naive(Box::default()), right).await, right);
    for (said, wrong) in [
        ("+100 = 100", "+100 = 101"),
        ("> 100\n", "> 99\n"),
        ("> outside:mockpay -100\n", ""),
    ] {
        let wrong = right.replace(said, wrong);
        assert_ne!(play(&mut Books::Naive(Box::default()), &wrong).await, wrong);
    }
}
