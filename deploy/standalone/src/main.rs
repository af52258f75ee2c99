//! `huizhen`: everything in one process, and the commands around it.

// `println!` panics when its reader has gone away.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod access;
mod command;
mod operator_channel;
mod standalone;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};
use program::{complain, output};

use crate::command::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = command::with_default(std::env::args_os().collect::<Vec<OsString>>());
    let matches = program::settings::read(Cli::command(), &arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli).and_then(|code| output::finish().map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            complain!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // Fails only when a provider is there already, and this is the first that a process does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let code = runtime.block_on(cli.command.run())?;
    // A thread that reads standard input cannot be ended; it must not keep the process.
    runtime.shutdown_background();
    Ok(code)
}
