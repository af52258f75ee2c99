//! Lists of a doctor with very many consults beside those of one with few: a page costs what it holds, not what lies behind.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Figures, mix::team_of, open};
use crate::arguments::RestArguments;
use crate::progress::Progress;
use crate::report::Report;
use crate::world::User;
use crate::world::rest::Rest;

/// Consults of the doctor who has few; also the items of a page, so that both pages hold as many.
const FEW: u32 = 10;
/// A page of many may take so many times as long.
const MAX_RATIO: f64 = 1.5;
/// Consults that are made at a time.
const AT_ONCE: usize = 16;
const PATHS: [(&str, &str, &str); 2] = [
    (
        "GET /consult/in_process_list, few",
        "GET /consult/in_process_list, many",
        "/consult/in_process_list?limit=10",
    ),
    (
        "GET /consult/in_process_list counted, few",
        "GET /consult/in_process_list counted, many",
        "/consult/in_process_list?limit=10&count=true",
    ),
];

/// Measures pages of both in turn.
pub(super) async fn run(arguments: RestArguments) -> Result<bool> {
    let fleet = open(&arguments).await?;
    let world = Box::pin(fleet.builder.consults(2, 3)).await?;
    let mut doctors = Vec::new();
    for (conversation, wanted) in world.conversations.iter().zip([FEW, arguments.consults]) {
        let user = |place: usize| -> Result<User> {
            let member = conversation
                .members
                .get(place)
                .context("a consult has three people")?;
            Ok(world
                .users
                .get(*member as usize)
                .context("everybody has a place")?
                .clone())
        };
        let (patient, assistant, doctor) = (user(0)?, user(1)?, user(2)?);
        let team = team_of(&fleet.rest, &patient, conversation.id).await?;
        // One is there already.
        make(&fleet.rest, &patient, &assistant, &doctor, team, wanted - 1).await?;
        doctors.push(doctor);
    }
    let (few, many) = (&doctors[0], &doctors[1]);
    let mut figures = Figures::default();
    let until = Instant::now() + arguments.warm_up + arguments.duration;
    let measured_from = Instant::now() + arguments.warm_up;
    while Instant::now() < until {
        // In turn, so that whatever else the machine does meets both.
        for (of_few, of_many, path) in PATHS {
            for (endpoint, doctor) in [(of_few, few), (of_many, many)] {
                let begun = Instant::now();
                let page: Value = fleet
                    .rest
                    .call(Method::GET, path, &doctor.access_token, None)
                    .await?;
                let took = begun.elapsed();
                if page.as_array().map(Vec::len) != Some(FEW as usize) {
                    figures.fault(format!("{endpoint}: a page does not hold {FEW}"));
                }
                if begun >= measured_from {
                    figures.record(endpoint, took);
                }
            }
        }
    }
    let p50 = |endpoint: &str| {
        figures
            .times(endpoint)
            .map_or(0.0, |times| times.percentile_ms(50.0))
    };
    // Counting walks the whole list, which is why no list does it unless asked: it is told, and not judged.
    let ratio = p50(PATHS[0].1) / p50(PATHS[0].0).max(1e-9);
    if ratio > MAX_RATIO {
        figures.fault(format!(
            "a page of many takes {ratio:.2} times as long as a page of few"
        ));
    }
    let duration = arguments.duration.max(Duration::from_millis(1));
    let mut report = Report::new("rest lists", arguments.output.seed)
        .parameter("few", FEW)
        .parameter("many", arguments.consults)
        .parameter("ratio_p50", ratio)
        .parameter("endpoints", figures.described(duration));
    report.method = "pages of ten, of either doctor in turn, one call at a time".to_owned();
    report.duration_s = duration.as_secs_f64();
    report.faults.clone_from(&figures.faults);
    fleet.close().await?;
    println!(
        "rest lists: a page of {} takes {ratio:.2} times as long as one of {FEW} (p50)",
        arguments.consults
    );
    figures.tell(duration);
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}

/// Makes consults with the doctor in them.
async fn make(
    rest: &Rest,
    patient: &User,
    assistant: &User,
    doctor: &User,
    team: i64,
    count: u32,
) -> Result<()> {
    let mut progress = Progress::begin("making consults", u64::from(count));
    let mut running = tokio::task::JoinSet::new();
    let mut made = 0;
    for _ in 0..count {
        if running.len() >= AT_ONCE {
            running.join_next().await.context("one runs")???;
            made += 1;
            progress.at(made, "consults");
        }
        let (rest, patient, assistant, doctor) =
            (rest.clone(), patient.clone(), assistant.clone(), doctor.user_id);
        running.spawn(async move {
            let body = json!({
                "creator_member_id": patient.user_id, "target_member_id": patient.user_id, "team_id": team,
                "symptom_content": "load test", "symptom_type": "text/plain",
            });
            let begun: Value = rest
                .call(Method::POST, "/consult", &patient.access_token, Some(body))
                .await?;
            let id = begun["consultation_id"].as_i64().context("no consultation_id")?;
            let body = json!({"doctor_id": doctor});
            let path = format!("/consult/{id}/doctor");
            rest.call::<Value>(Method::POST, &path, &assistant.access_token, Some(body))
                .await?;
            anyhow::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}
