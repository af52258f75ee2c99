//! A process from its first line to its exit status.
//!
//! [`main`] reads the settings and starts the runtime. A [`Process`] has logs, metrics and signals; it binds listeners,
//! [`Process::open`] connects it to database and backplane, and [`Process::run`] serves until a signal.

mod kind;
mod shutdown;
mod stores;

use std::{ffi::OsString, future::Future, process::ExitCode, time::Duration};

use ::telemetry::{
    events::program::Event,
    task::{self, Name, Stopped},
};
use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};
use database::Database;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    accept::{self, Ports},
    admin::{self, About, Readiness},
    complain,
    machine::{memory, open_files, wall_clock},
    output, settings,
    settings::Common,
    telemetry,
};

pub use stores::Stores;

/// The deadline of a drain after the failure of a vital task, which the drain may wait for in vain.
const FAILED_DRAIN: Duration = Duration::from_secs(10);
/// How long /readyz shows the failure of a vital task before the process ends: a probe each second sees it.
const FAILURE_SHOWN: Duration = Duration::from_secs(2);
/// The longest wait for the database after the failure of a vital task.
const FAILED_CLOSE: Duration = Duration::from_secs(3);

/// Reads the settings of this process, carries out `run` on a runtime, and returns the exit status. A failure is printed
/// as one line.
pub fn main<P, F>(arguments: impl IntoIterator<Item = OsString>, run: impl FnOnce(P) -> F) -> ExitCode
where
    P: CommandFactory + FromArgMatches,
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let matches = settings::read(P::command(), &arguments);
    let parsed = P::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match on_runtime(run(parsed)).and_then(|code| output::finish().map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            complain!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // Fails only where a provider is installed already, and nothing ran before this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let outcome = runtime.block_on(Box::pin(work));
    // A thread that reads standard input never ends, and must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// A server that has started and does not serve yet.
pub struct Process {
    program: &'static str,
    common: Common,
    metrics: PrometheusHandle,
    ports: Ports,
    stop: CancellationToken,
}

impl Process {
    /// Starts logs and metrics, handles signals and raises the open-file limit.
    ///
    /// # Errors
    /// When the wall clock is in the past, or RUST_LOG is invalid.
    pub fn start(program: &'static str, common: &Common) -> anyhow::Result<Self> {
        let metrics = telemetry::start(common.log, telemetry::DEFAULT_FILTER)?;
        tracing::info!(
            program,
            version = env!("CARGO_PKG_VERSION"),
            commit = crate::COMMIT,
            pid = std::process::id(),
            settings = settings::in_force(),
            "starting"
        );
        wall_clock::refuse_past()?;
        let stop = shutdown::on_signal()?;
        if let Err(error) = open_files::raise() {
            tracing::warn!(%error, "the open-file limit cannot be raised");
        }
        Ok(Self {
            program,
            common: common.clone(),
            metrics,
            ports: Ports::default(),
            stop,
        })
    }

    /// Prepares the memory of this process for very many small allocations, such as connections.
    pub fn use_small_pages(&self) {
        if let Err(error) = memory::use_small_pages() {
            tracing::warn!(%error, "huge pages cannot be disabled; connections cost more memory");
        }
    }

    /// Binds the listener `name`, whose address the setting `--NAME-addr` holds.
    ///
    /// # Errors
    /// When the address cannot be bound; the error names the setting.
    pub async fn listen(&mut self, name: &'static str, address: &str) -> anyhow::Result<TcpListener> {
        let listener = accept::bind(&format!("--{name}-addr"), address).await?;
        self.ports.add(name, &listener)?;
        Ok(listener)
    }

    /// The address of a listener that [`Self::listen`] has bound.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Cancelled by the first signal: drain, then end.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Binds the admin listener, opens the database, and connects to the backplane that the settings name. Without one,
    /// `alone` is logged as a warning: the consequence for this program.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub async fn open(
        mut self,
        database: impl Future<Output = Result<Database, database::Error>>,
        alone: Option<&str>,
    ) -> anyhow::Result<Connected> {
        let address = self.common.admin_addr.clone();
        let admin = self.listen("admin", &address).await?;
        let stores = Stores::open(database, self.common.redis_url.as_deref(), alone).await?;
        Ok(Connected {
            process: self,
            admin,
            stores,
        })
    }
}

/// A [`Process`] with database and backplane.
pub struct Connected {
    process: Process,
    admin: TcpListener,
    stores: Stores,
}

impl Connected {
    /// Database and backplane.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Cancelled by the first signal: drain, then end.
    pub fn stop(&self) -> CancellationToken {
        self.process.stop()
    }

    /// The listeners.
    pub fn ports(&self) -> &Ports {
        &self.process.ports
    }

    /// Serves the admin endpoints, announces the listeners, and waits for `work`: it serves until [`Self::stop`], drains
    /// and ends. The process is unready from then on. At the end the database is closed.
    ///
    /// A vital task that fails begins the drain as a signal does, with a deadline, and ends the process as failed.
    ///
    /// # Errors
    /// Those of `work`, and when the listeners cannot be announced.
    pub async fn run(self, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
        let Self {
            process,
            admin,
            stores,
        } = self;
        let about = About::new(process.program, stores.fleet_id.clone(), &process.ports);
        let readiness = stores.readiness().with_about(about);
        let stop_admin = CancellationToken::new();
        let serving = admin::serve(admin, process.metrics, readiness.clone(), stop_admin.clone());
        let serving = task::vital(Name::Admin, async move {
            serving.await;
            Stopped
        });
        process
            .ports
            .announce(process.common.ports_file.as_deref(), process.common.log)?;
        let worked = tokio::select! {
            worked = draining(work, &process.stop, &readiness) => Some(worked),
            () = fail(&process.stop) => None,
        };
        readiness.drain();
        if task::failed().is_some() {
            tokio::time::sleep(FAILURE_SHOWN).await;
        }
        stop_admin.cancel();
        let _ = serving.await;
        match (task::failed(), worked) {
            (None, Some(worked)) => {
                stores.database.close().await;
                if let Err(error) = &worked {
                    let kind = kind::of(error);
                    Event::ProcessFailed {
                        kind,
                        error: &format!("{error:#}"),
                    }
                    .emit();
                }
                worked.map(|()| ExitCode::SUCCESS)
            }
            // The failure has its line in the log.
            _ => {
                let _ = tokio::time::timeout(FAILED_CLOSE, stores.database.close()).await;
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

/// Waits for `work`, and makes the process unready once its drain begins.
async fn draining(
    work: impl Future<Output = anyhow::Result<()>>,
    stop: &CancellationToken,
    readiness: &Readiness,
) -> anyhow::Result<()> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        worked = &mut work => return worked,
        () = stop.cancelled() => readiness.drain(),
    }
    work.await
}

/// Waits for the failure of a vital task, begins the drain, and returns after its deadline.
async fn fail(stop: &CancellationToken) {
    task::failure().await;
    stop.cancel();
    tokio::time::sleep(FAILED_DRAIN).await;
}
