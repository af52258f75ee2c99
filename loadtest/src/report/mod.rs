//! The report of a run: `report.json` for scripts, `report.html` for people, a few lines on the terminal.

mod bar;
mod compare;
mod html;
mod machine;
mod moment;
mod percentiles;
mod plot;
mod served;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::generator::Outcome;
use crate::generator::received::verdict::Verdict;
use crate::generator::recorder::Counts;
use crate::server::usage::Usage;

pub use bar::Bar;
pub use compare::compare;
pub use machine::Machine;
pub use moment::Moment;
pub use percentiles::Percentiles;
pub use served::Undisturbed;

/// Under this many cores, server and generator together, a saturated run on two cores was disturbed by something else.
const DISTURBED_CORES: f64 = 1.45;

/// `report.json`. Scripts rely on the names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// chat, direct, room, idle, login, soak, recover, scale; with `limit ` in front when it ran on the bare relay.
    pub workload: String,
    /// The target.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// How sends were paced, in words.
    pub method: String,
    /// Makes the run repeatable.
    pub seed: u64,
    /// How long was measured.
    pub duration_s: f64,
    /// Messages sent, from the first to the last, warm-up included; like `acked` and `delivered`.
    pub sent: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Requests that were due while nothing disturbed the server, and how many of them were acknowledged.
    pub undisturbed: Option<Undisturbed>,
    /// Entries of others received.
    pub delivered: u64,
    /// Acknowledged, and a member did not get it.
    pub lost: u64,
    /// A session got it twice.
    pub duplicated: u64,
    /// A session got it after a later one.
    pub reordered: u64,
    /// It came, or stands in the database, otherwise than it was written.
    pub changed: u64,
    /// How often each of the soak's rules was broken (docs/histories.md).
    pub broken_rules: BTreeMap<String, u64>,
    /// Refused messages by error code.
    pub refused: BTreeMap<String, u64>,
    /// Lost, duplicated, reordered and everything else that went wrong, in words.
    pub faults: Vec<String>,
    /// While it was measured.
    pub acked_per_s: f64,
    /// While it was measured.
    pub delivered_per_s: f64,
    /// From when a send was due to its acknowledgement.
    pub ack_ms: Percentiles,
    /// From when a send was due to its delivery to each other member.
    pub delivery_ms: Percentiles,
    /// How many sessions there were.
    pub connections: u64,
    /// How fast they were logged in.
    pub logins_per_s: f64,
    /// From the beginning of a connection to its login.
    pub login_ms: Percentiles,
    /// Logins that were asked to come back later.
    pub logins_sent_away: u64,
    /// How often the server was killed.
    pub kills: u64,
    /// How often each fault disturbed the fleet.
    pub disturbances: BTreeMap<String, u64>,
    /// By fault: the longest time from its heal to the first acknowledgement of a send that was due since.
    pub recovery_ms: BTreeMap<String, f64>,
    /// By fault: the longest time from its heal until a user who began to log in then was logged in and synced.
    pub login_after_ms: BTreeMap<String, f64>,
    /// How often a participant was added to a conversation or removed.
    pub participation_changes: u64,
    /// Their spans of participation.
    pub spans: u64,
    /// Entries that a user got outside of their spans of participation.
    pub leaked: u64,
    /// Those who read nothing.
    pub stopped_readers: Option<StoppedReaders>,
    /// Those who were logged in beside the load and said nothing.
    pub idle: Option<IdleConnections>,
    /// Messages that nodes handed to Redis, for each acknowledged send.
    pub published_per_send: Option<f64>,
    /// Messages that nodes got from Redis, for each acknowledged send.
    pub received_per_send: Option<f64>,
    /// Values that are held to a bar.
    pub bars: Vec<Bar>,
    /// Other findings, by name.
    pub figures: BTreeMap<String, f64>,
    /// The runs that this one is made of.
    pub parts: Vec<Report>,
    /// With a rate in percent: the saturated rate, sends/s.
    pub saturated_per_s: Option<f64>,
    /// Each server process.
    pub servers: Vec<Usage>,
    /// CPU time of this program while it was measured, s.
    pub generator_cpu_s: f64,
    /// Cores that server and generator used together.
    pub cores_used: f64,
    /// At saturation on two cores: too few were used for the figures to mean anything.
    pub disturbed: bool,
    /// The same shape on the bare relay: the faster of the runs before and after this one.
    pub limit: Option<Box<Report>>,
    /// This run's figures divided by the limit's.
    pub limit_ratio: BTreeMap<String, f64>,
    /// Second by second.
    pub course: Vec<Moment>,
    /// Where it ran.
    pub machine: Machine,
    /// The command line.
    pub command: String,
    /// The commit that the server says it was built from.
    pub server_commit: Option<String>,
    /// The commit of this program's sources, where git knows it.
    pub commit: Option<String>,
}

