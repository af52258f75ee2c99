//! Settings: a TOML file, then the environment, then flags; the later wins.
//!
//! Every program is one clap command. Each of its long flags is a key of the file (`--im-addr` is `im_addr`) and an
//! environment variable (`HUIZHEN_IM_ADDR`). Settings of file and environment are inserted before the flags of the command
//! line, so that clap parses every value in the same way and applies its rules between flags to all of them. An unknown
//! key or an invalid value stops the start.

mod given;
mod media;
mod print;
mod secret;
mod toml_file;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use clap::{
    Arg, ArgAction, ArgMatches, Command, builder::BoolishValueParser, error::ErrorKind, parser::ValueSource,
};

use proto::media::MediaHosts;

use self::given::{Given, Origin};
pub use self::{media::MediaStore, secret::read_secret};
use crate::{output, telemetry::LogFormat};

/// See [`in_force`].
static IN_FORCE: OnceLock<String> = OnceLock::new();

/// The prefix of environment variables.
pub const ENVIRONMENT_PREFIX: &str = "HUIZHEN_";

/// The database of a server when none is set.
const DEFAULT_DATABASE: &str = "sqlite://data/huizhen.db";

/// The settings that all programs share.
#[derive(clap::Args, Clone, Debug)]
pub struct Common {
    /// Settings file (TOML). Each long flag is a key in it and an environment variable: --im-addr is im_addr there and
    /// HUIZHEN_IM_ADDR here; flags win over the environment, the environment over the file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Show the settings in force, each with where it comes from, secrets blanked, and exit
    #[arg(long)]
    pub print_config: bool,
    /// The database, as in sqlite://data/huizhen.db or postgres://user:password@host:5432/huizhen
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Redis, over which the processes of a fleet find each other, as in redis://user:password@host:6379/0 or
    /// redis+sentinel://user:password@one:26379,two:26379/master-name or redis+cluster://user:password@one:6379,two:6379;
    /// without it this process is alone
    #[arg(long, value_name = "URL")]
    pub redis_url: Option<String>,
    /// Hosts whose uris may name media beside this service's own, as in media.example.com; none by default. Every program
    /// of a fleet needs the same
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub media_hosts: Vec<String>,
    /// Where the bytes of media lie: none, folder (media in the data folder) or s3://BUCKET/PREFIX. By default folder for
    /// huizhen, none for the programs of a fleet, which need the same
    #[arg(long, value_name = "PLACE")]
    pub media_store: Option<MediaStore>,
    /// Where /metrics, /livez and /readyz are served
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100", value_parser = crate::address::parse)]
    pub admin_addr: String,
    /// Write the addresses of all open listeners to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
    /// How log lines are written to standard error; what is written is set by RUST_LOG
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log: LogFormat,
}

impl Common {
    /// The database; by default a file in the folder that `huizhen` uses, too.
    pub fn database_url(&self) -> &str {
        self.database_url.as_deref().unwrap_or(DEFAULT_DATABASE)
    }

    /// Whether --media-store names a store.
    pub fn keeps_media(&self) -> bool {
        self.media_store
            .as_ref()
            .is_some_and(|store| *store != MediaStore::None)
    }

    /// The hosts of --media-hosts.
    ///
    /// # Errors
    /// When one is not a host.
    pub fn media_hosts(&self) -> anyhow::Result<MediaHosts> {
        MediaHosts::parse(&self.media_hosts).map_err(|error| anyhow::anyhow!("--media-hosts: {error}"))
    }
}

/// The end of a program before its start: help, `--print-config`, or invalid settings.
#[derive(Debug)]
pub struct Stop {
    /// The text to print, with its last line end.
    pub text: String,
    /// The exit status: 0 for requested text, 2 for invalid settings.
    pub status: u8,
}

impl Stop {
    /// Prints the text, requested text on standard output, and ends the process.
    pub fn exit(&self) -> ! {
        if self.status == 0 {
            output::text(&self.text);
            if let Err(error) = output::finish() {
                crate::complain!("error: {error:#}");
                std::process::exit(1);
            }
        } else {
            crate::complain!("{}", self.text.trim_end());
        }
        std::process::exit(i32::from(self.status))
    }

