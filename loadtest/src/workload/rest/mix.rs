//! The mix of records: seven of ten calls read, three take a consult one step further.
//!
//! Each worker is an app of a patient, a doctor and their team's assistant, one call at a time. Its writes follow the
//! life of a consult: begun, a doctor brought in, a service proposed, confirmed, finished; then the next consult.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Figures, open};
use crate::arguments::RestArguments;
use crate::generator::schedule::Chance;
use crate::progress::Progress;
use crate::report::{Percentiles, Report};
use crate::server::usage::own_cpu_s;
use crate::world::User;
use crate::world::rest::Rest;

/// Reads and how many of a hundred calls each is; what remains writes.
const READS: [(&str, usize); 8] = [
    ("GET /consult/in_process_list", 18),
    ("GET /consult/{id}", 14),
    ("GET /consult/{id}/messages", 12),
    ("GET /consult/history_list", 8),
    ("GET /vas", 6),
    ("GET /team/{id}", 6),
    ("GET /im/servers", 3),
    ("GET /im/password", 3),
];

/// Measures the mix.
pub(super) async fn run(arguments: RestArguments) -> Result<bool> {
    let fleet = open(&arguments).await?;
    let world = Box::pin(fleet.builder.consults(arguments.workers, 3)).await?;
    let mut workers = Vec::new();
    for (number, conversation) in (0_u64..).zip(&world.conversations) {
        let user = |place: usize| -> Result<User> {
            let member = conversation
                .members
                .get(place)
                .context("a consult has three members")?;
            let user = world
                .users
                .get(*member as usize)
                .context("everybody has a place")?;
            Ok(user.clone())
        };
        workers.push(Worker {
            rest: fleet.rest.clone(),
            dice: Chance::new(arguments.output.seed.wrapping_add(number)),
            patient: user(0)?,
            assistant: user(1)?,
            doctor: user(2)?,
            team: team_of(&fleet.rest, &user(0)?, conversation.id).await?,
            consult: conversation.id,
            vas: 0,
            next: Step::Propose,
            figures: Figures::default(),
        });
    }
    let watch = fleet.watch();
    let before = watch.sample().await?;
    let own_before = own_cpu_s()?;
    let begun = Instant::now();
    let measured_from = begun + arguments.warm_up;
    let until = measured_from + arguments.duration;
    let running: Vec<_> = workers
        .into_iter()
        .map(|worker| tokio::spawn(worker.run(measured_from, until)))
        .collect();
    let mut progress = Progress::begin("calling", (until - begun).as_secs());
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
        progress.at(begun.elapsed().as_secs(), "s");
    }
    drop(progress);
    let mut figures = Figures::default();
    for worker in running {
        figures.add(worker.await.context("a worker panicked")?);
    }
    let mut report = Report::new("rest records", arguments.output.seed)
        .parameter("workers", arguments.workers)
        .parameter(
            "requests_per_s",
            figures.calls() as f64 / arguments.duration.as_secs_f64(),
        )
        .parameter(
            "reads_of_100",
            READS.iter().map(|(_, share)| share).sum::<usize>(),
        )
        .parameter("endpoints", figures.described(arguments.duration));
    report.method = format!(
        "closed loop: {} workers, each one call at a time",
        arguments.workers
    );
    report.duration_s = arguments.duration.as_secs_f64();
    report.ack_ms = Percentiles::from(&figures.whole());
    report.servers = watch.since(&before, 0).await?;
    report.generator_cpu_s = own_cpu_s()? - own_before;
    // The warm-up is in it.
    let cpu_s: f64 = report.servers.iter().map(|server| server.cpu_s).sum();
    report.cores_used = (cpu_s + report.generator_cpu_s) / begun.elapsed().as_secs_f64();
    report.server_commit = Some(fleet.rest.commit().await?);
    report.faults.clone_from(&figures.faults);
    report.hold_to(figures.undisturbed());
    fleet.close().await?;
    println!(
        "rest records: {:.0} requests/s, p50 {:.2} ms, p99 {:.2} ms",
        figures.calls() as f64 / report.duration_s,
        report.ack_ms.p50,
        report.ack_ms.p99
    );
    figures.print(arguments.duration);
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}