/// Readers that stop reading: what they cost and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoppedReaders {
    /// How many.
    pub count: u64,
    /// The most that the servers' memory grew from when they stopped (the load had warmed up then), shared out among
    /// them. It includes all other growth.
    pub most_bytes_each: f64,
    /// The same at the end.
    pub bytes_each_afterwards: f64,
    /// How many sessions the servers ended with SLOW.
    pub closed_slow: u64,
    /// How many connections had ended at the end.
    pub ended: u64,
}

/// Connections that say nothing beside a load, over many processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdleConnections {
    /// How many.
    pub count: u64,
    /// Processes that held them.
    pub processes: u64,
    /// From the start of those processes until all were logged in and synced, s; passwords were asked for in that time,
    /// too.
    pub logged_in_s: f64,
    /// Logins that were asked to come back later.
    pub sent_away: u64,
    /// Connections that had ended when the load was over.
    pub lost: u64,
    /// By how much the nodes grew, for each of them.
    pub node_bytes_each: f64,
    /// By how much Redis grew, for each of them.
    pub redis_bytes_each: f64,
    /// By how much the kernel's tables grew (Slab in /proc/meminfo), for each of them: both ends, everything else that
    /// grew in it included.
    pub kernel_bytes_each: f64,
}

impl Report {
    /// Of a workload on this machine, to be filled in.
    pub fn new(workload: &str, seed: u64) -> Self {
        Self {
            workload: workload.to_owned(),
            seed,
            machine: Machine::describe(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            commit: machine::commit(),
            ..Self::default()
        }
    }

    /// Fills in what a run of the generator showed.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        let Outcome {
            recorder, verdict, ..
        } = &outcome;
        let seconds = outcome.measured.as_secs_f64();
        self.duration_s = seconds;
        self.sent = recorder.whole.sent;
        self.acked = recorder.whole.acked;
        self.delivered = recorder.whole.delivered;
        self.acked_per_s = recorder.measured.acked as f64 / seconds;
        self.delivered_per_s = recorder.measured.delivered as f64 / seconds;
        self.ack_ms = Percentiles::from(&recorder.ack);
        self.delivery_ms = Percentiles::from(&recorder.delivery);
        self.course = Moment::course(&recorder.seconds);
        self.connections = outcome.connections as u64;
        self.logins_per_s = outcome.connections as f64 / outcome.connect.as_secs_f64().max(1e-9);
        self.servers.clone_from(&outcome.usage);
        for server in &mut self.servers {
            server.cpu_us_per_delivery = per_us(server.cpu_s, recorder.measured.delivered);
            server.cpu_us_per_send = per_us(server.cpu_s, recorder.measured.acked);
            // Only the load is measured here; the connections stood before.
            server.rss_bytes_per_connection = None;
            server.pss_bytes_per_connection = None;
        }
        self.generator_cpu_s = outcome.generator_cpu_s;
        let acked = recorder.measured.acked.max(1) as f64;
        self.published_per_send = outcome.backplane.map(|counts| counts.published / acked);
        self.received_per_send = outcome.backplane.map(|counts| counts.received / acked);
        self.with_verdict(verdict);
        let Counts { sent, acked, .. } = recorder.whole;
        self.hold_to(Undisturbed { sent, acked });
        self.faults.extend(outcome.faults);
        self.refused = outcome.refused;
        self.count_cores();
        self
    }

    /// Fills in what checks found.
    pub fn with_verdict(&mut self, verdict: &Verdict) {
        self.lost = verdict.lost;
        self.duplicated = verdict.duplicated;
        self.reordered = verdict.reordered;
        self.faults.extend(verdict.examples.iter().cloned());
    }

    /// Notes something that was asked for.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.lost == 0
            && self.duplicated == 0
            && self.reordered == 0
            && self.leaked == 0
            && self.changed == 0
            && self.faults.is_empty()
            && self.bars.iter().all(|bar| bar.held)
            && self.parts.iter().all(Self::is_clean)
    }

    /// Says that the machine was to be saturated, and whether it was.
    #[must_use]
    pub fn at_saturation(mut self) -> Self {
        self.disturbed =
            self.machine.cores == 2 && !self.servers.is_empty() && self.cores_used < DISTURBED_CORES;
        self
    }

    /// Puts the bare relay's figures beside this run's.
    #[must_use]
    pub fn beside(mut self, limit: Self) -> Self {
        self.limit_ratio = self.ratios(&limit);
        self.limit = Some(Box::new(limit));
        self
    }

    /// How good this run was beside the limit.
    pub fn score(&self) -> f64 {
        let ratio = |name: &str| self.limit_ratio.get(name).copied();
        ratio(self.main_rate().0).unwrap_or(self.main_rate().1)
    }

    /// CPU time of the servers whose name begins so, for each delivery, µs.
    pub fn cpu_us_per_delivery(&self, name: &str) -> f64 {
        self.servers_named(name)
            .filter_map(|server| server.cpu_us_per_delivery)
            .sum()
    }

    /// CPU time of the servers whose name begins so, for each acknowledged send, µs.
    pub fn cpu_us_per_send(&self, name: &str) -> f64 {
        self.servers_named(name)
            .filter_map(|server| server.cpu_us_per_send)
            .sum()
    }

    fn servers_named(&self, name: &str) -> impl Iterator<Item = &Usage> {
        self.servers
            .iter()
            .filter(move |server| server.name.starts_with(name))
    }

    /// The rate that the workload is about.
    fn main_rate(&self) -> (&'static str, f64) {
        if self.workload.ends_with("direct") {
            ("acked_per_s", self.acked_per_s)
        } else {
            ("delivered_per_s", self.delivered_per_s)
        }
    }

    /// The main rate, to choose among runs of the same shape.
    pub fn rate(&self) -> f64 {
        self.main_rate().1
    }

    fn ratios(&self, other: &Self) -> BTreeMap<String, f64> {
        let cpu = |report: &Self, of: fn(&Usage) -> Option<f64>| -> f64 {
            report.servers.iter().filter_map(of).sum()
        };
        [
            ("acked_per_s", self.acked_per_s, other.acked_per_s),
            ("delivered_per_s", self.delivered_per_s, other.delivered_per_s),
            (
                "cpu_us_per_send",
                cpu(self, |usage| usage.cpu_us_per_send),
                cpu(other, |usage| usage.cpu_us_per_send),
            ),
            (
                "cpu_us_per_delivery",
                cpu(self, |usage| usage.cpu_us_per_delivery),
                cpu(other, |usage| usage.cpu_us_per_delivery),
            ),
            ("ack_p99_ms", self.ack_ms.p99, other.ack_ms.p99),
            ("delivery_p99_ms", self.delivery_ms.p99, other.delivery_ms.p99),
        ]
        .into_iter()
        .filter(|(_, mine, limit)| *mine > 0.0 && *limit > 0.0)
        .map(|(name, mine, limit)| (name.to_owned(), mine / limit))
        .collect()
    }

    fn count_cores(&mut self) {
        let servers: f64 = self.servers.iter().map(|server| server.cpu_s).sum();
        self.cores_used = (servers + self.generator_cpu_s) / self.duration_s.max(1e-9);
    }

    /// Writes report.json and report.html into a folder, and prints a summary.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn publish(&self, folder: Option<&Path>) -> Result<()> {
        println!("{}", text::summary(self));
        let Some(folder) = folder else { return Ok(()) };
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        fs::write(folder.join("report.json"), json)?;
        fs::write(folder.join("report.html"), html::page(self)?)?;
        println!("report: {}", folder.join("report.html").display());
        Ok(())
    }

    /// Reads a report.json, or the one in a folder.
    ///
    /// # Errors
    /// When there is none, or it is not a report.
    pub fn read(path: &Path) -> Result<Self> {
        let file = if path.is_dir() {
            path.join("report.json")
        } else {
            path.to_owned()
        };
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is not a report", file.display()))
    }
}

