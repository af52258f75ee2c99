//! recover: good clients talk while one thing at a time goes wrong, and it is timed how soon the fleet has recovered.

mod node;
mod probe;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use testkit::backplane::Kind;
use testkit::fleet::{DATABASE, apart};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::faults::ground::stage::Stage;
use super::{
    Device, Notes, Promises, RUN, Sending, judge, send_all, settle, start_devices, wait_until_connected,
    watched,
};

use crate::arguments::{Case, RecoverArguments};
use crate::judge::database::Database;
use crate::report::{Bar, Moment, Percentiles, Report};
use crate::server::usage::metric_of;
use crate::workload::fleet::{Size, start_processes};
use crate::world::{Builder, SmsWebhook, World};
use probe::{Answer, Probes};

/// How long sends go on at the most.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long talk goes on before the first fault.
const BEFORE: Duration = Duration::from_secs(2);
/// How often nodes are asked whether they have noticed.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// An answer that takes longer is not a normal one. A batch takes some ms; on a machine that is shared with everything
/// else, a core may be waited for now and then.
const SLOW: Duration = Duration::from_millis(500);

/// The bars that recovery is held to.
const DELIVERED_MS: f64 = 5_000.0;
const NOTICED_MS: f64 = 3_000.0;
const ANSWERED_MS: f64 = 5_000.0;
const NORMAL_MS: f64 = 3_000.0;
const BACK_MS: f64 = 10_000.0;

/// The fleet and the users of all cases.
struct Scene {
    stage: Stage,
    notes: Arc<Notes>,
    arguments: RecoverArguments,
    /// Pairs of users for probes, one for each node.
    pairs: World,
}

