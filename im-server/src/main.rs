//! `im-server`: one TCP node of a fleet.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use database::Database;
use im_server::{Listeners, Node, Settings};
use program::{address::ProxySettings, serve::Process, settings::Common};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
Examples:
  im-server --database-url postgres://huizhen@db/huizhen --redis-url redis://redis:6379/0
  im-server --print-config";

/// The consequence of a missing --redis-url.
const ALONE: &str = "without --redis-url nobody can log in: the IM passwords that an api-server gives out reach this node over \
                     Redis; for everything in one process start `huizhen serve`";

/// One node of the instant-messaging fleet: it takes logins of apps and delivers what people write
#[derive(Parser, Debug)]
#[command(name = "im-server", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    im: Settings,
    #[command(flatten)]
    proxies: ProxySettings,
}

fn main() -> ExitCode {
    program::serve::main(std::env::args_os(), serve)
}

async fn serve(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let mut process = Process::start("im-server", common)?;
    process.use_small_pages();
    let settings = Settings {
        trusted_proxies: arguments.proxies.trusted_proxies,
        media_hosts: common.media_hosts()?,
        checks_media: common.keeps_media(),
        ..arguments.im
    };
    let listeners = bind(&mut process, &settings).await?;
    let database = Database::open_when_migrated(common.database_url());
    let process = process.open(database, Some(ALONE)).await?;

    let stores = process.stores().clone();
    let node = Node::start(&settings, stores.database, stores.backplane, listeners).await?;
    let stop = process.stop();
    let work = async move {
        stop.cancelled().await;
        node.drain(Duration::from_secs(settings.drain_s.into())).await;
        Ok(())
    };
    Box::pin(process.run(work)).await
}

async fn bind(process: &mut Process, settings: &Settings) -> anyhow::Result<Listeners> {
    Ok(Listeners {
        tcp: process.listen("im", &settings.im_addr).await?,
        ws: Some(process.listen("ws", &settings.ws_addr).await?),
        tls: match &settings.tls_cert {
            Some(_) => Some(process.listen("tls", &settings.tls_addr).await?),
            None => None,
        },
    })
}
