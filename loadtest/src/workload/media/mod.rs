//! media: photos and files are put and got while a chat goes on. The chat is measured without and with them by turns in
//! one run, so that both meet the same machine; every byte that is got is compared with those that were put.

mod phones;
mod sample;
mod web;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bare::Bare;
use super::fleet::{Extra, Fleet};
use super::talk::load::{Runs, Site, plan};
use super::talk::shape::Shape;
use crate::arguments::{ChatShape, MediaArguments, Rate, Transport};
use crate::generator::recorder::Recorder;
use crate::generator::schedule::Pace;
use crate::generator::{self, Outcome};
use crate::report::{Bar, Percentiles, Report};
use crate::server::usage::Usage;
use crate::world::{User, World};
use phones::Phones;
use sample::{Kind, Sample};
use worker::{Done, Place, Worker};

/// By how much media may make the chat's p99 longer.
const CHAT_RATIO: f64 = 1.2;
/// The share of the media asked for that must be put. Workers give way to the chat.
const LEAST_SHARE: f64 = 0.9;
/// More than any run puts.
const DAILY_MIB: &str = "--media-daily-mib=4000000000";
const MIB: f64 = 1_048_576.0;

/// Phases of one kind, added up.
#[derive(Default)]
struct Sum {
    recorder: Recorder,
    cpu_s: BTreeMap<String, f64>,
    rss_bytes: BTreeMap<String, u64>,
    sent: u64,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome, usage: &[Usage]) {
        self.recorder.add(&outcome.recorder);
        self.sent += outcome.recorder.whole.sent;
        for server in usage {
            *self.cpu_s.entry(server.name.clone()).or_default() += server.cpu_s;
            let most = self.rss_bytes.entry(server.name.clone()).or_default();
            *most = server.rss_bytes.max(*most);
        }
    }
}

/// Runs `loadtest media`.
pub(super) async fn run(arguments: MediaArguments) -> Result<bool> {
    let per_worker = arguments.per_worker()?;
    let shape = Shape::Chat(ChatShape {
        conversations: arguments.conversations,
        members: arguments.members,
        rate: Some(Rate::PerSecond(arguments.rate)),
        window: 1,
        idle_connections: 0,
        idle_per_process: 1,
    });
    let seed = arguments.load.output.seed;
    let mut extra = Extra {
        api_arguments: vec![DAILY_MIB.to_owned()],
        ..Extra::default()
    };
    if arguments.target.nodes > 0 {
        // One folder for all of them: they run in it.
        let store = "--media-store=folder".to_owned();
        extra.node_arguments.push(store.clone());
        extra.api_arguments.push(store);
    }
    let connections = shape.connections() + arguments.workers as usize;
    let fleet = Box::pin(Fleet::open_in(
        arguments.target.clone(),
        seed,
        connections,
        0,
        Transport::Tcp,
        extra,
    ))
    .await?;
    let all = fleet
        .builder
        .consults(arguments.conversations + arguments.workers, arguments.members);
    let mut world = Box::pin(all).await?;
    let places = Box::pin(places(&fleet, &mut world, &arguments)).await?;
    let first = world.users.first().context("no user was made")?;
    let site = Site {
        addresses: fleet.addresses(&first.access_token).await?,
        world: Arc::new(world),
        watch: fleet.watch(),
    };
    let file_bytes = arguments.file_kib as usize * 1024;
    let sample = Arc::new(Sample::new(arguments.picture_pixels, file_bytes, seed)?);
    let mut workers = places
        .into_iter()
        .map(|place| Worker::new(place, sample.clone(), seed))
        .collect::<Result<Vec<_>>>()?;

    let phones = Phones::new()?;
    let mut course = Course::new(&arguments, &phones);
    for phase in order(arguments.pairs) {
        Box::pin(course.phase(phase, &site, &shape, &mut workers, per_worker)).await?;
    }
    let commit = fleet.rest.commit().await?;
    drop(workers);
    fleet.close().await?;
    let mut report = course.report(&sample);
    report.server_commit = Some(commit);
    report.publish(arguments.load.output.report.as_deref())?;
    Ok(report.is_clean())
}

/// Whether media go on in each phase: without and with by turns, and each pair the other way round than the one before, so
/// that a machine that becomes slower wrongs neither.
fn order(pairs: u32) -> Vec<bool> {
    (0..pairs)
        .flat_map(|pair| [pair % 2 == 1, pair % 2 == 0])
        .collect()
}

