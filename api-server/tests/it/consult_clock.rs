//! Helpers of tests about deadlines.

use database::{Value as Parameter, params};
use serde_json::{Value, json};

use super::scene::{Scene, eventually};

/// Kind and state of each deadline entry.
pub fn promise(entries: &[Value]) -> Vec<String> {
    let told = entries.iter().map(|entry| &entry["deadline"]);
    told.map(|deadline| {
        let word = |field: &str| deadline[field].as_str().unwrap().to_owned();
        format!("{} {}", word("kind"), word("state"))
    })
    .collect()
}

impl Scene {
    /// Changes the clock of the team.
    pub async fn set_clock(&self, clock: Value) {
        let path = format!("/team/{}", self.team.id);
        let changed = self.team.owner.put(&self.service, &path, json!({"clock": clock}));
        changed.send().await.result();
    }

    pub async fn execute(&self, sql: &'static str, params: Vec<Parameter>) {
        let set = self
            .service
            .database
            .transaction(move |tx| Box::pin(async move { tx.execute(sql, params).await }));
        set.await.unwrap();
    }

    /// Lets a deadline be due now, and the job look.
    pub async fn expire(&self, consult: i64, kind: &'static str) {
        let sql = "UPDATE consult_deadline SET due_ms = 1, changed_ms = 0
            WHERE consult_id = $1 AND kind = $2 AND due_ms IS NOT NULL";
        self.execute(sql, params![consult, kind]).await;
        self.execute("UPDATE job SET due_ms = 0 WHERE name = 'deadlines'", vec![])
            .await;
    }

    /// Lets the job look some times.
    pub async fn turns(&self, turns: i64) {
        let lease = "SELECT lease FROM job WHERE name = 'deadlines'";
        let begun = self.service.number(lease).await;
        eventually("turns of the job", async || {
            self.execute(
                "UPDATE job SET due_ms = 0 WHERE name = 'deadlines' AND holder IS NULL",
                vec![],
            )
            .await;
            self.service.number(lease).await > begun + turns
        })
        .await;
    }

    /// The entries of a consult as its patient sees them.
    pub async fn entries(&self, consult: i64) -> Vec<Value> {
        let path = format!("/consult/{consult}/messages?limit=200");
        let mut entries = self
            .get(&self.patient, path)
            .await
            .result()
            .as_array()
            .unwrap()
            .clone();
        entries.reverse();
        entries
    }

    pub async fn deadline_entries(&self, consult: i64) -> Vec<Value> {
        let mut entries = self.entries(consult).await;
        entries.retain(|entry| entry["kind"] == "deadline");
        entries
    }

    pub async fn deadlines(&self, consult: i64) -> Vec<String> {
        promise(&self.deadline_entries(consult).await)
    }

    /// Waits for an entry of this kind and state.
    pub async fn until(&self, consult: i64, told: &str) {
        self.until_count(consult, told, 1).await;
    }

    pub async fn until_count(&self, consult: i64, told: &str, count: usize) {
        eventually(told, async || {
            let found = self.deadlines(consult).await;
            found.iter().filter(|found| *found == told).count() == count
        })
        .await;
    }

    /// The first answers of the team, and whether they waited.
    pub async fn answers(&self) -> (i64, bool) {
        let answers = "SELECT CAST(COALESCE(SUM(answers), 0) AS BIGINT) FROM team_answer";
        let waited = "SELECT CAST(COALESCE(SUM(waited_ms), 0) AS BIGINT) FROM team_answer";
        (
            self.service.number(answers).await,
            self.service.number(waited).await > 0,
        )
    }
}
