//! Processes are killed at random moments while deadlines come due all the time: each fires once, with one entry.

use std::{collections::BTreeMap, time::Duration};

use database::params;
use journal::Entry;
use proto::{ConversationId, Seq, wire::entry::Event};
use serde_json::json;
use testkit::{
    citus::OF_A_TEST,
    store::{Place, Store},
};
use tokio::runtime::Runtime;

use super::{
    messages::Pen,
    scene::{Scene, eventually},
    service::{Inbox, Service},
};

/// Half of them with a doctor's message.
const CONSULTS: usize = 12;
/// Between the deadlines of a consult, and between consults, milliseconds.
const STEP_MS: i64 = 900;
const LAG_MS: i64 = 300;
/// A process lives so long at most, milliseconds.
const LIFE_MS: u64 = 1_200;

/// A process of the fleet: a runtime of its own, which ends at once, as at a kill.
struct Process(Runtime);

impl Process {
    async fn start(keeper: &Service) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (url, settings) = (keeper.place.url().to_owned(), keeper.settings.clone());
        let of_file = keeper.at_rest();
        let running = runtime.spawn(async move {
            match super::STORE {
                Store::Sqlite => of_file.beside().await,
                Store::Postgres => Service::on(Place::on_server(url), settings, Inbox::default()).await,
            }
        });
        // Held by the runtime until its end.
        let service = running.await.unwrap();
        runtime.spawn(async move {
            let _service = service;
            std::future::pending::<()>().await;
        });
        Self(runtime)
    }

    fn kill(self) {
        self.0.shutdown_background();
    }
}

/// Kind and state of each deadline entry, and how often it is there; beside them the changes of state.
fn told(entries: &[Entry]) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for entry in entries {
        let word = match &entry.event {
            Some(Event::Deadline(deadline)) => format!("{} {}", deadline.kind, deadline.state),
            Some(Event::Status(status)) => format!("{} {}", status.status, status.cause),
            _ => continue,
        };
        *told.entry(word).or_default() += 1;
    }
    told
}

async fn entries(keeper: &Service, consult: i64) -> Vec<Entry> {
    let (id, end) = (
        ConversationId::from_database(consult),
        Seq::from_database(i64::MAX),
    );
    let entries = keeper
        .journal
        .entries(id, Seq::ZERO, end, usize::MAX)
        .await
        .unwrap();
    let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq.get()).collect();
    assert_eq!(seqs, (1..=entries.len() as i64).collect::<Vec<_>>(), "I2");
    entries
}

/// Consults whose deadlines come due one after the other from now on; half of them are answered.
async fn prepared(scene: &Scene) -> Vec<i64> {
    scene
        .set_clock(json!({
            "answer_minutes": 60, "reminder_minutes": 15, "silence_days": 7, "silence_warning_days": 2
        }))
        .await;
    let settings = json!({"max_open_consults": CONSULTS});
    let path = format!("/team/{}", scene.team.id);
    let changed = scene.team.owner.put(&scene.service, &path, settings);
    changed.send().await.result();
    let pen = Pen::new(&scene.service);
    let mut consults = Vec::new();
    for at in 0..CONSULTS {
        let consult = scene.in_process().await;
        if at % 2 == 1 {
            pen.write(consult, &scene.doctor, "text/plain", "您好").await;
        }
        consults.push(consult);
    }
    // A message of a doctor was in time, whenever it is noticed.
    let now = match super::STORE {
        Store::Sqlite => "CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER)",
        Store::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    };
    let sql: &'static str = format!(
        "{OF_A_TEST}UPDATE consult_deadline SET due_ms = {now} + $1 + $2 * CASE kind WHEN 'answer_reminder' THEN 0
             WHEN 'first_answer' THEN 1 WHEN 'silence_warning' THEN 2 ELSE 3 END
         WHERE consult_id = $3 AND due_ms IS NOT NULL"
    )
    .leak();
    for (at, consult) in consults.iter().enumerate() {
        let lag_ms = LAG_MS * at as i64;
        scene.execute(sql, params![lag_ms, STEP_MS, *consult]).await;
    }
    consults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_deadlines_fire_once_though_processes_are_killed() {
    let mut scene = Scene::new().await;
    let consults = prepared(&scene).await;
    scene.service.rest().await;
    let keeper = &scene.service;
    let settled =
        "SELECT count(*) FROM consult_deadline WHERE due_ms IS NULL OR due_ms > changed_ms + 86400000";
    let mut processes = vec![Process::start(keeper).await];
    let mut kills = 0;
    eventually("each deadline has come", async || {
        processes.push(Process::start(keeper).await);
        // The next turn and the end of the dead one's lease are not waited for.
        scene
            .execute(
                "UPDATE job SET due_ms = 0, until_ms = 0 WHERE name = 'deadlines' AND due_ms + until_ms > 0",
                vec![],
            )
            .await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..LIFE_MS))).await;
        let victim = rand::random_range(0..processes.len());
        processes.swap_remove(victim).kill();
        kills += 1;
        keeper.number(settled).await == 4 * CONSULTS as i64
    })
    .await;
    // The others end in order, so that nothing of theirs is on its way.
    processes.into_iter().for_each(Process::kill);
    assert!(kills >= 3, "{kills}");
    for (at, consult) in consults.iter().enumerate() {
        let mut told = told(&entries(keeper, *consult).await);
        if at % 2 == 1 {
            assert_eq!(told.remove("silence_end set"), Some(2), "{told:?}");
            assert_eq!(told.remove("first_answer met"), Some(1), "{told:?}");
        } else {
            // A process that looked late put the end off, and a reminder that came too late is none.
            assert!(told.remove("silence_end set") <= Some(3), "{told:?}");
            assert!(told.remove("answer_reminder fired") <= Some(1), "{told:?}");
            for once in [
                "first_answer fired",
                "silence_warning fired",
                "silence_end fired",
                "cancelled silence",
            ] {
                assert_eq!(told.remove(once), Some(1), "{once} {told:?}");
            }
        }
        assert_eq!(told.remove("first_answer set"), Some(1));
        assert_eq!(told.remove("in_process "), Some(1));
        assert!(told.is_empty(), "{told:?}");
    }
    keeper.database.close().await;
}
