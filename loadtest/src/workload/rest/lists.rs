//! The desk and the lists of a team with very many consults beside those of one with few: a page costs as
//! much as it holds, however many lie behind.

use std::collections::BTreeMap;
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

/// Consults of the team that has few. Half of them have ended, a quarter is running, a quarter waits: each list has a page.
const FEW: u32 = 100;
/// Items of a page, which either has: a screen of the desk.
const PAGE: usize = 20;
/// Consults that stay open of many: one member has at most 1000 with a team.
const MOST_OPEN: u32 = 900;
/// The longest time of a page of many, as a multiple.
const MAX_RATIO: f64 = 1.5;
/// Consults that are made at a time.
const AT_ONCE: usize = 32;

/// A list that is measured: its name for the one with few and the one with many, and what is called.
struct List {
    few: &'static str,
    many: &'static str,
    path: &'static str,
    by: By,
    /// A page, which may cost no more behind many; counting walks the whole list, and is only reported.
    judged: bool,
}

/// The caller.
#[derive(Clone, Copy)]
enum By {
    Patient,
    Doctor,
    Assistant,
}

macro_rules! list {
    ($path:literal, $label:literal, $query:literal, $by:expr, $judged:literal) => {
        List {
            few: concat!("GET ", $path, $label, ", few"),
            many: concat!("GET ", $path, $label, ", many"),
            path: concat!($path, "?limit=20", $query),
            by: $by,
            judged: $judged,
        }
    };
}

/// Which consults a page of the desk is of.
macro_rules! desk {
    ($label:literal, $query:literal, $by:expr) => {
        list!("/team/{id}/desk", $label, $query, $by, true)
    };
}

const LISTS: [List; 17] = [
    desk!(" waiting", "&state=waiting", By::Assistant),
    desk!(" running", "&state=running", By::Assistant),
    desk!(" ended", "&state=ended", By::Assistant),
    desk!(" mine", "&state=mine", By::Doctor),
    desk!(" waiting, text", "&state=waiting&text=load", By::Doctor),
    desk!(" running, text", "&state=running&text=load%20test", By::Doctor),
    desk!(" ended, text", "&state=ended&text=load", By::Assistant),
    desk!(
        " ended, longer text",
        "&state=ended&text=load%20test",
        By::Assistant
    ),
    desk!(" ended, doctor", "&state=ended&doctor_id={doctor}", By::Assistant),
    list!("/consult/in_process_list", "", "", By::Doctor, true),
    list!("/consult/history_list", "", "", By::Doctor, true),
    list!(
        "/consult/in_process_list",
        " of the patient",
        "",
        By::Patient,
        true
    ),
    list!("/consult/history_list", " of the patient", "", By::Patient, true),
    list!("/team/{id}/my_consult_list", "", "", By::Doctor, true),
    list!("/team/{id}/consult_list", "", "", By::Assistant, true),
    list!("/team/{id}/rating_list", "", "", By::Assistant, true),
    list!(
        "/team/{id}/my_consult_list",
        " counted",
        "&count=true",
        By::Doctor,
        false
    ),
];

/// A team with its consults.
struct Place {
    patient: User,
    assistant: User,
    doctor: User,
    team: i64,
}

/// Measures pages of both in turn.
pub(super) async fn run(arguments: RestArguments) -> Result<bool> {
    let fleet = open(&arguments).await?;
    let world = Box::pin(fleet.builder.consults(2, 3)).await?;
    let mut places = Vec::new();
    for (conversation, wanted) in world.conversations.iter().zip([FEW, arguments.consults]) {
        let user = |place: usize| -> Result<User> {
            let member = conversation
                .members
                .get(place)
                .context("a consult has three members")?;
            Ok(world
                .users
                .get(*member as usize)
                .context("everybody has a place")?
                .clone())
        };
        let patient = user(0)?;
        let place = Place {
            team: team_of(&fleet.rest, &patient, conversation.id).await?,
            patient,
            assistant: user(1)?,
            doctor: user(2)?,
        };
        // One is there already, and goes on.
        make(&fleet.rest, &place, wanted - 1).await?;
        places.push(place);
    }
    let mut figures = Figures::default();
    let until = Instant::now() + arguments.warm_up + arguments.duration;
    let measured_from = Instant::now() + arguments.warm_up;
    while Instant::now() < until {
        // In turn, so that whatever else the machine does meets both.
        for list in &LISTS {
            for (endpoint, place) in [(list.few, &places[0]), (list.many, &places[1])] {
                let (begun, items) = (Instant::now(), page(&fleet.rest, list, place).await?);
                let took = begun.elapsed();
                if items != PAGE {
                    figures.fault(format!("{endpoint}: a page holds {items} instead of {PAGE}"));
                }
                if begun >= measured_from {
                    figures.record(endpoint, took);
                }
            }
        }
    }
    let ratios = judge(&mut figures);
    let duration = arguments.duration.max(Duration::from_millis(1));
    let mut report = Report::new("rest lists", arguments.output.seed)
        .parameter("few", FEW)
        .parameter("many", arguments.consults)
        .parameter("ratio_p50", json!(ratios))
        .parameter("endpoints", figures.described(duration));
    report.method = format!("pages of {PAGE}, of either team in turn, one call at a time");
    report.duration_s = duration.as_secs_f64();
    report.faults.clone_from(&figures.faults);
    report.hold_to(figures.undisturbed());
    report.server_commit = Some(fleet.rest.commit().await?);
    fleet.close().await?;
    println!(
        "rest lists: a page of {} beside one of {FEW} (p50)",
        arguments.consults
    );
    for (list, ratio) in &ratios {
        println!("  {list:<44} {ratio:>6.2} times as long");
    }
    figures.print(duration);
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}

