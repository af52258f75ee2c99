//! `api-server`: the REST service.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use api_server::{Listeners, MediaPlace, Service, Settings};
use clap::Parser;
use database::Database;
use journal::Journal;
use program::{
    certificate::{Certificate, CertificateSettings},
    serve::Process,
    settings::{Common, MediaStore},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
Examples:
  api-server --database-url postgres://huizhen@db/huizhen --redis-url redis://redis:6379/0
  api-server --print-config";

/// The consequence of a missing --redis-url.
const ALONE: &str = "without --redis-url no im-server is known here and /im/servers stays empty; for everything in one process \
                     start `huizhen serve`";

/// The REST service: accounts, teams, consults, and where apps find their im-server
#[derive(Parser, Debug)]
#[command(name = "api-server", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    api: Settings,
    #[command(flatten)]
    certificate: CertificateSettings,
}

fn main() -> ExitCode {
    program::serve::main(std::env::args_os(), serve)
}

async fn serve(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let common = &arguments.common;
    let mut process = Process::start("api-server", common)?;
    let settings = Settings {
        media_hosts: common.media_hosts()?,
        media_place: MediaPlace::of(
            common.media_store.as_ref().unwrap_or(&MediaStore::None),
            Path::new("data"),
        ),
        ..arguments.api
    };
    let listeners = bind(&mut process, &settings, &arguments.certificate).await?;
    let process = process
        .open(Database::open(common.database_url()), Some(ALONE))
        .await?;

    let stores = process.stores().clone();
    let journal = Journal::new(stores.database.clone(), stores.backplane.clone());
    let service = Service::prepare(
        settings,
        stores.database,
        journal,
        stores.backplane,
        process.stop(),
    )
    .await?;
    process.run(service.serve(listeners)).await
}

async fn bind(
    process: &mut Process,
    settings: &Settings,
    certificate: &CertificateSettings,
) -> anyhow::Result<Listeners> {
    let plain = process.listen("rest", &settings.rest_addr).await?;
    let tls = match &settings.rest_tls_addr {
        Some(address) => {
            let files = certificate
                .files()
                .context("--rest-tls-addr needs a certificate: set --tls-cert and --tls-key")?;
            let certificate = Certificate::load(&files, &[])?;
            Some((process.listen("rest-tls", address).await?, certificate))
        }
        None => None,
    };
    Ok(Listeners { plain, tls })
}
