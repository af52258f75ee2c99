//! Usage of processes: CPU time and memory, from /proc or from their /metrics.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Clock ticks a second in /proc/PID/stat; fixed in the kernel's interface.
const TICKS_PER_S: f64 = 100.0;
const METRICS_LIMIT: Duration = Duration::from_secs(5);

/// One process's usage so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    name: String,
    pid: Option<u32>,
    cpu_s: f64,
    rss_bytes: u64,
    pss_bytes: Option<u64>,
}

/// One server process's usage in a run; the names of `report.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Which process.
    pub name: String,
    /// On this machine.
    pub pid: Option<u32>,
    /// CPU time while it was measured, s.
    pub cpu_s: f64,
    /// CPU time for each delivery, µs.
    pub cpu_us_per_delivery: Option<f64>,
    /// CPU time for each acknowledged send, µs.
    pub cpu_us_per_send: Option<f64>,
    /// CPU time for each login, µs.
    pub cpu_us_per_login: Option<f64>,
    /// Resident memory at the end.
    pub rss_bytes: u64,
    /// By how much it grew, for each connection. Only where growth was measured.
    pub rss_bytes_per_connection: Option<f64>,
    /// Proportional set size at the end: resident memory, what is shared divided by its sharers.
    pub pss_bytes: Option<u64>,
    /// By how much it grew, for each connection. Only where growth was measured.
    pub pss_bytes_per_connection: Option<f64>,
}

/// The processes to be measured.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pids: Vec<(String, u32)>,
    /// The same with the processes that each has started, all in one.
    with_children: Vec<(String, u32)>,
    metrics: Vec<String>,
    telling: Vec<String>,
}

impl Watch {
    /// Watches a process of this machine.
    pub fn process(name: &str, pid: u32) -> Self {
        Self {
            pids: vec![(name.to_owned(), pid)],
            ..Self::default()
        }
    }

    /// Watches processes of this machine and the ones behind these /metrics addresses.
    pub fn of(pids: &[u32], metrics: &[String]) -> Self {
        Self {
            pids: pids.iter().map(|pid| ("server".to_owned(), *pid)).collect(),
            metrics: metrics.to_vec(),
            ..Self::default()
        }
    }

    /// Also watches another process of this machine.
    #[must_use]
    pub fn and(mut self, name: &str, pid: u32) -> Self {
        self.pids.push((name.to_owned(), pid));
        self
    }

    /// Also watches a process and those that it has started, as one.
    #[must_use]
    pub fn and_children(mut self, name: &str, pid: u32) -> Self {
        self.with_children.push((name.to_owned(), pid));
        self
    }

    /// Also asks these /metrics for values that only a server knows; its use is not counted twice.
    #[must_use]
    pub fn telling(mut self, metrics: impl IntoIterator<Item = String>) -> Self {
        self.telling.extend(metrics);
        self
    }

    /// Every /metrics that there is.
    pub fn metrics_addresses(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().chain(&self.telling).map(String::as_str)
    }

    /// Their usage so far.
    ///
    /// # Errors
    /// When one of them is gone or does not answer.
    pub async fn sample(&self) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for (name, pid) in &self.pids {
            samples.push(of_process(name, *pid)?);
        }
        for (name, pid) in &self.with_children {
            samples.push(of_family(name, *pid)?);
        }
        for url in &self.metrics {
            samples.push(of_metrics(url).await?);
        }
        Ok(samples)
    }

    /// The nodes' publications to each other so far, sent and received; none where no /metrics has them.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn backplane(&self) -> Result<Option<Backplane>> {
        let mut sum = None;
        for url in self.metrics_addresses() {
            let text = fetch(url).await?;
            let value = |name: &str| metric(&text, name).unwrap_or_default();
            let counts: &mut Backplane = sum.get_or_insert_default();
            counts.published += value("huizhen_backplane_published_total");
            counts.received += value("huizhen_backplane_received_total");
        }
        Ok(sum)
    }

    /// Their usage since, growth of memory divided among `connections`.
    ///
    /// # Errors
    /// When one of them is gone or does not answer.
    pub async fn since(&self, before: &[Sample], connections: usize) -> Result<Vec<Usage>> {
        let after = self.sample().await?;
        Ok(before
            .iter()
            .zip(&after)
            .map(|(before, after)| between(before, after, connections))
            .collect())
    }
}