/// Runs `loadtest recover`.
pub(in crate::workload) async fn run(arguments: RecoverArguments) -> Result<bool> {
    let cases = arguments.chosen_cases();
    let talkers = (arguments.conversations * (arguments.members + 1)) as usize;
    let crowd = if cases.contains(&Case::Node) {
        arguments.clients as usize
    } else {
        0
    };
    let size = Size {
        nodes: arguments.nodes,
        api_servers: arguments.api_servers,
        redis: Kind::Single,
        database_workers: 0,
        programs: arguments.programs.clone(),
        node_arguments: Vec::new(),
        api_arguments: Vec::new(),
    };
    let sms = Arc::new(SmsWebhook::listen(([127, 0, 0, 1], 0).into()).await?);
    let fleet = Box::pin(start_processes(&size, &sms, talkers + crowd, false, Vec::new())).await?;
    let stage = Box::pin(Stage::over(fleet, sms.clone(), arguments.output.seed, None)).await?;
    let builder = stage.builder.clone().with_second_devices();
    let world = Box::pin(builder.consults(arguments.conversations, arguments.members)).await?;
    let second = Box::pin(builder.second_devices(arguments.conversations)).await?;
    // Other phones than those of the consults' doctors.
    let others = Builder::new(stage.rest.clone(), sms, arguments.output.seed + 1);
    let pairs = Box::pin(others.pairs(arguments.nodes)).await?;
    let notes = Arc::new(Notes::new(&world, Promises::default())?);
    let devices = Arc::new(start_devices(&stage.rest, &world, &second, &notes));
    let all: Vec<&Device> = devices.iter().flatten().collect();
    wait_until_connected(&all).await?;

    let sending_from = notes.now_us();
    let ended = Arc::new(AtomicBool::new(false));
    let plan = Sending {
        rate: arguments.rate,
        duration: LONGEST,
        doubled_percent: 20,
        seed: arguments.output.seed,
    };
    let sending = tokio::spawn(send_all(
        plan,
        devices.clone(),
        notes.clone(),
        sending_from,
        ended.clone(),
    ));
    sleep(BEFORE).await;
    let mut scene = Scene {
        stage,
        notes: notes.clone(),
        arguments: arguments.clone(),
        pairs,
    };
    let mut report = Report::new("recover", arguments.output.seed)
        .parameter("conversations", arguments.conversations)
        .parameter("members", arguments.members)
        .parameter("rate", arguments.rate)
        .parameter("nodes", arguments.nodes)
        .parameter("api_servers", arguments.api_servers)
        .parameter("outage_s", arguments.outage.as_secs_f64())
        .parameter("watch_s", arguments.watch.as_secs_f64());
    for case in cases {
        eprintln!("case {case:?} …");
        match case {
            Case::RedisBack => Box::pin(scene.redis_back(&mut report)).await?,
            Case::RedisEmptied => Box::pin(scene.redis_emptied(&mut report)).await?,
            Case::RedisFrozen => Box::pin(scene.redis_frozen(&mut report)).await?,
            Case::Postgres => Box::pin(scene.postgres(&mut report)).await?,
            Case::Node => Box::pin(node::killed(&mut scene, &mut report)).await?,
        }
    }
    ended.store(true, Ordering::Relaxed);
    sending.await.context("sending was cut short")?;
    let seconds = (notes.now_us() - sending_from) as f64 / 1e6;
    let first_reader = all.len() as u32;
    let journals = Box::pin(settle(&notes, &world, &all, first_reader)).await;
    notes.tape.end();
    let who = watched(&all, &world, first_reader);
    let database = Database::server(&scene.stage.fleet.postgres.url(DATABASE)).await?;
    let found = Box::pin(judge(&notes, &world, &who, &[], Some(&database), journals, None)).await?;
    drop(database);
    report.server_commit = Some(scene.stage.rest.commit().await?);
    for device in all {
        device.close().await;
    }
    Box::pin(scene.stage.close()).await?;

    report.method = "good clients talk in an open loop while one thing at a time goes wrong".to_owned();
    notes.record(|recorder| {
        report.duration_s = seconds;
        report.sent = recorder.whole.sent;
        report.acked = recorder.whole.acked;
        report.delivered = recorder.whole.delivered;
        report.acked_per_s = recorder.whole.acked as f64 / seconds;
        report.delivered_per_s = recorder.whole.delivered as f64 / seconds;
        report.ack_ms = Percentiles::from(&recorder.ack);
        report.delivery_ms = Percentiles::from(&recorder.delivery);
        report.course = Moment::course(&recorder.seconds);
    });
    report.connections = (talkers + crowd) as u64;
    found.fill_in(&mut report);
    report.hold_to(notes.recovery(|recovery| recovery.undisturbed()));
    let faults = notes
        .faults
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    report.faults.extend(faults);
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}

impl Scene {
    async fn redis_back(&mut self, report: &mut Report) -> Result<()> {
        self.notes.disturbed("redis-back", 0);
        let redis = self.stage.single_redis()?;
        let killed = redis.clone();
        apart(move || killed.kill()).await?;
        sleep(self.arguments.outage).await;
        apart(move || redis.start_again()).await?;
        self.redis_healed("redis-back", report).await;
        Ok(())
    }

    async fn redis_emptied(&mut self, report: &mut Report) -> Result<()> {
        self.notes.disturbed("redis-emptied", 0);
        let redis = self.stage.single_redis()?;
        apart(move || redis.command(&["FLUSHALL"])).await?;
        self.redis_healed("redis-emptied", report).await;
        Ok(())
    }

    async fn redis_frozen(&mut self, report: &mut Report) -> Result<()> {
        self.notes.disturbed("redis-frozen", 0);
        let begun = Instant::now();
        let redis = self.stage.single_redis()?;
        redis.pause();
        let mut noticing = JoinSet::new();
        for node in &self.stage.fleet.nodes {
            let admin = node.ports().admin.context("a node has no /metrics")?;
            noticing.spawn(notices(format!("http://{admin}/metrics"), begun));
        }
        let mut latest: f64 = 0.0;
        while let Some(noticed) = noticing.join_next().await {
            latest = latest.max(noticed.context("a task panicked")?);
        }
        sleep(self.arguments.outage.saturating_sub(begun.elapsed())).await;
        redis.resume();
        report.bars.push(Bar::at_most(
            "redis-frozen: every node has noticed",
            latest,
            NOTICED_MS,
        ));
        self.redis_healed("redis-frozen", report).await;
        Ok(())
    }

