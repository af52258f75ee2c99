//! I6: a process that is killed while it moves money leaves all of a transfer, its state and its entry, or nothing; a resend
//! completes it, and the books are proved after each restart.
//!
//! This test binary starts itself again as the process that is killed ([`child`]), under `strace`, which kills it at its
//! n-th sync of a thread; beside a database server, at the n-th time that it sends a statement or an answer.

mod charges;
mod notices;
mod payouts;

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::store::{Place, Store};

use super::{
    money::charging,
    people::Person,
    service::{Inbox, Service},
};

/// Where the child's database is, and the requests that it sends, a JSON object each.
const URL: &str = "HUIZHEN_CHILD_URL";
const REQUESTS: &str = "HUIZHEN_CHILD_REQUESTS";

const SYNCS: &str = "fdatasync,fsync";
/// The highest number that strace accepts.
const NEVER: usize = 65_535;

/// A request of the child's: the first and each later answer under its key are the same.
fn request(who: &Person, path: &str, body: &Value) -> Value {
    let key = format!("{path} {body}");
    json!({"path": path, "body": body.to_string(), "headers": {
        "X-AUTH-TOKEN": who.token, "Idempotency-Key": hex::encode(&key.as_bytes()[..key.len().min(64)]),
        "Content-Type": "application/json",
    }})
}

/// Not a test of its own: does nothing unless it was started by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Ok(url), Ok(requests)) = (std::env::var(URL), std::env::var(REQUESTS)) else {
        return;
    };
    let requests: Vec<Value> = requests
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let service = Service::on(Place::on_server(url), charging(), Inbox::default()).await;
    for (at, request) in requests.iter().enumerate() {
        if let Some(now_ms) = request["clock_ms"].as_i64() {
            api_server::set_clock(now_ms);
        }
        let mut call = service.call(Method::POST, request["path"].as_str().unwrap());
        for (name, value) in request["headers"].as_object().unwrap() {
            call = call.header(name, value.as_str().unwrap());
        }
        let reply = call
            .body(request["body"].as_str().unwrap().to_owned())
            .send()
            .await;
        assert_eq!(reply.status, 200, "{request}: {}", reply.text);
        let line = format!("ack {at}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
    }
}

/// How many requests a child has acknowledged, and whether it came to its end.
struct Ended {
    acks: usize,
    finished: bool,
}

fn run_child(url: &str, requests: &str, calls: &str, nth: usize) -> Ended {
    let name = format!("{}::child", module_path!().split_once("::").unwrap().1);
    let output = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")])
        .args(["-e", &format!("inject={calls}:signal=SIGKILL:when={nth}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(URL, url)
        .env(REQUESTS, requests)
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("strace is needed to test what survives a crash ({error}): apt-get install strace")
    });
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(!complaints.contains("panicked"), "{said}\n{complaints}");
    assert!(
        !complaints.contains("Operation not permitted"),
        "strace may not trace here:\n{complaints}"
    );
    Ended {
        acks: said.lines().filter(|line| line.contains("ack ")).count(),
        finished: output.status.success(),
    }
}

impl Service {
    /// A service on the database that a child has left.
    async fn restarted(place: &Place) -> Self {
        let place = Place::on_server(place.url().to_owned());
        Self::on(place, charging(), Inbox::default()).await
    }

    /// Each of the counts is zero: of rows of which a part is missing.
    async fn counts_nothing(&self, counts: &[&'static str]) {
        for sql in counts {
            assert_eq!(self.number(sql).await, 0, "{sql}");
        }
        self.balances().await;
        self.reconciles().await;
    }

    /// Ends it, so that another process may open the file.
    async fn end(mut self) -> Arc<Place> {
        self.shutdown.cancel();
        let ended = self.ended.take().unwrap();
        ended.await.unwrap().unwrap();
        self.database.close().await;
        self.place.clone()
    }
}

/// Kills a child that sends the requests at one moment after the other; each goes on where the one before was killed. `parts`
/// count rows of which a part is missing, `done` the requests that were done.
async fn survives(place: &Place, requests: &[Value], parts: &[&'static str], done: &'static str) {
    let lines: Vec<String> = requests.iter().map(Value::to_string).collect();
    let (lines, count) = (lines.join("\n"), requests.len());
    let before = {
        let service = Service::restarted(place).await;
        service.counts_nothing(parts).await;
        let before = service.number(done).await;
        service.end().await;
        usize::try_from(before).unwrap()
    };
    let (mut kills, mut unacknowledged) = (0, 0);
    let moments: Vec<(&str, usize)> = match super::STORE {
        Store::Sqlite => (1..=14).map(|nth| (SYNCS, nth)).collect(),
        // Between the statements of a transaction, and at an answer after its commit.
        Store::Postgres => (1..=8)
            .flat_map(|nth| [("sendto", 19 * nth), ("writev", nth)])
            .collect(),
    };
    for (calls, nth) in moments {
        let ended = run_child(place.url(), &lines, calls, nth);
        kills += usize::from(!ended.finished);
        let service = Service::restarted(place).await;
        service.counts_nothing(parts).await;
        let done = usize::try_from(service.number(done).await).unwrap() - before;
        // Requests are sent in their order, and each acknowledged one is there.
        assert!(done >= ended.acks, "{done} of {}", ended.acks);
        unacknowledged += done - ended.acks;
        service.end().await;
    }
    assert!(kills >= 8, "only {kills} were killed");
    // Else no kill has hit a commit, and nothing was tested.
    assert!(unacknowledged > 0, "no commit was hit");
    let ended = run_child(place.url(), &lines, SYNCS, NEVER);
    assert!(ended.finished);
    assert_eq!(ended.acks, count);
    let service = Service::restarted(place).await;
    service.counts_nothing(parts).await;
    let done = usize::try_from(service.number(done).await).unwrap();
    assert_eq!(done - before, count);
    service.end().await;
}
