//! Listeners: binding, the accept loop, and the announcement.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};

use metrics_exporter_prometheus::PrometheusBuilder;
use program::{
    accept::{self, Door, Listener, Ports, bind},
    telemetry::LogFormat,
};
use telemetry::metric::Counter;
use tokio_util::sync::CancellationToken;

static FAILURES: Counter = Counter::new("sample_failures_total", "Accepts that failed");

/// A listener that answers by a script, and then waits for ever.
struct Scripted(VecDeque<Result<u32, i32>>);

impl Listener for Scripted {
    type Stream = u32;
    type Peer = ();

    async fn accept(&mut self) -> io::Result<(u32, ())> {
        match self.0.pop_front() {
            Some(Ok(stream)) => Ok((stream, ())),
            Some(Err(code)) => Err(io::Error::from_raw_os_error(code)),
            None => std::future::pending().await,
        }
    }
}

/// Log lines of the current thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_outage_has_one_line_and_a_peer_that_hangs_up_has_none() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let script = [
        Err(libc::ECONNABORTED),
        Ok(1),
        Err(libc::EMFILE),
        Err(libc::EMFILE),
        Ok(2),
        Err(libc::ENFILE),
        Err(libc::ECONNRESET),
        Ok(3),
    ];
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let door = Door {
        name: "im",
        remedy: "raise the open-file limit",
        failures: Some(&FAILURES),
    };
    let stop = CancellationToken::new();
    let mut accepted = Vec::new();
    let last = stop.clone();
    let take = |stream, ()| {
        accepted.push(stream);
        if stream == 3 {
            last.cancel();
        }
    };
    accept::run(Scripted(script.into()), door, stop, take).await;
    assert_eq!(accepted, [1, 2, 3]);
    let counted = recorder.handle().render();
    assert!(
        counted.contains(
            "sample_failures_total 3
"
        ),
        "only failures of the listener count: {counted}"
    );
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("ERROR") && text.contains("raise the open-file limit"),
        "{text}"
    );
}

#[tokio::test]
async fn an_address_in_use_names_the_flag() {
    let first = bind("--im-addr", "127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let error = bind("--im-addr", address).await.unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("in use") && error.contains("--im-addr"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_address_of_this_machine_is_refused_with_the_flag() {
    for bad in ["203.0.113.7:9501", "nonsense", "127.0.0.1:99999", ""] {
        let error = format!("{:#}", bind("--rest-addr", bad).await.unwrap_err());
        assert!(error.contains("--rest-addr"), "{bad}: {error}");
    }
}

#[tokio::test]
async fn the_ports_file_appears_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ports.json");
    let im = bind("--im-addr", "127.0.0.1:0").await.unwrap();
    let rest = bind("--rest-addr", "localhost:0").await.unwrap();
    let mut ports = Ports::default();
    ports.add("rest", &rest).unwrap();
    ports.add("im", &im).unwrap();
    ports.announce(Some(&file), LogFormat::Text).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(read["im"], im.local_addr().unwrap().to_string());
    assert_eq!(read["rest"], rest.local_addr().unwrap().to_string());
    assert_eq!(read.as_object().unwrap().len(), 2);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    let error = ports
        .announce(Some(std::path::Path::new("/nowhere/ports.json")), LogFormat::Json)
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere/ports.json"), "{error}");
}