/// Messages between nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backplane {
    /// Handed to Redis.
    pub published: f64,
    /// Come from Redis; of one that was published, as many as there are nodes that wanted it.
    pub received: f64,
}

fn between(before: &Sample, after: &Sample, connections: usize) -> Usage {
    let growth = |before: u64, after: u64| (after as f64 - before as f64) / connections.max(1) as f64;
    Usage {
        name: after.name.clone(),
        pid: after.pid,
        cpu_s: after.cpu_s - before.cpu_s,
        rss_bytes: after.rss_bytes,
        rss_bytes_per_connection: (connections > 0).then(|| growth(before.rss_bytes, after.rss_bytes)),
        pss_bytes: after.pss_bytes,
        pss_bytes_per_connection: before
            .pss_bytes
            .zip(after.pss_bytes)
            .filter(|_| connections > 0)
            .map(|(before, after)| growth(before, after)),
        ..Usage::default()
    }
}

/// CPU time of this process so far, s.
///
/// # Errors
/// When /proc cannot be read.
pub fn own_cpu_s() -> Result<f64> {
    cpu_s(&fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?)
}

fn of_process(name: &str, pid: u32) -> Result<Sample> {
    let read = |file: &str| {
        fs::read_to_string(format!("/proc/{pid}/{file}"))
            .with_context(|| format!("cannot read /proc/{pid}/{file}: has process {pid} ended?"))
    };
    let rollup = read("smaps_rollup").ok();
    Ok(Sample {
        name: name.to_owned(),
        pid: Some(pid),
        cpu_s: cpu_s(&read("stat")?)?,
        rss_bytes: kib_field(&read("status")?, "VmRSS:").context("no VmRSS in /proc")?,
        // Absent when the process belongs to another user.
        pss_bytes: rollup.and_then(|rollup| kib_field(&rollup, "Pss:")),
    })
}

/// A process and its children. CPU time of children that have ended counts where their parent has waited for them.
fn of_family(name: &str, pid: u32) -> Result<Sample> {
    let mut sum = of_process(name, pid)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    sum.cpu_s += ticks(&stat, WAITED_FOR)?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .with_context(|| format!("cannot read the children of process {pid}"))?;
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        // One that has ended meanwhile has nothing to add.
        let Ok(child) = of_process(name, child) else {
            continue;
        };
        sum.cpu_s += child.cpu_s;
        sum.rss_bytes += child.rss_bytes;
        sum.pss_bytes = sum.pss_bytes.zip(child.pss_bytes).map(|(sum, one)| sum + one);
    }
    Ok(sum)
}

/// utime and stime, as fields after the name.
const OWN: usize = 11;
/// cutime and cstime.
const WAITED_FOR: usize = 13;

fn cpu_s(stat: &str) -> Result<f64> {
    ticks(stat, OWN)
}

/// Two neighbouring times of /proc/PID/stat, added up, s.
fn ticks(stat: &str, at: usize) -> Result<f64> {
    // The name in parentheses may hold anything; what follows it is numbers.
    let after_name = stat
        .rsplit_once(')')
        .context("/proc/PID/stat has another form")?
        .1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    match (ticks(at), ticks(at + 1)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_PER_S),
        _ => bail!("/proc/PID/stat has another form"),
    }
}

fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

async fn fetch(url: &str) -> Result<String> {
    let answer = reqwest::Client::builder()
        .timeout(METRICS_LIMIT)
        .build()?
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .with_context(|| format!("cannot read {url}"))?;
    Ok(answer.text().await?)
}