/// The team of a consult.
pub(super) async fn team_of(rest: &Rest, patient: &User, consult: i64) -> Result<i64> {
    let path = format!("/consult/{consult}");
    let shown: Value = rest.call(Method::GET, &path, &patient.access_token, None).await?;
    shown["team_id"]
        .as_i64()
        .context("GET /consult/{id} returns no team_id")
}

/// The next write of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    BringIn,
    Propose,
    Confirm,
    Finish,
}

impl Step {
    const fn next(self) -> Self {
        match self {
            Self::Begin => Self::BringIn,
            Self::BringIn => Self::Propose,
            Self::Propose => Self::Confirm,
            Self::Confirm => Self::Finish,
            Self::Finish => Self::Begin,
        }
    }

    const fn endpoint(self) -> &'static str {
        match self {
            Self::Begin => "POST /consult",
            Self::BringIn => "POST /consult/{id}/doctor",
            Self::Propose => "POST /consult/{id}/vas",
            Self::Confirm => "POST /vas/{id}/confirm",
            Self::Finish => "POST /consult/{id}/finish",
        }
    }
}

struct Worker {
    rest: Rest,
    dice: Chance,
    patient: User,
    assistant: User,
    doctor: User,
    team: i64,
    consult: i64,
    vas: i64,
    next: Step,
    figures: Figures,
}

impl Worker {
    async fn run(mut self, measured_from: Instant, until: Instant) -> Figures {
        while Instant::now() < until {
            let begun = Instant::now();
            let (endpoint, outcome) = match self.draw() {
                Some(read) => (read, self.read(read).await),
                None => (self.next.endpoint(), self.write().await),
            };
            let ended = Instant::now();
            if let Err(error) = outcome {
                self.figures.fault(format!("{endpoint}: {error:#}"));
                break;
            }
            if begun >= measured_from && ended <= until {
                self.figures.record(endpoint, ended - begun);
            }
        }
        self.figures
    }

    /// The read that comes next; none for a write.
    fn draw(&mut self) -> Option<&'static str> {
        let mut drawn = self.dice.below(100);
        for (endpoint, share) in READS {
            if drawn < share {
                return Some(endpoint);
            }
            drawn -= share;
        }
        None
    }

    async fn read(&mut self, endpoint: &'static str) -> Result<()> {
        let who = match self.dice.below(3) {
            0 => &self.assistant,
            // Between begin and bring in no doctor may look.
            1 if self.next != Step::BringIn => &self.doctor,
            _ => &self.patient,
        };
        let path = endpoint.trim_start_matches("GET ");
        let path = match path {
            "/team/{id}" => path.replace("{id}", &self.team.to_string()),
            path => path.replace("{id}", &self.consult.to_string()),
        };
        self.rest
            .call::<Value>(Method::GET, &path, &who.access_token, None)
            .await?;
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let (consult, vas) = (self.consult, self.vas);
        let (who, path, body) = match self.next {
            Step::Begin => (
                &self.patient,
                "/consult".to_owned(),
                json!({
                    "creator_member_id": self.patient.user_id, "target_member_id": self.patient.user_id,
                    "team_id": self.team, "symptom_content": "load test", "symptom_type": "text/plain",
                }),
            ),
            Step::BringIn => (
                &self.assistant,
                format!("/consult/{consult}/doctor"),
                json!({"doctor_id": self.doctor.user_id}),
            ),
            Step::Propose => (
                &self.doctor,
                format!("/consult/{consult}/vas"),
                json!({"name": "load test", "description": "", "price_fen": 100}),
            ),
            Step::Confirm => (&self.patient, format!("/vas/{vas}/confirm"), json!({})),
            Step::Finish => (&self.doctor, format!("/consult/{consult}/finish"), json!({})),
        };
        let done: Value = self
            .rest
            .call(Method::POST, &path, &who.access_token, Some(body))
            .await?;
        match self.next {
            Step::Begin => self.consult = done["consultation_id"].as_i64().context("no consultation_id")?,
            Step::Propose => self.vas = done["vas_id"].as_i64().context("no vas_id")?,
            Step::BringIn | Step::Confirm | Step::Finish => {}
        }
        self.next = self.next.next();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_of_ten_calls_read() {
        assert_eq!(READS.iter().map(|(_, share)| share).sum::<usize>(), 70);
    }

    #[test]
    fn writes_go_round() {
        let mut step = Step::Begin;
        for _ in 0..5 {
            step = step.next();
        }
        assert_eq!(step, Step::Begin);
    }
}