/// Calls for a page; returns the number of its items.
async fn page(rest: &Rest, list: &List, place: &Place) -> Result<usize> {
    let who = match list.by {
        By::Patient => &place.patient,
        By::Doctor => &place.doctor,
        By::Assistant => &place.assistant,
    };
    let path = list.path.replace("{id}", &place.team.to_string());
    let path = path.replace("{doctor}", &place.doctor.user_id.to_string());
    let page: Value = rest.call(Method::GET, &path, &who.access_token, None).await?;
    Ok(page.as_array().map_or(0, Vec::len))
}

/// How many times as long a page of many takes, list by list; too long is a fault.
fn judge(figures: &mut Figures) -> BTreeMap<&'static str, f64> {
    let mut ratios = BTreeMap::new();
    for list in &LISTS {
        let p50 = |endpoint: &str| {
            figures
                .times(endpoint)
                .map_or(0.0, |times| times.percentile_ms(50.0))
        };
        let ratio = p50(list.many) / p50(list.few).max(1e-9);
        let name = list.many.trim_end_matches(", many");
        if list.judged && ratio > MAX_RATIO {
            figures.fault(format!(
                "{name}: a page of many takes {ratio:.2} times as long as a page of few"
            ));
        }
        ratios.insert(name, ratio);
    }
    ratios
}

/// How far a consult goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Finished,
    Rated,
}

impl Stage {
    const fn of(number: u32) -> Self {
        let may_stay_open = number < 2 * MOST_OPEN;
        match number % 4 {
            0 => Self::Rated,
            2 if may_stay_open => Self::Running,
            3 if may_stay_open => Self::Waiting,
            _ => Self::Finished,
        }
    }
}

/// Makes consults of the patient with the team.
async fn make(rest: &Rest, place: &Place, count: u32) -> Result<()> {
    let mut progress = Progress::begin("making consults", u64::from(count));
    let mut running = tokio::task::JoinSet::new();
    let mut made = 0;
    for number in 0..count {
        if running.len() >= AT_ONCE {
            running.join_next().await.context("one runs")???;
            made += 1;
            progress.at(made, "consults");
        }
        let (rest, patient, assistant) = (rest.clone(), place.patient.clone(), place.assistant.clone());
        let (doctor, team, stage) = (place.doctor.user_id, place.team, Stage::of(number));
        running.spawn(async move {
            let id = rest.consult(&patient, team).await?;
            if stage != Stage::Waiting {
                rest.consult_doctor(&assistant, id, doctor).await?;
            }
            if matches!(stage, Stage::Finished | Stage::Rated) {
                let path = format!("/consult/{id}/finish");
                rest.call::<Value>(Method::POST, &path, &assistant.access_token, Some(json!({})))
                    .await?;
            }
            if stage == Stage::Rated {
                let path = format!("/consult/{id}/rating");
                let rating = json!({"stars": 5, "words": "load test"});
                rest.call::<Value>(Method::PUT, &path, &patient.access_token, Some(rating))
                    .await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_has_a_page_and_few_stay_open() {
        let stages = |count: u32| {
            let all: Vec<Stage> = (0..count).map(Stage::of).collect();
            move |stage| all.iter().filter(|of| **of == stage).count()
        };
        let few = stages(FEW - 1);
        for stage in [Stage::Waiting, Stage::Running, Stage::Finished, Stage::Rated] {
            assert!(few(stage) >= PAGE, "{stage:?} {}", few(stage));
        }
        let many = stages(100_000);
        assert_eq!(many(Stage::Waiting) + many(Stage::Running), MOST_OPEN as usize);
    }

    #[test]
    fn too_long_is_a_fault_of_what_is_judged() {
        let mut figures = Figures::default();
        for list in &LISTS {
            figures.record(list.few, Duration::from_millis(10));
            figures.record(list.many, Duration::from_millis(13));
        }
        let ratios = judge(&mut figures);
        assert_eq!(
            (ratios.len(), figures.faults.len()),
            (LISTS.len(), 0),
            "{ratios:?}"
        );
        for list in &LISTS {
            for _ in 0..3 {
                figures.record(list.many, Duration::from_millis(40));
            }
        }
        judge(&mut figures);
        assert_eq!(
            figures.faults.len(),
            LISTS.iter().filter(|list| list.judged).count()
        );
        assert!(
            figures.faults[0].contains("/team/{id}/desk waiting"),
            "{:?}",
            figures.faults
        );
    }
}
