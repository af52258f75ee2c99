//! `huizhen completions`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen completions bash > huizhen.bash
  huizhen completions zsh > _huizhen";

/// Which shell.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the completions.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "huizhen", &mut text);
    program::output::text(&String::from_utf8(text)?);
    Ok(ExitCode::SUCCESS)
}
