//! The mix of money: members top up, join, open consults, confirm services and leave; teams refund and withdraw. Beside it
//! a limit, taken in the same run, and at the end a proof of the books.

mod acts;
mod books;
mod call;
mod ground;
mod kills;
mod limit;
mod member;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::Figures;
use crate::arguments::RestArguments;
use crate::generator::schedule::Chance;
use crate::progress::Progress;
use crate::report::{Percentiles, Report};
use crate::server::usage::own_cpu_s;
use crate::world::Practice;
use books::Books;
use ground::Ground;
use limit::Limit;
use member::{Account, Member, Work};

/// Members of a team: they share its income, whose account each of their charges locks.
const MEMBERS_OF_TEAM: u32 = 4;
/// The longest measurement of the limit, each time.
const LIMIT_DURATION: Duration = Duration::from_secs(10);

/// Measures the mix.
pub(super) async fn run(arguments: RestArguments) -> Result<bool> {
    let mut ground = Box::pin(Ground::open(&arguments)).await?;
    ground.set_commission().await?;
    let teams = arguments.workers.div_ceil(MEMBERS_OF_TEAM);
    let practices = ground
        .fleet
        .builder
        .practices(teams, MEMBERS_OF_TEAM, acts::PRICES)
        .await?;
    for practice in &practices {
        acts::set_payee(&ground.fleet.rest, practice).await?;
    }
    let members = members_of(&ground, arguments.workers, &practices)?;
    // The income of these visits can be withdrawn once the window is open.
    let members = earn(members).await?;
    ground.open_window()?;

    let before = limit::measure(&ground, &arguments).await?;
    let watch = ground.fleet.watch();
    let (usage, own_cpu) = (watch.sample().await?, own_cpu_s()?);
    let begun = Instant::now();
    let work = Work {
        measured_from: begun + arguments.warm_up,
        until: begun + arguments.warm_up + arguments.duration,
    };
    let dice = Chance::new(arguments.output.seed);
    let (members, kills) = tokio::join!(
        all(members, work),
        kills::kill(&mut ground, &arguments, dice, work.until),
    );
    let (members, kills) = (members?, kills.context("a killed server does not start again")?);
    // A killed one's usage is gone.
    let servers = match arguments.kill_every {
        None => watch.since(&usage, 0).await?,
        Some(_) => Vec::new(),
    };
    let generator_cpu_s = own_cpu_s()? - own_cpu;
    let elapsed = begun.elapsed();
    let after = limit::measure(&ground, &arguments).await?;

    let mut figures = Figures::default();
    let mut account = Account::default();
    for mut member in members {
        member.compare_wallet().await;
        figures.add(member.figures);
        account.add(member.account);
    }
    let seconds = arguments.duration.as_secs_f64();
    let transfers_per_s = account.measured as f64 / seconds;
    let mut report = Report::new("rest money", arguments.output.seed)
        .parameter("workers", arguments.workers)
        .parameter("requests_per_s", figures.calls() as f64 / seconds)
        .parameter("transfers_per_s", transfers_per_s)
        .parameter("resent", account.resent)
        .parameter("endpoints", figures.described(arguments.duration));
    report.method = format!(
        "closed loop: {} members, each one call at a time, {MEMBERS_OF_TEAM} in each team",
        arguments.workers
    );
    report.duration_s = seconds;
    report.ack_ms = Percentiles::from(&figures.whole());
    report.servers = servers;
    report.generator_cpu_s = generator_cpu_s;
    // The warm-up is in it.
    let cpu_s: f64 = report.servers.iter().map(|server| server.cpu_s).sum();
    report.cores_used = (cpu_s + generator_cpu_s) / elapsed.as_secs_f64();
    report.server_commit = Some(ground.fleet.rest.commit().await?);
    report
        .figures
        .insert("transfers_per_s".to_owned(), transfers_per_s);
    report.faults.clone_from(&figures.faults);
    report.hold_to(figures.undisturbed());
    if !kills.is_empty() {
        println!("  killed and started again: {kills:?}");
    }
    report.parameters.insert("kills".to_owned(), json!(kills));
    println!(
        "rest money: {transfers_per_s:.0} transfers/s in {:.0} requests/s, p50 {:.2} ms, p99 {:.2} ms",
        figures.calls() as f64 / seconds,
        report.ack_ms.p50,
        report.ack_ms.p99
    );
    figures.print(arguments.duration);
    beside(&mut report, Limit::faster(before, after), transfers_per_s);
    match Box::pin(ground.close()).await? {
        Some((books, fleet)) => {
            prove(&mut report, &books, &account).await?;
            drop(books);
            fleet.close().await?;
        }
        None => println!("  the books of a running fleet are not read: run `huizhen reconcile` beside it"),
    }
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}

/// A member for each worker.
fn members_of(ground: &Ground, workers: u32, practices: &[Practice]) -> Result<Vec<Member>> {
    let places = practices.iter().flat_map(|practice| {
        let patients = practice.members.iter();
        patients.map(move |patient| (practice.clone(), patient.clone()))
    });
    (0_u64..u64::from(workers))
        .zip(places)
        .map(|(number, (practice, patient))| {
            let rest = ground.rest(number as usize)?;
            Ok(Member::new(number, rest, practice, patient))
        })
        .collect()
}

/// Each member's first visit, before anything is measured.
async fn earn(members: Vec<Member>) -> Result<Vec<Member>> {
    let visits: Vec<_> = members
        .into_iter()
        .map(|member| tokio::spawn(member.visit_once()))
        .collect();
    let mut members = Vec::new();
    for visit in visits {
        members.push(visit.await.context("a member panicked")??);
    }
    Ok(members)
}

/// All members until the time is over.
async fn all(members: Vec<Member>, work: Work) -> Result<Vec<Member>> {
    let begun = Instant::now();
    let running: Vec<_> = members
        .into_iter()
        .map(|member| tokio::spawn(member.run(work)))
        .collect();
    let mut progress = Progress::begin("moving money", (work.until - begun).as_secs());
    while Instant::now() < work.until {
        tokio::time::sleep(Duration::from_millis(500)).await;
        progress.at(begun.elapsed().as_secs(), "s");
    }
    drop(progress);
    let mut members = Vec::new();
    for member in running {
        members.push(member.await.context("a member panicked")?);
    }
    Ok(members)
}

/// Puts the limit beside the run.
fn beside(report: &mut Report, limit: Option<Limit>, transfers_per_s: f64) {
    let Some(limit) = limit else { return };
    let ratio = transfers_per_s / limit.per_s.max(1e-9);
    println!(
        "  {}: {:.0}/s; transfers beside it: {ratio:.2}",
        limit.what, limit.per_s
    );
    report.parameters.insert(
        "limit".to_owned(),
        json!({"what": limit.what, "per_s": limit.per_s}),
    );
    report.figures.insert("limit_per_s".to_owned(), limit.per_s);
    report.figures.insert("transfers_beside_limit".to_owned(), ratio);
}

/// Proves that the books balance (I6), and that each acknowledged movement stands in them.
async fn prove(report: &mut Report, books: &Books, account: &Account) -> Result<()> {
    let proof = books.prove(&account.posted).await?;
    println!(
        "  the books: {} transfers, {} postings, {} accounts; {} acknowledged movements were looked up",
        proof.transfers,
        proof.postings,
        proof.accounts,
        account.posted.len()
    );
    report
        .parameters
        .insert("transfers_in_books".to_owned(), proof.transfers.into());
    report.faults.extend(proof.faults);
    Ok(())
}
