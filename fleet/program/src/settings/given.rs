//! The settings of file and environment, checked before clap sees them, so that a refusal names their location.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command};

use super::{ENVIRONMENT_PREFIX, print::blanked, settable, variable_name};

/// Settings by the ids of their arguments.
pub(super) type Given = BTreeMap<String, Setting>;

/// One setting.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// As on a command line, behind the flag.
    pub(super) values: Vec<String>,
    pub(super) origin: Origin,
}

/// Where a setting comes from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    File { line: usize },
    Environment,
}

/// Reads the settings of a command from the environment.
pub(super) fn environment(
    command: &Command,
    environment: &[(String, String)],
    problems: &mut Vec<String>,
) -> Given {
    let mut given = Given::new();
    for (name, value) in environment {
        let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
            continue;
        };
        let id = key.to_ascii_lowercase();
        let Some(argument) = settable(command).find(|argument| argument.get_id() == id.as_str()) else {
            // The environment is shared (an orchestrator sets variables of its own), so that only a probable typo stops
            // the start.
            if let Some(near) = nearest(command, &id, 1)
                && id != "config"
                && !environment
                    .iter()
                    .any(|(other, _)| *other == variable_name(&near))
            {
                problems.push(format!(
                    "{name} is not a setting; did you mean {}?",
                    variable_name(&near)
                ));
            }
            continue;
        };
        // Orchestrators write "not set" as an empty variable.
        if value.is_empty() {
            continue;
        }
        let values: Vec<String> = if takes_many(argument) {
            value.split(',').map(|value| value.trim().to_owned()).collect()
        } else {
            vec![value.clone()]
        };
        match check(argument, &values) {
            Ok(()) => {
                given.insert(
                    id,
                    Setting {
                        values,
                        origin: Origin::Environment,
                    },
                );
            }
            Err(problem) => problems.push(format!("{name}: {problem}{}", expected(argument))),
        }
    }
    given
}

/// Whether an argument may be repeated.
pub(super) fn takes_many(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

/// Checks values by the parser of an argument.
///
/// # Errors
/// Clap's explanation, without values that may be secrets.
pub(super) fn check(argument: &Arg, values: &[String]) -> Result<(), String> {
    let id = argument.get_id().as_str();
    // A copy of the argument by itself: the original may refer to others.
    let probe = Command::new("settings")
        .no_binary_name(true)
        .disable_help_flag(true)
        .arg(
            Arg::new(id.to_owned())
                .long("value")
                .action(ArgAction::Append)
                .num_args(1)
                .value_parser(argument.get_value_parser().clone()),
        );
    if let Some(bad) = values.iter().find(|value| !value.contains("://"))
        && id.ends_with("_url")
    {
        // A URL with a typo may contain its password still.
        let shown = if bad.contains('@') { "the value" } else { bad };
        return Err(format!("{shown} is not a URL"));
    }
    let arguments = values.iter().map(|value| format!("--value={value}"));
    match probe.try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.render().to_string();
            let explained: Vec<&str> = text
                .lines()
                .take_while(|line| !line.trim().is_empty())
                .map(str::trim)
                .collect();
            let explained = explained.join(" ");
            let explained = explained.strip_prefix("error: ").unwrap_or(&explained);
            // The name of the probe would only confuse.
            let explained = explained
                .replace(&format!(" for '--value <{id}>'"), "")
                .replace(&format!(" '--value <{id}>'"), "");
            let explained = values
                .iter()
                .filter(|value| !value.is_empty())
                .fold(explained, |explained, value| {
                    explained.replace(value.as_str(), &blanked(id, value))
                });
            Err(explained)
        }
    }
}

/// The end of a refusal: the default of the setting, or else the kind of value that it expects.
pub(super) fn expected(argument: &Arg) -> String {
    let default: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if !default.is_empty() {
        return format!(" (the default is {})", default.join(","));
    }
    match argument.get_value_names() {
        Some([name, ..]) => format!(" (expected: {name})"),
        _ => String::new(),
    }
}

/// The known key nearest to a wrong one, at most `distance` typos away.
pub(super) fn nearest(command: &Command, key: &str, distance: usize) -> Option<String> {
    settable(command)
        .map(|argument| argument.get_id().as_str())
        .map(|known| (strsim::osa_distance(known, key), known))
        .filter(|(slips, _)| *slips <= distance)
        .min()
        .map(|(_, known)| known.to_owned())
}
