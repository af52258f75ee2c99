use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use program::{
    accept::{self, Ports},
    admin::{self, About, Readiness},
    telemetry::{self, LogFormat},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

::telemetry::catalogue! {
    SAMPLES: Counter("huizhen_sample_total", "Samples");
    SAMPLE_S: Histogram("huizhen_sample_seconds", "Durations of samples, s");
}

/// How long anything awaited may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

#[tokio::test]
async fn readiness_is_what_the_checks_say() {
    let metrics = telemetry::start(LogFormat::Text, "info").unwrap();
    let database = Arc::new(AtomicBool::new(true));
    let backplane = Arc::new(AtomicBool::new(true));
    let check = |flag: &Arc<AtomicBool>| {
        let flag = Arc::clone(flag);
        move || {
            let well = flag.load(Ordering::Relaxed);
            async move { if well { Ok(()) } else { Err("away".to_owned()) } }
        }
    };
    let readiness = Readiness::builder()
        .require("database", check(&database))
        .degrade("backplane", check(&backplane))
        .build();
    let mut ports = Ports::default();
    ports
        .add("im", &accept::bind("--im-addr", "127.0.0.1:0").await.unwrap())
        .unwrap();
    let what = About::new("sample", "0123456789abcdef".into(), &ports);
    assert_eq!(what.pid, std::process::id());
    let readiness = readiness.with_about(what.clone());
    let socket = accept::bind("--admin-addr", "127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(admin::serve(socket, metrics, readiness.clone(), shutdown.clone()));

    assert_eq!(get(address, "/livez").await, (200, "alive\n".into()));
    assert_eq!(get(address, "/readyz").await, (200, "ready\n".into()));
    assert_eq!(get(address, "/nothing").await.0, 404);
    backplane.store(false, Ordering::Relaxed);
    assert_eq!(
        get(address, "/readyz?verbose").await,
        (200, "database: ok\nbackplane: degraded: away\nready\n".into())
    );
    database.store(false, Ordering::Relaxed);
    assert_eq!(get(address, "/readyz").await, (503, "not ready\n".into()));
    let (status, report) = get(address, "/readyz?verbose=1").await;
    assert_eq!(status, 503);
    assert!(report.contains("database: failed: away\n"), "{report}");
    database.store(true, Ordering::Relaxed);
    assert_eq!(get(address, "/readyz").await.0, 200);
    readiness.drain();
    let (status, report) = get(address, "/readyz?verbose").await;
    assert_eq!(status, 503);
    assert!(report.starts_with("draining"), "{report}");
    assert_eq!(get(address, "/livez").await.0, 200, "a draining process lives");

    SAMPLES.add(3);
    SAMPLE_S.record(0.0015);
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "huizhen_sample_total 3",
        "huizhen_sample_seconds_bucket{le=\"0.002\"} 1",
        "huizhen_sample_seconds_bucket{le=\"0.001\"} 0",
        "huizhen_im_byes_total{reason=\"BYE_REASON_SLOW\"} 0",
        "# TYPE huizhen_process_cpu_seconds_total counter",
        "huizhen_process_cpu_seconds_total ",
        "huizhen_process_resident_memory_bytes ",
        "huizhen_process_open_fds ",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert_eq!(
            family.ends_with(" counter"),
            family.contains("_total "),
            "{family}"
        );
    }
    assert_eq!(
        text.matches("\nhuizhen_process_cpu_seconds_total ").count(),
        1,
        "{text}"
    );
    let (status, about) = get(address, "/about").await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<About>(&about).unwrap(), what);

    shutdown.cancel();
    tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_others_served() {
    let metrics = telemetry::start(LogFormat::Text, "info").unwrap();
    let socket = accept::bind("--admin-addr", "127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(admin::serve(
        socket,
        metrics,
        Readiness::default(),
        shutdown.clone(),
    ));
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut over = TcpStream::connect(address).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, over.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    silent.pop();
    let served = async {
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream
                .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await;
            let mut answer = String::new();
            if stream.read_to_string(&mut answer).await.is_ok() && answer.contains("alive") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
    shutdown.cancel();
}