/// CPU seconds for each of `count` things, µs.
pub fn per_us(cpu_s: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| cpu_s * 1e6 / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rate: f64, cpu: f64) -> Report {
        Report {
            workload: "chat".to_owned(),
            delivered_per_s: rate,
            servers: vec![Usage {
                cpu_us_per_delivery: Some(cpu),
                ..Usage::default()
            }],
            ..Report::default()
        }
    }

    #[test]
    fn ratios_are_of_this_run_to_the_limit() {
        let report = report(70.0, 12.0).beside(report(100.0, 6.0));
        assert!((report.limit_ratio["delivered_per_s"] - 0.7).abs() < 1e-9);
        assert!((report.limit_ratio["cpu_us_per_delivery"] - 2.0).abs() < 1e-9);
        assert!(
            !report.limit_ratio.contains_key("acked_per_s"),
            "nothing was measured"
        );
        assert!((report.score() - 0.7).abs() < 1e-9);
    }

    #[test]
    fn whatever_went_wrong_makes_a_run_fail() {
        assert!(Report::default().is_clean());
        for verdict in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            let mut report = Report::default();
            report.with_verdict(&Verdict {
                lost: verdict.0,
                duplicated: verdict.1,
                reordered: verdict.2,
                examples: Vec::new(),
            });
            assert!(!report.is_clean());
        }
        let leaky = Report {
            leaked: 1,
            ..Report::default()
        };
        assert!(!leaky.is_clean());
        let mut report = Report::default();
        report.faults.push("a session was lost".to_owned());
        assert!(!report.is_clean());
    }

    #[test]
    fn a_report_survives_being_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut written = Report::new("chat", 7).parameter("members", 5);
        written.course = vec![Moment::default(); 3];
        written.delivery_ms.p99 = 3.5;
        written.publish(Some(folder.path())).unwrap();
        let read = Report::read(folder.path()).unwrap();
        assert_eq!((read.seed, read.parameters["members"].as_i64()), (7, Some(5)));
        assert!((read.delivery_ms.p99 - 3.5).abs() < 1e-9);
        let html = fs::read_to_string(folder.path().join("report.html")).unwrap();
        assert!(html.contains("<svg"), "{html}");
        assert!(Report::read(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn the_names_of_the_design_are_there() {
        let json = serde_json::to_value(Report {
            servers: vec![Usage::default()],
            ..Report::default()
        })
        .unwrap();
        for name in [
            "workload",
            "seed",
            "duration_s",
            "sent",
            "acked",
            "delivered",
            "lost",
            "duplicated",
            "reordered",
            "acked_per_s",
            "delivered_per_s",
            "ack_ms",
            "delivery_ms",
            "connections",
            "logins_per_s",
        ] {
            assert!(json.get(name).is_some(), "{name}");
        }
        for name in ["p50", "p90", "p99", "p999", "max"] {
            assert!(
                json["ack_ms"].get(name).is_some() && json["delivery_ms"].get(name).is_some(),
                "{name}"
            );
        }
        for name in [
            "cpu_s",
            "cpu_us_per_delivery",
            "rss_bytes",
            "rss_bytes_per_connection",
            "pss_bytes_per_connection",
        ] {
            assert!(json["servers"][0].get(name).is_some(), "{name}");
        }
    }
}
