//! A panic in any vital task fails /readyz with the task's name, has one line in the log, and ends the process.

use std::{
    collections::VecDeque,
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use telemetry::task::Name;
use testkit::{cluster::Cluster, postgres::Postgres, redis::Redis};

use super::on_server::place;
use crate::process::{PATIENCE, Running, huizhen, run};

/// Processes at once.
const AT_ONCE: usize = 3;

/// Tasks that run for some rooms only: `im-server/tests/it/planted.rs` makes such rooms.
const ON_DEMAND: [Name; 2] = [Name::NodeFanOut, Name::NodeGap];

/// Every name is tried, so that a new vital task is tested from its first day. One that no process runs fails this.
#[test]
fn a_panic_in_a_vital_task_ends_the_process() {
    let tasks = Name::ALL
        .iter()
        .filter(|task| **task != Name::Unknown && !ON_DEMAND.contains(task));
    let waiting: Mutex<VecDeque<Name>> = Mutex::new(tasks.copied().collect());
    let next = || waiting.lock().unwrap().pop_front();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(task) = next() {
                    ends_by(task);
                }
            });
        }
    });
}

fn ends_by(task: Name) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let planted = folder.join("planted");
    let log = folder.join("log");
    let mut command = huizhen(folder, &["demo", "--drain-s", "0"]);
    command.env("HUIZHEN_PLANT_PANIC", format!("{task}@{}", planted.display()));
    if task == Name::RestCertificate {
        let made = run(huizhen(folder, &["init"]), "");
        assert!(made.status.success());
        command.env("HUIZHEN_REST_TLS_ADDR", "127.0.0.1:0");
        command.env("HUIZHEN_TLS_CERT", "data/tls/certificate.pem");
        command.env("HUIZHEN_TLS_KEY", "data/tls/key.pem");
    }
    if task == Name::RedisCluster {
        command.env("HUIZHEN_REDIS_URL", Cluster::shared().url());
    } else if task.as_str().starts_with("redis-") {
        command.env("HUIZHEN_REDIS_URL", Redis::shared().prefixed_url());
    }
    if task == Name::JournalLane {
        command.env(
            "HUIZHEN_DATABASE_URL",
            Postgres::shared().empty_database().unwrap(),
        );
    }
    let notified = folder.join("notified");
    // Stays bound while the process runs.
    let _systemd = (task == Name::Watchdog).then(|| {
        command.env("NOTIFY_SOCKET", &notified);
        command.env("WATCHDOG_USEC", "60000000");
        UnixDatagram::bind(&notified).unwrap()
    });
    let mut demo = Running::start_logging(command, File::create(&log).unwrap());
    let admin = place(&demo.wait_for("listening admin="), "admin");
    demo.wait_for("doctor.token");
    assert!(readiness(&admin).starts_with("HTTP/1.1 200"), "{task}");

    File::create(&planted).unwrap();
    let shown = work_until_it_fails(&admin, folder);
    assert_eq!(demo.end(), Some(1), "{task}");
    let log = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("a vital task panicked"))
        .collect();
    // Threads and lanes of one name may all meet the planted panic.
    assert!(!lines.is_empty(), "{task}:\n{log}");
    for line in lines {
        assert!(
            line.contains("ERROR") && line.contains(&format!("task={task} ")),
            "{line}"
        );
    }
    // Without its admin listener a process answers no probe at all.
    if task != Name::Admin {
        assert!(
            shown.contains(&format!("the vital task {task} failed")),
            "{task}: {shown}"
        );
    }
}

/// Uses every part of the server, so that each task has work, until /readyz names the failed task; its answer then.
fn work_until_it_fails(admin: &str, folder: &Path) -> String {
    let mut chat = Running::start(huizhen(folder, &["chat", "data/demo/patient.token"]));
    let begun = Instant::now();
    loop {
        let answer = readiness(admin);
        // A check may fail by the panic in the instant before the failure of the task is known.
        if answer.is_empty() || answer.contains("the vital task") {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "the process goes on");
        chat.type_line("a message");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The whole answer of /readyz; empty when nothing accepts.
fn readiness(admin: &str) -> String {
    let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(admin)
        && stream.write_all(request).is_ok()
    {
        // A connection that is cut leaves what came before.
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}
