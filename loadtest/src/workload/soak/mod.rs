//! soak: devices of two kinds of clients send while one server, or a whole fleet, is disturbed in every way. Their
//! frames are noted as they come off the sockets. Nothing acknowledged may be lost, doubled, reordered or changed, and
//! no user may get or write what lies outside of their time.

mod clients;
mod due;
pub(crate) mod faults;
mod notes;
pub(super) mod recover;
mod verdict;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use anyhow::{Context, Result};

use crate::arguments::SoakArguments;
use crate::arguments::fault::Fault;
use crate::judge::Class;
use crate::report::{Moment, Percentiles, Report};
use clients::device::Device;
use clients::devices::{start_devices, start_visitors, wait_until_connected};
use clients::sending::{Sending, send_all};
use due::Place;
use faults::ground::Ground;
use notes::{Notes, Promises};
use verdict::{Found, judge, settle, watched};

const PAYLOAD_BYTES: usize = 200;
/// The run that members mark their messages with.
const RUN: u8 = 1;
/// The run that visitors mark theirs with.
const VISITORS_RUN: u8 = 3;

/// The disturbances so far.
#[derive(Debug, Default)]
pub(super) struct Disturbed {
    kills: u64,
    by_fault: BTreeMap<&'static str, u64>,
}

impl Disturbed {
    fn count(&mut self, fault: &'static str) {
        *self.by_fault.entry(fault).or_default() += 1;
    }

    /// A kill of the one process that was due.
    fn killed(&mut self, fault: &'static str) {
        self.count(fault);
        self.kills += 1;
    }

    fn faults(&self) -> u64 {
        self.by_fault.values().sum()
    }
}

/// Runs `loadtest soak`.
pub(super) async fn run(arguments: SoakArguments) -> Result<bool> {
    // A member's second device, and a visitor, in each conversation; a newcomer.
    let connections = (arguments.conversations * (arguments.members + 2) + 1) as usize;
    let mut ground = Box::pin(Ground::open(&arguments, connections)).await?;
    let promises = promises(&arguments)?;
    let mut builder = ground.builder().clone().with_second_devices();
    if promises.are_made {
        builder = builder.with_clocks();
    }
    let world = Box::pin(builder.consults(arguments.conversations, arguments.members)).await?;
    let second = Box::pin(builder.second_devices(arguments.conversations)).await?;
    let strangers = Box::pin(builder.visitors(&world)).await?;
    let newcomer = Box::pin(builder.third_device()).await?;

    let world = Arc::new(world);
    let notes = Arc::new(Notes::new(&world, promises)?);
    let devices = Arc::new(start_devices(ground.rest(), &world, &second, &notes));
    let visitors = Arc::new(start_visitors(
        ground.rest(),
        &world,
        &strangers,
        &notes,
        &devices,
    ));
    let all: Vec<&Device> = devices
        .iter()
        .flatten()
        .chain(visitors.iter().map(|visitor| &visitor.device))
        .collect();
    let first_reader = all.len() as u32;
    notes.has_readers(&world, first_reader);
    wait_until_connected(&all).await?;

    let sending_from = notes.now_us();
    let ended = Arc::new(AtomicBool::new(false));
    let plan = Sending {
        rate: arguments.rate,
        duration: arguments.duration,
        doubled_percent: arguments.doubled_percent,
        seed: arguments.output.seed,
    };
    let sending = tokio::spawn(send_all(
        plan,
        devices.clone(),
        notes.clone(),
        sending_from,
        ended.clone(),
    ));
    let coming = tokio::spawn(clients::visitor::come_and_go(
        visitors.clone(),
        ground.rest().clone(),
        notes.clone(),
        arguments.output.seed,
        ended.clone(),
    ));
    let opener = clients::opener::Opener {
        world: world.clone(),
        rest: ground.rest().clone(),
        notes: notes.clone(),
        place: ground.place().filter(Place::can_age),
    };
    let opening = tokio::spawn(clients::opener::open_all(
        if promises.are_made {
            arguments.consults_per_s
        } else {
            0.0
        },
        Arc::new(opener),
        arguments.output.seed,
        ended.clone(),
    ));
    let disturbed =
        Box::pin(ground.disturb_while(&arguments, &notes, &newcomer, sending.abort_handle())).await;
    sending.await.context("sending was cut short")?;
    let disturbed = disturbed?;
    ended.store(true, Ordering::Relaxed);
    let changes = coming.await.context("visitors stopped coming")?;
    let cancelled = opening.await.context("patients stopped opening consults")?;
    if let Some(place) = ground.place().filter(|_| promises.are_made) {
        Box::pin(place.await_all(&notes, ground.rest(), &world)).await;
    }

    let journals = Box::pin(settle(&notes, &world, &all, first_reader)).await;
    notes.tape.end();
    for device in &all {
        device.close().await;
    }
    let who = watched(&all, &world, first_reader);
    let strangers: Vec<i64> = strangers.iter().map(|user| user.user_id).collect();
    // While the one process still runs.
    let commit = ground.rest().commit().await?;
    let database = Box::pin(ground.database()).await?;
    let histories = arguments.histories.as_deref();
    let found = Box::pin(judge(
        &notes,
        &world,
        &who,
        &strangers,
        database.as_ref(),
        journals,
        histories,
    ))
    .await?;
    drop(database);
    Box::pin(ground.close()).await?;
    let mut report = report(&arguments, &notes, &found, &disturbed, changes, connections);
    if promises.are_made {
        let name = "consults that their patients cancelled".to_owned();
        report.figures.insert(name, cancelled as f64);
    }
    report.server_commit = Some(commit);
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}