    fn asked(text: String) -> Self {
        Self { text, status: 0 }
    }

    fn refused(problems: &[String]) -> Self {
        let mut text = String::new();
        for problem in problems {
            text.push_str("error: ");
            text.push_str(problem);
            text.push('\n');
        }
        Self { text, status: 2 }
    }
}

impl From<clap::Error> for Stop {
    fn from(error: clap::Error) -> Self {
        let status = if error.use_stderr() { 2 } else { 0 };
        // Colours are for terminals only.
        let to_terminal = if status == 0 {
            std::io::IsTerminal::is_terminal(&std::io::stdout())
        } else {
            std::io::IsTerminal::is_terminal(&std::io::stderr())
        };
        let text = error.render();
        Self {
            text: if to_terminal {
                text.ansi().to_string()
            } else {
                text.to_string()
            },
            status,
        }
    }
}

/// Reads the settings of this process from its arguments (the program's name first) and its environment. On a [`Stop`] it
/// ends the process.
pub fn read(command: Command, arguments: &[OsString]) -> ArgMatches {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let (matches, summary) =
        resolve_with_summary(command, arguments, &environment).unwrap_or_else(|stop| stop.exit());
    let _ = IN_FORCE.set(summary);
    matches
}

/// The settings of this process that differ from their defaults, each with its source and secrets blanked, for the first
/// line of the log.
pub fn in_force() -> &'static str {
    IN_FORCE.get().map_or("", String::as_str)
}

/// Reads settings from arguments (the program's name first), an environment, and the file that either of them names.
/// A command without [`Common`]'s `--config` has flags alone.
///
/// # Errors
/// A [`Stop`] for help, `--print-config` and invalid settings.
pub fn resolve(
    command: Command,
    arguments: &[OsString],
    environment: &[(String, String)],
) -> Result<ArgMatches, Stop> {
    resolve_with_summary(command, arguments, environment).map(|(matches, _)| matches)
}

fn resolve_with_summary(
    command: Command,
    arguments: &[OsString],
    environment: &[(String, String)],
) -> Result<(ArgMatches, String), Stop> {
    let command = with_settable_switches(command);
    // Help and version take precedence over invalid settings.
    if let Err(error) = command.clone().try_get_matches_from(arguments)
        && matches!(
            error.kind(),
            ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        )
    {
        return Err(error.into());
    }
    // The file may supply a missing setting, so this first pass reads only the command and the file's name.
    let first = command
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(arguments)?;
    let path = subcommands_named(&first);
    let Some(leaf) = find(&command, &path).filter(|leaf| is_configurable(leaf)) else {
        return Ok((command.try_get_matches_from(arguments)?, String::new()));
    };

    let mut problems = Vec::new();
    let file = leaf_matches(&first)
        .get_one::<PathBuf>("config")
        .cloned()
        .or_else(|| variable(environment, "config").map(PathBuf::from));
    let mut given = match &file {
        Some(file) => toml_file::read(file, leaf, &mut problems),
        None => Given::new(),
    };
    given.extend(given::environment(leaf, environment, &mut problems));
    if !problems.is_empty() {
        return Err(Stop::refused(&problems));
    }

    // A flag takes precedence over both.
    given.retain(|id, _| leaf_matches(&first).value_source(id) != Some(ValueSource::CommandLine));
    let arguments = with_given(leaf, &path, &given, arguments);
    let matches = command
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| with_places(error.into(), leaf, &given, file.as_deref()))?;
    if leaf_matches(&matches).get_flag("print_config") {
        return Err(Stop::asked(print::in_force(leaf, leaf_matches(&matches), &given)));
    }
    let summary = print::summary(leaf, leaf_matches(&matches), &given, file.as_deref());
    Ok((matches, summary))
}

