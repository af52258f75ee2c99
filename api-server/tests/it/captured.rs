//! The log lines of this process.

use std::{
    collections::BTreeSet,
    fmt,
    io::Write,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, filter::LevelFilter, fmt::MakeWriter, layer::Context, layer::SubscriberExt,
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
        let written = tracing_subscriber::fmt::layer().with_writer(log.clone());
        tracing_subscriber::registry()
            .with(LevelFilter::TRACE)
            .with(written)
            .with(Statements)
            .init();
        log
    })
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
