//! The demo's clock: windows for withdrawals, through the real program, whatever the machine's zone. And a machine's clock
//! that steps.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use proto::{
    client::{Address, Connection},
    wire::{
        ClientFrame, ErrorCode, Login, Platform, Recall, client_frame::Body as Request, server_frame::Body,
    },
};
use serde_json::{Value, json};

use crate::process::{PATIENCE, Running, huizhen, run, shim, text};

/// A GET of the demo's first doctor.
fn get(folder: &Path, path: &str) -> Value {
    let token = fs::read(folder.join("data/demo/doctor.token")).unwrap();
    let access: Value = serde_json::from_slice(&token).unwrap();
    let address = access["api"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let token = access["access_token"].as_str().unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nx-auth-token: {token}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["result"].clone()
}

/// Waits for a window; the ones before it may be `before` only.
fn wait_for_window(folder: &Path, before: &Value, wanted: &Value) {
    let team = get(folder, "/team/my_list")[0]["team_id"].clone();
    let begun = Instant::now();
    loop {
        let window = get(folder, &format!("/team/{team}/income"))["window"].clone();
        if window == *wanted {
            return;
        }
        assert_eq!(window, *before);
        assert!(begun.elapsed() < PATIENCE, "{window}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_demo_starts_at_a_time_and_its_clock_goes_on_in_any_zone() {
    let window = |open: bool, from_ms: i64| {
        let to_ms = from_ms + 5 * 24 * 3_600_000;
        json!({"open": open, "from_ms": from_ms, "to_ms": to_ms})
    };
    // 00:00 on the first of December and of January in Beijing.
    let (december, january) = (1_796_054_400_000, 1_798_732_800_000);
    for (zone, now, before, after) in [
        (
            "UTC",
            "2026-12-05T23:59:59+08:00",
            window(true, december),
            window(false, january),
        ),
        (
            "Asia/Shanghai",
            "2026-11-30T23:59:59+08:00",
            window(false, december),
            window(true, december),
        ),
        // The first moment of the window.
        (
            "America/New_York",
            "2026-11-30T11:00:00-05:00",
            window(true, december),
            window(true, december),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = huizhen(folder.path(), &["demo", "--now", now]);
        command.env("TZ", zone);
        let mut demo = Running::start(command);
        demo.wait_for("doctor.token");
        wait_for_window(folder.path(), &before, &after);
        demo.signal("TERM");
        assert_eq!(demo.end(), Some(0));
    }
}

#[test]
fn a_time_needs_its_zone_and_no_other_command_has_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (
            &["demo", "--now", "2026-12-01T00:00:00"][..],
            "expected a time with its zone",
        ),
        (
            &["serve", "--now", "2026-12-01T00:00:00+08:00"],
            "unexpected argument '--now'",
        ),
    ] {
        let refused = run(huizhen(folder.path(), arguments), "");
        assert_eq!(refused.status.code(), Some(2));
        let error = text(&refused.stderr);
        assert!(error.contains(said), "{error}");
    }
}

/// Adds the seconds that stand in a file to the wall clock of a process.
const STEPS: &str = "#define _GNU_SOURCE
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <time.h>
    static volatile int64_t *ahead_s;
    __attribute__((constructor)) static void begin(void) {
        int file = open(getenv(\"AHEAD_FILE\"), O_RDONLY);
        void *place = mmap(0, sizeof *ahead_s, PROT_READ, MAP_SHARED, file, 0);
        if (place != MAP_FAILED) ahead_s = place;
    }
    int clock_gettime(clockid_t clock, struct timespec *now) {
        int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, \"clock_gettime\");
        int status = real(clock, now);
        if (clock == CLOCK_REALTIME && ahead_s) now->tv_sec += *ahead_s;
        return status;
    }";

// protocol: "lists the live nodes, the least loaded first"
// protocol: "recall of one's own message | within 2 minutes"
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_steps_hides_no_node_spoils_no_password_and_keeps_the_time_for_recalls() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ahead = folder.join("ahead");
    // Never shorter than what the server has mapped.
    fs::write(&ahead, [0; 8]).unwrap();
    let file = fs::File::options().write(true).open(&ahead).unwrap();
    let step = |seconds: i64| file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    let mut command = huizhen(folder, &["demo"]);
    command.env("LD_PRELOAD", shim(folder, STEPS));
    command.env("AHEAD_FILE", &ahead);
    let mut demo = Running::start(command);
    demo.wait_for("doctor.token");
    for hours in [3, -3, 0] {
        let ahead_s = hours * 3_600;
        step(ahead_s);
        let servers = get(folder, "/im/servers");
        assert_eq!(servers.as_array().unwrap().len(), 1, "{hours} h ahead: {servers}");
        let mut app = Running::start(huizhen(folder, &["chat", "data/demo/doctor.token", "--json"]));
        let mut is_refused = false;
        app.wait_for_event("synced", |event| {
            is_refused |= event["word"] == "auth_failed";
            event["event"] == "synced"
        });
        assert!(!is_refused, "{hours} h ahead");
        let mut send = |text: &str| {
            app.type_line(text);
            app.wait_for_event("sent", |event| event["event"] == "sent")
        };
        let (soon, late) = (send("recalled soon"), send("recalled late"));
        assert_eq!(recall(folder, &soon).await, Ok(()), "{hours} h ahead");
        step(ahead_s + 180);
        assert_eq!(
            recall(folder, &late).await,
            Err(ErrorCode::Forbidden),
            "{hours} h ahead"
        );
    }
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
}

/// Recalls a message of the demo's first doctor, on a connection of its own.
async fn recall(folder: &Path, sent: &Value) -> Result<(), ErrorCode> {
    let token = fs::read(folder.join("data/demo/doctor.token")).unwrap();
    let access: Value = serde_json::from_slice(&token).unwrap();
    let server = &get(folder, "/im/servers")[0];
    let address = format!("{}:{}", server["ip"].as_str().unwrap(), server["port"]);
    let mut connection = Connection::connect(&Address::tcp(address.parse().unwrap()))
        .await
        .unwrap();
    let login = Login {
        protocol_version: proto::PROTOCOL_VERSION,
        user_id: access["user_id"].as_i64().unwrap(),
        password: get(folder, "/im/password")["password"]
            .as_str()
            .unwrap()
            .to_owned(),
        device_id: access["device_id"].as_str().unwrap().to_owned(),
        platform: Platform::Web as i32,
        ..Login::default()
    };
    let recall = Recall {
        conversation_id: sent["conversation_id"].as_i64().unwrap(),
        seq: sent["seq"].as_i64().unwrap(),
    };
    for (request_id, body) in [(1, Request::Login(login)), (2, Request::Recall(recall))] {
        let body = Some(body);
        connection.send(&ClientFrame { request_id, body }).await.unwrap();
    }
    loop {
        let frame = tokio::time::timeout(PATIENCE, connection.receive())
            .await
            .unwrap();
        match frame.unwrap().unwrap().body {
            Some(Body::RecallOk(_)) => return Ok(()),
            Some(Body::Error(error)) => return Err(error.code()),
            Some(Body::Bye(bye)) => panic!("{bye:?}"),
            _ => {}
        }
    }
}