/// A metric of a server with `label` among the values of its labels; none when it does not have it (yet).
///
/// # Errors
/// When the server does not answer.
pub async fn metric_of(url: &str, name: &str, label: &str) -> Result<Option<f64>> {
    Ok(labelled(&fetch(url).await?, name, label))
}

/// A metric of a server, the first of its name whatever its labels; none when it does not have it (yet).
///
/// # Errors
/// When the server does not answer.
pub async fn metric_at(url: &str, name: &str) -> Result<Option<f64>> {
    Ok(metric(&fetch(url).await?, name))
}

fn labelled(text: &str, name: &str, label: &str) -> Option<f64> {
    text.lines()
        .filter_map(|line| line.rsplit_once(' '))
        .find(|(key, _)| {
            key.split_once('{').is_some_and(|(key, labels)| {
                key == name
                    && labels
                        .split('"')
                        .any(|value| value == label || value.ends_with(&format!("_{label}")))
            })
        })
        .and_then(|(_, value)| value.trim().parse().ok())
}

async fn of_metrics(url: &str) -> Result<Sample> {
    let text = fetch(url).await?;
    // Our programs' names, and those that most others use.
    let value = |ours: &str, usual: &str| {
        metric(&text, ours)
            .or_else(|| metric(&text, usual))
            .with_context(|| format!("{url} has no metric {ours} or {usual}; give --server-pid instead"))
    };
    Ok(Sample {
        name: url.to_owned(),
        pid: None,
        cpu_s: value("huizhen_process_cpu_seconds", "process_cpu_seconds_total")?,
        rss_bytes: value("huizhen_process_rss_bytes", "process_resident_memory_bytes")? as u64,
        pss_bytes: None,
    })
}

/// A metric, the first of its name whatever its labels.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| key.split('{').next() == Some(name))
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let sample = of_process("me", std::process::id()).unwrap();
        assert!(sample.rss_bytes > 100_000 && sample.cpu_s >= 0.0);
        assert!(of_process("nobody", u32::MAX).is_err());
        let family = of_family("we", std::process::id()).unwrap();
        assert!(family.cpu_s >= sample.cpu_s && family.rss_bytes > 100_000);
        assert!(own_cpu_s().unwrap() >= 0.0);
    }

    #[test]
    fn a_name_with_blanks_and_parentheses_is_skipped() {
        let stat = "7 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0";
        assert!((cpu_s(stat).unwrap() - 2.0).abs() < 1e-9);
        assert!(cpu_s("7 (a) S 1").is_err());
    }

    #[test]
    fn metrics_are_read_by_name() {
        let text = "# HELP x\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes{a=\"b\"} 42\n";
        assert_eq!(metric(text, "process_cpu_seconds_total"), Some(1.5));
        assert_eq!(metric(text, "process_resident_memory_bytes"), Some(42.0));
        assert_eq!(metric(text, "other"), None);
        let text = "byes_total{reason=\"BYE_REASON_IDLE\"} 3\nbyes_total{reason=\"BYE_REASON_SLOW\"} 7\n";
        assert_eq!(labelled(text, "byes_total", "SLOW"), Some(7.0));
        assert_eq!(labelled(text, "byes_total", "OTHER"), None);
    }

    #[test]
    fn growth_is_shared_out() {
        let before = Sample {
            rss_bytes: 1000,
            pss_bytes: Some(500),
            ..Sample::default()
        };
        let after = Sample {
            rss_bytes: 3000,
            pss_bytes: Some(1500),
            cpu_s: 2.0,
            ..Sample::default()
        };
        let usage = between(&before, &after, 10);
        assert_eq!(usage.rss_bytes_per_connection, Some(200.0));
        assert_eq!(usage.pss_bytes_per_connection, Some(100.0));
        assert!((usage.cpu_s - 2.0).abs() < 1e-9);
    }
}