/// Adds the source of each setting that a refusal names: clap names flags, also for settings from elsewhere.
fn with_places(mut stop: Stop, leaf: &Command, given: &Given, file: Option<&Path>) -> Stop {
    for argument in settable(leaf) {
        let id = argument.get_id().as_str();
        let flag = format!("--{}", argument.get_long().unwrap_or_default());
        let is_named = stop
            .text
            .split(|character: char| !character.is_ascii_alphanumeric() && character != '-')
            .any(|word| word == flag);
        let Some(setting) = given.get(id).filter(|_| is_named) else {
            continue;
        };
        let place = match (&setting.origin, file) {
            (Origin::File { line }, Some(file)) => format!("{}:{line}", file.display()),
            _ => variable_name(id),
        };
        stop.text.push_str(&format!("{flag} is set by {place}: {id}\n"));
    }
    stop
}

/// A settings file with every setting of a command: its explanation, then its default, commented out unless `set` has a
/// value for it.
pub fn template(command: &Command, set: &[(&str, &str)]) -> String {
    print::template(command, set)
}

/// The settings that a command reads from file and environment.
fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| {
        argument.get_long().is_some()
            && !matches!(
                argument.get_id().as_str(),
                "config" | "print_config" | "help" | "version"
            )
    })
}

fn is_configurable(command: &Command) -> bool {
    command
        .get_arguments()
        .any(|argument| argument.get_id() == "config")
}

/// Lets switches have a value (`--proxy-protocol=false`), so that a flag can override the file's `true`.
fn with_settable_switches(mut command: Command) -> Command {
    if is_configurable(&command) {
        let switches: Vec<String> = settable(&command)
            .filter(|argument| matches!(argument.get_action(), ArgAction::SetTrue))
            .map(|argument| argument.get_id().to_string())
            .collect();
        for id in switches {
            command = command.mut_arg(id, |argument| {
                argument
                    .action(ArgAction::Set)
                    .num_args(0..=1)
                    .require_equals(true)
                    .value_name("BOOL")
                    .value_parser(BoolishValueParser::new())
                    .default_value("false")
                    .default_missing_value("true")
                    .hide_default_value(true)
                    .hide_possible_values(true)
            });
        }
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, with_settable_switches);
    }
    command
}

/// Inserts the settings of file and environment behind the subcommand's name, before the other arguments.
fn with_given(leaf: &Command, path: &[String], given: &Given, arguments: &[OsString]) -> Vec<OsString> {
    let mut at = 1.min(arguments.len());
    for name in path {
        let rest = arguments[at..]
            .iter()
            .position(|argument| argument == name.as_str());
        at += rest.map_or(0, |skipped| skipped + 1);
    }
    let typed = settable(leaf).flat_map(|argument| {
        let setting = given.get(argument.get_id().as_str());
        let values = setting
            .map(|setting| setting.values.as_slice())
            .unwrap_or_default();
        let long = argument.get_long().unwrap_or_default();
        values
            .iter()
            .map(move |value| OsString::from(format!("--{long}={value}")))
    });
    let (before, after) = arguments.split_at(at);
    before
        .iter()
        .cloned()
        .chain(typed)
        .chain(after.iter().cloned())
        .collect()
}

fn subcommands_named(matches: &ArgMatches) -> Vec<String> {
    let mut path = Vec::new();
    let mut matches = matches;
    while let Some((name, inner)) = matches.subcommand() {
        path.push(name.to_owned());
        matches = inner;
    }
    path
}

fn leaf_matches(matches: &ArgMatches) -> &ArgMatches {
    let mut matches = matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches
}

fn find<'c>(command: &'c Command, path: &[String]) -> Option<&'c Command> {
    path.iter()
        .try_fold(command, |command, name| command.find_subcommand(name))
}

fn variable<'e>(environment: &'e [(String, String)], id: &str) -> Option<&'e str> {
    let name = variable_name(id);
    environment
        .iter()
        .find(|(given, value)| *given == name && !value.is_empty())
        .map(|(_, value)| value.as_str())
}

fn variable_name(id: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", id.to_ascii_uppercase())
}
