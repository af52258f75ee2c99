//! Settings as text: those in force, and the commented file that `init` writes.

use std::{fmt::Write, path::Path};

use clap::{Arg, ArgMatches, Command, parser::ValueSource};

use super::{Given, Origin, given::takes_many, settable, variable_name};

/// Replaces a secret.
const BLANK: &str = "***";

/// Every setting of a command as a line of TOML, followed by its source.
pub(super) fn in_force(command: &Command, matches: &ArgMatches, given: &Given) -> String {
    let lines: Vec<(String, String)> = settable(command)
        .map(|argument| {
            let id = argument.get_id().as_str();
            let values: Vec<String> = matches
                .get_raw(id)
                .map(|values| {
                    values
                        .map(|value| blanked(id, &value.to_string_lossy()))
                        .collect()
                })
                .unwrap_or_default();
            if values.is_empty() {
                return (format!("# {id} ="), "not set".to_owned());
            }
            (
                format!("{id} = {}", toml_value(argument, &values)),
                source(matches, given, id),
            )
        })
        .collect();
    let width = lines
        .iter()
        .map(|(setting, _)| setting.chars().count())
        .max()
        .unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (setting, source)| {
        let _ = writeln!(text, "{setting:width$}  # {source}");
        text
    })
}

/// The settings of a command that are not at their defaults, in one line.
pub(super) fn summary(command: &Command, matches: &ArgMatches, given: &Given, file: Option<&Path>) -> String {
    let mut parts: Vec<String> = file
        .iter()
        .map(|file| format!("file {}", file.display()))
        .collect();
    for argument in settable(command) {
        let id = argument.get_id().as_str();
        if !given.contains_key(id) && matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let values: Vec<String> = matches
            .get_raw(id)
            .into_iter()
            .flatten()
            .map(|value| blanked(id, &value.to_string_lossy()))
            .collect();
        parts.push(format!(
            "{id}={} ({})",
            values.join(","),
            source(matches, given, id)
        ));
    }
    parts.push("else defaults".to_owned());
    parts.join(", ")
}

/// See [`super::template`].
pub(super) fn template(command: &Command, set: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for argument in settable(command) {
        let id = argument.get_id().as_str();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        for line in wrapped(&help, 110) {
            let _ = writeln!(text, "# {line}");
        }
        let default: Vec<String> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        match set.iter().find(|(key, _)| *key == id) {
            Some((_, value)) => {
                let _ = writeln!(text, "{id} = {}", toml_value(argument, &[(*value).to_owned()]));
            }
            None if default.is_empty() => {
                let switch = matches!(argument.get_action(), clap::ArgAction::SetTrue);
                let _ = writeln!(text, "# {id} = {}", if switch { "false" } else { "" });
            }
            None => {
                let _ = writeln!(text, "# {id} = {}", toml_value(argument, &default));
            }
        }
        text.push('\n');
    }
    text
}

fn source(matches: &ArgMatches, given: &Given, id: &str) -> String {
    match given.get(id).map(|setting| &setting.origin) {
        Some(Origin::File { line }) => format!("file, line {line}"),
        Some(Origin::Environment) => format!("environment, {}", variable_name(id)),
        None if matches.value_source(id) == Some(ValueSource::CommandLine) => "flag".into(),
        None => "default".into(),
    }
}

fn toml_value(argument: &Arg, values: &[String]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|value| {
            if value.parse::<i64>().is_ok() || matches!(value.as_str(), "true" | "false") {
                value.clone()
            } else {
                toml::Value::String(value.clone()).to_string()
            }
        })
        .collect();
    if takes_many(argument) {
        format!("[{}]", values.join(", "))
    } else {
        values.into_iter().next().unwrap_or_default()
    }
}

/// Blanks the secrets of a value: all of it where the setting's name says so, else passwords and queries in URLs.
pub(super) fn blanked(id: &str, value: &str) -> String {
    if ["_secret", "_password", "_token"]
        .iter()
        .any(|end| id.ends_with(end))
    {
        return BLANK.into();
    }
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let rest = match rest.split_once('?') {
        Some((address, _)) => format!("{address}?{BLANK}"),
        None => rest.to_owned(),
    };
    let rest = match rest.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{user}:{BLANK}@{host}")
        }
        None => rest,
    };
    format!("{scheme}://{rest}")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut();
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blanked() {
        assert_eq!(blanked("pay_secret", "abc"), "***");
        assert_eq!(
            blanked("database_url", "postgres://huizhen:pa@ss@db/huizhen"),
            "postgres://huizhen:***@db/huizhen"
        );
        assert_eq!(
            blanked("redis_url", "rediss://huizhen:pass@redis:6379/0?prefix=a:"),
            "rediss://huizhen:***@redis:6379/0?***"
        );
        assert_eq!(
            blanked("sms_webhook_url", "https://sms/send?key=abc"),
            "https://sms/send?***"
        );
        assert_eq!(
            blanked("database_url", "sqlite://data/huizhen.db"),
            "sqlite://data/huizhen.db"
        );
        assert_eq!(blanked("im_addr", "127.0.0.1:9501"), "127.0.0.1:9501");
    }
}
