//! `im-server`: one TCP node of a fleet.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use anyhow::Context;
use backplane::{Backplane, Identity};
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use database::Database;
use im_server::{Listeners, Node, Settings};
use program::{
    admin::{self, About, Readiness},
    listener::{self, Ports},
    memory, open_files,
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
  im-server --database-url postgres://huizhen@db/huizhen --redis-url redis://redis:6379/0
  im-server --print-config";

/// One node of the instant-messaging fleet: it takes logins of apps and delivers what people write
#[derive(Parser, Debug)]
#[command(name = "im-server", version, after_help = EXAMPLES)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

#[derive(Args, Debug)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    im: Settings,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = program::settings::read(Program::command(), &arguments);
    let program = Program::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match start(&program.arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            program::complain!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> anyhow::Result<()> {
    // Fails only when a provider is there already, and this is the first that a process does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(Box::pin(serve(arguments)))
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let metrics = telemetry::start_server("im-server", arguments.common.log)?;
    wall_clock::refuse_past()?;
    let signal = shutdown::on_signal()?;
    if let Err(error) = open_files::raise() {
        tracing::warn!(%error, "the open-file limit cannot be raised");
    }
    if let Err(error) = memory::use_small_pages() {
        tracing::warn!(%error, "huge pages cannot be switched off; connections cost more memory");
    }

    let (mut ports, listeners) = bind(&arguments.im).await?;
    let admin = listener::bind("--admin-addr", &arguments.common.admin_addr).await?;
    ports.add("admin", &admin)?;
    let url = arguments.common.database_url.as_deref();
    let database = Database::open_when_migrated(url.unwrap_or(DEFAULT_DATABASE)).await?;
    let fleet = database.fleet().await?;
    let backplane = match &arguments.common.redis_url {
        Some(url) => Backplane::open(url, &Identity::new(fleet.id, fleet.key)).await?,
        None => {
            tracing::warn!(
                "without --redis-url nobody can log in: the IM passwords that an api-server gives out reach this node \
                 over Redis; for everything in one process start `huizhen serve`"
            );
            Backplane::memory()
        }
    };

    let node = Node::start(&arguments.im, database.clone(), backplane.clone(), listeners).await?;
    let about = About::new("im-server", fleet.id_text(), &ports);
    let readiness = readiness(&database, &backplane).with_about(about);
    let stop_admin = CancellationToken::new();
    tokio::spawn(admin::serve(
        admin,
        metrics,
        readiness.clone(),
        stop_admin.clone(),
    ));
    ports.announce(arguments.common.ports_file.as_deref(), arguments.common.log)?;

    signal.cancelled().await;
    readiness.drain();
    node.drain(Duration::from_secs(arguments.im.drain_s.into())).await;
    stop_admin.cancel();
    database.close().await;
    Ok(())
}

async fn bind(settings: &Settings) -> anyhow::Result<(Ports, Listeners)> {
    let mut ports = Ports::default();
    let tcp = listener::bind("--im-addr", &settings.im_addr).await?;
    ports.add("im", &tcp)?;
    let ws = listener::bind("--ws-addr", &settings.ws_addr).await?;
    ports.add("ws", &ws)?;
    let tls = match &settings.tls_cert {
        Some(_) => {
            let tls = listener::bind("--tls-addr", &settings.tls_addr).await?;
            ports.add("tls", &tls)?;
            Some(tls)
        }
        None => None,
    };
    let ws = Some(ws);
    Ok((ports, Listeners { tcp, ws, tls }))
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
