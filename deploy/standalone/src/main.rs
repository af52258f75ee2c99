//! `huizhen`: everything in one process, and the commands around it.

// `println!` panics when its reader has gone away.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod access;
mod command;
mod operator_channel;
mod settings;
mod standalone;

use std::process::ExitCode;

use crate::command::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = command::with_default(std::env::args_os().collect());
    program::serve::main(arguments, |cli: Cli| cli.command.run())
}