/// The last consults are those of the workers; the others stay in the world.
async fn places(fleet: &Fleet, world: &mut World, arguments: &MediaArguments) -> Result<Vec<Place>> {
    let chats = arguments.conversations as usize;
    let own = world.conversations.split_off(chats);
    let first = chats * arguments.members as usize;
    let users = world.users.split_off(first);
    let bases = fleet.rest_urls()?;
    let token = &users.first().context("no worker was made")?.access_token;
    let nodes = fleet.addresses(token).await?;
    let mut places = Vec::new();
    for (number, conversation) in own.iter().enumerate() {
        let member = |place: usize| -> Result<User> {
            let at = conversation
                .members
                .get(place)
                .map(|member| *member as usize - first);
            let user = at.and_then(|at| users.get(at));
            Ok(user.context("a consult has a patient and an assistant")?.clone())
        };
        let patient = member(0)?;
        let node = *nodes.get(number % nodes.len()).context("there is no node")?;
        places.push(Place {
            number: number as u64,
            base: bases
                .get(number % bases.len())
                .context("there is no service")?
                .clone(),
            bare: Bare::log_in(node, &patient, &patient.password).await?,
            conversation: conversation.id,
            patient,
            assistant: member(1)?,
        });
    }
    Ok(places)
}

/// The run, phase by phase.
struct Course<'a> {
    arguments: &'a MediaArguments,
    phones: &'a Phones,
    runs: Runs,
    without: Sum,
    with: Sum,
    done: Done,
    /// How long workers worked.
    worked: Duration,
    parts: Vec<Report>,
}

impl<'a> Course<'a> {
    fn new(arguments: &'a MediaArguments, phones: &'a Phones) -> Self {
        Self {
            arguments,
            phones,
            runs: Runs::default(),
            without: Sum::default(),
            with: Sum::default(),
            done: Done::default(),
            worked: Duration::ZERO,
            parts: Vec::new(),
        }
    }

    /// How long each phase is measured.
    fn each(&self) -> Duration {
        self.arguments.load.duration / (2 * self.arguments.pairs)
    }

    /// One phase of the chat, with media beside it or without.
    async fn phase(
        &mut self,
        has_media: bool,
        site: &Site,
        shape: &Shape,
        workers: &mut Vec<Worker>,
        per_worker: Option<f64>,
    ) -> Result<()> {
        let pace = Pace::Open {
            per_second: self.arguments.rate,
        };
        let chat = plan(site, &self.arguments.load, pace, self.each(), self.runs.next());
        let before = site.watch.sample().await?;
        let begun = Instant::now();
        let (end, ended) = watch::channel(false);
        let mut working = Vec::new();
        if has_media {
            for worker in workers.drain(..) {
                working.push(self.phones.spawn(worker.work(per_worker, ended.clone())));
            }
        }
        let outcome = Box::pin(generator::run(chat, &site.watch)).await;
        end.send_replace(true);
        for worker in working {
            let (worker, done) = worker.await.context("a worker panicked")?;
            self.done.add(done);
            workers.push(worker);
        }
        let outcome = outcome?;
        let usage = site.watch.since(&before, 0).await?;
        let (sum, name) = if has_media {
            self.worked += begun.elapsed();
            (&mut self.with, "with media")
        } else {
            (&mut self.without, "without")
        };
        sum.add(&outcome, &usage);
        let mut part = shape
            .describe(
                Report::new(name, self.arguments.load.output.seed),
                &self.arguments.load,
            )
            .with_outcome(outcome);
        part.course.clear();
        self.parts.push(part);
        Ok(())
    }

