//! The settings file: flat TOML, one key per setting.

use std::{
    any::TypeId,
    path::{Path, PathBuf},
};

use clap::{Arg, Command};
use toml::de::{DeTable, DeValue};

use super::{
    given::{Given, Origin, Setting, check, expected, nearest, takes_many},
    settable,
};

/// The largest settings file, bytes: some hundred times the size of all settings with their comments.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads a file for a command. It adds its errors to `problems`, each with file and line.
pub(super) fn read(path: &Path, command: &Command, problems: &mut Vec<String>) -> Given {
    let name = path.display();
    let mut given = Given::new();
    let text = match text_of(path) {
        Ok(text) => text,
        Err(error) => {
            problems.push(format!("the settings file {name} cannot be read: {error}"));
            return given;
        }
    };
    let table = match DeTable::parse(&text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            problems.push(format!("{name}:{line}: {}", error.message()));
            return given;
        }
    };
    let mut keys: Vec<_> = table.get_ref().iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in keys {
        let line = line_of(&text, key.span().start);
        let id = key.get_ref().as_ref();
        let Some(argument) = settable(command).find(|argument| argument.get_id() == id) else {
            problems.push(format!("{name}:{line}: {}", unknown(command, id)));
            continue;
        };
        let read = values_of(argument, value.get_ref())
            .and_then(|values| check(argument, &values).map(|()| values))
            .map_err(|problem| format!("{problem}{}", expected(argument)));
        match read {
            Ok(values) => {
                let origin = Origin::File { line };
                given.insert(id.to_owned(), Setting { values, origin });
            }
            Err(problem) => problems.push(format!("{name}:{line}: {id}: {problem}")),
        }
    }
    given
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!(
            "it has {bytes} bytes, more than {MAX_FILE_BYTES}"
        )));
    }
    std::fs::read_to_string(path)
}

fn unknown(command: &Command, id: &str) -> String {
    // A guess with more than a third of its letters wrong does not help.
    match nearest(command, &id.replace('-', "_"), (id.len() / 3).max(2)) {
        Some(near) => format!("unknown setting `{id}`; did you mean `{near}`?"),
        None => format!("unknown setting `{id}`; --print-config lists all of them"),
    }
}

fn values_of(argument: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    match value {
        DeValue::Array(items) if takes_many(argument) => {
            items.iter().map(|item| scalar(item.get_ref())).collect()
        }
        DeValue::Array(_) => Err("takes one value, not a list".into()),
        // A number is not a path and `true` is not a text: it is the value of another setting.
        DeValue::Integer(_) | DeValue::Float(_) if is_a::<PathBuf>(argument) => {
            Err("takes a path in quotes, not a number".into())
        }
        DeValue::Float(_) if is_a::<String>(argument) => Err("takes text in quotes, not a number".into()),
        DeValue::Boolean(_) if is_a::<PathBuf>(argument) || is_a::<String>(argument) => {
            Err("takes text in quotes, not true or false".into())
        }
        value => Ok(vec![scalar(value)?]),
    }
}

/// Whether the values of an argument are of a type.
fn is_a<T: 'static>(argument: &Arg) -> bool {
    argument.get_value_parser().type_id() == TypeId::of::<T>()
}

fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(|integer| integer.to_string())
            .map_err(|error| format!("{}: {error}", integer.as_str())),
        DeValue::Float(float) => Ok(float.as_str().to_owned()),
        DeValue::Boolean(boolean) => Ok(boolean.to_string()),
        DeValue::Datetime(_) => Err("no setting is a date; put it in quotes if it is text".into()),
        DeValue::Array(_) => Err("no setting is a list of lists".into()),
        DeValue::Table(_) => Err("settings have no sections: write each key at the top".into()),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