    async fn redis_healed(&self, case: &'static str, report: &mut Report) {
        self.notes.healed(case, 0);
        sleep(self.arguments.watch).await;
        let (latest, first) = self
            .notes
            .recovery(|recovery| (recovery.latest_delivery_ms(), recovery.first_success_ms()));
        let what = format!("{case}: everything is delivered");
        report.bars.push(Bar::at_most(&what, latest, DELIVERED_MS));
        let first = first.unwrap_or(f64::INFINITY);
        report
            .figures
            .insert(format!("{case}: first acknowledgement, ms"), first);
    }

    /// Probes on every node, which don't come back when they are sent away and don't wait before they resend.
    async fn postgres(&mut self, report: &mut Report) -> Result<()> {
        let addresses = self.stage.fleet.nodes.iter().filter_map(|node| node.ports().im);
        let rest = &self.stage.rest;
        let probes = Box::pin(Probes::start(rest, addresses.collect(), &self.pairs)).await?;
        sleep(BEFORE).await;
        self.notes.disturbed("postgres", 0);
        let began = Instant::now();
        let postgres = self.stage.fleet.postgres.clone();
        apart(move || postgres.kill()).await?;
        sleep(self.arguments.outage).await;
        let postgres = self.stage.fleet.postgres.clone();
        apart(move || postgres.start_again()).await?;
        let back = Instant::now();
        self.notes.healed("postgres", 0);
        sleep(self.arguments.watch).await;
        let answers = probes.end().await?;
        report.faults.extend(answers.faults);
        let answers = answers.answers;

        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let longest = answers.iter().map(Answer::took).max().unwrap_or_default();
        report.bars.push(Bar::at_most(
            "postgres: every send is answered",
            ms(longest),
            ANSWERED_MS,
        ));
        let last_bad = answers
            .iter()
            .filter(|answer| !answer.is_ok || answer.took() > SLOW)
            .map(|answer| answer.at.saturating_duration_since(back))
            .max()
            .unwrap_or_default();
        report.bars.push(Bar::at_most(
            "postgres: the last answer that was no or slow, after its return",
            ms(last_bad),
            NORMAL_MS,
        ));
        let before: Vec<&Answer> = answers.iter().filter(|answer| answer.at < began).collect();
        for (what, figure) in [
            ("postgres: probes sent", answers.len() as f64),
            (
                "postgres: probes answered UNAVAILABLE",
                answers.iter().filter(|answer| !answer.is_ok).count() as f64,
            ),
            (
                "postgres: longest answer before, ms",
                ms(before
                    .iter()
                    .map(|answer| answer.took())
                    .max()
                    .unwrap_or_default()),
            ),
            (
                "postgres: probes acknowledged after its return",
                answers
                    .iter()
                    .filter(|answer| answer.is_ok && answer.at > back)
                    .count() as f64,
            ),
            ("postgres: away for, ms", ms(back - began)),
        ] {
            report.figures.insert(what.to_owned(), figure);
        }
        Ok(())
    }
}

/// When a node says that a link to Redis is down, ms after `begun`.
async fn notices(metrics: String, begun: Instant) -> f64 {
    while begun.elapsed() < LONGEST {
        for link in ["asking", "listening"] {
            let up = metric_of(&metrics, "huizhen_backplane_up", link).await;
            if matches!(up, Ok(Some(up)) if up < 0.5) {
                return begun.elapsed().as_secs_f64() * 1000.0;
            }
        }
        if begun.elapsed() > Duration::from_secs(15) {
            break;
        }
        sleep(ASK_EVERY).await;
    }
    f64::INFINITY
}

/// The run that probes mark their messages with.
const PROBE_RUN: u8 = RUN + 1;