    fn report(self, sample: &Sample) -> Report {
        let Self {
            arguments,
            without,
            with,
            done,
            worked,
            parts,
            ..
        } = self;
        let mut report = Report::new("media", arguments.load.output.seed)
            .parameter("workers", arguments.workers)
            .parameter("media_rate", format!("{:?}", arguments.media_rate))
            .parameter("picture_bytes", sample.bytes(Kind::Picture))
            .parameter("file_bytes", sample.bytes(Kind::File))
            .parameter("pairs", arguments.pairs)
            .parameter("conversations", arguments.conversations)
            .parameter("members", arguments.members)
            .parameter("rate", arguments.rate)
            .parameter("nodes", arguments.target.nodes)
            .parameter("endpoints", done.figures.described(worked));
        report.method = format!(
            "the chat in an open loop at {} sends/s, without and with media by turns; its times are those with media",
            arguments.rate
        );
        report.duration_s = parts.iter().map(|part| part.duration_s).sum();
        for part in &parts {
            report.sent += part.sent;
            report.acked += part.acked;
            report.delivered += part.delivered;
            report.lost += part.lost;
            report.duplicated += part.duplicated;
            report.reordered += part.reordered;
            report.connections = part.connections;
            report.logins_per_s = part.logins_per_s;
            report.acked_per_s += part.acked_per_s / parts.len() as f64;
            report.delivered_per_s += part.delivered_per_s / parts.len() as f64;
        }
        report.ack_ms = Percentiles::from(&with.recorder.ack);
        report.delivery_ms = Percentiles::from(&with.recorder.delivery);
        let seconds = worked.as_secs_f64().max(1e-9);
        let requests = done.requests().max(1) as f64;
        let mut figures = vec![
            ("media put".to_owned(), done.media as f64),
            ("put, MiB/s".to_owned(), done.put_bytes as f64 / MIB / seconds),
            ("got, MiB/s".to_owned(), done.got_bytes as f64 / MIB / seconds),
            ("requests/s".to_owned(), done.requests() as f64 / seconds),
        ];
        for (what, sum) in [("without media", &without), ("with media", &with)] {
            for (times, of) in [("ack", &sum.recorder.ack), ("delivery", &sum.recorder.delivery)] {
                for percent in [50.0, 99.0] {
                    let name = format!("{what}: {times} p{percent:.0}, ms");
                    figures.push((name, of.percentile_ms(percent)));
                }
            }
            for (server, bytes) in &sum.rss_bytes {
                figures.push((format!("{what}: {server}, MiB resident"), *bytes as f64 / MIB));
            }
        }
        let mut all_s = 0.0;
        for (server, cpu_s) in &with.cpu_s {
            let more_s = cpu_s - without.cpu_s.get(server).copied().unwrap_or_default();
            all_s += more_s;
            figures.push((
                format!("CPU for a request, {server}, ms"),
                more_s * 1000.0 / requests,
            ));
        }
        figures.push((
            "CPU for a request, all servers, ms".to_owned(),
            all_s * 1000.0 / requests,
        ));
        report.figures.extend(figures);
        report.bars.extend(bars(&without.recorder, &with.recorder));
        report.faults.clone_from(&done.figures.faults);
        report
            .faults
            .extend(too_few(arguments.media_rate, done.media, worked));
        report.parts = parts;
        done.figures.print(worked);
        report
    }
}

/// A fault where fewer media were put than were asked for: what is not there disturbs no chat.
fn too_few(rate: Rate, media: u64, worked: Duration) -> Option<String> {
    let wanted = match rate {
        Rate::PerSecond(per_second) => per_second * worked.as_secs_f64() * LEAST_SHARE,
        Rate::Max | Rate::Percent(_) => 1.0,
    };
    (media < wanted as u64).then(|| format!("{media} media were put, less than {wanted:.0}"))
}

/// The chat's p99 with media, beside those without.
fn bars(without: &Recorder, with: &Recorder) -> Vec<Bar> {
    let times = [
        ("ack", &without.ack, &with.ack),
        ("delivery", &without.delivery, &with.delivery),
    ];
    times
        .map(|(name, without, with)| {
            let ratio = with.percentile_ms(99.0) / without.percentile_ms(99.0).max(1e-9);
            Bar {
                unit: "×".to_owned(),
                ..Bar::at_most(
                    &format!("the chat's {name} p99 with media, beside without"),
                    ratio,
                    CHAT_RATIO,
                )
            }
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_goes_the_other_way_round() {
        assert_eq!(order(3), [false, true, true, false, false, true]);
    }

    #[test]
    fn media_that_do_not_come_are_a_fault() {
        let ten_s = Duration::from_secs(10);
        let faults = |rate, media| too_few(rate, media, ten_s).is_some();
        assert!(!faults(Rate::PerSecond(4.0), 36) && faults(Rate::PerSecond(4.0), 35));
        assert!(!faults(Rate::Max, 1) && faults(Rate::Max, 0));
    }

    #[test]
    fn a_chat_that_media_make_slower_is_missed() {
        let recorder = |us: u64| {
            let mut recorder = Recorder::new(Duration::ZERO, Duration::from_secs(1));
            (0..100).for_each(|_| {
                recorder.acked(us, 0);
                recorder.delivered(us, 0);
            });
            recorder
        };
        let held = |with: u64| -> Vec<bool> {
            let bars = bars(&recorder(10_000), &recorder(with));
            bars.iter().map(|bar| bar.held).collect()
        };
        assert_eq!(held(11_900), [true, true]);
        assert_eq!(held(12_200), [false, false]);
    }
}