/// The promises of the teams of a run: nothing on a running fleet, whose records cannot be read.
fn promises(arguments: &SoakArguments) -> Result<Promises> {
    let is_ours = arguments.target.api.is_none();
    let shifts = |fault: &Fault| fault.clock_ms().is_some() || *fault == Fault::ClockJitter;
    // PostgreSQL has the machine's clock, whatever happens to that of a server.
    let are_timed = arguments.target.nodes > 0 || !arguments.chosen_faults()?.iter().any(shifts);
    Ok(Promises {
        are_made: is_ours && arguments.consults_per_s > 0.0,
        are_timed,
    })
}

fn report(
    arguments: &SoakArguments,
    notes: &Notes,
    found: &Found,
    disturbed: &Disturbed,
    changes: u64,
    connections: usize,
) -> Report {
    let mut report = Report::new("soak", arguments.output.seed)
        .parameter("conversations", arguments.conversations)
        .parameter("members", arguments.members)
        .parameter("rate", arguments.rate)
        .parameter("doubled_percent", arguments.doubled_percent)
        .parameter("consults_per_s", arguments.consults_per_s);
    report = if arguments.target.nodes > 0 {
        report
            .parameter("nodes", arguments.target.nodes)
            .parameter("api_servers", arguments.target.api_servers)
            .parameter("redis", arguments.target.redis.name())
    } else {
        report.parameter("kill_every_s", arguments.kill_every.as_secs_f64())
    };
    let recorder = notes
        .recorder
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let seconds = arguments.duration.as_secs_f64();
    report.method = "open loop through two kinds of clients; frames as they came off the sockets are judged by the database"
        .to_owned();
    report.duration_s = seconds;
    report.sent = recorder.whole.sent;
    report.acked = recorder.whole.acked;
    report.delivered = recorder.whole.delivered;
    report.acked_per_s = recorder.whole.acked as f64 / seconds;
    report.delivered_per_s = recorder.whole.delivered as f64 / seconds;
    report.ack_ms = Percentiles::from(&recorder.ack);
    report.delivery_ms = Percentiles::from(&recorder.delivery);
    report.course = Moment::course(&recorder.seconds);
    report.connections = connections as u64;
    report.kills = disturbed.kills;
    report.disturbances = disturbed
        .by_fault
        .iter()
        .map(|(fault, count)| ((*fault).to_owned(), *count))
        .collect();
    let longest = notes.recovery(|recovery| recovery.longest_ms(notes.now_us()));
    let by_name = |times: Vec<(&'static str, f64)>| {
        let named = times.into_iter().map(|(fault, ms)| (fault.to_owned(), ms));
        named.collect()
    };
    report.recovery_ms = by_name(longest);
    report.login_after_ms = by_name(notes.recovery(|recovery| recovery.longest_login_ms()));
    report.participation_changes = changes;
    report.spans = found.spans;
    report
        .figures
        .insert("syncs that failed".to_owned(), notes.failed_syncs() as f64);
    report.figures.insert(
        "acknowledged to visitors".to_owned(),
        notes.visitors_acked() as f64,
    );
    report
        .figures
        .insert("consults opened".to_owned(), notes.opened_count() as f64);
    found.fill_in(&mut report);
    report.hold_to(notes.recovery(|recovery| recovery.undisturbed()));
    let faults = notes.faults.lock().unwrap_or_else(PoisonError::into_inner);
    report.faults.extend(faults.iter().cloned());
    report
}

impl Found {
    /// Puts what the judge found into a report.
    fn fill_in(&self, report: &mut Report) {
        let findings = &self.findings;
        report.spans = self.spans;
        for ((state, kind), count) in &self.deadlines {
            let name = format!("deadlines {}: {}", state.as_str(), kind.as_str());
            report.figures.insert(name, *count as f64);
        }
        if !self.deadlines.is_empty() {
            let name = "the latest deadline fired after, s".to_owned();
            report.figures.insert(name, self.latest_ms as f64 / 1000.0);
        }
        report.lost = findings.of_class(Class::Lost);
        report.duplicated = findings.of_class(Class::Duplicated);
        report.reordered = findings.of_class(Class::Reordered);
        report.leaked = findings.of_class(Class::Leaked);
        report.changed = findings.of_class(Class::Changed);
        report.broken_rules = findings.by_name();
        if findings.after_failed_sync > 0 {
            let name = "broken after a failed Sync of the session".to_owned();
            report.figures.insert(name, findings.after_failed_sync as f64);
        }
        report.faults.extend(findings.examples());
    }
}
