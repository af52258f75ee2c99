//! `api-server`: the REST service.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Context;
use api_server::{Service, Settings};
use backplane::{Backplane, Identity};
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use database::Database;
use journal::Journal;
use program::{
    admin::{self, About, Readiness},
    listener::{self, Ports},
    open_files,
    settings::Common,
    shutdown, telemetry, wall_clock,
};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The database when none is set.
const DEFAULT_DATABASE: &str = "sqlite://data/huizhen.db";

const EXAMPLES: &str = "\
Examples:
  api-server --database-url postgres://huizhen@db/huizhen --redis-url redis://redis:6379/0
  api-server --print-config";

/// The REST service: accounts, teams, consults, and where apps find their im-server
#[derive(Parser, Debug)]
#[command(name = "api-server", version, after_help = EXAMPLES)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

#[derive(Args, Debug)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    api: Settings,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = program::settings::read(Program::command(), &arguments);
    let program = Program::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match start(program.arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            program::complain!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    // Fails only when a provider is there already, and this is the first that a process does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(Box::pin(serve(arguments)))
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let metrics = telemetry::start_server("api-server", arguments.common.log)?;
    wall_clock::refuse_past()?;
    let signal = shutdown::on_signal()?;
    if let Err(error) = open_files::raise() {
        tracing::warn!(%error, "the open-file limit cannot be raised");
    }

    let mut ports = Ports::default();
    let rest = listener::bind("--rest-addr", &arguments.api.rest_addr).await?;
    ports.add("rest", &rest)?;
    let admin = listener::bind("--admin-addr", &arguments.common.admin_addr).await?;
    ports.add("admin", &admin)?;
    let url = arguments.common.database_url.as_deref();
    let database = Database::open(url.unwrap_or(DEFAULT_DATABASE)).await?;
    let fleet = database.fleet().await?;
    let backplane = match &arguments.common.redis_url {
        Some(url) => Backplane::open(url, &Identity::new(fleet.id, fleet.key)).await?,
        None => {
            tracing::warn!(
                "without --redis-url no im-server is known here and /im/servers stays empty; for everything in one \
                 process start `huizhen serve`"
            );
            Backplane::memory()
        }
    };

    let journal = Journal::new(database.clone(), backplane.clone());
    let service = Service::prepare(
        arguments.api,
        database.clone(),
        journal,
        backplane.clone(),
        signal.clone(),
    )
    .await?;
    let about = About::new("api-server", fleet.id_text(), &ports);
    let readiness = readiness(&database, &backplane).with_about(about);
    let stop_admin = CancellationToken::new();
    tokio::spawn(admin::serve(
        admin,
        metrics,
        readiness.clone(),
        stop_admin.clone(),
    ));
    let drain = readiness.clone();
    let asked = signal.clone();
    tokio::spawn(async move {
        asked.cancelled().await;
        drain.drain();
    });
    ports.announce(arguments.common.ports_file.as_deref(), arguments.common.log)?;

    let served = service.serve(rest).await;
    stop_admin.cancel();
    database.close().await;
    served
}

fn readiness(database: &Database, backplane: &Backplane) -> Readiness {
    let database = database.clone();
    let backplane = backplane.clone();
    Readiness::builder()
        .require("database", move || {
            let database = database.clone();
            async move { database.is_ready().await }
        })
        .degrade("backplane", move || {
            let backplane = backplane.clone();
            async move {
                let available = backplane.is_available().await;
                if available {
                    Ok(())
                } else {
                    Err("cannot be reached".into())
                }
            }
        })
        .build()
}
