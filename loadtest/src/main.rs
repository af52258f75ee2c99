//! The `loadtest` program.

use std::process::ExitCode;

use clap::Parser;
use loadtest::arguments::{Arguments, Command};
use loadtest::generator::crowd;
use loadtest::server::{relay, system};
use loadtest::workload;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<ExitCode> {
    system::raise_open_files()?;
    // Only one provider is compiled in; a second install would be an error that changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // The relay ends by SIGTERM as a server does, and well.
    if let Command::Relay(relay) = arguments.command {
        runtime.block_on(relay::run(relay))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Crowd(_) = arguments.command {
        runtime.block_on(Box::pin(crowd::process::run()))?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            passed = Box::pin(workload::run(arguments)) => {
                Ok(if passed? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            // Dropping the workload ends the server that it started.
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
            _ = terminate.recv() => Err(anyhow::anyhow!("terminated")),
        }
    })
}
