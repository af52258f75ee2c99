//! The log lines of this process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Write,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::Context,
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// Everything that this process logs from the first use on.
#[derive(Clone, Default)]
pub struct Log(pub Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// The log, from the first call on.
pub fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let all = Targets::new().with_default(LevelFilter::TRACE);
        layers().filter.reload(all).unwrap();
        let written = tracing_subscriber::fmt::layer().with_writer(log.clone());
        layers().written.reload(Some(written.boxed())).unwrap();
        log
    })
}

type Filter = reload::Layer<Targets, Registry>;
type Inner = tracing_subscriber::layer::Layered<Filter, Registry>;
type Written = Option<Box<dyn Layer<Inner> + Send + Sync>>;

/// The layers that [`log`] opens: races of a hundred thousand rounds must not keep every line.
struct Layers {
    filter: reload::Handle<Targets, Registry>,
    written: reload::Handle<Written, Inner>,
}

fn layers() -> &'static Layers {
    static LAYERS: OnceLock<Layers> = OnceLock::new();
    LAYERS.get_or_init(|| {
        let (filtering, filter) = Filter::new(Targets::new().with_target("api_server", Level::DEBUG));
        let (writing, written) = reload::Layer::new(Written::None);
        tracing_subscriber::registry()
            .with(filtering)
            .with(writing)
            .with(Statements)
            .with(Outages)
            .init();
        Layers { filter, written }
    })
}

static OUTAGES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Keeps from now on why requests are answered 503.
pub fn outages() {
    layers();
}

/// Why a request was answered 503, which only the log says.
pub fn outage(request_id: &str) -> Option<String> {
    OUTAGES.lock().get(request_id).cloned()
}

struct Outages;

impl<S: Subscriber> Layer<S> for Outages {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut outage = Outage::default();
        if event.metadata().target() == "api_server" {
            event.record(&mut outage);
        }
        if outage.message == "a request met an outage" {
            OUTAGES.lock().insert(outage.request_id, outage.inner);
        }
    }
}

#[derive(Default)]
struct Outage {
    message: String,
    request_id: String,
    inner: String,
}

impl Visit for Outage {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "request_id" => value.clone_into(&mut self.request_id),
            "inner" => value.clone_into(&mut self.inner),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The SQL that ran since [`log`] was called first.
pub fn statements() -> Vec<String> {
    STATEMENTS.lock().iter().cloned().collect()
}

struct Statements;

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "database::statement" {
            event.record(&mut Statement);
        }
    }
}

struct Statement;

impl Visit for Statement {
    fn record_str(&mut self, _: &Field, sql: &str) {
        STATEMENTS.lock().insert(sql.to_owned());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
