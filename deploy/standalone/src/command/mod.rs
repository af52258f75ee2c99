//! The subcommands, one file or folder each.

mod chat;
mod check;
mod completions;
mod database;
mod demo;
mod frame;
mod init;
mod operator;
mod serve;

use std::{ffi::OsString, process::ExitCode};

use self::database::{backup, copy, migrate, reconcile, restore};
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  huizhen                                serve, data in ./data
  huizhen demo                           serve with accounts to try
  huizhen chat data/demo/patient.token   talk as one of them
  huizhen serve --help                   all settings";

/// Instant messaging for medical consults: everything in one process, and the commands around it
#[derive(clap::Parser, Debug)]
#[command(name = "huizhen", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Serve everything in this process (the default)
    #[command(after_help = serve::EXAMPLES)]
    Serve(Box<Settings>),
    /// Serve on loopback with accounts and an open consult to try things with
    #[command(after_help = demo::EXAMPLES, mut_arg("data", |data| data.default_value("data/demo")))]
    Demo(Box<demo::Arguments>),
    /// Talk in a consult from a terminal
    #[command(after_help = chat::EXAMPLES)]
    Chat(chat::Arguments),
    /// Make a data folder, a commented settings file and a development certificate
    #[command(after_help = init::EXAMPLES)]
    Init(init::Arguments),
    /// Check settings, database, ports, limits, clock, disk and certificate, and print remedies
    #[command(after_help = check::EXAMPLES)]
    Check(Box<check::Arguments>),
    /// Migrate the database's schema to the version of this program
    #[command(after_help = migrate::EXAMPLES)]
    Migrate(Box<migrate::Arguments>),
    /// Manage the accounts of operators
    #[command(subcommand, after_help = operator::EXAMPLES)]
    Operator(operator::Command),
    /// Copy the database file to a new file, also while a server runs
    #[command(after_help = backup::EXAMPLES)]
    Backup(Box<backup::Arguments>),
    /// Start from a backup, or from a database that PostgreSQL's tools have restored
    #[command(after_help = restore::EXAMPLES)]
    Restore(Box<restore::Arguments>),
    /// Copy a database file to PostgreSQL, and compare counts and checksums
    #[command(after_help = copy::EXAMPLES)]
    Copy(copy::Arguments),
    /// Prove that the books balance, also while a server runs
    #[command(after_help = reconcile::EXAMPLES)]
    Reconcile(Box<reconcile::Arguments>),
    /// Decode frames of the wire
    #[command(subcommand)]
    Frame(frame::Command),
    /// Print the completions of a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Arguments),
}

impl Command {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve(arguments) => Box::pin(serve::run(*arguments)).await,
            Self::Demo(arguments) => Box::pin(demo::run(*arguments)).await,
            Self::Chat(arguments) => Box::pin(chat::run(arguments)).await,
            Self::Init(arguments) => init::run(&arguments),
            Self::Check(arguments) => Box::pin(check::run(*arguments)).await,
            Self::Migrate(arguments) => Box::pin(migrate::run(*arguments)).await,
            Self::Operator(command) => Box::pin(operator::run(command)).await,
            Self::Backup(arguments) => Box::pin(backup::run(*arguments)).await,
            Self::Restore(arguments) => Box::pin(restore::run(*arguments)).await,
            Self::Copy(arguments) => Box::pin(copy::run(arguments)).await,
            Self::Reconcile(arguments) => Box::pin(reconcile::run(*arguments)).await,
            Self::Frame(command) => frame::run(&command),
            Self::Completions(arguments) => completions::run(&arguments),
        }
    }
}

/// Inserts `serve` where the arguments name no subcommand.
pub(crate) fn with_default(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).and_then(|argument| argument.to_str());
    let names_nothing = match first {
        None => arguments.len() <= 1,
        Some("-h" | "--help" | "-V" | "--version") => false,
        Some(first) => first.starts_with('-'),
    };
    if names_nothing {
        arguments.insert(1.min(arguments.len()), "serve".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        let with = |arguments: &[&str]| -> Vec<String> {
            with_default(arguments.iter().map(Into::into).collect())
                .into_iter()
                .map(|argument| argument.into_string().unwrap())
                .collect()
        };
        assert_eq!(with(&["huizhen"]), ["huizhen", "serve"]);
        assert_eq!(
            with(&["huizhen", "--data", "x"]),
            ["huizhen", "serve", "--data", "x"]
        );
        assert_eq!(with(&["huizhen", "--help"]), ["huizhen", "--help"]);
        assert_eq!(with(&["huizhen", "chat", "-x"]), ["huizhen", "chat", "-x"]);
    }
}
